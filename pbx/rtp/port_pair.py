"""The sockets of an endpoint: an even port for RTP, the odd one above it for RTCP (RFC 3550 §11).

- `rtp` is connected to the peer when a stream has begun that we are to relay ourselves, or when strangers
  flood it, and anew when latching finds another source: the kernel then checks sources, and send() needs no
  route lookup. Neither is worth its cost for a few packets, nor for a stream that the kernel takes over.
- `stray`, which comes with that, shares the RTP port and gets what comes from anybody else. There a peer
  behind NAT is found, and a stranger is counted; a stranger who floods is not read for a while and harms no
  call, as the peer's packets wait in a queue of their own.
- `rtcp` is never connected: a few packets a second.
"""

from collections.abc import Callable
from contextlib import suppress
from sys import maxsize
from typing import Final, TypeAlias

from pbx.rtp.latch import Address, Latch
from pbx.rtp.packet import MAX_PACKET
from pbx.rtp.sockets import Net, Socket

Take: TypeAlias = Callable[[bytes, Address, float], None]  # a datagram, its source, the time

STRAYS_A_WAKE: Final = 8
STRAYS_A_SECOND: Final = 40


class PortPair:
    """The sockets of one endpoint, whose peer `latch` knows.

    Attributes:
        address: the even port, and where it is.
        rtp: the socket of the even port; its owner watches it.
        rtcp: that of the odd one; likewise.
        connected: the address that `rtp` is connected to; None: it is not.
        unwanted: RTP packets in this second that were none of the peer's, as its owner counts them.
        take: gets what is read from the RTP port.
    """

    __slots__ = (
        "_is_muted",
        "_latch",
        "_net",
        "_stray",
        "address",
        "connected",
        "rtcp",
        "rtp",
        "take",
        "unwanted",
    )

    def __init__(self, net: Net, address: str, rtp_port: int, latch: Latch, take: Take) -> None:
        """
        Raises:
            OSError: a port of the pair is not to be had; neither is kept.
        """
        self._net, self._latch, self.take = net, latch, take
        self.address: Address = (address, rtp_port)
        self.rtp = net.bind(address, rtp_port, has_bursts=True)
        try:
            self.rtcp = net.bind(address, rtp_port + 1)
        except OSError:
            self.rtp.close()
            raise
        self._stray: Socket | None = None
        self.connected: Address | None = None
        self.unwanted = 0
        self._is_muted = False

    def close(self) -> None:
        """Free the ports, and hold on to nobody."""
        for sock in (self.rtp, self.rtcp, self._stray):
            if sock is not None:
                self._net.close(sock)
        self.take = _to_nobody

    # The RTP port.

    def read(self, sock: Socket, now: float) -> None:
        """Take what has come to `rtp` while it is not connected, or to `stray`."""
        # Mostly one has come: to try for another costs as much, and if there is one, the loop comes again.
        for _ in range(STRAYS_A_WAKE if self.unwanted else 1):
            try:
                data, source = sock.recvfrom(MAX_PACKET)
            except OSError:
                return
            self.take(data, source[:2], now)

    def drain(self, now: float, most: int = maxsize) -> None:
        """Take what still waits in the queue of `rtp`, whoever sent it; `most` packets at most."""
        recvfrom, take = self.rtp.recvfrom, self.take
        for _ in range(most):
            try:
                data, source = recvfrom(MAX_PACKET)
            except OSError:
                return
            take(data, source[:2], now)

    def send(self, data: bytes) -> bool:
        """Send the peer a datagram; False: it has not gone out."""
        if self.connected is None:
            if (target := self._latch.target) is None:
                return False
            with suppress(OSError):
                self.rtp.sendto(data, target)
                return True
            return False
        try:
            self.rtp.send(data)
        except OSError:
            return self.send_again(data)
        return True

    def send_again(self, data: bytes | memoryview) -> bool:
        """As `send`, when that has failed once while connected."""
        # That an earlier packet met no one there is what the next call reports; it then sends nothing.
        with suppress(OSError):
            self.rtp.send(data)
            return True
        return False

    def connect(self, now: float) -> None:
        """Let only the peer's packets come to `rtp`, and its own go out by it."""
        target = self._latch.target
        if target is None or target == self.connected:
            return
        try:
            self.rtp.connect(target)
        except OSError:
            self.connected = None  # no route to there: all that comes is looked at one by one
            return
        self.connected = target
        if self._stray is None:
            with suppress(OSError):
                self._stray = self._net.share(self.rtp, *self.address)
                self._net.watch(self._stray, self._take_stray)
        self.drain(now)  # what others sent before is still in the queue

    def follow(self, now: float) -> None:
        """The peer may be elsewhere: connect anew, if connected."""
        if self.connected is not None:
            self.connect(now)

    # Strangers.

    def stem(self, now: float) -> bool:
        """Give the peer's packets a queue of their own when strangers flood this one; True: it was time."""
        if self.unwanted > STRAYS_A_SECOND and self.connected is None:
            self.connect(now)
            return True
        return False

    def forgive(self) -> None:
        """Once a second: strangers are read again."""
        self.unwanted = 0
        if self._is_muted and self._stray is not None:
            self._is_muted = False
            self._net.watch(self._stray, self._take_stray)

    def _take_stray(self, now: float) -> None:
        """Packets on the RTP port from others than the address it is connected to."""
        assert self._stray is not None
        self.read(self._stray, now)
        if self.unwanted > STRAYS_A_SECOND and not self._is_muted:
            self._is_muted = True
            self._net.unwatch(self._stray)


def _to_nobody(_data: bytes, _source: Address, _now: float) -> None:
    pass
