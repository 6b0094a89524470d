"""RTCP reports (RFC 3550 §6): read as they pass, for round trip, loss and jitter."""

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import Final

from pbx.rtp.packet import VERSION, MalformedPacketError

SENDER_REPORT: Final = 200
RECEIVER_REPORT: Final = 201
GOODBYE: Final = 203

_HEAD: Final = Struct("!BBHI")
_SENDER: Final = Struct("!IIIII")
_BLOCK: Final = Struct("!IIIIII")
_NTP_FRACTION: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """What one party says about the stream it receives from `ssrc` (§6.4.1).

    Attributes:
        fraction_lost: of the last interval, 0.0 to 1.0.
        last_sr: the middle 32 bits of the NTP timestamp of the last sender report received; 0: none.
        delay_s: time between receiving that report and sending this one.
    """

    ssrc: int
    fraction_lost: float
    lost: int
    highest: int
    jitter_ticks: int
    last_sr: int
    delay_s: float

    def pack(self) -> bytes:
        """24 bytes."""
        fraction = round(self.fraction_lost * 256) & 0xFF
        return _BLOCK.pack(
            self.ssrc,
            fraction << 24 | self.lost & 0xFFFFFF,
            self.highest,
            self.jitter_ticks,
            self.last_sr,
            round(self.delay_s * _NTP_FRACTION),
        )


@dataclass(frozen=True, slots=True)
class Report:
    """A sender or receiver report.

    Attributes:
        sr_id: the middle 32 bits of a sender report's NTP timestamp, by which receivers name it; None: a
            receiver report.
    """

    ssrc: int
    sr_id: int | None
    blocks: tuple[ReportBlock, ...]

    def pack(self) -> bytes:
        """One RTCP packet; a sender report counts no packets (for tests, which need none)."""
        blocks = b"".join(block.pack() for block in self.blocks)
        sender = b""
        kind = RECEIVER_REPORT
        if self.sr_id is not None:
            kind = SENDER_REPORT
            sender = _SENDER.pack(self.sr_id >> 16, (self.sr_id & 0xFFFF) << 16, 0, 0, 0)
        words = 1 + (len(sender) + len(blocks)) // 4
        return _HEAD.pack(VERSION << 6 | len(self.blocks), kind, words, self.ssrc) + sender + blocks


def reports(data: bytes) -> Iterator[Report]:
    """The reports of a compound packet, in order; other packet types are passed over.

    Raises:
        MalformedPacketError: the compound is broken (A.2); reports before the break have been yielded.
    """
    at = 0
    while at < len(data):
        if len(data) - at < 4 or data[at] >> 6 != VERSION:
            raise MalformedPacketError("not RTCP")
        end = at + 4 + 4 * int.from_bytes(data[at + 2 : at + 4], "big")
        if end > len(data):
            raise MalformedPacketError("RTCP packet is longer than its datagram")
        if data[at + 1] in (SENDER_REPORT, RECEIVER_REPORT):
            yield _report(data[at:end])
        at = end


def _report(data: bytes) -> Report:
    is_sender = data[1] == SENDER_REPORT
    start = _HEAD.size + (_SENDER.size if is_sender else 0)
    count = data[0] & 0x1F
    if len(data) < start + count * _BLOCK.size:
        raise MalformedPacketError("RTCP report is shorter than its blocks")
    sr_id = None
    if is_sender:
        seconds, fraction, *_ = _SENDER.unpack_from(data, _HEAD.size)
        sr_id = (seconds & 0xFFFF) << 16 | fraction >> 16
    blocks = tuple(_block(data, start + index * _BLOCK.size) for index in range(count))
    return Report(int.from_bytes(data[4:8], "big"), sr_id, blocks)


def _block(data: bytes, at: int) -> ReportBlock:
    ssrc, losses, highest, jitter, last_sr, delay = _BLOCK.unpack_from(data, at)
    lost = losses & 0xFFFFFF
    return ReportBlock(
        ssrc,
        (losses >> 24) / 256,
        lost - (1 << 24) if lost & 0x800000 else lost,
        highest,
        jitter,
        last_sr,
        delay / _NTP_FRACTION,
    )


class RoundTrip:
    """Our way to one peer and back, by §6.4.1: when a sender report passed, and when its echo came."""

    __slots__ = ("_sent", "seconds")

    KEPT: Final = 8

    def __init__(self) -> None:
        self.seconds: float | None = None
        self._sent: dict[int, float] = {}

    def sent(self, sr_id: int, now: float) -> None:
        """A sender report was passed on to the peer."""
        self._sent.pop(sr_id, None)
        self._sent[sr_id] = now
        if len(self._sent) > self.KEPT:
            del self._sent[next(iter(self._sent))]

    def received(self, block: ReportBlock, now: float) -> None:
        """The peer reported."""
        sent = self._sent.get(block.last_sr)
        if block.last_sr and sent is not None:
            self.seconds = max(0.0, now - sent - block.delay_s)
