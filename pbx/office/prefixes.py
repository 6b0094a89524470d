"""What belongs to the first digits of a number, where the longest digits count."""

from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class Prefixes(Generic[T]):
    """A table that never changes; it is asked once for each length that its prefixes have."""

    __slots__ = ("_lengths", "_rows")

    def __init__(self, rows: Iterable[tuple[str, T]]) -> None:
        """Of rows with the same prefix the first counts."""
        self._rows = dict(reversed(list(rows)))
        self._lengths = sorted({len(prefix) for prefix in self._rows}, reverse=True)

    def longest(self, number: str) -> T | None:
        """The row of the longest prefix that a number begins with."""
        for length in self._lengths:
            if (row := self._rows.get(number[:length])) is not None:
                return row
        return None
