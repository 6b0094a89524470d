"""One phone of an extension."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pbx.office.marks import Hidden, Secret
from pbx.office.values import PASSWORD, USERNAME, Mac

DeviceKind = Literal["ip_phone", "mobile", "desktop"]


@dataclass(frozen=True, slots=True)
class Device:
    """A phone with its own SIP credentials; of its password only HA1 (RFC 7616 §3.4.2) is kept."""

    kind: DeviceKind
    username: Annotated[str, USERNAME]
    ha1_md5: Annotated[str, Secret("password", PASSWORD)] = field(default="", repr=False)
    ha1_sha256: Annotated[str, Hidden()] = field(default="", repr=False)
    tls: bool = False
    mac: Annotated[str, Mac()] = ""
    ring: bool = True
