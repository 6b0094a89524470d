"""The difference of two offices: what apply would do, in words and without secrets."""

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pbx.office.reading import show
from pbx.office.snapshot import Office
from pbx.office.table import Column, Nested, Rows, columns, columns_of


@dataclass(frozen=True, slots=True)
class Plan:
    """One line for each thing: `extension 100 "Ann"`, or `extension 101: no_answer.timeout 20 -> 30`."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.added or self.changed or self.removed)

    def __str__(self) -> str:
        marked = [f"+ {line}" for line in self.added]
        marked += [f"~ {line}" for line in self.changed]
        marked += [f"- {line}" for line in self.removed]
        return "\n".join(marked) if marked else "nothing to do"


def plan(old: Office, new: Office) -> Plan:
    """What makes `old` into `new`; empty exactly when they are equal, whatever a realm that was not set."""
    added: list[str] = []
    changed: list[str] = []
    removed: list[str] = []
    for column in columns(Office):
        before, after = getattr(old, column.attribute), getattr(new, column.attribute)
        if before == after:
            continue
        if not isinstance(column.shape, Rows):
            changed += [f"{column.key}: {line}" for line in _differences(before, after)]
            continue
        rows = _RowDifference(column.shape, before, after)
        added += [f"{column.key} {_title(column.shape, row)}" for row in rows.added]
        removed += [f"{column.key} {_title(column.shape, row)}" for row in rows.removed]
        for was, row in rows.changed:
            changed += [f"{column.key} {_name(column.shape, row)}: {line}" for line in _differences(was, row)]
        if rows.is_reordered:
            changed.append(f"{column.key}: the order changes")
    if old.realm not in ("", new.realm):
        changed.append(f"realm of the passwords {show(old.realm)} -> {show(new.realm)}")
    return Plan(tuple(added), tuple(changed), tuple(removed))


class _RowDifference:
    """Which rows come, go, stay with changes or move, by their key."""

    def __init__(self, rows: Rows, before: tuple[Any, ...], after: tuple[Any, ...]) -> None:
        old = {_name(rows, row): row for row in before}
        new = {_name(rows, row): row for row in after}
        self.added = [row for name, row in new.items() if name not in old]
        self.removed = [row for name, row in old.items() if name not in new]
        self.changed = [(old[name], row) for name, row in new.items() if name in old and old[name] != row]
        stayed = [name for name in old if name in new]
        self.is_reordered = stayed != [name for name in new if name in old]


def _differences(before: Any, after: Any) -> Iterator[str]:
    """The fields in which two values of one type differ."""
    if type(before) is not type(after):
        yield "replaced by one of another kind"
        return
    known = False
    for column in columns_of(after):
        was, now = getattr(before, column.attribute), getattr(after, column.attribute)
        if was != now:
            yield from _difference(column, was, now)
            known = True
    if not known:
        yield "credentials change"


def _difference(column: Column, was: Any, now: Any) -> Iterator[str]:
    if column.secret:
        yield f"{column.key} {'changes' if was and now else 'is set' if now else 'is taken away'}"
    elif isinstance(column.shape, Nested):
        yield from (f"{column.key}.{line}" for line in _differences(was, now))
    elif isinstance(column.shape, Rows) and column.shape.by:
        yield from _named_rows(column.key, column.shape, was, now)
    elif isinstance(column.shape, Rows):
        yield from _numbered_rows(column.key, was, now)
    else:
        yield f"{column.key} {_show(was)} -> {_show(now)}"


def _named_rows(key: str, rows: Rows, was: tuple[Any, ...], now: tuple[Any, ...]) -> Iterator[str]:
    difference = _RowDifference(rows, was, now)
    yield from (f"{key} {_name(rows, row)} added" for row in difference.added)
    yield from (f"{key} {_name(rows, row)} removed" for row in difference.removed)
    for before, after in difference.changed:
        yield from (f"{key} {_name(rows, after)}: {line}" for line in _differences(before, after))
    if difference.is_reordered:
        yield f"{key}: the order changes"


def _numbered_rows(key: str, was: tuple[Any, ...], now: tuple[Any, ...]) -> Iterator[str]:
    for index, (before, after) in enumerate(zip(was, now, strict=False), start=1):
        if before != after:
            yield from (f"{key}[{index}].{line}" for line in _differences(before, after))
    yield from (f"{key}[{index}] added" for index in range(len(was) + 1, len(now) + 1))
    yield from (f"{key}[{index}] removed" for index in range(len(now) + 1, len(was) + 1))


def _name(rows: Rows, row: Any) -> str:
    return str(getattr(row, rows.by))


def _title(rows: Rows, row: Any) -> str:
    label = next(
        (text for name in ("label", "name") if name != rows.by and (text := getattr(row, name, ""))), ""
    )
    return f"{_name(rows, row)} {show(label)}" if label else _name(rows, row)


def _show(value: object) -> str:
    match value:
        case Decimal():
            return format(value.normalize(), "f")
        case tuple():
            return "[" + ", ".join(_show(each) for each in value) + "]"
        case datetime.date():
            return str(value)
        case _:
            return show(value)
