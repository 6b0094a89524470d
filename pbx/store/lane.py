"""Rows that wait for the database, in order."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from pbx.store.store import UnusableError

T = TypeVar("T")


class Lane(Generic[T]):
    """One kind of rows; none of its methods locks anything.

    Args:
        write: keeps rows; doing it twice does no harm.
        refused: is told of a row that no database would take, and why.
        most: how many wait; the oldest are lost first. None: all of them.
    """

    def __init__(
        self, write: Callable[[Sequence[T]], None], refused: Callable[[T, str], None], most: int | None = None
    ) -> None:
        self._write, self._refused, self._most = write, refused, most
        self._rows: deque[T] = deque()
        self.lost = 0

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, row: T) -> None:
        """One more waits."""
        if self._most is not None and len(self._rows) >= self._most:
            self._rows.popleft()
            self.lost += 1
        self._rows.append(row)

    def take(self, most: int) -> list[T]:
        """The next to be written."""
        return [self._rows.popleft() for _ in range(min(most, len(self._rows)))]

    def give_back(self, rows: Sequence[T]) -> None:
        """They could not be written: they are the next once more."""
        self._rows.extendleft(reversed(rows))

    def write(self, rows: list[T]) -> None:
        """Write them, which empties the list; when one of them is unusable, one by one.

        Raises:
            StoreError: the database fails; what is left in the list is not known to be written.
        """
        if not rows:
            return
        try:
            self._write(rows)
        except UnusableError:
            for row in rows:
                try:
                    self._write([row])
                except UnusableError as error:
                    self._refused(row, str(error))
        rows.clear()
