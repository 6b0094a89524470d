"""What is wrong with a file: every mistake with its place, what was found and what is allowed."""

from collections.abc import Sequence
from dataclasses import dataclass

from pbx.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Mistake:
    """`line` counts from 1, 0 = the whole file; `key` is the path of the key, `nearest` what was meant."""

    file: str
    line: int
    key: str
    found: str
    allowed: str
    nearest: str | None = None

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        key = f" {self.key}:" if self.key else ""
        hint = f" - did you mean {self.nearest}?" if self.nearest else ""
        text = f"{place}:{key} found {self.found}; allowed: {self.allowed}{hint}"
        # Keys and names of the file may hold anything; a mistake stays one line and moves no cursor.
        return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


class FileError(ConfigError):
    """A file that cannot be used, with all its mistakes in the order of their lines."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        first = mistakes[0]
        super().__init__(first.key, first.found, first.allowed)
        self.mistakes = tuple(mistakes)

    def __str__(self) -> str:
        return "\n".join(str(mistake) for mistake in self.mistakes)


class OfficeFileError(FileError):
    """Nothing of this office.toml is applied."""


class ConfigFileError(FileError):
    """The server does not start with this pbx.toml."""
