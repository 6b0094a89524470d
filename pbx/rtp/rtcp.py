"""RTCP reports (RFC 3550 §6): read for round trip, loss and jitter; packed where the PBX is a party."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Final

from pbx.rtp.packet import VERSION, MalformedPacketError

SENDER_REPORT: Final = 200
RECEIVER_REPORT: Final = 201
SOURCE_DESCRIPTION: Final = 202

_HEAD: Final = Struct("!BBHI")
_SENDER: Final = Struct("!IIIII")
_BLOCK: Final = Struct("!IIIIII")
_NTP_FRACTION: Final = 1 << 16
_CNAME: Final = 1
_MOST_LOST: Final = (1 << 23) - 1
_MASK: Final = (1 << 32) - 1


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
        fraction = min(int(self.fraction_lost * 256), 0xFF)
        lost = max(-_MOST_LOST - 1, min(self.lost, _MOST_LOST))
        return _BLOCK.pack(
            self.ssrc,
            fraction << 24 | lost & 0xFFFFFF,
            self.highest & _MASK,
            self.jitter_ticks & _MASK,
            self.last_sr,
            round(self.delay_s * _NTP_FRACTION) & _MASK,
        )


@dataclass(frozen=True, slots=True)
class SenderInfo:
    """What a sender report says of its sender (§6.4.1).

    Attributes:
        ntp: the time as 32 bits of seconds and 32 of their fraction.
        timestamp_ticks: the same time on the clock of its RTP packets.
        octets: of payload.
    """

    ntp: int
    timestamp_ticks: int
    packets: int
    octets: int

    @property
    def sr_id(self) -> int:
        """By which receivers name the report."""
        return self.ntp >> 16 & _MASK

    def pack(self) -> bytes:
        """20 bytes."""
        seconds, fraction = self.ntp >> 32 & _MASK, self.ntp & _MASK
        return _SENDER.pack(
            seconds, fraction, self.timestamp_ticks & _MASK, self.packets & _MASK, self.octets & _MASK
        )


def ntp_of(seconds: float) -> int:
    """A time as NTP has it, for `SenderInfo`: in steps of 2**-32 s."""
    return int(seconds * (1 << 32)) & (1 << 64) - 1


def pack_report(ssrc: int, sender: SenderInfo | None, blocks: Sequence[ReportBlock]) -> bytes:
    """A sender report (§6.4.1), or without `sender` a receiver report (§6.4.2)."""
    body = b"" if sender is None else sender.pack()
    body += b"".join(block.pack() for block in blocks)
    kind = RECEIVER_REPORT if sender is None else SENDER_REPORT
    return _HEAD.pack(VERSION << 6 | len(blocks), kind, 1 + len(body) // 4, ssrc) + body


def pack_description(ssrc: int, cname: str) -> bytes:
    """The source description with the one item that every compound has: the canonical name (§6.5.1)."""
    text = cname.encode()[:255]
    items = bytes((_CNAME, len(text))) + text
    items += bytes(4 - len(items) % 4)  # the list ends with one null octet at least, on a 32-bit boundary
    return _HEAD.pack(VERSION << 6 | 1, SOURCE_DESCRIPTION, 1 + len(items) // 4, ssrc) + items


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
        sender = None if self.sr_id is None else SenderInfo(self.sr_id << 16, 0, 0, 0)
        return pack_report(self.ssrc, sender, self.blocks)


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
