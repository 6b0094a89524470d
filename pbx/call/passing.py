"""How much of what phones and carriers send is on its way to others, who may never answer.

Until they do, or timer F fires (RFC 3261 §17.1.2.2), all of it is kept, for each place of a phone.
"""

from collections import Counter
from typing import Final

MOST: Final = 2_000_000  # octets of one sender at a time
EACH: Final = 2_000  # octets that the shortest request takes, with its headers and transactions


class Passing:
    """What of each sender waits for an answer."""

    def __init__(self) -> None:
        self._waiting: Counter[str] = Counter()  # octets

    def begin(self, sender: str, octets: int, places: int = 1) -> bool:
        """Whether a request of so many octets may go to so many places; it counts then, until each `end`."""
        more = (octets + EACH) * places
        if self._waiting[sender] + more > MOST:
            return False
        self._waiting[sender] += more
        return True

    def end(self, sender: str, octets: int) -> None:
        """One place has answered, or never will."""
        self._waiting[sender] -= octets + EACH
        if not self._waiting[sender]:
            del self._waiting[sender]
