"""A conference."""

from dataclasses import dataclass, field
from typing import Annotated

from pbx.office.marks import Secret
from pbx.office.values import KEY, PIN


@dataclass(frozen=True, slots=True)
class Room:
    key: Annotated[str, KEY]
    pin_hash: Annotated[str, Secret("pin", PIN)] = field(default="", repr=False)
