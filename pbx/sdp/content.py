"""What a description is about, without where it goes: the part that passes from one leg of a call to the other."""

from dataclasses import dataclass, replace
from typing import Final, Literal

from pbx.sdp.formats import Format

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
    if direction == to or to == SENDRECV:
        return direction
    return to if direction == SENDRECV else INACTIVE


@dataclass(frozen=True, slots=True)
class Line:
    """One media line: what the party described can take and wants, seen from that party.

    Lines of different legs are the same medium when `kind` and `ordinal` agree (audio 0, audio 1, video 0 ...).
    `direction` is the party's own: sendonly means that it sends. `feedback` holds rtcp-fb values for all formats.
    A rejected line is one with port 0, or one that we cannot take.
    """

    kind: str
    ordinal: int = 0
    formats: tuple[Format, ...] = ()
    direction: Direction = SENDRECV
    ptime_ms: str | None = None
    maxptime_ms: str | None = None
    bandwidths: tuple[str, ...] = ()
    feedback: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    rejected: bool = False


@dataclass(frozen=True, slots=True)
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
    """The content narrowed: with sendonly, sendrecv becomes sendonly and recvonly inactive (RFC 3264 §8.4)."""
    return Content(
        tuple([replace(line, direction=narrow(line.direction, direction)) for line in content.lines]),
        content.bandwidths,
    )


def with_direction(content: Content, direction: Direction = SENDRECV) -> Content:
    """The content with that direction on each line, whatever it was: the way to resume."""
    return Content(
        tuple([replace(line, direction=direction) for line in content.lines]),
        content.bandwidths,
    )
