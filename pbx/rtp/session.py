"""The RTP session with one peer (RFC 3550 §3): what was agreed, where the peer is, and how its stream comes.

It opens and counts what the peer sends, and knows nothing of sockets.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

from pbx.rtp import rtcp
from pbx.rtp.kernel.joins import Way
from pbx.rtp.latch import Address, Latch
from pbx.rtp.packet import DEFAULT_CLOCK_RATE, STATIC_CLOCK_RATES, MalformedPacketError, is_rtcp, is_rtp
from pbx.rtp.remote import Remote
from pbx.rtp.reports import Reports
from pbx.rtp.rtcp_path import RtcpPath
from pbx.rtp.srtp import Counter, Srtp
from pbx.rtp.statistics import EndpointStats
from pbx.rtp.stream import Stream, unpack_head
from pbx.sdp.crypto import SrtpKeys

# Packets each way that are relayed here once the peer is known (RFC 3550 A.1: MIN_SEQUENTIAL).
FIRST: Final = 2


class RtpSession:
    """The session of one endpoint.

    Attributes:
        remote: what SDP agreed; None: nothing yet, or it is over.
        latch: where the peer's RTP comes from.
        rtcp_path: where its RTCP comes from.
        srtp: what was agreed on that; None: nothing is encrypted.
        payload_map: as that of `Remote`.
        stream: what the peer sends.
        peer: the session of the joined endpoint.
        way: that the stream takes through the kernel; None: it comes to us.
        heard: when RTP or RTCP of the peer came, or could have come first.
        packets_in, bytes_in, packets_out, bytes_out, strangers, refused: as those of `EndpointStats`.
    """

    __slots__ = (
        "_clock_rates",
        "_kernel_in",
        "_known",
        "_packets_before",
        "_payload_type",
        "_reports",
        "_silent_since",
        "bytes_in",
        "bytes_out",
        "heard",
        "latch",
        "packets_in",
        "packets_out",
        "payload_map",
        "peer",
        "refused",
        "remote",
        "rtcp_path",
        "srtp",
        "strangers",
        "stream",
        "way",
    )

    def __init__(self) -> None:
        self.remote: Remote | None = None
        self.latch = Latch()
        self.rtcp_path = RtcpPath(self.latch)
        self.srtp: Srtp | None = None
        self._known: dict[Counter, int] = {}
        self._clock_rates: dict[int, int] = {}
        self.payload_map: dict[int, int] = {}
        self.stream = Stream()
        self._reports = Reports()
        self.peer: RtpSession | None = None
        self.way: Way | None = None
        self._payload_type: int | None = None
        self.packets_in = self.bytes_in = self.packets_out = self.bytes_out = self._kernel_in = 0
        self._packets_before = 0  # the kernel lost it
        self.strangers = self.refused = 0
        self.heard = 0.0
        self._silent_since: float | None = None

    def agree(self, remote: Remote, counted: Callable[[SrtpKeys, Counter, int], None], now: float) -> None:
        """Take over what SDP agreed; `counted` is told how far the SRTP session with these keys has come."""
        before, self.remote = self.remote, remote
        if before is None or not before.may_receive:
            self.heard, self._silent_since = now, None
        self._clock_rates, self.payload_map = dict(remote.clock_rates), dict(remote.payload_map)
        if remote.srtp is None:
            self.srtp = None
        elif self.srtp is None or self.srtp.keys != remote.srtp:  # the same keys: their counters go on
            self.srtp = Srtp(remote.srtp, self._known, partial(counted, remote.srtp), self.srtp)
            self._known = {}
        self.latch.announce(
            remote.rtp,
            is_symmetric=remote.symmetric,
            signalling=remote.signalling,
            relatch=remote.relatch,
            now=now,
        )
        self.rtcp_path.announce(remote)

    def restore(self, source: Address | None, known: dict[Counter, int]) -> None:
        """Before `agree`: what was found out before, by a worker that is no more."""
        self._known = known
        if source is not None:
            self.latch.restore(source)

    def end(self) -> None:
        """Hold on to nothing but what was counted."""
        self.srtp = None
        self.stream.clear()

    # RTP.

    def is_expected(self, data: bytes) -> bool:
        """Whether a datagram is RTP of a type agreed on, as far as anybody can see."""
        return is_rtp(data) and (not self._clock_rates or data[1] & 0x7F in self._clock_rates)

    def open(self, data: bytes) -> bytes | None:
        """RTP as the peer meant it, or None."""
        if not is_rtp(data):
            return None
        if self.srtp is None:
            return data
        try:
            return self.srtp.unprotect(data)
        except MalformedPacketError:
            return None

    def count(self, packet: bytes, size: int, now: float) -> bool:
        """An opened packet of the peer, of `size` bytes as it came; True: an RFC 4733 event."""
        self.settle()
        head, sequence, timestamp, ssrc = unpack_head(packet)
        self.packets_in += 1
        self.bytes_in += size
        self.heard = now
        payload_type = head & 0x7F
        if self.remote is not None and payload_type == self.remote.telephone_event:
            self.stream.receive(ssrc, sequence, None, now)
            return True
        if payload_type != self._payload_type:
            self._payload_type = payload_type
            rate = self._clock_rates.get(payload_type) or STATIC_CLOCK_RATES.get(payload_type)
            self.stream.set_rate(rate or DEFAULT_CLOCK_RATE)
        self.stream.receive(ssrc, sequence, timestamp, now)
        self.stream.head = head & ~0x80
        return False

    # What went by without being looked at.

    def settle(self) -> None:
        """Book what went the short way, or through the kernel."""
        stream = self.stream
        if not stream.packets and self.way is None:
            return
        packets, octets, stream.packets, stream.octets = stream.packets, stream.octets, 0, 0
        stream.received += packets
        if self.way is not None:
            unseen, unseen_octets = self.way.take()
            self._kernel_in += unseen
            packets, octets = packets + unseen, octets + unseen_octets
        self.packets_in += packets
        self.bytes_in += octets
        if self.peer is not None:
            self.peer.packets_out += packets
            self.peer.bytes_out += octets

    def come_back(self) -> None:
        """The stream comes from the kernel to us again; what we did not see is no loss."""
        self.settle()
        self.way = None
        self.stream.begin_anew()
        self.stream.head = -1

    def was_lost(self) -> None:
        """The kernel gave it back by itself: it has to begin here as a new one would."""
        self._packets_before = self.packets_in

    @property
    def has_begun(self) -> bool:
        """Whether we have relayed so much of it that it can be left to others."""
        return self.packets_in - self._packets_before > FIRST

    def interrupt(self) -> None:
        """The peer is about to hear somebody else than before."""
        if self.packets_out:
            self._reports.interrupted()

    # RTCP.

    def read_rtcp(self, data: bytes, now: float) -> bytes | None:
        """Read a compound, and return it as the peer meant it; None when it is none, or not the peer's."""
        if self.remote is None or not is_rtcp(data):
            self.refused += 1
            return None
        try:
            if self.srtp is not None:
                data = self.srtp.unprotect_rtcp(data)
            reports = tuple(rtcp.reports(data))
        except MalformedPacketError:
            self.refused += 1
            return None
        self.heard = now
        peer = self.peer
        heard = None if peer is None else (peer.stream.ssrc, peer.stream.rate_hz)
        for report in reports:
            if report.sr_id is not None and peer is not None:
                peer._reports.passed_on(report.sr_id, now)
            self._reports.read(report, heard, now)
        return data

    def pack_report(
        self, ssrc: int, clock_hz: int, sender: rtcp.SenderInfo | None, cname: str, now: float
    ) -> bytes:
        """A report of our own to the peer, as a party with that SSRC (§6.1)."""
        block = self._reports.hearing(self.stream, self.packets_in, now)
        blocks = () if block is None else (block,)
        self._reports.said(ssrc, clock_hz, sender, now)
        return rtcp.pack_report(ssrc, sender, blocks) + rtcp.pack_description(ssrc, cname)

    # What is known of it.

    def tick(self, now: float, silence_s: float) -> bool | None:
        """Once a second. True: the peer has just been found silent; False: it is heard again."""
        if self.stream.packets or (self.way is not None and self.way.packets):
            self.heard = now
            self.settle()
        if self.remote is None or not self.remote.may_receive:
            self.heard, self._silent_since = now, None
        elif self._silent_since is not None:
            if self.heard > self._silent_since:
                self._silent_since = None
                return False
        elif now - self.heard >= silence_s:
            self._silent_since = now
            return True
        return None

    def stats(self, playout_s: float | None) -> EndpointStats:
        """The counters; those of the kernel are some seconds old while it has the stream."""
        self.settle()
        if self.peer is not None:
            self.peer.settle()
        return EndpointStats(
            packets_in=self.packets_in,
            bytes_in=self.bytes_in,
            packets_out=self.packets_out,
            bytes_out=self.bytes_out,
            kernel_in=self._kernel_in,
            lost=self.stream.lost,
            jitter_s=self.stream.jitter_s,
            round_trip_s=self._reports.round_trip.seconds,
            lost_out=self._reports.lost_out,
            jitter_out_s=self._reports.jitter_out_s,
            playout_s=playout_s,
            strangers=self.strangers,
            refused=self.refused,
            ssrc=self.stream.ssrc,
            payload_type=self._payload_type,
            source=self.latch.source,
        )
