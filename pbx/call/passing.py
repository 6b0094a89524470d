"""How much of what phones and carriers send is passed on to others, who may never answer.

Until they do, or timer F fires (RFC 3261 §17.1.2.2), all of it is kept, for each place of a phone.
"""

from typing import Final

MOST: Final = 2_000_000  # octets of one sender
WINDOW_S: Final = 32.0  # timer F


class Passing:
    """What each sender has had passed on of late."""

    def __init__(self) -> None:
        self._passed: dict[str, tuple[float, int]] = {}  # since when, and how many octets

    def take(self, sender: str, octets: int, now: float) -> bool:
        """Whether so much more may be passed on; it counts then."""
        since, passed = self._passed.get(sender, (now, 0))
        if now - since >= WINDOW_S:
            since, passed = now, 0
        if passed + octets > MOST:
            return False
        self._passed[sender] = since, passed + octets
        return True
