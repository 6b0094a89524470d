"""Digits and other signals as RTP payload (RFC 4733 §2.3)."""

from dataclasses import dataclass
from struct import Struct
from typing import Final

from pbx.rtp.packet import MalformedPacketError

_PAYLOAD: Final = Struct("!BBH")
DIGITS: Final = "0123456789*#ABCD"  # event codes 0 to 15 (§3.2)


@dataclass(frozen=True, slots=True)
class TelephoneEvent:
    """The state of one event.

    Attributes:
        code: 0 to 255.
        end: the event is over.
        volume: attenuation in dBm0, 0 (loud) to 63.
        duration_ticks: since the event began, in timestamp units, 0 to 65535.
    """

    code: int
    end: bool
    volume: int
    duration_ticks: int

    @property
    def digit(self) -> str | None:
        """The key pressed, or None for another signal."""
        return DIGITS[self.code] if self.code < len(DIGITS) else None

    def pack(self) -> bytes:
        """The 4-byte payload."""
        return _PAYLOAD.pack(self.code, self.end << 7 | self.volume, self.duration_ticks)


def unpack(payload: bytes) -> TelephoneEvent:
    """Read the first event of a payload; redundant older ones that may follow are left.

    Raises:
        MalformedPacketError: shorter than an event.
    """
    if len(payload) < _PAYLOAD.size:
        raise MalformedPacketError("telephone-event is shorter than 4 bytes")
    code, second, duration = _PAYLOAD.unpack_from(payload)
    return TelephoneEvent(code, bool(second & 0x80), second & 0x3F, duration)
