"""What falls due next: a heap with lazy cancel, and lazy delay."""

from collections.abc import Hashable
from heapq import heapify, heappop, heappush, heapreplace
from math import inf
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Deadlines(Generic[K]):
    """At most one deadline a key; setting a key again moves it.

    Attributes:
        soonest: no deadline is earlier; infinity when there is none. It is kept, for it is asked after every
            step. It may be the old time of what was moved to later, as registrations are all the time: that
            is noticed when it has come.
    """

    def __init__(self) -> None:
        self.soonest = inf
        self._heap: list[tuple[float, int, K]] = []
        self._due: dict[K, float] = {}
        self._count = 0

    def set(self, key: K, when: float | None) -> None:
        """Make `key` fall due at `when` (seconds), or never for None."""
        due = self._due
        was = due.get(key)
        if when is None:
            if was is not None:
                del due[key]
                if was == self.soonest or not due:
                    self._look()
            return
        due[key] = when
        if was is not None and was <= when:
            return
        self._count += 1
        heap = self._heap
        heappush(heap, (when, self._count, key))
        if when < self.soonest:  # noqa: PLR1730  # a call less
            self.soonest = when
        # Cancelled entries stay in the heap until they surface; rebuild when they are most of it.
        if len(heap) > 64 and len(heap) > 4 * len(due):
            self._shrink()

    def __len__(self) -> int:
        return len(self._due)

    @property
    def next(self) -> float | None:
        """The earliest deadline, if there is one."""
        self._look()
        return self.soonest if self.soonest < inf else None

    def pop_due(self, now: float) -> list[K]:
        """Take out every key whose deadline is `now` or earlier, in order."""
        if self.soonest > now:
            return []
        fallen: list[K] = []
        while (key := self.pop_first(now)) is not None:
            fallen.append(key)
        return fallen

    def pop_first(self, now: float) -> K | None:
        """Take out the key that fell due first, `now` at the latest; None when there is none."""
        if self.soonest > now:
            return None
        self._look()
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
            when, number, key = heap[0]
            moved = due.get(key)
            if moved == when:
                self.soonest = when
                return
            if moved is None or moved < when:  # cancelled, or there is an earlier entry of it
                heappop(heap)
            else:
                heapreplace(heap, (moved, number, key))
        self.soonest = inf

    def _shrink(self) -> None:
        self._heap = [(when, number, key) for number, (key, when) in enumerate(self._due.items())]
        heapify(self._heap)
        self._count = len(self._heap)
