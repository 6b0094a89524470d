"""RTP packets (RFC 3550 §5.1) and how they are told from RTCP on one port (RFC 5761 §4)."""

from dataclasses import dataclass
from struct import Struct
from typing import Final

from pbx.errors import PeerError

HEADER: Final = Struct("!BBHII")
HEADER_SIZE: Final = HEADER.size
VERSION: Final = 2
MAX_PACKET: Final = 2048  # bytes; more than any Ethernet carries without fragments

# Clock rates in Hz of the static payload types (RFC 3551 §6); G.722's is 8000 by an old mistake (§4.5.2).
STATIC_CLOCK_RATES: Final = {
    **dict.fromkeys((0, 3, 4, 5, 7, 8, 9, 12, 13, 15, 18), 8_000),
    6: 16_000,
    10: 44_100,
    11: 44_100,
    16: 11_025,
    17: 22_050,
    **dict.fromkeys((14, 25, 26, 28, 31, 32, 33, 34), 90_000),
}
DEFAULT_CLOCK_RATE: Final = 8_000


class MalformedPacketError(PeerError):
    """A datagram that is not what its port is for."""

    def __init__(self, why: str) -> None:
        super().__init__(400, why)


@dataclass(frozen=True, slots=True)
class Packet:
    """One RTP packet, opened.

    Attributes:
        extension: the header extension: its profile-defined number, its data (a multiple of 4 bytes).
        payload: without padding.
    """

    payload_type: int
    sequence: int
    timestamp_ticks: int
    ssrc: int
    payload: bytes
    marker: bool = False
    csrcs: tuple[int, ...] = ()
    extension: tuple[int, bytes] | None = None

    def pack(self) -> bytes:
        """The packet as it goes on the wire, without padding."""
        first = VERSION << 6 | (self.extension is not None) << 4 | len(self.csrcs)
        second = self.marker << 7 | self.payload_type
        head = HEADER.pack(first, second, self.sequence, self.timestamp_ticks, self.ssrc)
        extension = b""
        if self.extension is not None:
            profile, data = self.extension
            extension = profile.to_bytes(2, "big") + (len(data) // 4).to_bytes(2, "big") + data
        return head + b"".join(csrc.to_bytes(4, "big") for csrc in self.csrcs) + extension + self.payload


def unpack(data: bytes) -> Packet:
    """Open an RTP packet.

    Raises:
        MalformedPacketError: it is none (the checks of RFC 3550 A.1).
    """
    if not is_rtp(data):
        raise MalformedPacketError("not RTP")
    first, second, sequence, timestamp, ssrc = HEADER.unpack_from(data)
    start = HEADER_SIZE + 4 * (first & 0x0F)
    end = len(data)
    csrcs = tuple(int.from_bytes(data[at : at + 4], "big") for at in range(HEADER_SIZE, start, 4))
    extension = None
    if first & 0x10:
        body = start + 4
        stop = body + 4 * int.from_bytes(data[start + 2 : body], "big")
        if stop > end:
            raise MalformedPacketError("header extension is longer than the packet")
        extension = (int.from_bytes(data[start : start + 2], "big"), data[body:stop])
        start = stop
    if first & 0x20 and end > start:
        end -= data[-1]
        if not data[-1]:
            raise MalformedPacketError("padding of length 0")
    if start > end or (first & 0x20 and end == len(data)):
        raise MalformedPacketError("header or padding is longer than the packet")
    return Packet(
        second & 0x7F, sequence, timestamp, ssrc, data[start:end], bool(second & 0x80), csrcs, extension
    )


def is_rtp(data: bytes) -> bool:
    """Whether a datagram looks like RTP: length, version, and no RTCP packet type."""
    return len(data) >= HEADER_SIZE and data[0] >> 6 == VERSION and not 192 <= data[1] <= 223


def is_rtcp(data: bytes) -> bool:
    """Whether a datagram on a shared port is RTCP: packet types 192 to 223 (RFC 5761 §4)."""
    return len(data) >= 8 and data[0] >> 6 == VERSION and 192 <= data[1] <= 223


def set_payload_type(data: bytes, payload_type: int) -> bytes:
    """The same packet with another payload type; the marker stays."""
    return data[:1] + bytes((data[1] & 0x80 | payload_type,)) + data[2:]
