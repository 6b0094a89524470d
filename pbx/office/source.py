"""The text of a TOML file: its data, and where in the file each key is."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Self

from pbx.office.locate import Path, locate
from pbx.office.mistakes import Mistake
from pbx.office.reading import Finding, render_key

# What a beginner means to know of the parser's complaints: how each begins, what was found, what is allowed.
_ONCE: Final = (
    "each key of a table once, each [table] once; one that repeats in double brackets always: [[...]]"
)
_WORDS: Final = (
    (
        "Invalid value",
        "a value that is none",
        'text in double quotes "...", a number, true, false, or a list in [ ]',
    ),
    ("Cannot overwrite", "a key or table that is there already", _ONCE),
    ("Cannot declare", "a table that is there already", _ONCE),
    ("Expected '='", "a key without =", "key = value"),
    ("Illegal character '\\n'", "text that does not end", "a quote at its end, on the same line"),
)


def _in_words(complaint: str) -> tuple[str, str]:
    """What was found, and what is allowed, for a complaint of the TOML parser."""
    for begin, found, allowed in _WORDS:
        if complaint.startswith(begin):
            return found, allowed
    return complaint, "the syntax of TOML 1.0"


@dataclass(frozen=True, slots=True)
class Source:
    filename: str
    data: Mapping[str, object]
    lines: Mapping[Path, int]

    @classmethod
    def read(cls, text: str, filename: str) -> Self | Mistake:
        """The source, or the first mistake in its syntax: behind that nothing can be told."""
        text = text.removeprefix("\ufeff")
        try:
            data = tomllib.loads(text, parse_float=Decimal)
            return cls(filename, data, locate(text))
        except tomllib.TOMLDecodeError as error:
            place = re.fullmatch(
                r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", str(error), re.DOTALL
            )
            line = int(place[2] or text.rstrip("\n").count("\n") + 1) if place else 0
            return Mistake(filename, line, "", *_in_words(place[1] if place else str(error)))
        except RecursionError:
            return Mistake(filename, 0, "", "lists or tables inside one another without end", "a few levels")

    def mistakes(self, findings: list[Finding], owner: type) -> list[Mistake]:
        """The findings with their lines, from the top of the file to its end."""
        placed = [
            Mistake(
                self.filename,
                self._line(finding.path),
                render_key(finding.path, self.data, owner),
                finding.found,
                finding.allowed,
                finding.nearest,
            )
            for finding in findings
        ]
        return sorted(placed, key=lambda mistake: mistake.line)

    def _line(self, path: Path) -> int:
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 0) if path else 0
