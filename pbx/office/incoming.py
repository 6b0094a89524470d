"""What happens to calls to an extension before it rings."""

from dataclasses import dataclass, field
from typing import Annotated

from pbx.office.marks import Many, Reference
from pbx.office.values import E164, KEY, NAME_OR_NONE, OneOf, WrittenNumber

NUMBER_OR_KEY = OneOf(
    (KEY, WrittenNumber()), 'a number such as "+6531234567", or the key of an extension such as "105"'
)


@dataclass(frozen=True, slots=True)
class Forward:
    """Other phones that ring instead; a VIP caller is never forwarded."""

    enabled: bool = False
    number: Annotated[str, E164()] = ""
    extensions: Annotated[tuple[str, ...], Many(Reference("extension", KEY), limit=20)] = ()
    vip: Annotated[tuple[str, ...], Many(NUMBER_OR_KEY)] = ()


@dataclass(frozen=True, slots=True)
class Incoming:
    do_not_disturb: bool = False
    gateway: Annotated[str, Reference("gateway", NAME_OR_NONE)] = ""
    forward: Forward = field(default_factory=Forward)
