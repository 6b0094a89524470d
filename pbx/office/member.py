"""A person of the office."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pbx.office.marks import Secret
from pbx.office.values import E164, LABEL, PIN, Email


@dataclass(frozen=True, slots=True)
class Member:
    """`pin_hash` is as `Hasher.hash` made it, "" = none; all PINs share one salt."""

    email: Annotated[str, Email()]
    name: Annotated[str, LABEL] = ""
    account: Literal["owner", "admin", "member"] = "member"
    pin_hash: Annotated[str, Secret("pin", PIN)] = field(default="", repr=False)
    mobile: Annotated[str, E164()] = ""
