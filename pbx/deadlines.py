"""What falls due next: a heap with lazy cancel."""

from collections.abc import Hashable
from heapq import heappop, heappush
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Deadlines(Generic[K]):
    """At most one deadline a key; setting a key again moves it."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, K]] = []
        self._due: dict[K, float] = {}
        self._count = 0

    def set(self, key: K, when: float | None) -> None:
        """Make `key` fall due at `when` (seconds), or never for None."""
        due = self._due
        if when is None:
            due.pop(key, None)
            return
        if due.get(key) == when:
            return
        due[key] = when
        self._count += 1
        heap = self._heap
        heappush(heap, (when, self._count, key))
        # Cancelled entries stay in the heap until they surface; rebuild when they are most of it.
        if len(heap) > 64 and len(heap) > 4 * len(due):
            self._shrink()

    def __len__(self) -> int:
        return len(self._due)

    @property
    def next(self) -> float | None:
        """The earliest deadline, or None."""
        heap, due = self._heap, self._due
        while heap:
            when, _, key = heap[0]
            if due.get(key) == when:
                return when
            heappop(heap)
        return None

    def pop_due(self, now: float) -> list[K]:
        """Take out every key whose deadline is `now` or earlier, in order."""
        heap, due = self._heap, self._due
        fallen: list[K] = []
        while heap and heap[0][0] <= now:
            when, _, key = heappop(heap)
            if due.get(key) == when:
                del due[key]
                fallen.append(key)
        return fallen

    def pop_first(self, now: float) -> K | None:
        """Take out the key that fell due first, `now` at the latest; None when there is none."""
        when = self.next
        if when is None or when > now:
            return None
        _, _, key = heappop(self._heap)
        del self._due[key]
        return key

    def _shrink(self) -> None:
        due = self._due
        self._heap = sorted(entry for entry in self._heap if due.get(entry[2]) == entry[0])
