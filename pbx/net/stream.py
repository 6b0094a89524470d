"""SIP over TCP and TLS: one connection, its framing, its limits."""

import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Protocol

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet import error
from twisted.internet.interfaces import IHandshakeListener, IPushProducer
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.python.failure import Failure
from zope.interface import implementer  # type: ignore[import-untyped]  # ships no types

from pbx.net.driver import Scheduler, Timer
from pbx.sip.flow import Flow
from pbx.sip.message import Request, Response
from pbx.sip.parser import MalformedMessageError, Ping, StreamParser

PONG: Final = b"\r\n"  # the answer to a CRLF CRLF keep-alive (RFC 5626 §4.4.1)
LONGEST_LINE_ENDS: Final = 3  # so much can wait for the rest of a keep-alive, for ever

# The kernel notices a dead peer: it probes after 2 minutes of silence; data must be answered within 30 s.
_SOCKET_OPTIONS: Final = (
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 120),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 20),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000),
)

State = Enum("State", "OPENING OPEN CLOSING CLOSED")


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """How much a peer may ask of us. All times are seconds."""

    connections: int = 4000  # accepted ones, of everybody
    per_address: int = 1000  # accepted ones, of one source address or IPv6 /64: an office behind NAT is one
    connect_s: float = 5.0
    handshake_s: float = 30.0  # with the wait for its turn (net/handshakes.py)
    first_message_s: float = 30.0  # from accept to the first whole message
    message_s: float = 10.0  # from the first byte of a message to its last
    idle_s: float = 3600.0  # nothing heard, and nothing lives on the connection
    stalled_s: float = 20.0  # the peer does not read
    stalled_bytes: int = 1024 * 1024  # what we keep for a peer that does not read
    queued_bytes: int = 256 * 1024  # what waits for a connection to be opened
    closing_s: float = 3.0  # from our close to the peer's


class Owner(Protocol):
    """What a connection reports to."""

    limits: StreamLimits
    clock: Scheduler

    def opened(self, connection: "StreamConnection") -> None: ...

    def received(self, connection: "StreamConnection", message: Request | Response) -> None: ...

    def malformed(self, connection: "StreamConnection", what: MalformedMessageError) -> None: ...

    def lost(self, connection: "StreamConnection", why: str) -> None: ...

    def keeps(self, connection: "StreamConnection") -> bool: ...


@implementer(IHandshakeListener, IPushProducer)
class StreamConnection(TwistedProtocol):
    """One connection, accepted or being opened.

    Args:
        owner: is told what happens.
        transport_name: "TCP" or "TLS".
        flow: of a connection that we open; an accepted one finds its own when it is made.
        name: who the server on the other side must prove to be; "" on accepted ones and TCP.
    """

    def __init__(self, owner: Owner, transport_name: str, flow: Flow | None = None, name: str = "") -> None:
        self.transport_name, self.name = transport_name, name
        self.flows: list[Flow] = [] if flow is None else [flow]
        self.is_accepted = flow is None
        self.state = State.OPENING
        self.is_proven = False  # a whole message has come
        self.why = ""  # we closed it, and why
        self._owner: Owner = owner
        self._parser = StreamParser()
        self._queue: list[bytes] = []
        self._queued = 0
        self._stalled_at: float | None = None
        self._partial_at: float | None = None
        self._since = self._heard = owner.clock.seconds()
        self._timer: Timer | None = None
        self._armed = 0.0
        self._watch()

    @property
    def flow(self) -> Flow:
        """The flow that messages from here carry."""
        return self.flows[0]

    # What the pool asks for

    def send(self, data: bytes) -> None:
        """Send, or keep until the connection is open."""
        if self.state is State.OPENING:
            self._queue.append(data)
            self._queued += len(data)
            if self._queued > self._owner.limits.queued_bytes:
                self.abort("too much waits for it to open")
        elif self.state is State.OPEN:
            self._write(data)

    def close(self, why: str) -> None:
        """Send what is still to be sent, then close."""
        if self.state is State.OPENING:
            self.abort(why)
        elif self.state is State.OPEN:
            self.why = why
            self._enter(State.CLOSING)
            transport = self._transport()
            transport.unregisterProducer()
            transport.loseConnection()

    def abort(self, why: str) -> None:
        """Close now; what is unsent is lost."""
        if self.state is State.CLOSED:
            return
        self.why = self.why or why
        if self.transport is None:
            self._end()
        else:
            self._enter(State.CLOSING)
            self._transport().abortConnection()

    def failed(self, reason: Failure) -> None:
        """It could not be opened."""
        self.why = self.why or describe(reason)
        self._end()

    # What Twisted calls

    def connectionMade(self) -> None:  # noqa: N802
        transport = self._transport()
        if self.state is State.CLOSED:  # given up while it was being opened
            transport.abortConnection()
            return
        if self.is_accepted:
            peer, host = transport.getPeer(), transport.getHost()
            self.flows.append(
                Flow(
                    self.transport_name,
                    (peer.host.partition("%")[0], peer.port),
                    (host.host.partition("%")[0], host.port),
                    accepted=True,
                )
            )
        _set_options(transport)
        transport.registerProducer(self, True)
        if self.transport_name == "TCP":
            self._open()
        else:
            self._since = self._owner.clock.seconds()
            self._watch()

    def handshakeCompleted(self) -> None:  # noqa: N802
        self._open()

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        self._heard = self._owner.clock.seconds()
        while self.state is State.OPEN:
            try:
                self._take(data)
            except MalformedMessageError as what:
                self._owner.malformed(self, what)
                if what.is_stream_lost:
                    self.close("what came was no SIP")
                    return
                data = b""  # goes on behind it
            else:
                break
        if self._parser.buffered <= LONGEST_LINE_ENDS:
            self._partial_at = None
        elif self._partial_at is None:
            self._partial_at = self._heard
            self._watch()

    def connectionLost(self, reason: Failure = error.ConnectionDone) -> None:  # type: ignore[assignment]  # noqa: N802
        self.why = self.why or describe(reason)
        self._end()
        self.transport = None  # it knows us as its producer: a circle that only the collector would free

    def pauseProducing(self) -> None:  # noqa: N802
        """The peer does not read as fast as we write."""
        if self._stalled_at is None and self.state is State.OPEN:
            self._stalled_at, self._queued = self._owner.clock.seconds(), 0
            self._watch()

    def resumeProducing(self) -> None:  # noqa: N802
        self._stalled_at = None

    def stopProducing(self) -> None:  # noqa: N802
        """The transport is gone; connectionLost follows."""

    # Inside

    def _transport(self) -> Any:
        return self.transport

    def _open(self) -> None:
        self._enter(State.OPEN)
        queue, self._queue = self._queue, []
        self._queued = 0
        self._owner.opened(self)
        for data in queue:
            self._write(data)

    def _enter(self, state: State) -> None:
        self.state = state
        self._since = self._heard = self._owner.clock.seconds()
        self._watch()

    def _write(self, data: bytes) -> None:
        if self._stalled_at is not None:
            self._queued += len(data)
            if self._queued > self._owner.limits.stalled_bytes:
                self.abort("the peer does not read")
                return
        self._transport().write(data)

    def _take(self, data: bytes) -> None:
        for item in self._parser.feed(data):
            if isinstance(item, Ping):
                self._write(PONG)
            else:
                self.is_proven = True
                self._partial_at = None
                self._owner.received(self, item)
            if self.state is not State.OPEN:
                return

    def _end(self) -> None:
        if self.state is State.CLOSED:
            return
        self.state = State.CLOSED
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._queue.clear()
        self._owner.lost(self, self.why)

    # Time: one timer, moved only when something falls due earlier than it

    def _due(self) -> tuple[float, str]:
        """When this connection has lasted too long, and what to say then."""
        limits = self._owner.limits
        if self.state is State.CLOSING:
            return self._since + limits.closing_s, "the peer did not close"
        if self.state is State.OPENING:
            if self.transport is None:
                return self._since + limits.connect_s, "the peer did not answer"
            return self._since + limits.handshake_s, "the TLS handshake took too long"
        due = [(self._heard + limits.idle_s, "idle")]
        if self.is_accepted and not self.is_proven:
            due.append((self._since + limits.first_message_s, "no message came"))
        if self._partial_at is not None:
            due.append((self._partial_at + limits.message_s, "a message came too slowly"))
        if self._stalled_at is not None:
            due.append((self._stalled_at + limits.stalled_s, "the peer does not read"))
        return min(due)

    def _watch(self) -> None:
        when, _ = self._due()
        if self._timer is not None:
            if self._armed <= when:
                return
            self._timer.cancel()
        clock = self._owner.clock
        self._armed = when
        self._timer = clock.callLater(max(0.0, when - clock.seconds()), self._wake)

    def _wake(self) -> None:
        self._timer = None
        when, why = self._due()
        now = self._owner.clock.seconds()
        if now >= when:
            if why == "idle" and self._owner.keeps(self):
                self._heard = now
            elif why == "idle":
                self.close("nothing came for a long time")
                return
            else:
                self.abort(why)
                return
        self._watch()


class Refused(TwistedProtocol):
    """An accepted connection that is one too many: cut before it costs anything."""

    def connectionMade(self) -> None:  # noqa: N802
        transport: Any = self.transport
        transport.abortConnection()


def _set_options(transport: Any) -> None:
    handle = transport.getHandle() if hasattr(transport, "getHandle") else None
    if isinstance(handle, SSL.Connection):
        handle = transport.transport.getHandle()
    if isinstance(handle, socket.socket):
        with suppress(OSError):  # already gone: connectionLost follows
            for level, option, value in _SOCKET_OPTIONS:
                handle.setsockopt(level, option, value)


def describe(reason: Failure) -> str:
    """Why a connection failed, in words."""
    what = reason.value
    if isinstance(what, VerificationError):
        return f"its certificate is not for {_names(what)}"
    if isinstance(what, SSL.Error):
        return f"TLS: {_openssl_words(what)}"
    for kind, words in _WORDS:
        if isinstance(what, kind):
            return words
    return str(what) or type(what).__name__


def _names(what: VerificationError) -> str:
    wanted = [each.mismatched_id for each in what.errors]
    names = [getattr(each, "hostname", None) or getattr(each, "ip", each) for each in wanted]
    return ", ".join(name.decode() if isinstance(name, bytes) else str(name) for name in names)


def _openssl_words(what: SSL.Error) -> str:
    queue: Sequence[Sequence[str]] = what.args[0] if what.args and isinstance(what.args[0], list) else ()
    return ", ".join(entry[-1] for entry in queue) or "the connection broke"


_WORDS: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (error.ConnectionDone, "the peer closed the connection"),
    (error.ConnectionLost, "the connection broke"),
    (error.ConnectionAborted, "the connection was cut"),
    (error.ConnectionRefusedError, "connection refused"),
    (error.TimeoutError, "the peer did not answer"),
    (error.TCPTimedOutError, "the peer did not answer"),
    (error.NoRouteError, "no route to the peer"),
)
