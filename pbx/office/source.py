"""The text of a TOML file: its data, and where in the file each key is."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
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

DEEPEST: Final = 20  # levels; an office has seven
ENDLESS: Final = ("lists or tables inside one another without end", "a few levels")
WHOLE: Final = "whole numbers from -2**63 to 2**63 - 1"  # (TOML 1.0)
# What int() does not read, by default: more digits than a number of an office ever has.
TOO_LONG: Final = re.compile(r"[0-9](?:_?[0-9]){4300,}")


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
            data = tomllib.loads(text, parse_float=_parse_float)
            if (excess := _find_excess(data, ())) is not None:
                path, found, allowed = excess
                key = ".".join(part for part in path if isinstance(part, str))
                return Mistake(filename, locate(text).get(path, 0), key, found, allowed)
            return cls(filename, data, locate(text))
        except tomllib.TOMLDecodeError as error:
            place = re.fullmatch(
                r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", str(error), re.DOTALL
            )
            line = int(place[2] or text.rstrip("\n").count("\n") + 1) if place else 0
            return Mistake(filename, line, "", *_in_words(place[1] if place else str(error)))
        except ValueError:  # int() takes no more digits
            long = TOO_LONG.search(text)
            line = text.count("\n", 0, long.start()) + 1 if long is not None else 0
            return Mistake(filename, line, "", "a number of thousands of digits", WHOLE)
        except RecursionError:
            return Mistake(filename, 0, "", *ENDLESS)

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


def _parse_float(text: str) -> Decimal:
    """As it is written; where not even a Decimal has room for its exponent, as a float (TOML 1.0) has it."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal(float(text))


def _find_excess(value: object, path: Path) -> tuple[Path, str, str] | None:
    """What is deeper or larger than any key of ours: where, what was found, and what is allowed."""
    if type(value) is int and not -(2**63) <= value < 2**63:
        return path, "a number of more than 64 bits", WHOLE
    inner: Iterable[tuple[str | int, object]] = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    if len(path) == DEEPEST:
        return (path, *ENDLESS) if isinstance(value, dict | list) else None
    return next((found for key, each in inner if (found := _find_excess(each, (*path, key)))), None)
