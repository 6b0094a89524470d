"""What a description is about, without where it goes: the part that passes from one leg to the other."""

from collections.abc import Iterable, Sequence
from typing import Final, Literal, NamedTuple

from pbx.immutable import immutable
from pbx.sdp.formats import Format, make_format
from pbx.sdp.pairing import Key

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]

SENDRECV: Final[Direction] = "sendrecv"
SENDONLY: Final[Direction] = "sendonly"
RECVONLY: Final[Direction] = "recvonly"
INACTIVE: Final[Direction] = "inactive"

DIRECTIONS: Final[dict[str, Direction]] = {d: d for d in (SENDRECV, SENDONLY, RECVONLY, INACTIVE)}
SENDING: Final = frozenset({SENDRECV, SENDONLY})
RECEIVING: Final = frozenset({SENDRECV, RECVONLY})
# How the other party sees the same direction (RFC 3264 §6.1).
REVERSED: Final[dict[Direction, Direction]] = {
    SENDRECV: SENDRECV,
    SENDONLY: RECVONLY,
    RECVONLY: SENDONLY,
    INACTIVE: INACTIVE,
}


def narrow(direction: Direction, to: Direction) -> Direction:
    """What both directions allow."""
    if to in (direction, SENDRECV):
        return direction
    return to if direction == SENDRECV else INACTIVE


class Line(NamedTuple):
    """One media line: what the party described can take and wants, seen from that party.

    Lines of different legs are the same medium when `kind` and `ordinal` agree (audio 0, audio 1, video 0).
    `direction` is the party's own: sendonly means that it sends. `feedback` holds the rtcp-fb values meant
    for all formats. A rejected line is one with port 0, or one that we cannot take.
    """

    kind: str
    ordinal: int = 0
    formats: tuple[Format, ...] = ()
    direction: Direction = SENDRECV
    ptime_ms: int | None = None
    maxptime_ms: int | None = None
    bandwidths: tuple[str, ...] = ()
    feedback: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    rejected: bool = False

    @property
    def key(self) -> Key:
        return (self.kind, self.ordinal)

    def off(self) -> "Line":
        """The same line, rejected."""
        return self._replace(rejected=True, direction=INACTIVE)


@immutable
class Content:
    """All media lines of a description, in its order."""

    lines: tuple[Line, ...]
    bandwidths: tuple[str, ...] = ()

    def line(self, kind: str, ordinal: int = 0) -> Line | None:
        """The line of that kind and ordinal, rejected or not."""
        for line in self.lines:
            if line.kind == kind and line.ordinal == ordinal:
                return line
        return None

    @property
    def is_held(self) -> bool:
        """True when the party wants to hear nothing on any line it has (RFC 3264 §8.4)."""
        return all(line.rejected or line.direction not in RECEIVING for line in self.lines)


def hold(content: Content, direction: Direction = SENDONLY) -> Content:
    """The content narrowed: to hold, sendrecv becomes sendonly and recvonly inactive (RFC 3264 §8.4)."""
    return Content(
        tuple([line._replace(direction=narrow(line.direction, direction)) for line in content.lines]),
        content.bandwidths,
    )


def with_direction(content: Content, direction: Direction = SENDRECV) -> Content:
    """The content with that direction on each line, whatever it was: the way to resume."""
    return Content(
        tuple([line._replace(direction=direction) for line in content.lines]),
        content.bandwidths,
    )


def with_codecs(content: Content, names: Sequence[str]) -> Content:
    """The content with only the named codecs ("PCMA", "G722"), in that order; what accompanies a codec stays.

    Lines of other kinds than audio, and lines that have none of the codecs, are left as they are.
    """
    order = {name.upper(): place for place, name in enumerate(names)}
    return Content(tuple([_restrict(line, order) for line in content.lines]), content.bandwidths)


def _restrict(line: Line, order: dict[str, int]) -> Line:
    codecs = sorted((each for each in line.formats if each.name in order), key=lambda each: order[each.name])
    if line.kind != "audio" or not codecs:
        return line
    rates = {each.rate_hz for each in codecs}
    rest = [each for each in line.formats if each.is_auxiliary and each.rate_hz in rates]
    return line._replace(formats=(*codecs, *rest))


def make_content(
    payload_types: Iterable[int] = (8, 0),
    direction: Direction = SENDRECV,
    telephone_event: int | None = 101,
    ptime_ms: int | None = 20,
) -> Content:
    """Content of our own, where no other leg gives any: one audio line of static payload types and digits."""
    formats = [made for number in payload_types if (made := make_format(number, None)) is not None]
    if telephone_event is not None:
        digits = make_format(telephone_event, "telephone-event/8000", ("0-15",))
        assert digits is not None  # the encoding is well formed
        formats.append(digits)
    return Content((Line("audio", 0, tuple(formats), direction, ptime_ms),))
