"""A DID: an outside number that belongs to the office."""

from dataclasses import dataclass
from typing import Annotated

from pbx.office.values import E164, Text

DESTINATION = Text(
    80,
    r"(extension|group|room|voicemail):[1-9][0-9]{1,5}|line:[A-Za-z0-9][A-Za-z0-9 _.\-]*",
    '"extension:KEY", "group:KEY", "line:NAME", "room:KEY" or "voicemail:KEY"',
)


@dataclass(frozen=True, slots=True)
class Number:
    """`destination` is `kind:key`, "" = nowhere yet."""

    number: Annotated[str, E164(empty=False)]
    destination: Annotated[str, DESTINATION] = ""

    @property
    def target(self) -> tuple[str, str]:
        """Kind and key of the destination: ("extension", "100"); ("", "") for nowhere."""
        kind, _, key = self.destination.partition(":")
        return kind, key
