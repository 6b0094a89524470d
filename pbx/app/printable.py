"""What phones and strangers wrote, made fit for a terminal and a log."""

from typing import Final

LONGEST: Final = 300


def printable(text: str) -> str:
    """One line of characters to be seen: no escape sequence, no line of its own, no broken UTF-8."""
    if len(text) > LONGEST:
        text = text[:LONGEST] + "..."
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
