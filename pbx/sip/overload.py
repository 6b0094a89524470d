"""Overload control (RFC 3261 §21.5.4): whom to turn away so that the others are answered in time.

The measure is how long a request has waited for its turn. What decides whether there is overload is a queue
that stands (CoDel, RFC 8289 §3): the least wait of each window. A garbage collection or a burst makes some
wait, overload makes all wait. Then each request is judged by its own wait and kind when its turn comes, so
that nothing is decided on old news: nothing swings, and when the load ends so does the refusing.
"""

from enum import IntEnum
from typing import Final

WINDOW_S: Final = 0.1
TARGET_S: Final = 0.04  # what the queue may cost in overload: far below timer A (T1), which repeats requests
PATIENCE: Final = 3  # windows over the target, one after the other, that make an overload
CALM: Final = 10  # windows under the target, one after the other, that end it


class Kind(IntEnum):
    """Requests that begin something, in the order in which they are turned away."""

    STRANGER = 0  # calls and all else without credentials; too many registrations of one network
    ANSWERED = 1  # a stranger's answer to a challenge: work has gone into it
    KNOWN_CALL = 2  # an INVITE from where a phone is registered, or from a carrier
    KNOWN_ANSWERED_CALL = 3
    REGISTER = 4  # a stranger's, who may become known by it
    KNOWN = 5  # all else from where a phone is registered, or from a carrier


# The wait from which on each is turned away in overload. The queue gets as long as the next one only where
# turning away those before is not enough.
LIMITS_S: Final = (TARGET_S, 0.09, 0.1, 0.18, 0.2, 0.3)


class Overload:
    """Knows whether there is overload, and how long the request whose turn it is has waited (`wait_s`)."""

    def __init__(self) -> None:
        self.is_on = False
        self.wait_s = 0.0
        self._count = 0  # windows in a row that speak against `is_on`

    def end_window(self, least_s: float) -> None:
        """Take the least wait of the window that has just ended, seconds."""
        self.wait_s = least_s  # the last that is known of streams
        self._count = self._count + 1 if (least_s > TARGET_S) is not self.is_on else 0
        if self._count >= (CALM if self.is_on else PATIENCE):
            self.is_on, self._count = not self.is_on, 0

    def sheds(self, kind: Kind) -> bool:
        """Whether to turn away a request of this kind whose turn has come."""
        return self.is_on and self.wait_s > LIMITS_S[kind]
