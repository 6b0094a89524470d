"""The rows of `office_item`: one JSON document for each thing of the office, as pydantic writes its type."""

from collections.abc import Iterator
from dataclasses import fields
from functools import lru_cache
from typing import Any, Final, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from pbx.office.snapshot import Office

KINDS: Final = tuple(each.name for each in fields(Office) if each.init)
ROWS: Final = frozenset(kind for kind in KINDS if get_origin(get_type_hints(Office)[kind]) is tuple)
LATER: Final = "this version knows no such {}; a later one wrote it"


def write_rows(office: Office) -> Iterator[dict[str, Any]]:
    """What is to be saved: the kind of each, a field of Office, and its place among them."""
    for kind in KINDS:
        value = getattr(office, kind)
        for position, row in enumerate(value if isinstance(value, tuple) else (value,)):
            yield {"kind": kind, "position": position, "body": _adapter(kind).dump_json(row).decode()}


def read_row(kind: str, body: str) -> Any:
    """A row as it was saved; nothing is left out of it, for the next change would save it so.

    Raises:
        ValueError: a later version wrote it, or somebody by hand.
    """
    if kind not in KINDS:
        raise ValueError(f"the office cannot be read: {kind}: {LATER.format('table')}")
    try:
        return _adapter(kind).validate_json(body, extra="forbid")
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, (kind, *first["loc"])))
        is_later = first["type"] == "unexpected_keyword_argument"
        why = LATER.format("key") if is_later else first["msg"]
        raise ValueError(f"the office cannot be read: {where}: {why}") from error


@lru_cache
def _adapter(kind: str) -> TypeAdapter[Any]:
    """Reads and writes one row of a field of Office."""
    hint = get_type_hints(Office)[kind]
    arguments = get_args(hint)
    return TypeAdapter(arguments[0] if arguments else hint)
