"""Writes dataclasses as TOML that reads back as the same: without defaults, and without secrets."""

import datetime
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from pbx.office.table import Column, Nested, Rows, columns_of


def render(value: Any) -> str:
    """A dataclass as TOML text.

    A secret that is set is left out, which means "as it is"; one that is not set is written as "" where that
    is allowed, so that it stays unset.
    """
    return "\n".join(_table(value, "")).strip("\n") + "\n"


def _table(value: Any, path: str) -> Iterator[str]:
    later: list[tuple[Column, Any]] = []
    for column in columns_of(value):
        content = getattr(value, column.attribute)
        if isinstance(column.shape, Nested | Rows) and not column.inline:
            later.append((column, content))
        elif _is_written(column, content):
            yield f"{column.key} = {_inline(content)}"
    for column, content in later:
        name = f"{path}.{column.key}" if path else column.key
        if isinstance(column.shape, Nested):
            lines = list(_table(content, name))
            if lines and not lines[0].startswith("\n"):
                yield f"\n[{name}]"
            yield from lines
        else:
            for row in content:
                yield f"\n[[{name}]]"
                yield from _table(row, name)


def _is_written(column: Column, content: Any) -> bool:
    if column.secret:
        return not content and getattr(column.shape, "empty", False)
    return column.required or column.is_tag or bool(content != column.default)


def _inline(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return _string(value)
        case Decimal():
            text = format(value.normalize(), "f")
            return text if "." in text else text + ".0"
        case datetime.date() | int():
            return str(value)
        case tuple():
            return "[" + ", ".join(_inline(each) for each in value) + "]"
    written = [
        f"{column.key} = {_inline(getattr(value, column.attribute))}"
        for column in columns_of(value)
        if _is_written(column, getattr(value, column.attribute))
    ]
    return "{ " + ", ".join(written) + " }" if written else "{}"


def _string(text: str) -> str:
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}
    return (
        '"'
        + "".join(escapes.get(char, char if char.isprintable() else f"\\U{ord(char):08x}") for char in text)
        + '"'
    )
