"""Who is behind a leg, and how somebody outside is reached."""

from typing import Literal

from pbx.immutable import immutable
from pbx.rules.decision import Outside

Kind = Literal["trunk", "gateway"]


@immutable
class Party:
    """Who is behind a leg.

    Attributes:
        key: of the extension, or the number of somebody outside: what is shown.
        device: SIP user of the phone, "" = outside.
        is_private: it hides itself.
        number: of somebody outside, in E.164 where it can be read so; "" = withheld, or one of ours.
        trunk, gateway: the way to somebody outside.
        member: email of who is logged in at a hot-desk phone.
    """

    key: str
    label: str = ""
    device: str = ""
    is_private: bool = False
    number: str = ""
    trunk: str = ""
    gateway: str = ""
    member: str = ""

    @property
    def is_outside(self) -> bool:
        """It is no phone of the office."""
        return not self.device

    @property
    def carrier(self) -> tuple[Kind, str]:
        """By which trunk or gateway somebody outside is reached."""
        return ("gateway", self.gateway) if self.gateway else ("trunk", self.trunk)

    @property
    def where(self) -> str:
        """Who it is and where, in words."""
        if self.device:
            return f"{self.key} at phone {self.device}"
        kind, name = self.carrier
        return f'{self.key} over {kind} "{name}"'


@immutable
class OutsideLeg:
    """How a leg reaches its number: by the trunk or gateway `way`; `others` are tried after it."""

    number: Outside
    way: str
    others: tuple[str, ...] = ()
