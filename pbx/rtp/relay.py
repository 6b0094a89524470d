"""One endpoint of the relay: its sockets, its peer, and where the peer's packets go. The hot path.

Sockets of an endpoint:

- `rtp` is connected to the peer when a stream has begun that we are to relay ourselves, or when strangers
  flood it, and anew when latching finds another source: the kernel then checks sources, and send() needs no
  route lookup. Neither is worth its cost for a few packets, nor for a stream that the kernel takes over.
- `stray`, which comes with that, shares the RTP port and gets what comes from anybody else. There a peer
  behind NAT is found, and a stranger is counted; a stranger who floods is not read for a while and harms no
  call, as the peer's packets wait in a queue of their own.
- `rtcp` is the odd port, never connected: a few packets a second.

What comes before SetRemote, or before the join, is held: the last HELD packets go out when there is a way.

Where there is a `Kernel`, it takes over once both peers of a join have been heard for a moment, if nothing
needs to see or change their packets. Whatever changes, the stream first comes back here.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final, Protocol, TypeAlias

from pbx.rtp import rtcp
from pbx.rtp.kernel.conntrack import Flow
from pbx.rtp.kernel.joins import KernelJoin, Way
from pbx.rtp.latch import Address, Latch
from pbx.rtp.packet import (
    DEFAULT_CLOCK_RATE,
    MAX_PACKET,
    STATIC_CLOCK_RATES,
    MalformedPacketError,
    is_rtcp,
    is_rtp,
    set_payload_type,
)
from pbx.rtp.remote import Remote
from pbx.rtp.reports import Reports
from pbx.rtp.rtcp_path import RtcpPath
from pbx.rtp.sockets import Handler, Net, Socket
from pbx.rtp.srtp import Counter, Srtp
from pbx.rtp.statistics import EndpointStats
from pbx.rtp.stream import Stream, unpack_head
from pbx.sdp.crypto import SrtpKeys

Heard: TypeAlias = Callable[[bytes, float], None]  # an RTP packet, and when it came

HELD: Final = 5  # packets: a tenth of a second of speech
HELD_S: Final = 0.3
STRAYS_A_WAKE: Final = 8
STRAYS_A_SECOND: Final = 40
FIRST: Final = (
    2  # packets each way that are relayed here once the peer is known (RFC 3550 A.1: MIN_SEQUENTIAL)
)
PATIENCE: Final = 25  # packets until a stream is not spared any more for a kernel that may yet take it
QUEUE: Final = 64
NOT_HEARD: Final = "not heard yet"
RETURNS: Final = 3  # of a stream from the kernel without our doing: enough


class Kernel(Protocol):
    """Who passes streams on without us; `pbx.rtp.kernel.joins` says more."""

    def join(
        self, flow: Flow, onward: Flow, lost: Callable[[str], None], now: float
    ) -> KernelJoin | str | None: ...

    def leave(self, join: KernelJoin) -> None: ...


class Listener(Protocol):
    """Who wants to know what endpoints find out."""

    def latched(self, endpoint: "Endpoint", source: Address) -> None:
        """The peer's RTP comes from `source`."""
        ...

    def counted(self, endpoint: "Endpoint", keys: SrtpKeys, counter: Counter, value: int) -> None:
        """The SRTP session with `keys` has come so far."""
        ...

    def signalled(self, endpoint: "Endpoint", packet: bytes, now: float) -> None:
        """The peer sent an RFC 4733 event."""
        ...


class Ear(Protocol):
    """Who hears what the peer of an endpoint says, beside or instead of a joined peer."""

    @property
    def delay_s(self) -> float | None:
        """How long it keeps what it hears, as `EndpointStats.playout_s`."""
        ...

    def hear(self, packet: bytes, now: float) -> None:
        """An RTP packet, decrypted, with the peer's payload types."""
        ...


class Endpoint:
    """A port pair of ours that talks with one peer."""

    def __init__(
        self,
        name: str,
        address: str,
        rtp_port: int,
        net: Net,
        listener: Listener,
        kernel: Kernel | None = None,
    ) -> None:
        """
        Raises:
            OSError: a port of the pair is not to be had; neither is kept.
        """
        self.name, self.address, self.rtp_port = name, address, rtp_port
        self._net, self._listener, self._kernel = net, listener, kernel
        self._rtp = net.bind(address, rtp_port, has_bursts=True)
        try:
            self._rtcp = net.bind(address, rtp_port + 1)
        except OSError:
            self._rtp.close()
            raise
        self._stray: Socket | None = None
        self._connected: Address | None = None
        self._unwanted = 0  # packets of strangers in this second
        self._is_muted = False

        self._remote: Remote | None = None
        self._latch = Latch()
        self._rtcp_path = RtcpPath(self._latch)
        self._srtp: Srtp | None = None
        self._known: dict[Counter, int] = {}
        self._clock_rates: dict[int, int] = {}
        self._payload_map: dict[int, int] = {}
        self._peer: Endpoint | None = None
        self._early: list[tuple[bytes, Address]] = []
        self._held: list[tuple[float, bytes]] = []
        self._way: Way | None = None  # that the peer's packets take through the kernel
        self._refusal = ""  # why the kernel does not take them, as it said
        self._returns = 0
        self._packets_before = 0  # it came back
        self._ear: Ear | None = None
        self._cover: Heard | None = None  # gets what the joined peer sends, instead of our peer

        self._stream = Stream()
        self._reports = Reports()
        self._payload_type: int | None = None
        self._packets_in = self._bytes_in = self._packets_out = self._bytes_out = self._kernel_in = 0
        self._strangers = self._refused = 0
        self._heard = 0.0  # when RTP or RTCP of the peer came, or could have come first
        self._silent_since: float | None = None

        self._handler: Handler = self._take_rtp  # of the RTP socket
        net.watch(self._rtp, self._handler)
        net.watch(self._rtcp, self._take_rtcp)

    # Orders.

    def set_remote(self, remote: Remote, now: float) -> None:
        """Take over what SDP agreed."""
        self._come_back()
        self._permit()
        before, self._remote = self._remote, remote
        if before is None or not before.may_receive:
            self._heard, self._silent_since = now, None
        self._clock_rates, self._payload_map = dict(remote.clock_rates), dict(remote.payload_map)
        if remote.srtp is None:
            self._srtp = None
        elif self._srtp is None or self._srtp.keys != remote.srtp:  # the same keys: their counters go on
            self._srtp = Srtp(remote.srtp, self._known, partial(self._listener.counted, self, remote.srtp))
            self._known = {}
        latch = self._latch
        latch.announce(
            remote.rtp,
            is_symmetric=remote.symmetric,
            signalling=remote.signalling,
            relatch=remote.relatch,
            now=now,
        )
        self._rtcp_path.announce(remote)
        self._reconnect(now)
        early, self._early = self._early, []
        for data, source in early:
            self._receive_from(data, source, now)
        self._choose_paths()

    def restore(self, source: Address | None, known: dict[Counter, int]) -> None:
        """Before set_remote: what was found out before, by a worker that is no more."""
        self._known = known
        if source is not None:
            self._latch.restore(source)

    def join(self, other: "Endpoint", now: float) -> None:
        """Relay between the two; earlier joins of both end."""
        if self._peer is other:
            return
        self.part()
        other.part()
        self._peer, other._peer = other, self
        self._permit()
        for endpoint in (self, other):
            endpoint._choose_path()
            held, endpoint._held = endpoint._held, []
            for when, packet in held:
                if now - when <= HELD_S:
                    endpoint._pass_on(packet)

    def part(self) -> None:
        """End the join, if there is one."""
        peer = self._peer
        if peer is None:
            return
        self._fetch()
        self._settle()
        peer._settle()
        self._peer = peer._peer = None
        self._choose_path()
        peer._choose_path()

    def listen(self, ear: Ear | None, cover: Heard | None) -> None:
        """Let `ear` hear all that the peer says, and `cover` what the peer would have heard by the join."""
        if ear is self._ear and cover == self._cover:
            return
        self._come_back()
        self._ear, self._cover = ear, cover
        self._choose_paths()

    def say(self, packet: bytes) -> None:
        """Send the peer an RTP packet of our own, as far as it was agreed that we may."""
        self._send_rtp(packet)

    def report(
        self, ssrc: int, clock_hz: int, sender: rtcp.SenderInfo | None, cname: str, now: float
    ) -> None:
        """Send the peer a report of our own as a party with that SSRC (RFC 3550 §6.1)."""
        block = self._reports.hearing(self._stream, self._packets_in, now)
        blocks = () if block is None else (block,)
        self._reports.said(ssrc, clock_hz, sender, now)
        self._send_rtcp(rtcp.pack_report(ssrc, sender, blocks) + rtcp.pack_description(ssrc, cname))

    @property
    def remote(self) -> Remote | None:
        """What SDP agreed."""
        return self._remote

    @property
    def peer(self) -> "Endpoint | None":
        """Whom it is joined with."""
        return self._peer

    def close(self) -> None:
        """Free the ports."""
        self._ear = self._cover = None
        self._remote = None  # no path needs to be chosen any more
        self.part()
        for sock in (self._rtp, self._rtcp, self._stray):
            if sock is not None:
                self._net.close(sock)
        self._stream.clear()
        self._handler = self._stream.relay
        self._srtp = None

    def tick(self, now: float, silence_s: float) -> bool | None:
        """Once a second. True: the peer has just been found silent; False: it is heard again."""
        if self._stream.packets or (self._way is not None and self._way.packets):
            self._heard = now
            self._settle()
        self._unwanted = 0
        if self._is_muted and self._stray is not None:
            self._is_muted = False
            self._net.watch(self._stray, self._take_stray)
        if self._remote is None or not self._remote.may_receive:
            self._heard, self._silent_since = now, None
        elif self._silent_since is not None:
            if self._heard > self._silent_since:
                self._silent_since = None
                return False
        elif now - self._heard >= silence_s:
            self._silent_since = now
            return True
        return None

    @property
    def source(self) -> Address | None:
        """Where the peer's RTP comes from."""
        return self._latch.source

    @property
    def path(self) -> str:
        """Who passes the peer's packets on: "kernel", or "user space" and why; "" = nobody yet."""
        if self._peer is None:
            return ""
        if self._way is not None:
            return "kernel"
        why = "" if self._kernel is None else self._why_stays()
        return f"user space: {why}" if why else "user space"

    def stats(self) -> EndpointStats:
        """The counters; those of the kernel are some seconds old while it has the stream."""
        self._settle()
        if self._peer is not None:
            self._peer._settle()
        return EndpointStats(
            packets_in=self._packets_in,
            bytes_in=self._bytes_in,
            packets_out=self._packets_out,
            bytes_out=self._bytes_out,
            kernel_in=self._kernel_in,
            lost=self._stream.lost,
            jitter_s=self._stream.jitter_s,
            round_trip_s=self._reports.round_trip.seconds,
            lost_out=self._reports.lost_out,
            jitter_out_s=self._reports.jitter_out_s,
            playout_s=None if self._ear is None else self._ear.delay_s,
            strangers=self._strangers,
            refused=self._refused,
            ssrc=self._stream.ssrc,
            payload_type=self._payload_type,
            source=self._latch.source,
        )

    # From the sockets.

    def _take_connected(self, now: float) -> None:
        """A packet on the RTP port, from the address it is connected to."""
        try:
            data = self._rtp.recv(MAX_PACKET)
        except OSError:  # nothing to read, or an earlier packet found nobody: parts of life
            return
        self._receive(data, now)

    def _take_rtp(self, now: float) -> None:
        """Packets on the RTP port while it is not connected."""
        self._take_from(self._rtp, now)
        self._stem(now)
        if self._connected is None and self._way is None:
            self._settle_down(now)

    def _take_stray(self, now: float) -> None:
        """Packets on the RTP port from others than the address it is connected to."""
        assert self._stray is not None
        self._take_from(self._stray, now)
        if self._unwanted > STRAYS_A_SECOND and not self._is_muted:
            self._is_muted = True
            self._net.unwatch(self._stray)

    def _take_from(self, sock: Socket, now: float) -> None:
        # Mostly one has come: to try for another costs as much, and if there is one, the loop comes again.
        for _ in range(STRAYS_A_WAKE if self._unwanted else 1):
            try:
                data, source = sock.recvfrom(MAX_PACKET)
            except OSError:
                return
            self._receive_from(data, source[:2], now)

    def _take_rtcp(self, now: float) -> None:
        """A packet on the RTCP port: taken from the announced address, or the host the RTP comes from."""
        try:
            data, source = self._rtcp.recvfrom(MAX_PACKET)
        except OSError:
            return
        if not self._rtcp_path.may_accept(source[:2]):
            self._strangers += 1
        elif self._receive_rtcp(data, now):
            self._rtcp_path.accept(source[:2])

    # What came.

    def _receive_from(self, data: bytes, source: Address, now: float) -> None:
        """Find out whether somebody is the peer."""
        if self._remote is None:
            self._early = [*self._early[1 - HELD :], (data, source)]
            return
        latch = self._latch
        if not latch.may_accept(source, now):
            self._strangers += 1
            self._unwanted += 1
            return
        if source == latch.target:
            self._receive(data, now)
            return
        packet = self._open(data) if self._is_expected(data) else None
        if packet is None:
            self._unwanted += 1
            self._refused += 1
            return
        self._come_back()
        latch.accept(source)
        self._count(packet, len(data), now)
        self._pass_on(packet)
        self._reconnect(now)
        self._choose_paths()
        self._listener.latched(self, source)

    def _receive(self, data: bytes, now: float) -> None:
        """A packet from where the peer is."""
        if is_rtcp(data):
            self._receive_rtcp(data, now)
            return
        packet = self._open(data)
        if packet is None:
            self._refused += 1
            return
        self._count(packet, len(data), now)
        source = self._latch.target
        if not self._latch.is_fixed and source is not None and self._is_expected(data):
            if self._latch.accept(source):
                self._listener.latched(self, source)
            self._choose_paths()
        self._pass_on(packet)

    def _receive_rtcp(self, data: bytes, now: float) -> bool:
        """Read and pass on a compound; False when it is none, or not the peer's."""
        if self._remote is None or not is_rtcp(data):
            self._refused += 1
            return False
        try:
            if self._srtp is not None:
                data = self._srtp.unprotect_rtcp(data)
            reports = tuple(rtcp.reports(data))
        except MalformedPacketError:
            self._refused += 1
            return False
        self._heard = now
        peer = self._peer
        heard = None if peer is None else (peer._stream.ssrc, peer._stream.rate_hz)
        for report in reports:
            if report.sr_id is not None and peer is not None:
                peer._reports.passed_on(report.sr_id, now)
            self._reports.read(report, heard, now)
        if peer is not None:
            peer._send_rtcp(data)
        return True

    def _is_expected(self, data: bytes) -> bool:
        """Whether a datagram is RTP of a type agreed on, as far as anybody can see."""
        return is_rtp(data) and (not self._clock_rates or data[1] & 0x7F in self._clock_rates)

    def _open(self, data: bytes) -> bytes | None:
        """RTP as the peer meant it, or None."""
        if not is_rtp(data):
            return None
        if self._srtp is None:
            return data
        try:
            return self._srtp.unprotect(data)
        except MalformedPacketError:
            return None

    def _count(self, packet: bytes, size: int, now: float) -> None:
        self._settle()
        head, sequence, timestamp, ssrc = unpack_head(packet)
        self._packets_in += 1
        self._bytes_in += size
        self._heard = now
        payload_type = head & 0x7F
        if self._remote is not None and payload_type == self._remote.telephone_event:
            self._stream.receive(ssrc, sequence, None, now)
            self._listener.signalled(self, packet, now)
            return
        if payload_type != self._payload_type:
            self._payload_type = payload_type
            rate = self._clock_rates.get(payload_type) or STATIC_CLOCK_RATES.get(payload_type)
            self._stream.set_rate(rate or DEFAULT_CLOCK_RATE)
        self._stream.receive(ssrc, sequence, timestamp, now)
        self._stream.head = head & ~0x80

    # To the other side.

    def _pass_on(self, packet: bytes) -> None:
        peer = self._peer
        if self._remote is None or not self._remote.may_receive:
            return
        if self._ear is not None:
            self._ear.hear(packet, self._heard)
            if peer is None:
                return
        if peer is None:
            self._held = [*self._held[1 - HELD :], (self._heard, packet)]
            return
        if self._payload_map and (other := self._payload_map.get(packet[1] & 0x7F)) is not None:
            packet = set_payload_type(packet, other)
        if peer._cover is None:
            peer._send_rtp(packet)
        else:
            peer._cover(packet, self._heard)

    def _send_rtp(self, packet: bytes) -> None:
        if self._remote is None or not self._remote.may_send:
            return
        if self._srtp is not None:
            try:
                packet = self._srtp.protect(packet)
            except MalformedPacketError:
                return
        if self._send_datagram(packet):
            self._packets_out += 1
            self._bytes_out += len(packet)

    def _send_rtcp(self, data: bytes) -> None:
        if self._remote is None:
            return
        if self._srtp is not None:
            try:
                data = self._srtp.protect_rtcp(data)
            except MalformedPacketError:
                return
        if self._remote.rtcp_mux:
            self._send_datagram(data)
        elif (target := self._rtcp_path.target) is not None:
            with suppress(OSError):
                self._rtcp.sendto(data, target)

    def _send_datagram(self, data: bytes) -> bool:
        if self._connected is None:
            if (target := self._latch.target) is None:
                return False
            with suppress(OSError):
                self._rtp.sendto(data, target)
                return True
            return False
        try:
            self._rtp.send(data)
        except OSError:
            return self._send_again(data)
        return True

    def _send_again(self, data: bytes | memoryview) -> bool:
        # That an earlier packet met no one there is what the next call reports; it then sends nothing.
        with suppress(OSError):
            self._rtp.send(data)
            return True
        return False

    # Sockets.

    def _settle_down(self, now: float) -> None:
        """A stream has begun: whom shall it be left to?"""
        peer = self._peer
        if peer is None or not self._latch.is_fixed or not self._has_begun():
            return
        why = self._why_stays()
        if why in {"", NOT_HEARD}:
            if not why and peer._has_begun():
                self._hand_over(peer, now)
            if self._way is not None or self._packets_in < PATIENCE:
                return
        for end in (self, peer):
            end._connect(end._latch.target, now)
        self._choose_paths()

    def _has_begun(self) -> bool:
        return self._packets_in - self._packets_before > FIRST

    def _stem(self, now: float) -> None:
        """Give the peer's packets a queue of their own when strangers flood this one."""
        if self._unwanted > STRAYS_A_SECOND and self._connected is None:
            self._connect(self._latch.target, now)
            self._choose_paths()

    def _reconnect(self, now: float) -> None:
        if self._connected is not None:
            self._connect(self._latch.target, now)

    def _connect(self, target: Address | None, now: float) -> None:
        if target is None or target == self._connected:
            return
        try:
            self._rtp.connect(target)
        except OSError:
            self._connected = None  # no route to there: all that comes is looked at one by one
            return
        self._connected = target
        if self._stray is None:
            with suppress(OSError):
                self._stray = self._net.share(self._rtp, self.address, self.rtp_port)
                self._net.watch(self._stray, self._take_stray)
        while True:  # what others sent before is still in the queue
            try:
                data, source = self._rtp.recvfrom(MAX_PACKET)
            except OSError:
                break
            self._receive_from(data, source[:2], now)

    def _choose_paths(self) -> None:
        self._choose_path()
        if self._peer is not None:
            self._peer._choose_path()

    def _choose_path(self) -> None:
        """Take the shortest way that does what is asked."""
        mine, peer = self._remote, self._peer
        if mine is None:
            return
        handler = self._take_rtp
        if self._way is not None:
            handler = self._take_late
        elif self._connected is not None:
            handler = self._take_connected
            if (
                self._latch.is_fixed
                and self._srtp is None
                and mine.may_receive
                and not self._payload_map
                and self._ear is None
                and peer is not None
                and peer._is_plain()
            ):
                stream = self._stream
                stream.recv_into, stream.send = self._rtp.recv_into, peer._rtp.send
                stream.send_again, stream.take = peer._send_again, self._receive
                handler = stream.relay
                if not self._why_stays():
                    handler = self._relay_first
        if handler != self._handler:
            self._handler = handler
            self._net.watch(self._rtp, handler)

    def _settle(self) -> None:
        """Book what went the short way."""
        stream = self._stream
        if not stream.packets and self._way is None:
            return
        packets, octets, stream.packets, stream.octets = stream.packets, stream.octets, 0, 0
        stream.received += packets
        if self._way is not None:
            unseen, unseen_octets = self._way.take()
            self._kernel_in += unseen
            packets, octets = packets + unseen, octets + unseen_octets
        self._packets_in += packets
        self._bytes_in += octets
        if self._peer is not None:
            self._peer._packets_out += packets
            self._peer._bytes_out += octets

    def _is_plain(self) -> bool:
        """Whether packets go to the peer as they are."""
        return (
            self._connected is not None
            and self._srtp is None
            and self._remote is not None
            and self._remote.may_send
            and self._cover is None
        )

    # Through the kernel.

    def _why_seen(self) -> str:
        """Why the packets of this side have to be seen; "" = nobody needs to.

        Whoever changes one of these calls `_come_back` first.
        """
        remote = self._remote
        if remote is None:
            return "not agreed yet"
        if remote.srtp is not None:
            return "encrypted"
        if remote.rtcp_mux:
            return "RTCP on the same port"
        if self._payload_map:
            return "payload types differ"
        if not (remote.may_send and remote.may_receive):
            return "on hold"
        if self._ear is not None or self._cover is not None:
            return "heard by the PBX"
        if remote.has_digits and remote.telephone_event is not None:
            return "digits count"
        if not self._latch.is_fixed:
            return NOT_HEARD
        return ""

    def _why_stays(self) -> str:
        """Why the kernel may not have the stream, as far as is known."""
        peer = self._peer
        if self._kernel is None or peer is None:
            return "nobody to have it"
        return self._refusal or self._why_seen() or peer._why_seen()

    def _relay_first(self, now: float) -> None:
        """As `Stream.relay`, until both peers have gone on for a moment."""
        self._stream.relay(now)
        peer = self._peer
        if peer is not None and self._stream.packets >= FIRST <= peer._stream.packets:
            self._hand_over(peer, now)

    def _hand_over(self, peer: "Endpoint", now: float) -> None:
        """Let the kernel pass on the packets of both sides, but for those that have come already."""
        assert self._kernel is not None
        source, other = self._latch.source, peer._latch.source
        for end in (self, peer):
            end._relay_queue(now)
        if self._peer is not peer or source is None or other is None:
            return
        if (self._latch.source, peer._latch.source) != (source, other):
            return
        flow = Flow(source, (self.address, self.rtp_port))
        onward = Flow((peer.address, peer.rtp_port), other)
        made = self._kernel.join(flow, onward, self._lost, now)
        self._settle()
        peer._settle()
        if isinstance(made, KernelJoin):
            self._way, peer._way = made.there, made.back
        elif made is not None:
            self._refusal = peer._refusal = made
        self._choose_paths()

    def _relay_queue(self, now: float) -> None:
        for _ in range(QUEUE):
            try:
                data, source = self._rtp.recvfrom(MAX_PACKET)
            except OSError:
                return
            self._receive_from(data, source[:2], now)

    def _take_late(self, now: float) -> None:
        """A packet though the kernel has the stream: it came just before, or the kernel has lost it."""
        try:
            data, source = self._rtp.recvfrom(MAX_PACKET)
        except OSError:
            return
        if source[:2] == self._latch.source:
            self._lost("")
        self._receive_from(data, source[:2], now)
        self._stem(now)

    def _lost(self, why: str) -> None:
        """The kernel does not have the stream any more."""
        peer = self._peer
        self._come_back(why)
        for end in (self, peer):
            if end is not None:
                end._packets_before = end._packets_in
        self._returns += 1
        if self._returns >= RETURNS and not self._refusal and peer is not None:
            self._refusal = peer._refusal = "the kernel keeps losing it"
            self._choose_paths()

    def _come_back(self, why: str = "") -> None:
        """Take the stream back from the kernel, if it is there, and see to it here."""
        if self._fetch(why):
            self._choose_paths()

    def _fetch(self, why: str = "") -> bool:
        way, peer = self._way, self._peer
        if way is None or peer is None or self._kernel is None:
            return False
        self._kernel.leave(way.join)
        for end in (self, peer):
            end._settle()
            end._stream.begin_anew()
            end._stream.head = -1
        for end in (self, peer):
            end._way, end._refusal = None, end._refusal or why
        return True

    def _permit(self) -> None:
        """What the kernel refused before may be possible now."""
        for end in (self, self._peer):
            if end is not None:
                end._refusal, end._returns = "", 0
