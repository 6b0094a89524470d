"""The number that an extension shows to the outside."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pbx.office.marks import Many
from pbx.office.values import E164


@dataclass(frozen=True, slots=True)
class CallerId:
    mode: Literal["fixed", "assigned", "random"] = "fixed"
    number: Annotated[str, E164()] = ""
    assigned: Annotated[tuple[str, ...], Many(E164(empty=False))] = ()
    forwarded: Literal["extension", "caller"] = "extension"
