"""Which extensions are in a call, and since when the others are not."""

from collections import defaultdict


class Occupancy:
    """Counts calls by extension key: a call in which an extension has several legs is one call."""

    def __init__(self) -> None:
        self._legs: defaultdict[str, dict[str, int]] = defaultdict(dict)  # key -> call -> how many legs
        self._idle_since: dict[str, float] = {}

    def began(self, key: str, call: str) -> None:
        """The extension has one more leg in a call."""
        calls = self._legs[key]
        calls[call] = calls.get(call, 0) + 1

    def ended(self, key: str, call: str, now: float) -> None:
        """A leg of the extension takes no part any more."""
        calls = self._legs[key]
        if calls[call] > 1:
            calls[call] -= 1
            return
        del calls[call]
        self._idle_since[key] = now
        if not calls:
            del self._legs[key]

    def calls(self, key: str) -> int:
        """How many calls the extension has in progress, those that ring included."""
        found = self._legs.get(key)
        return len(found) if found is not None else 0

    def idle_since(self, key: str) -> float:
        """When its last call ended, in seconds; 0.0: it has had none."""
        return self._idle_since.get(key, 0.0)

    def swap_office(self, keys: set[str]) -> None:
        """Only these extensions are there any more."""
        for key in self._idle_since.keys() - keys:
            del self._idle_since[key]
