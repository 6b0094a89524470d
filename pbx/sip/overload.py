"""Overload control (RFC 3261 §21.5.4, RFC 7339): what share of each kind of request is turned away.

The input is how long requests wait for their turn, the least of each window (CoDel's idea, RFC 8289 §3): a
garbage collection or a burst makes some wait, overload makes all wait. The share follows from its excess over
a target and from its trend (PIE, RFC 8033 §4.2): a short queue stays, so that no capacity is lost.
"""

from enum import IntEnum
from typing import Final

WINDOW_S: Final = 0.1  # one `observe` for each
TARGET_S: Final = (
    0.04  # the wait that is aimed at in overload: far below timer A (T1), which would repeat requests
)
LONGEST_S: Final = 0.5  # more says no more, and would be remembered for long
PATIENCE: Final = 3  # windows over the target before anything is turned away
EXCESS_GAIN: Final = 0.5  # per second over the target, in each window
TREND_GAIN: Final = 1.0  # per second that the wait grew since the last window
STEP: Final = 0.2  # the most that one window adds or takes
# Without a queue it falls in each window, so that the heaviest overload is forgotten in 5 s.
REST: Final = 0.95
REST_STEP: Final = 0.02


class Kind(IntEnum):
    """Requests that begin something, in the order in which they are turned away."""

    CALL = 0  # an INVITE without credentials
    ANSWERED_CALL = 1  # one that answers a challenge: work has gone into it
    OTHER = 2  # REGISTER, OPTIONS, MESSAGE ...
    REFRESH = 3  # the same from a phone that is registered


class Overload:
    """One figure, the pressure, says it all: between 0 and 1 it is the share of the first kind that is turned
    away; between 1 and 2 the first kind is turned away altogether, and so much of the second; and so on.
    """

    def __init__(self) -> None:
        self.pressure = 0.0
        self.wait_s = 0.0  # in the last window
        self._late = 0  # windows in a row over the target
        self._owed = [0.0] * len(Kind)

    def observe(self, wait_s: float) -> None:
        """Take the least wait of the window that has just ended, seconds."""
        before, wait_s = self.wait_s, min(max(wait_s, 0.0), LONGEST_S)
        self.wait_s = wait_s
        self._late = self._late + 1 if wait_s > TARGET_S else 0
        if not self.pressure and self._late < PATIENCE:
            return
        if wait_s <= TARGET_S / 2:
            self.pressure = max(0.0, self.pressure * REST - REST_STEP)
            return
        change = EXCESS_GAIN * (wait_s - TARGET_S) + TREND_GAIN * (wait_s - before)
        self.pressure = min(max(0.0, self.pressure + min(max(change, -STEP), STEP)), float(len(Kind)))

    def share(self, kind: Kind) -> float:
        """How much of `kind` is turned away, from 0 to 1."""
        return min(max(0.0, self.pressure - kind), 1.0)

    def sheds(self, kind: Kind) -> bool:
        """Whether to turn this one away. Spread evenly, with no dice: at a third it is every third."""
        owed = self._owed[kind] + self.share(kind)
        is_shed = owed >= 1.0
        self._owed[kind] = owed - 1.0 if is_shed else owed
        return is_shed
