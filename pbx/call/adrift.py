"""Legs that ended while the connection to their phones was gone, so that these do not know of it yet."""

from collections.abc import Sequence
from itertools import count
from typing import Final

from pbx.call.leg import Leg
from pbx.errors import PbxError
from pbx.sip.stack import SipStack

KEPT_S: Final = 120.0  # phones come back sooner, or not at all
MOST: Final = 1000  # legs, of 20 kB: both of all calls that there may be


class Adrift:
    """Keeps them for a while: a phone that comes back is told, when its legs are moved (RFC 5626 §5.3)."""

    def __init__(self, stack: SipStack) -> None:
        self._stack = stack
        self._legs: dict[str, Leg] = {}
        self._names = count()

    @property
    def legs(self) -> Sequence[Leg]:
        """Those whose phones are not back."""
        return [leg for leg in self._legs.values() if leg.is_cut]

    def take(self, leg: Leg) -> None:
        """A leg has ended without its connection; the first of too many is given up."""
        if len(self._legs) >= MOST:
            first = next(iter(self._legs))
            self._stack.timers.set((self, first), None)
            del self._legs[first]
        name = str(next(self._names))
        self._legs[name] = leg
        self._stack.timers.set((self, name), self._stack.now + KEPT_S)

    def expire(self, name: str) -> None:
        """Its phone does not come back."""
        del self._legs[name]

    def broke(self, error: PbxError) -> None:
        """Forgetting cannot fail."""
        raise error
