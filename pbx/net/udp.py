"""SIP over UDP: whole batches in one wake-up, answers from the address that was asked."""

import errno
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from fcntl import ioctl
from itertools import islice
from typing import Any, Final, Protocol

from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer  # type: ignore[import-untyped]  # ships no types

from pbx.net.sockets import Endpoint, listen
from pbx.sip.flow import Flow

BATCH: Final = 32  # datagrams in one wake-up: timers and streams get their turn after that
MAX_DATAGRAM: Final = 65536
SHORTEST: Final = 20  # less is a keep-alive (CRLF, a zero byte), never a message
FLOWS: Final = 8192

# Linux's <netinet/in.h>; the socket module names only the IPv6 ones.
IP_PKTINFO: Final = 8
_PKTINFO: Final = struct.Struct("=I4s4s")  # interface, local address, address in the IP header
_PKTINFO6: Final = struct.Struct("=16sI")  # address, interface
_ROOM: Final = socket.CMSG_SPACE(max(_PKTINFO.size, _PKTINFO6.size))

# <linux/sockios.h> and <asm-generic/socket.h>: when the datagram taken last came in; figures of the socket.
SIOCGSTAMPNS: Final = 0x8907
SO_MEMINFO: Final = 55
_TIMESPEC: Final = struct.Struct("@ll")
_MEMINFO: Final = struct.Struct("@9I")
_DROPS: Final = 8  # its index
# Datagrams are lost for want of room: a smaller buffer must not look like less of a load.
OVERFLOW_S: Final = 0.2

_TRANSIENT: Final = frozenset({errno.ECONNREFUSED, errno.EINTR, errno.EHOSTUNREACH, errno.ENETUNREACH})
_AGAIN: Final = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOBUFS})
# What kernels say when they are to send from an address that they do not have (the last: also otherwise).
_FOREIGN_SOURCE: Final = frozenset({errno.EINVAL, errno.EADDRNOTAVAIL, errno.ENETUNREACH})

Address = tuple[str, int] | tuple[str, int, int, int]

log: Final = Logger()


class ReaderSet(Protocol):
    """The part of a reactor that watches descriptors (IReactorFDSet)."""

    def addReader(self, reader: Any) -> object: ...  # noqa: N802

    def removeReader(self, reader: Any) -> object: ...  # noqa: N802


@implementer(IReadDescriptor)
class UdpPort:
    """One bound UDP socket.

    Args:
        endpoint: where; on a wildcard address each datagram's own destination becomes `Flow.local`.
        receive: takes each datagram.
        reactor: watches the socket.
        settle: is called when a batch is over.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        receive: Callable[[bytes, Flow], None],
        reactor: ReaderSet,
        settle: Callable[[], None] = lambda: None,
    ) -> None:
        self._receive, self._reactor, self._settle = receive, reactor, settle
        self._socket = listen(endpoint, socket.SOCK_DGRAM)
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self.family = endpoint.family
        self.host: str = endpoint.host
        self.port: int = self._socket.getsockname()[1]
        self.is_wildcard = endpoint.is_wildcard
        # In overload: takes each batch instead of `receive`, with how long its first has waited, seconds.
        self.screen: Callable[[Sequence[tuple[bytes, Flow]], float], None] | None = None
        self._wait_s: float | None = None  # the least since `take_wait`
        self._is_empty = True
        self._lost = 0
        self._flows: dict[tuple[Address, bytes], Flow] = {}
        self._scopes: dict[str, int] = {}  # of link-local peers, which a Flow does not carry
        self._origins: dict[str, list[tuple[int, int, bytes]]] = {}
        if self.is_wildcard:
            if self.family == socket.AF_INET6:
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            else:
                self._socket.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        reactor.addReader(self)

    def fileno(self) -> int:
        return self._socket.fileno()

    def logPrefix(self) -> str:  # noqa: N802
        return "SIP/UDP"

    def doRead(self) -> None:  # noqa: N802
        """Take what has come in, at most a batch of it."""
        try:
            if self.screen is None:
                receive = self._receive
                for data, flow in self._batch():
                    receive(data, flow)
            else:
                self._screen_batch(self.screen)
            if not self._is_empty:
                age_s = self._age()  # others wait behind it
                self._wait_s = age_s if self._wait_s is None else min(self._wait_s, age_s)
        finally:
            self._settle()

    def _screen_batch(self, screen: Callable[[Sequence[tuple[bytes, Flow]], float], None]) -> None:
        coming = self._batch()
        batch = list(islice(coming, 1))
        if batch:
            age_s = self._age()
            batch += coming
            screen(batch, age_s)

    def _batch(self) -> Iterator[tuple[bytes, Flow]]:
        """The next datagrams; notes whether there are more."""
        recvmsg, flows = self._socket.recvmsg, self._flows
        self._is_empty = True
        for number in range(BATCH):
            # Mostly there was one: to ask costs 0.7 microseconds, the exception 2.5.
            if number == 1 and not self._poll.poll(0):
                self._wait_s = 0.0
                return
            try:
                data, controls, _, peer = recvmsg(MAX_DATAGRAM, _ROOM)
            except BlockingIOError:
                self._wait_s = 0.0
                return
            except OSError as error:
                if error.errno in _TRANSIENT:
                    continue  # an ICMP answer to something sent earlier
                log.error("UDP port {port} cannot read: {why}", port=self.port, why=str(error))
                return
            if len(data) < SHORTEST:
                continue
            info = controls[0][2] if controls else b""
            yield data, flows.get((peer, info)) or self._make_flow(peer, info)
        self._is_empty = False

    def take_wait(self) -> float:
        """How long datagrams waited in the socket since this was asked last, the least of all: seconds."""
        wait_s, self._wait_s = self._wait_s or 0.0, None
        lost = _MEMINFO.unpack(self._socket.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, _MEMINFO.size))[_DROPS]
        is_losing, self._lost = lost > self._lost, lost
        # What is lost while the socket empties time and again is a burst, or has a wrong checksum.
        return max(wait_s, OVERFLOW_S) if is_losing and wait_s else wait_s

    def connectionLost(self, reason: Failure) -> None:  # noqa: N802
        """The reactor saw an error on the descriptor: not expected of an unconnected socket."""
        log.error("UDP port {port} is gone: {why}", port=self.port, why=reason.getErrorMessage())
        self.close()

    @property
    def is_ipv6(self) -> bool:
        return self.family == socket.AF_INET6

    def can_send(self, local: str) -> bool:
        """Whether `local` can be the source of what this socket sends."""
        return self.host == local or (self.is_wildcard and self.is_ipv6 == (":" in local))

    def send(self, data: bytes, flow: Flow) -> str | None:
        """Send from `flow.local` to `flow.peer`; what comes back is why it could not be sent, in words."""
        peer: Address = flow.peer
        if self._scopes and (scope := self._scopes.get(peer[0])) is not None:
            peer = (peer[0], peer[1], 0, scope)
        try:
            if self.is_wildcard:
                self._socket.sendmsg((data,), self._origin(flow.local[0]), 0, peer)
            else:
                self._socket.sendto(data, peer)
        except OSError as error:
            if error.errno in _AGAIN:
                return None  # UDP may lose, and transactions repeat
            if error.errno == errno.ECONNREFUSED:
                return None  # about an earlier datagram
            if error.errno in _FOREIGN_SOURCE and self.is_wildcard:
                return self._send_from_anywhere(data, peer)
            return error.strerror or str(error)
        return None

    def close(self) -> None:
        """Stop listening; nothing can be sent any more."""
        if self._socket.fileno() >= 0:
            self._reactor.removeReader(self)
            self._socket.close()

    def _age(self) -> float:
        """How long the datagram that was taken last has been here, seconds."""
        seconds, nanoseconds = _TIMESPEC.unpack(ioctl(self._socket, SIOCGSTAMPNS, bytes(_TIMESPEC.size)))
        age_s: float = time.time() - seconds - nanoseconds * 1e-9
        return max(0.0, age_s)

    def _send_from_anywhere(self, data: bytes, peer: Address) -> str | None:
        """The flow's local address is no longer ours (a restored flow, a new lease): take the route's."""
        try:
            self._socket.sendto(data, peer)
        except OSError as error:
            return error.strerror or str(error)
        return None

    def _make_flow(self, peer: Address, info: bytes) -> Flow:
        host = peer[0].partition("%")[0]
        flow = Flow("UDP", (host, peer[1]), (self._local(info), self.port))
        if len(self._flows) >= FLOWS:
            self._flows.clear()
            if len(self._scopes) >= FLOWS:
                self._scopes.clear()
        if len(peer) == 4 and peer[3]:
            self._scopes[host] = peer[3]
        self._flows[peer, info] = flow
        return flow

    def _local(self, info: bytes) -> str:
        if len(info) == _PKTINFO.size:
            return socket.inet_ntop(socket.AF_INET, _PKTINFO.unpack(info)[1])
        if len(info) == _PKTINFO6.size:
            return socket.inet_ntop(socket.AF_INET6, _PKTINFO6.unpack(info)[0])
        return self.host

    def _origin(self, local: str) -> list[tuple[int, int, bytes]]:
        """The control message that makes the kernel send from `local`."""
        if (origin := self._origins.get(local)) is None:
            packed = socket.inet_pton(self.family, local)
            if self.family == socket.AF_INET6:
                # Interface 0: the scope of the destination decides.
                origin = [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, _PKTINFO6.pack(packed, 0))]
            else:
                origin = [(socket.IPPROTO_IP, IP_PKTINFO, _PKTINFO.pack(0, packed, bytes(4)))]
            if len(self._origins) >= 256:
                self._origins.clear()
            self._origins[local] = origin
        return origin
