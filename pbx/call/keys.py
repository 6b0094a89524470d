"""Codes pressed in a call (product §5): `##2` transfers, `##3` leads back, `*1` records."""

from typing import Final

CODES: Final = {"##2": "transfer", "##3": "back", "*1": "record"}
PAUSE_S: Final = 3.0  # longer between two keys: they are no code
LONGEST: Final = max(map(len, CODES))


class Keys:
    """The last keys that one phone pressed."""

    def __init__(self) -> None:
        self._keys = ""
        self._last = 0.0

    def press(self, digit: str, now: float) -> str | None:
        """One key more; returns what the code is for that it completes."""
        if now - self._last > PAUSE_S:
            self._keys = ""
        self._last = now
        self._keys = (self._keys + digit)[-LONGEST:]
        for code, action in CODES.items():
            if self._keys.endswith(code):
                self._keys = ""
                return action
        return None
