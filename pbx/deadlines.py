"""What falls due next: a heap with lazy cancel."""

from collections.abc import Hashable
from heapq import heappop, heappush
from itertools import count
from math import inf
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

FEW: Final = 64  # entries of a heap that are not worth a look


class Deadlines(Generic[K]):
    """At most one deadline a key; setting a key again moves it.

    Attributes:
        soonest: the earliest deadline, or infinity; asked after every step, so it is kept.
    """

    def __init__(self) -> None:
        self.soonest = inf
        self._heap: list[tuple[float, int, K]] = []
        self._due: dict[K, float] = {}
        self._numbers = count()  # of equal deadlines the one that was set first is the first
        self._most = FEW

    def set(self, key: K, when: float | None) -> None:
        """Make `key` fall due at `when` (seconds), or never for None."""
        due = self._due
        was = due.get(key)
        if was == when:
            return
        if when is None:
            del due[key]
        else:
            due[key] = when
            heap = self._heap
            heappush(heap, (when, next(self._numbers), key))
            if len(heap) > self._most:
                self._shrink()
            self.soonest = min(self.soonest, when)
        if was == self.soonest:
            self._look()

    def __len__(self) -> int:
        return len(self._due)

    @property
    def next(self) -> float | None:
        """The earliest deadline, if there is one."""
        return self.soonest if self.soonest < inf else None

    def pop_due(self, now: float) -> list[K]:
        """Take out every key whose deadline is `now` or earlier, in order."""
        if self.soonest > now:
            return []
        heap, due = self._heap, self._due
        fallen: list[K] = []
        while heap and heap[0][0] <= now:
            when, _, key = heappop(heap)
            if due.get(key) == when:
                del due[key]
                fallen.append(key)
        self._look()
        return fallen

    def pop_first(self, now: float) -> K | None:
        """Take out the key that fell due first, `now` at the latest; None when there is none."""
        if self.soonest > now:
            return None
        _, _, key = heappop(self._heap)
        del self._due[key]
        self._look()
        return key

    def _look(self) -> None:
        """Find the soonest, which is then on top of the heap."""
        heap, due = self._heap, self._due
        while heap:
            when, _, key = heap[0]
            if due.get(key) == when:
                self.soonest = when
                return
            heappop(heap)
        self.soonest = inf

    def _shrink(self) -> None:
        """Cancelled entries stay in the heap until they surface: take them out before they are most of it."""
        due = self._due
        self._heap = sorted(entry for entry in self._heap if due.get(entry[2]) == entry[0])
        self._most = max(FEW, 4 * len(self._heap))
