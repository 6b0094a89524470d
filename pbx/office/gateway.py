"""A SIP account that an extension can be mapped to."""

from dataclasses import dataclass, field
from typing import Annotated

from pbx.office.marks import Reference, Secret
from pbx.office.trunk import ACCOUNT, CARRIER_PASSWORD
from pbx.office.values import NAME, NAME_OR_NONE, SIP_SERVER


@dataclass(frozen=True, slots=True)
class Gateway:
    name: Annotated[str, NAME]
    server: Annotated[str, SIP_SERVER]
    username: Annotated[str, ACCOUNT] = ""
    password: Annotated[str, Secret("password", CARRIER_PASSWORD)] = field(default="", repr=False)
    outbound_rule: Annotated[str, Reference("outbound_rule", NAME_OR_NONE)] = ""
