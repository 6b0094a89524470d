"""What falls due next: a heap with lazy cancel."""

from collections.abc import Callable, Hashable
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
        if when is None:
            self._due.pop(key, None)
            self._shrink()
            return
        if self._due.get(key) == when:
            return
        self._due[key] = when
        self._count += 1
        heappush(self._heap, (when, self._count, key))
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

    def _shrink(self) -> None:
        # Cancelled entries stay in the heap until they surface; rebuild when they are most of it.
        if len(self._heap) > 64 and len(self._heap) > 4 * len(self._due):
            live: Callable[[tuple[float, int, K]], bool] = lambda e: self._due.get(e[2]) == e[0]  # noqa: E731
            self._heap = sorted(filter(live, self._heap))
