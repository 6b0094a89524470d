"""Reads TOML tables into dataclasses, and collects every mistake on the way."""

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pbx.errors import UsageError
from pbx.office.locate import Path
from pbx.office.marks import Many, Reference
from pbx.office.table import Column, Nested, Rows, columns
from pbx.office.values import Kind, NotAllowedError, nearest

MAX_SHOWN = 60


@dataclass(slots=True)
class Finding:
    """A mistake whose line is not looked up yet."""

    path: Path
    found: str
    allowed: str
    nearest: str | None = None


@dataclass(slots=True)
class Reading:
    """Reads tables, and collects on the way what else must be known of the file.

    The place of a wrong value is taken by the raw one if that is a string and should be, else by the default
    or an empty one: so the whole can be checked for further mistakes, and every row keeps its index.
    """

    findings: list[Finding] = field(default_factory=list)
    secrets: dict[Path, str] = field(default_factory=dict)
    references: list[tuple[Path, str, str]] = field(default_factory=list)

    def report(self, path: Path, found: str, allowed: str, near: str | None = None) -> None:
        self.findings.append(Finding(path, found, allowed, near))

    def table(self, owner: type, raw: Mapping[str, object], path: Path) -> Any:
        """An instance of the dataclass `owner` of what the table says."""
        known = {column.key: column for column in columns(owner)}
        for key in raw:
            if key not in known:
                self._unknown(owner, key, path)
        values: dict[str, Any] = {}
        for key, column in known.items():
            if column.is_tag:
                continue
            if key in raw:
                value = self._value(column, raw[key], (*path, key))
            elif column.required:
                value = _stand_in(column)
                self.report((*path, key), "nothing", f"{_allowed(column)}; this key is needed")
            else:
                value = column.default
            values[column.attribute] = value
        return owner(**values)

    def _unknown(self, owner: type, key: str, path: Path) -> None:
        known = [column.key for column in columns(owner)]
        inner = [
            column.key
            for column in columns(owner)
            if isinstance(column.shape, Nested)
            and any(deeper.key == key for deeper in columns(column.shape.type))
        ]
        near = nearest(key, known) or (f"{inner[0]}.{key}" if inner else None)
        self.report((*path, key), "an unknown key", "one of " + ", ".join(known), near)

    def _value(self, column: Column, raw: object, path: Path) -> Any:
        match column.shape:
            case Nested(type=inner):
                if isinstance(raw, dict):
                    return self.table(inner, raw, path)
                self.report(path, show(raw), f"a table: [{_header(path)}]")
                return column.default
            case Rows():
                return self._rows(column.shape, raw, path)
            case Many():
                return self._many(column.shape, raw, path)
            case kind:
                return self._single(column, kind, raw, path)

    def _single(self, column: Column, kind: Kind, raw: object, path: Path) -> Any:
        try:
            value = kind.read(raw)
        except NotAllowedError as wrong:
            hide = column.secret or getattr(kind, "private", False)
            if hide:
                self.report(path, _describe_hidden(raw), wrong.allowed, _quote(wrong.nearest))
            else:
                self.report(path, show(raw), wrong.allowed, _quote(wrong.nearest) or _retyped(kind, raw))
            is_usable = column.type is str and isinstance(raw, str) and not column.secret
            return raw if is_usable else _stand_in(column)
        if column.secret:
            self.secrets[path] = str(value)
            return column.default
        self._refer(kind, value, path)
        return value

    def _many(self, many: Many, raw: object, path: Path) -> tuple[Any, ...]:
        if not isinstance(raw, list):
            near = f"[{show(raw)}]" if _takes(many.kind, raw) else None
            self.report(path, show(raw), f"a list, each {_allowed_by(many.kind)}", near)
            return ()
        if not many.low <= len(raw) <= many.limit:
            count = f"at least {many.low}" if len(raw) < many.low else f"at most {many.limit}"
            self.report(path, f"a list of {len(raw)}", f"{count} of them")
        values: list[Any] = []
        for index, element in enumerate(raw):
            place = (*path, index)
            try:
                value = many.kind.read(element)
            except NotAllowedError as wrong:
                near = _quote(wrong.nearest) or _retyped(many.kind, element)
                self.report(place, show(element), wrong.allowed, near)
                value = element if isinstance(element, str) and many.stand_in == "" else many.stand_in
            else:
                if value in values:
                    self.report(place, f"{show(element)} a second time", "each only once")
                self._refer(many.kind, value, place)
            values.append(value)
        return tuple(values)

    def _refer(self, kind: Kind, value: object, path: Path) -> None:
        if isinstance(kind, Reference) and value:
            self.references.append((path, kind.to, str(value)))

    def _rows(self, rows: Rows, raw: object, path: Path) -> tuple[Any, ...]:
        if isinstance(raw, dict):
            self.report(path, "a single table", f"[[{_header(path)}]] with double brackets, once for each")
            return (self._row(rows, raw, path),)
        if not isinstance(raw, list):
            self.report(path, show(raw), f"tables, each under [[{_header(path)}]]")
            return ()
        return tuple(self._row(rows, element, (*path, index)) for index, element in enumerate(raw))

    def _row(self, rows: Rows, raw: object, path: Path) -> Any:
        if not isinstance(raw, dict):
            self.report(path, show(raw), "a table")
            return Reading().table(rows.types[-1], {}, path)
        owner = rows.type_of(raw)
        if owner is not None:
            return self.table(owner, raw, path)
        found, allowed = raw.get(rows.tag), " | ".join(f'"{word}"' for word in rows.tags)
        if rows.tag not in raw and (key := nearest(rows.tag, raw)) is not None:
            self.report((*path, key), "an unknown key", f"{rows.tag} = {allowed}", rows.tag)
        else:
            near = nearest(found, rows.tags) if isinstance(found, str) else None
            what = show(found) if rows.tag in raw else "nothing"
            self.report((*path, rows.tag), what, allowed, _quote(near))
        return Reading().table(rows.types[-1], {"name": raw.get("name", "")}, path)


def _header(path: Path) -> str:
    return ".".join(str(part) for part in path if isinstance(part, str))


def _stand_in(column: Column) -> Any:
    """A value of the right type, in the place of one that is wrong or missing."""
    if not column.required:
        return column.default
    return {str: "", datetime.date: datetime.date.min}.get(column.type, ())


def _allowed(column: Column) -> str:
    match column.shape:
        case Nested():
            return "a table"
        case Rows():
            return "tables"
        case Many(kind=kind):
            return f"a list, each {_allowed_by(kind)}"
        case kind:
            return _allowed_by(kind)


def _allowed_by(kind: Kind) -> str:
    try:
        kind.read(None)
    except NotAllowedError as wrong:
        return wrong.allowed
    raise UsageError(f"{kind} takes None")


def show(raw: object) -> str:
    """What was found, as the file would write it, cut when long."""
    match raw:
        case bool():
            text = "true" if raw else "false"
        case dict():
            return "a table"
        case list():
            text = "[" + ", ".join(show(each) for each in raw) + "]"
        case str():
            text = f'"{raw}"' if raw.isprintable() else ascii(raw)
        case _:
            text = str(raw)
    return _cut(text)


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


def _describe_hidden(raw: object) -> str:
    return (
        f"{len(raw)} character{'s' * (len(raw) != 1)} (not shown)"
        if isinstance(raw, str)
        else "a value without quotes (not shown)"
    )


_FLAGS: Final = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def _retyped(kind: Kind, raw: object) -> str | None:
    """`raw` with its quotes added or taken away, as the file would write it, if that makes it right."""
    candidates: list[object] = []
    match raw:
        case bool():
            pass
        case int():
            candidates = [str(raw), f"+{raw}", *([bool(raw)] if raw in (0, 1) else [])]
        case str() if raw.lower() in _FLAGS:
            candidates = [_FLAGS[raw.lower()]]
        case str() if re.fullmatch(r"-?[0-9]{1,9}", raw):
            candidates = [int(raw)]
    return next((show(each) for each in candidates if _takes(kind, each)), None)


def _takes(kind: Kind, raw: object) -> bool:
    try:
        kind.read(raw)
    except NotAllowedError:
        return False
    return True


def _quote(near: str | None) -> str | None:
    return None if near is None else f'"{near}"'


def render_key(path: Path, data: object, owner: type) -> str:
    """A path in words; rows by their key if they have one, else from 1: `extension "101".record`."""
    words = ""
    shape: object = Nested(owner)
    for part in path:
        if isinstance(part, int):
            data = data[part] if isinstance(data, list) and part < len(data) else None
            words += _row_name(shape, data) or f"[{part + 1}]"
            continue
        if isinstance(shape, Rows):
            shape = Nested(shape.type_of(data) or shape.types[0])
        inner = columns(shape.type) if isinstance(shape, Nested) else ()
        shape = next((column.shape for column in inner if column.key == part), None)
        data = data.get(part) if isinstance(data, dict) else None
        words += f".{_cut(part)}" if words else _cut(part)
    return words


def _row_name(shape: object, row: object) -> str | None:
    name = row.get(shape.by) if isinstance(shape, Rows) and isinstance(row, dict) else None
    is_name = (isinstance(name, str) and name != "") or type(name) is datetime.date
    return f" {show(name)}" if is_name else None
