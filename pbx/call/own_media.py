"""What the PBX itself can speak: its side of an offer or answer where it is a party, or has to translate."""

from functools import lru_cache
from typing import Final

from pbx.sdp.content import SENDRECV, Content, Line
from pbx.sdp.formats import FIRST_DYNAMIC, LAST_PAYLOAD_TYPE, Format, make_format
from pbx.sdp.stream import Stream

CODECS: Final = ("PCMU", "PCMA", "G722", "OPUS")
_ENCODINGS: Final = ((8, None), (0, None), (9, None), (0x100, "opus/48000/2"))  # in the order we offer them
_DIGITS: Final = "telephone-event/8000"
_DIGITS_NUMBER: Final = 101


def own_answer(offered: Content) -> Content | None:
    """The answer of the PBX as a party: the first audio line with its best codec that we know, and digits.

    None when nothing in the offer suits.
    """
    for line in offered.lines:
        if line.kind != "audio" or line.rejected:
            continue
        chosen = next((each for each in line.formats if each.name in CODECS), None)
        if chosen is not None:
            digits = [each for each in line.formats if each.name == "TELEPHONE-EVENT"]
            return Content((Line("audio", line.ordinal, (chosen, *digits), SENDRECV, 20),))
    return None


def own_offer() -> Content:
    """What the PBX offers as a party."""
    return _own_offer()


@lru_cache(1)
def _own_offer() -> Content:
    return Content((_extend(Line("audio", 0, (), SENDRECV, 20), codecs=True),))


@lru_cache(256)
def with_digits(content: Content) -> Content:
    """The same, and digits as RFC 4733 events: the PBX makes them of what the other side sends."""
    return Content(tuple([_extend(line, codecs=False) for line in content.lines]), content.bandwidths)


@lru_cache(256)
def extended(content: Content) -> Content:
    """The same, and every codec that the PBX can translate."""
    return Content(tuple([_extend(line, codecs=True) for line in content.lines]), content.bandwidths)


@lru_cache(256)
def modest(content: Content) -> Content:
    """Audio alone, with every codec that the PBX can translate, for who has taken nothing else; the same for
    what has no audio."""
    lines = tuple([line for line in content.lines if line.kind == "audio"])
    return extended(Content(lines, content.bandwidths)) if lines else content


@lru_cache(256)
def translated(content: Content, offered: Content) -> Content:
    """An answer for who made the offer: `content`, but our own codecs where it has none in common with it.

    Args:
        content: what the other side says.
        offered: what the one who gets it has said.
    """
    lines = []
    for line in content.lines:
        theirs = offered.line(line.kind, line.ordinal)
        if line.kind == "audio" and not line.rejected and theirs is not None and not theirs.rejected:
            line = _translate(line, theirs)  # noqa: PLW2901
        lines.append(line)
    return Content(tuple(lines), content.bandwidths)


def is_translated(one: Stream, other: Stream) -> bool:
    """Whether two legs that are to hear one another share no codec, and each has one that the PBX knows."""
    return one.kind == "audio" and _share_none(one.send, other.send)


@lru_cache(256)
def _share_none(one: tuple[Format, ...], other: tuple[Format, ...]) -> bool:
    codecs = {each.codec for each in one if not each.is_auxiliary}
    others = {each.codec for each in other if not each.is_auxiliary}
    return (
        codecs.isdisjoint(others)
        and any(each.name in CODECS for each in one)
        and any(each.name in CODECS for each in other)
    )


def _translate(line: Line, theirs: Line) -> Line:
    known = {each.codec for each in theirs.formats}
    if any(each.codec in known for each in line.formats if not each.is_auxiliary):
        return line
    ours = [each for each in theirs.formats if each.name in CODECS]
    if not ours or not any(each.name in CODECS for each in line.formats):
        return line
    digits = [each for each in theirs.formats if each.name == "TELEPHONE-EVENT"]
    return line._replace(formats=(ours[0], *digits))


def _extend(line: Line, *, codecs: bool) -> Line:
    if line.kind != "audio" or line.rejected:
        return line
    formats = list(line.formats)
    if codecs:
        for number, encoding in _ENCODINGS:
            _add(formats, number, encoding)
    if any(not each.is_auxiliary for each in formats) and not any(
        each.name == "TELEPHONE-EVENT" for each in formats
    ):
        _add(formats, _DIGITS_NUMBER, _DIGITS, ("0-15",))
    return line if len(formats) == len(line.formats) else line._replace(formats=tuple(formats))


def _add(formats: list[Format], number: int, encoding: str | None, parameters: tuple[str, ...] = ()) -> None:
    taken = {each.payload_type for each in formats}
    if number in taken or number > LAST_PAYLOAD_TYPE:
        free = (n for n in range(FIRST_DYNAMIC, LAST_PAYLOAD_TYPE + 1) if n not in taken)
        if encoding is None or (found := next(free, None)) is None:
            return
        number = found
    made = make_format(number, encoding, parameters)
    if made is not None and all(each.codec != made.codec for each in formats):
        formats.append(made)
