"""The line of every key in a TOML text (TOML 1.0.0), which tomllib does not tell.

The text has been accepted by tomllib before, so that this scanner only has to find its way, not to judge.
"""

import bisect
import re
import tomllib
from typing import Final

Path = tuple[str | int, ...]

BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
SPACE: Final = re.compile(r"[ \t]*")
BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
STRING: Final = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})'  # the text may end in one or two quotes of its own
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'",
    re.DOTALL,
)
SCALAR: Final = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:[^,\]}\s#]+|[^,\]}\s#]+"
)  # a date and time may have a space


def locate(text: str) -> dict[Path, int]:
    """The line, counted from 1, on which each key, table and element of a list begins.

    Args:
        text: what tomllib.loads takes.

    Returns:
        A line for each path, such as ("extension", 0, "device", 1, "mac"). A table has the line of the first
        header that names it, if only on the way to an inner one.
    """
    return _Scanner(text).scan()


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._newlines = [place.start() for place in re.finditer("\n", text)]
        self._lines: dict[Path, int] = {(): 1}
        self._rows: dict[Path, int] = {}  # the newest index of each array of tables

    def scan(self) -> dict[Path, int]:
        table: Path = ()
        while self._skip(BLANK) < len(self._text):
            if self._text.startswith("[", self._at):
                table = self._header()
            else:
                self._pair(table)
        return self._lines

    def _header(self) -> Path:
        line = self._line()
        is_row = self._text.startswith("[[", self._at)
        self._at += 2 if is_row else 1
        parts = self._key()
        self._at += 2 if is_row else 1
        path: Path = ()
        for depth, part in enumerate(parts):
            path = (*path, part)
            self._lines.setdefault(path, line)
            if depth == len(parts) - 1 and is_row:
                self._rows[path] = self._rows.get(path, -1) + 1
            if path in self._rows:
                path = (*path, self._rows[path])
                self._lines.setdefault(path, line)
        return path

    def _pair(self, table: Path) -> None:
        line = self._line()
        path = table
        for part in self._key():
            path = (*path, part)
            self._lines.setdefault(path, line)
        self._at += 1  # the equals sign
        self._skip(SPACE)
        self._value(path)

    def _key(self) -> list[str]:
        parts: list[str] = []
        while True:
            self._skip(SPACE)
            if bare := BARE_KEY.match(self._text, self._at):
                parts.append(bare.group())
                self._at = bare.end()
            else:
                start = self._at
                parts.append(tomllib.loads("key = " + self._text[start : self._skip(STRING)])["key"])
            self._skip(SPACE)
            if not self._text.startswith(".", self._at):
                return parts
            self._at += 1

    def _value(self, path: Path) -> None:
        if self._text.startswith("[", self._at):
            self._list(path)
        elif self._text.startswith("{", self._at):
            self._inline_table(path)
        elif self._text.startswith(('"', "'"), self._at):
            self._skip(STRING)
        else:
            self._skip(SCALAR)

    def _list(self, path: Path) -> None:
        self._at += 1
        index = 0
        while self._skip(BLANK) < len(self._text) and not self._text.startswith("]", self._at):
            self._lines[*path, index] = self._line()
            self._value((*path, index))
            index += 1
            self._skip(BLANK)
            self._at += self._text.startswith(",", self._at)
        self._at += 1

    def _inline_table(self, path: Path) -> None:
        self._at += 1
        while self._skip(BLANK) < len(self._text) and not self._text.startswith("}", self._at):
            self._pair(path)
            self._skip(BLANK)
            self._at += self._text.startswith(",", self._at)
        self._at += 1

    def _skip(self, pattern: re.Pattern[str]) -> int:
        if found := pattern.match(self._text, self._at):
            self._at = found.end()
        return self._at

    def _line(self) -> int:
        return bisect.bisect_left(self._newlines, self._at) + 1
