"""Dataclasses as TOML tables: their fields' annotations say which keys there are and what each may be.

This one reading of a type serves all that walk the office: reading a file, writing it, comparing two offices,
listing what is set.
"""

import types
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pbx.errors import UsageError
from pbx.office.marks import Hidden, Inline, Many, Named, Secret
from pbx.office.values import Choice, Flag, Kind


@dataclass(frozen=True, slots=True)
class Nested:
    """A table inside a table."""

    type: type


@dataclass(frozen=True, slots=True)
class Rows:
    """An array of tables, told apart by their key `by`. Of several types the value of `tag` tells which."""

    types: tuple[type, ...]
    tag: str = ""
    by: str = ""

    def type_of(self, row: object) -> type | None:
        """The type of a plain row; None when its tag is none that we know."""
        if not self.tag:
            return self.types[0]
        tag = row.get(self.tag) if isinstance(row, dict) else None
        return self.tags.get(tag) if isinstance(tag, str) else None

    @property
    def tags(self) -> dict[str, type]:
        return {_tag_value(each, self.tag): each for each in self.types}


Shape = Kind | Many | Nested | Rows


@dataclass(frozen=True, slots=True)
class Column:
    """One field of a dataclass, as the file sees it; `type` is that of a single value.

    The tag of a row is its one keyword-only field: it has only one value, so nobody gives it by position.
    """

    attribute: str
    key: str
    type: Any
    shape: Shape
    required: bool
    default: Any
    secret: bool
    inline: bool
    is_tag: bool


@cache
def columns(owner: type) -> tuple[Column, ...]:
    """The fields of a dataclass that the file has keys for, in their order."""
    hints = get_type_hints(owner, include_extras=True)
    made = (_column(each, hints[each.name]) for each in fields(owner))
    return tuple(column for column in made if column is not None)


def columns_of(value: object) -> tuple[Column, ...]:
    """The columns of a dataclass's instance."""
    owner: type = type(value)
    return columns(owner)


def _column(each: Field[Any], hint: Any) -> Column | None:
    annotation, marks = (
        (get_args(hint)[0], get_args(hint)[1:]) if get_origin(hint) is Annotated else (hint, ())
    )
    key, by, secret, inline = each.name.rstrip("_"), "", False, False
    shape: Shape | None = None
    for mark in marks:
        match mark:
            case Hidden():
                return None
            case Named():
                key, by = mark.key, mark.by
            case Secret():
                key, shape, secret = mark.key, mark.kind, True
            case Inline():
                inline = True
            case _:
                shape = mark
    default = each.default if each.default_factory is MISSING else each.default_factory()
    return Column(
        attribute=each.name,
        key=key,
        type=annotation,
        shape=shape or _shape(annotation, by),
        required=default is MISSING,
        default=None if default is MISSING else default,
        secret=secret,
        inline=inline,
        is_tag=bool(each.kw_only),
    )


def _shape(annotation: Any, by: str) -> Shape:
    if annotation is bool:
        return Flag()
    if is_dataclass(annotation) and isinstance(annotation, type):
        return Nested(annotation)
    if get_origin(annotation) is Literal:
        return Choice(get_args(annotation))
    if get_origin(annotation) is tuple:
        row = get_args(annotation)[0]
        if get_origin(row) in (Union, types.UnionType):
            tag = next(column.attribute for column in columns(get_args(row)[0]) if column.is_tag)
            return Rows(get_args(row), tag, by)
        if is_dataclass(row) and isinstance(row, type):
            return Rows((row,), "", by)
    raise UsageError(f"no kind is given for {annotation}")


def _tag_value(owner: type, tag: str) -> str:
    return str(next(column.default for column in columns(owner) if column.attribute == tag))
