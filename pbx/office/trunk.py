"""A SIP connection to a carrier."""

from dataclasses import dataclass, field
from typing import Annotated

from pbx.office.marks import Many, Secret
from pbx.office.values import CODECS, NAME, PASSWORD, SIP_SERVER, Address, Choice, Text, Whole

ACCOUNT = Text(128, r"[^\s\x00-\x1f\"<>]+", "a name of at most 128 characters, no space among them")
CARRIER_PASSWORD = Text(PASSWORD.limit, allowed=PASSWORD.allowed)
PREFIX = Text(10, r"\+|[0-9*#]{1,10}", '"+", or at most 10 of the digits 0-9 * #')


@dataclass(frozen=True, slots=True)
class Trunk:
    """The password is kept as it is: it is needed to log in at the carrier. `max_calls` 0 = no limit."""

    name: Annotated[str, NAME]
    server: Annotated[str, SIP_SERVER]
    username: Annotated[str, ACCOUNT] = ""
    password: Annotated[str, Secret("password", CARRIER_PASSWORD)] = field(default="", repr=False)
    register: bool = True
    addresses: Annotated[tuple[str, ...], Many(Address())] = ()
    foreign_caller_id: bool = False
    codecs: Annotated[tuple[str, ...], Many(Choice(CODECS), low=1)] = ("PCMA", "PCMU", "G722")
    max_calls: Annotated[int, Whole(0, 100_000)] = 0
    prefix: Annotated[str, PREFIX] = "+"

    @property
    def registers(self) -> bool:
        """Whether there is an account to register with."""
        return self.register and self.username != ""
