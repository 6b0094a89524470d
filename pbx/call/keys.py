"""Codes pressed in a call (product §5): by default `##2` transfers, `##3` leads back, `*1` records."""

from collections.abc import Mapping
from typing import Final

PAUSE_S: Final = 3.0  # longer between two keys: they are no code


class Keys:
    """The last keys that one phone pressed.

    Args:
        codes: code -> action, as `office.codes.Codes.in_call`; none ends with another.
    """

    def __init__(self, codes: Mapping[str, str]) -> None:
        self._codes = codes
        self._longest = max(map(len, codes), default=1)
        self._keys = ""
        self._last = 0.0

    def press(self, digit: str, now: float) -> str | None:
        """One key more; returns what the code is for that it completes."""
        if now - self._last > PAUSE_S:
            self._keys = ""
        self._last = now
        self._keys = (self._keys + digit)[-self._longest :]
        for code, action in self._codes.items():
            if self._keys.endswith(code):
                self._keys = ""
                return action
        return None
