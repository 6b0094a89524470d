"""One endpoint of the relay: its peer, and where the peer's packets go. The hot path.

What comes before SetRemote, or before the join, is held: the last HELD packets go out when there is a way.

An endpoint reads its RTP port in one of these ways, the shortest that does what is asked:

- `_take_rtp`: as long as the port is not connected, who sends is looked at packet by packet;
- `_take_connected`: the kernel has checked the source; packets are counted, opened, changed, heard;
- `Stream.relay`, and `_relay_first` before the kernel may have the stream: they pass on as they are;
- `_take_late`: the kernel has the stream (`pbx.rtp.offload`), and nothing should come.
"""

from typing import Final, Protocol

from pbx.rtp import rtcp
from pbx.rtp.ear import Ear, Heard
from pbx.rtp.latch import Address
from pbx.rtp.offload import NOT_HEARD, Kernel, Offload
from pbx.rtp.packet import MAX_PACKET, is_rtcp, set_payload_type
from pbx.rtp.port_pair import PortPair
from pbx.rtp.remote import Remote
from pbx.rtp.sender import Sender
from pbx.rtp.session import FIRST, RtpSession
from pbx.rtp.sockets import Handler, Net
from pbx.rtp.srtp import Counter
from pbx.rtp.statistics import EndpointStats
from pbx.sdp.crypto import SrtpKeys

HELD: Final = 5  # packets: a tenth of a second of speech
HELD_S: Final = 0.3
PATIENCE: Final = 25  # packets until a stream is not spared any more for a kernel that may yet take it


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


class Endpoint:
    """A port pair of ours that talks with one peer.

    Attributes:
        name: who it is for its owner.
        session: what is known of the peer and its stream.
        ports: the sockets.
        peer: whom it is joined with.
        offload: the kernel's part in that join.
    """

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
        self.name = name
        self._net, self._listener, self._kernel = net, listener, kernel
        self.session = RtpSession()
        self._stream = self.session.stream
        self.ports = PortPair(net, address, rtp_port, self.session.latch, self._receive_from)
        self._sender = Sender(self.session, self.ports)
        self.peer: Endpoint | None = None
        self.offload: Offload | None = None
        self._early: list[tuple[bytes, Address]] = []
        self._held: list[tuple[float, bytes]] = []
        self._ear: Ear | None = None
        self._cover: Heard | None = None  # gets what the joined peer sends, instead of our peer
        self._handler: Handler = self._take_rtp  # of the RTP socket
        net.watch(self.ports.rtp, self._handler)
        net.watch(self.ports.rtcp, self._take_rtcp)

    # Orders.

    def set_remote(self, remote: Remote, now: float) -> None:
        """Take over what SDP agreed."""
        if self.offload is not None:
            self.offload.come_back()
            self.offload.permit()
        self.session.agree(remote, self._counted, now)
        self.ports.follow(now)
        early, self._early = self._early, []
        for data, source in early:
            self._receive_from(data, source, now)
        self._choose_paths()

    def restore(self, source: Address | None, known: dict[Counter, int]) -> None:
        """Before set_remote: what was found out before, by a worker that is no more."""
        self.session.restore(source, known)

    def join(self, other: "Endpoint", now: float) -> None:
        """Relay between the two; earlier joins of both end."""
        if self.peer is other:
            return
        self.part()
        other.part()
        self.peer, other.peer = other, self
        self.session.peer, other.session.peer = other.session, self.session
        self.offload = other.offload = Offload(self, other, self._kernel)
        for endpoint in (self, other):
            endpoint.session.interrupt()
            endpoint.choose_path()
            held, endpoint._held = endpoint._held, []
            for when, packet in held:
                if now - when <= HELD_S:
                    endpoint._pass_on(packet)

    def part(self) -> None:
        """End the join, if there is one."""
        peer = self.peer
        if peer is None or self.offload is None:
            return
        self.offload.fetch()
        for endpoint in (self, peer):
            endpoint.session.settle()
            endpoint.session.interrupt()
        for endpoint in (self, peer):
            endpoint.peer = endpoint.session.peer = endpoint.offload = None
        self.choose_path()
        peer.choose_path()

    def listen(self, ear: Ear | None, cover: Heard | None) -> None:
        """Let `ear` hear all that the peer says, and `cover` what the peer would have heard by the join."""
        if ear is self._ear and cover == self._cover:
            return
        if self.offload is not None:
            self.offload.come_back()
        if self.peer is not None and (cover is None) != (self._cover is None):
            self.peer.session.settle()
            self.session.interrupt()
        self._ear, self._cover = ear, cover
        self._choose_paths()

    def say(self, packet: bytes) -> None:
        """Send the peer an RTP packet of our own, as far as it was agreed that we may."""
        self._sender.send_rtp(packet)

    def report(
        self, ssrc: int, clock_hz: int, sender: rtcp.SenderInfo | None, cname: str, now: float
    ) -> None:
        """Send the peer a report of our own as a party with that SSRC (RFC 3550 §6.1)."""
        self._sender.send_rtcp(self.session.pack_report(ssrc, clock_hz, sender, cname, now))

    def close(self) -> None:
        """Free the ports."""
        self._ear = self._cover = None
        self.session.remote = None  # no path needs to be chosen any more
        self.part()
        self.ports.close()
        self.session.end()
        self._handler = self._stream.relay

    def tick(self, now: float, silence_s: float) -> bool | None:
        """Once a second. True: the peer has just been found silent; False: it is heard again."""
        self.ports.forgive()
        return self.session.tick(now, silence_s)

    @property
    def remote(self) -> Remote | None:
        """What SDP agreed."""
        return self.session.remote

    @property
    def source(self) -> Address | None:
        """Where the peer's RTP comes from."""
        return self.session.latch.source

    @property
    def is_tapped(self) -> bool:
        """Whether the PBX itself listens or speaks here."""
        return self._ear is not None or self._cover is not None

    @property
    def path(self) -> str:
        """Who passes the peer's packets on: "kernel", or "user space" and why; "" = nobody yet."""
        if self.offload is None:
            return ""
        if self.session.way is not None:
            return "kernel"
        why = "" if self._kernel is None else self.offload.why_stays(self)
        return f"user space: {why}" if why else "user space"

    def stats(self) -> EndpointStats:
        """The counters; those of the kernel are some seconds old while it has the stream."""
        return self.session.stats(None if self._ear is None else self._ear.delay_s)

    # From the sockets.

    def _take_connected(self, now: float) -> None:
        """A packet on the RTP port, from the address it is connected to."""
        try:
            data = self.ports.rtp.recv(MAX_PACKET)
        except OSError:  # nothing to read, or an earlier packet found nobody: parts of life
            return
        self._receive(data, now)

    def _take_rtp(self, now: float) -> None:
        """Packets on the RTP port while it is not connected."""
        ports = self.ports
        ports.read(ports.rtp, now)
        if ports.stem(now):
            self._choose_paths()
        if ports.connected is None and self.session.way is None:
            self._settle_down(now)

    def _take_late(self, now: float) -> None:
        """A packet though the kernel has the stream: it came just before, or the kernel has lost it."""
        try:
            data, source = self.ports.rtp.recvfrom(MAX_PACKET)
        except OSError:
            return
        if source[:2] == self.session.latch.source and self.offload is not None:
            self.offload.lost(self, "")
        self._receive_from(data, source[:2], now)
        if self.ports.stem(now):
            self._choose_paths()

    def _take_rtcp(self, now: float) -> None:
        """A packet on the RTCP port: taken from the announced address, or the host the RTP comes from."""
        try:
            data, source = self.ports.rtcp.recvfrom(MAX_PACKET)
        except OSError:
            return
        session = self.session
        if not session.rtcp_path.may_accept(source[:2]):
            session.strangers += 1
        elif self._receive_rtcp(data, now):
            session.rtcp_path.accept(source[:2])

    # What came.

    def _receive_from(self, data: bytes, source: Address, now: float) -> None:
        """Find out whether somebody is the peer."""
        session = self.session
        if session.remote is None:
            self._early = [*self._early[1 - HELD :], (data, source)]
            return
        latch = session.latch
        if not latch.may_accept(source, now):
            session.strangers += 1
            self.ports.unwanted += 1
            return
        if source == latch.target:
            self._receive(data, now)
            return
        packet = session.open(data) if session.is_expected(data) else None
        if packet is None:
            self.ports.unwanted += 1
            session.refused += 1
            return
        if self.offload is not None:
            self.offload.come_back()
        latch.accept(source)
        if session.count(packet, len(data), now):
            self._listener.signalled(self, packet, now)
        self._pass_on(packet)
        self.ports.follow(now)
        self._choose_paths()
        self._listener.latched(self, source)

    def _receive(self, data: bytes, now: float) -> None:
        """A packet from where the peer is."""
        if is_rtcp(data):
            self._receive_rtcp(data, now)
            return
        session = self.session
        packet = session.open(data)
        if packet is None:
            session.refused += 1
            return
        if session.count(packet, len(data), now):
            self._listener.signalled(self, packet, now)
        latch = session.latch
        source = latch.target
        if not latch.is_fixed and source is not None and session.is_expected(data):
            if latch.accept(source):
                self._listener.latched(self, source)
            self._choose_paths()
        self._pass_on(packet)

    def _receive_rtcp(self, data: bytes, now: float) -> bool:
        """Read and pass on a compound; False when it is none, or not the peer's."""
        compound = self.session.read_rtcp(data, now)
        if compound is not None and self.peer is not None:
            self.peer._sender.send_rtcp(compound)
        return compound is not None

    def _counted(self, keys: SrtpKeys, counter: Counter, value: int) -> None:
        self._listener.counted(self, keys, counter, value)

    # To the other side.

    def _pass_on(self, packet: bytes) -> None:
        session, peer = self.session, self.peer
        if session.remote is None or not session.remote.may_receive:
            return
        if self._ear is not None:
            self._ear.hear(packet, session.heard)
            if peer is None:
                return
        if peer is None:
            self._held = [*self._held[1 - HELD :], (session.heard, packet)]
            return
        payload_map = session.payload_map
        if payload_map and (other := payload_map.get(packet[1] & 0x7F)) is not None:
            packet = set_payload_type(packet, other)
        if peer._cover is None:
            peer._sender.send_rtp(packet)
        else:
            peer._cover(packet, session.heard)

    # Who relays, and how.

    def _settle_down(self, now: float) -> None:
        """A stream has begun: whom shall it be left to?"""
        session, peer, offload = self.session, self.peer, self.offload
        if peer is None or offload is None or not session.latch.is_fixed or not session.has_begun:
            return
        why = offload.why_stays(self)
        if why in {"", NOT_HEARD}:
            if not why and peer.session.has_begun:
                offload.hand_over(self, now)
            if session.way is not None or session.packets_in < PATIENCE:
                return
        for end in (self, peer):
            end.ports.connect(now)
        self._choose_paths()

    def _choose_paths(self) -> None:
        self.choose_path()
        if self.peer is not None:
            self.peer.choose_path()

    def choose_path(self) -> None:
        """Take the shortest way that does what is asked."""
        session, peer = self.session, self.peer
        mine = session.remote
        if mine is None:
            return
        handler = self._take_rtp
        if session.way is not None:
            handler = self._take_late
        elif self.ports.connected is not None:
            handler = self._take_connected
            if (
                session.latch.is_fixed
                and session.srtp is None
                and mine.may_receive
                and not session.payload_map
                and self._ear is None
                and peer is not None
                and peer._cover is None
                and peer._sender.is_plain
            ):
                stream = self._stream
                stream.recv_into, stream.send = self.ports.rtp.recv_into, peer.ports.rtp.send
                stream.send_again, stream.take = peer.ports.send_again, self._receive
                handler = stream.relay
                if self.offload is not None and not self.offload.why_stays(self):
                    handler = self._relay_first
        if handler != self._handler:
            self._handler = handler
            self._net.watch(self.ports.rtp, handler)

    def _relay_first(self, now: float) -> None:
        """As `Stream.relay`, until both peers have gone on for a moment."""
        self._stream.relay(now)
        peer = self.peer
        if peer is not None and self._stream.packets >= FIRST <= peer._stream.packets:
            assert self.offload is not None
            self.offload.hand_over(self, now)
