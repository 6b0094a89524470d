"""Which new calls the limits let in (product §1, [limits]). An emergency call passes them all."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

# Calls of one device that nobody has answered yet: more than any desk has keys for, and so few that a phone
# gone mad leaves the server to the others.
SET_UPS: Final = 32
# So long after its beginning a call that its caller gave up counts among them still: a phone that calls and
# hangs up in a loop gets no further than 16 calls a second.
GIVEN_UP_S: Final = 2.0


class Cause(StrEnum):
    """What turns requests away; the value is its name in `pbx status`."""

    OVERLOAD = "overload"
    CALLS = "calls"
    CALLS_PER_SECOND = "calls_per_second"
    DEVICE = "device"


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What is looked at when a call is about to begin.

    Attributes:
        is_emergency: an emergency number is dialled.
        calls, most_calls: in progress, and how many may be; 0 = any.
        is_braked: limits.calls_per_second is used up.
        set_ups: how many calls of the same device nobody has answered yet, or were given up just before.
    """

    is_emergency: bool = False
    calls: int = 0
    most_calls: int = 0
    is_braked: bool = False
    set_ups: int = 0


def refuse_call(facts: CallFacts) -> Cause | None:
    """What stands against a call; None when it may begin."""
    if facts.is_emergency:
        return None
    if facts.set_ups >= SET_UPS:
        return Cause.DEVICE
    if facts.most_calls and facts.calls >= facts.most_calls:
        return Cause.CALLS
    if facts.is_braked:
        return Cause.CALLS_PER_SECOND
    return None


class Brake:
    """At most `rate` calls a second, as many at once after a quiet second (a token bucket); 0 = no brake."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._left = float(rate)
        self._at = 0.0

    def is_on(self, now: float) -> bool:
        """Whether no call may begin now."""
        if not self.rate:
            return False
        self._left = min(float(self.rate), self._left + max(0.0, now - self._at) * self.rate)
        self._at = now
        return self._left < 1.0

    def take(self) -> None:
        """A call begins. Not counted below nothing: emergency calls owe the others no time."""
        self._left = max(0.0, self._left - 1.0)
