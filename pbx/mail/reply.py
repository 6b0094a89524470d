"""Replies of an SMTP server (RFC 5321 §4.2)."""

import re
from dataclasses import dataclass
from typing import Final

from pbx.errors import PbxError

MOST_LINES: Final = 200
LONGEST_WORDS: Final = 300

_LINE: Final = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)


class MalformedReplyError(PbxError):
    """The server does not speak SMTP."""


@dataclass(frozen=True, slots=True)
class Reply:
    """`text` is what follows the code on each line, joined by newlines; any bytes."""

    code: int
    text: bytes


class ReplyReader:
    """Puts the lines of replies together."""

    def __init__(self) -> None:
        self._code = 0
        self._lines: list[bytes] = []

    def feed(self, line: bytes) -> Reply | None:
        """Take a line, without its line end; gives a reply when it was the last of one.

        Raises:
            MalformedReplyError: it is no line of a reply, or there is no end of them.
        """
        match = _LINE.fullmatch(line)
        if match is None:
            raise MalformedReplyError(f"the server does not speak SMTP: it says {words(line) or 'nothing'}")
        code = int(match[1])
        if self._lines and code != self._code:
            raise MalformedReplyError(f"the server does not speak SMTP: {self._code} and {code} in one reply")
        self._code = code
        self._lines.append(match[3] or b"")
        if match[2] == b"-":
            if len(self._lines) >= MOST_LINES:
                raise MalformedReplyError(
                    f"the server does not speak SMTP: a reply of over {MOST_LINES} lines"
                )
            return None
        text, self._lines = b"\n".join(self._lines), []
        return Reply(code, text)


def words(text: bytes) -> str:
    """Text of a server as one printable line of at most LONGEST_WORDS characters."""
    found = text[: 8 * LONGEST_WORDS].decode("utf-8", "replace")
    line = " ".join("".join(char if char.isprintable() else " " for char in found).split())
    return line if len(line) <= LONGEST_WORDS else f"{line[: LONGEST_WORDS - 1]}…"


def extensions(text: bytes) -> dict[str, str]:
    """What a server can do, by its reply to EHLO (§4.1.1.1): keywords in capitals, and their parameters."""
    lines = text.decode("ascii", "replace").splitlines()[1:]
    found = (line.partition(" ") for line in lines)
    return {keyword.upper(): parameters.strip() for keyword, _, parameters in found}
