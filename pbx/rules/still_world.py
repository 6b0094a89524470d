"""A world in which nothing moves: as it was at some moment, or as somebody supposes it."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime

from pbx.rules.facts import Used

NOTHING = Used()


@dataclass(frozen=True, slots=True)
class StillWorld:
    """A `facts.World`; what is left out means that nothing is going on.

    Attributes:
        registered: SIP users; None: every phone is.
        logins: the SIP user of a hot-desk phone -> the email of who is logged in there.
        busy, idle: key of an extension -> its calls in progress, and when its last one ended.
        turns: key of a group -> how many calls it has had.
        usage: key of an extension -> what it has used of its limit this month.
        locked: subjects such as "passcode 100".
    """

    now: datetime
    registered: Set[str] | None = None
    logins: Mapping[str, str] = field(default_factory=dict)
    busy: Mapping[str, int] = field(default_factory=dict)
    idle: Mapping[str, float] = field(default_factory=dict)
    turns: Mapping[str, int] = field(default_factory=dict)
    usage: Mapping[str, Used] = field(default_factory=dict)
    locked: Set[str] = frozenset()
    approved: Mapping[str, Set[str]] = field(default_factory=dict)
    chance: float = 0.0

    def is_registered(self, username: str) -> bool:
        return self.registered is None or username in self.registered

    def calls(self, key: str) -> int:
        return self.busy.get(key, 0)

    def idle_since(self, key: str) -> float:
        return self.idle.get(key, 0.0)

    def turn(self, group: str) -> int:
        return self.turns.get(group, 0)

    def used(self, key: str) -> Used:
        return self.usage.get(key, NOTHING)

    def is_locked(self, subject: str) -> bool:
        return subject in self.locked

    def member_at(self, username: str) -> str:
        return self.logins.get(username, "")

    def phones_of(self, member: str) -> tuple[str, ...]:
        return tuple(username for username, each in self.logins.items() if each == member)

    def approved_numbers(self, key: str) -> Set[str]:
        return self.approved.get(key, frozenset())
