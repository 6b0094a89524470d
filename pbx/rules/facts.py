"""What the rules are told about a call."""

from collections.abc import Set
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from pbx.immutable import immutable


@immutable
class Caller:
    """Who calls.

    Attributes:
        key: of the extension whose call it is (of the logged-in member's, on a hot-desk phone); "" = outside.
        device: SIP user of the phone; "" = outside.
        number: of a caller outside, in E.164 where it can be read so; "" = withheld, or an extension.
        trunk, gateway: where a call from outside came in.
        member: email of the member who is logged in at a hot-desk phone.
        is_private: the caller is not to be shown.
    """

    key: str = ""
    device: str = ""
    number: str = ""
    name: str = ""
    trunk: str = ""
    gateway: str = ""
    member: str = ""
    is_private: bool = False


@immutable
class Used:
    """What an extension has used of its limit in this month, calls in progress included."""

    amount: Decimal = Decimal(0)
    seconds: float = 0.0


class World(Protocol):
    """What is so at the moment, besides the office. Only read: in the same world a rule decides the same."""

    @property
    def now(self) -> datetime:
        """UTC."""
        ...

    @property
    def chance(self) -> float:
        """In [0, 1), another one for each call."""
        ...

    def is_registered(self, username: str) -> bool: ...
    def calls(self, key: str) -> int:
        """How many calls an extension has in progress, ringing ones included."""
        ...

    def idle_since(self, key: str) -> float:
        """When an extension's last call ended, in seconds; 0.0: it has had none."""
        ...

    def turn(self, group: str) -> int:
        """How many calls a group has had, for taking turns."""
        ...

    def used(self, key: str) -> Used:
        """What an extension has used of its usage limit this month."""
        ...

    def is_locked(self, subject: str) -> bool:
        """Whether too many wrong codes were given for `subject`, such as "passcode 100"."""
        ...

    def member_at(self, username: str) -> str:
        """The email of the member who is logged in at a hot-desk phone; "" = nobody."""
        ...

    def phones_of(self, member: str) -> tuple[str, ...]:
        """The SIP users of the hot-desk phones where a member is logged in."""
        ...

    def approved_numbers(self, key: str) -> Set[str]:
        """Numbers of others that an extension may show, because an admin has approved its request."""
        ...
