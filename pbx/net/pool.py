"""All streams: those that peers opened and those we opened, found by flow."""

from collections import Counter
from collections.abc import Callable
from itertools import islice
from math import inf
from typing import Any, Final, Protocol

from twisted.internet import error
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.protocol import ClientFactory, Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from pbx.net.driver import Scheduler
from pbx.net.stream import Refused, State, StreamConnection, StreamLimits
from pbx.net.tls_layer import TlsFactory
from pbx.sip.attempts import network_of
from pbx.sip.flow import Flow
from pbx.sip.message import Request, Response
from pbx.sip.parser import MalformedMessageError

log: Final = Logger()

Key = tuple[str, tuple[str, int], str]  # transport, peer, name that the server must prove

MOST_ASKED: Final = 10  # connections, whether anybody has a use for them, before a new one is refused
FULL_S: Final = 60.0  # between two lines in the log that say so


class Connector(Protocol):
    """An attempt to connect (IConnector)."""

    def disconnect(self) -> None: ...


class StreamReactor(Scheduler, Protocol):
    """The part of a reactor that opens connections and tells the time (IReactorTCP, IReactorTime)."""

    def connectTCP(  # noqa: N802
        self,
        host: str,
        port: int,
        factory: Any,
        timeout: float = ...,
        bindAddress: tuple[str, int] | None = ...,  # noqa: N803
    ) -> Connector: ...


class StreamUser(Protocol):
    """Who uses the pool."""

    def message(self, message: Request | Response, flow: Flow) -> None: ...

    def malformed(self, what: MalformedMessageError, flow: Flow) -> None: ...

    def lost(self, flow: Flow, why: str) -> None: ...

    def keeps(self, flow: Flow) -> bool: ...


class StreamPool:
    """Sends over the connection that a flow names; opens it when it is ours to open.

    Args:
        reactor: connects and tells the time.
        user: is told what comes in and what is lost.
        expect: makes TLS connections to a server that must prove a name.
        limits: see StreamLimits.
    """

    def __init__(
        self,
        reactor: StreamReactor,
        user: StreamUser,
        expect: Callable[[str], IOpenSSLClientConnectionCreator],
        limits: StreamLimits | None = None,
    ) -> None:
        self.clock: Scheduler = reactor
        self.limits = limits or StreamLimits()
        self._reactor, self._user, self._expect = reactor, user, expect
        self._accepted: dict[Flow, StreamConnection] = {}
        self._outgoing: dict[Key, StreamConnection] = {}
        self._connectors: dict[StreamConnection, Connector] = {}
        self._all: dict[StreamConnection, None] = {}  # in the order of their birth
        self._per_address: Counter[str] = Counter()
        self._addresses: dict[StreamConnection, str] = {}  # of accepted ones, as `network_of` has them
        self._told_full = -inf
        self._is_stopping = False
        self._emptied: Deferred[None] | None = None

    def __len__(self) -> int:
        return len(self._all)

    # Sending

    def send(self, data: bytes, flow: Flow, name: str = "") -> None:
        """Send over `flow`; `name` is who a TLS server must prove to be, its address when empty."""
        connection = self._accepted.get(flow) if flow.accepted else self._find(flow, name)
        if connection is None:
            if flow.accepted:
                self._user.lost(flow, "the connection is gone")
                return
            if self._is_stopping or len(self._outgoing) >= self.limits.connections:
                self._user.lost(flow, "no further connection is opened")
                return
            connection = self._connect(flow, name)
        connection.send(data)

    def close(self, flow: Flow, why: str = "closed by us") -> None:
        """Close the connection of `flow`, if there is one, after what is still to be sent."""
        candidates = [self._accepted.get(flow)] if flow.accepted else list(self._outgoing.values())
        for connection in candidates:
            if connection is not None and flow in connection.flows:
                connection.close(why)

    def stop(self) -> "Deferred[None]":
        """Close every connection; fires when the last is gone, which closing_s bounds."""
        self._is_stopping = True
        self._emptied = Deferred()
        for connection in list(self._all):
            connection.close("the server is stopping")
        emptied = self._emptied
        self._tell_emptied()
        return emptied

    # Accepting

    def accept(self, transport_name: str) -> Factory:
        """A factory for a listening port."""
        return _Acceptor(self, transport_name)

    def make_accepted(self, transport_name: str, host: str) -> StreamConnection | Refused:
        """A protocol for a connection that `host` opened."""
        host = network_of(host)
        if self._is_stopping or not self._has_room(host):
            return Refused()
        connection = StreamConnection(self, transport_name)
        self._all[connection] = None
        self._addresses[connection] = host
        self._per_address[host] += 1
        return connection

    def _has_room(self, host: str) -> bool:
        if self._per_address[host] >= self.limits.per_address:
            if not self._evict(host):
                log.debug("{host} has too many connections", host=host)
                return False
        elif len(self._addresses) >= self.limits.connections and not self._evict():
            if self.clock.seconds() - self._told_full >= FULL_S:
                self._told_full = self.clock.seconds()
                log.warn(
                    "no connection accepted from {host}: {count} are open", host=host, count=len(self._all)
                )
            return False
        return True

    def _evict(self, host: str = "") -> bool:
        """End the oldest connection (of `host`) that has said nothing yet, else one on which nothing lives.

        Returns:
            There is one less now.
        """
        silent = (each for each, of in self._addresses.items() if not each.is_proven and host in ("", of))
        stranger = next(silent, None) or self._unused(host)
        if stranger is None:
            return False
        stranger.abort("its place is needed")
        self._forget_accepted(stranger)  # its end may be told later
        return True

    def _unused(self, host: str) -> StreamConnection | None:
        """One of the oldest on which nothing lives: anybody gets an answer, and could stay for that."""
        mine = (each for each, of in self._addresses.items() if host in ("", of))
        for connection in list(islice(mine, MOST_ASKED)):
            if not self.keeps(connection):
                return connection
            self._addresses[connection] = self._addresses.pop(connection)  # others are asked the next time
        return None

    # What connections report

    def opened(self, connection: StreamConnection) -> None:
        if connection.is_accepted:
            self._accepted[connection.flow] = connection
            # Who has waited for his handshake is the youngest of those that have said nothing yet.
            self._addresses[connection] = self._addresses.pop(connection)

    def received(self, connection: StreamConnection, message: Request | Response) -> None:
        self._user.message(message, connection.flow)

    def malformed(self, connection: StreamConnection, what: MalformedMessageError) -> None:
        self._user.malformed(what, connection.flow)

    def keeps(self, connection: StreamConnection) -> bool:
        return any(self._user.keeps(flow) for flow in connection.flows)

    def lost(self, connection: StreamConnection, why: str) -> None:
        self._all.pop(connection, None)
        self._forget_accepted(connection)
        flows = tuple(connection.flows)
        log.debug(
            "{transport} to {flows} lost: {why}", transport=connection.transport_name, flows=flows, why=why
        )
        if not connection.is_accepted:
            self._drop_outgoing(connection)
        elif flows and self._accepted.get(flows[0]) is connection:
            del self._accepted[flows[0]]
        else:
            flows = ()  # never open: nobody knows of it
        for flow in flows:
            self._user.lost(flow, why)
        self._tell_emptied()

    # Inside

    def _find(self, flow: Flow, name: str) -> StreamConnection | None:
        key = (flow.transport, flow.peer, name)
        connection = self._outgoing.get(key)
        if connection is None and (not name or flow.transport != "TLS"):
            # A phone whose Contact is the port it called from; a name to prove cannot be proven there.
            connection = self._accepted.get(flow._replace(accepted=True))
        if connection is None or connection.state in (State.CLOSING, State.CLOSED):
            return None
        if flow not in connection.flows:
            connection.flows.append(flow)
        return connection

    def _connect(self, flow: Flow, name: str) -> StreamConnection:
        is_tls = flow.transport == "TLS"
        proof = (name or flow.peer[0]) if is_tls else ""
        connection = StreamConnection(self, flow.transport, flow, proof)
        self._outgoing[flow.transport, flow.peer, name] = connection
        self._all[connection] = None
        factory: Any = _Opener(connection)
        if is_tls:
            factory = TlsFactory(self._expect(proof), True, factory, self._reactor)  # type: ignore[arg-type]  # a reactor by duck
        self._connectors[connection] = self._reactor.connectTCP(
            flow.peer[0],
            flow.peer[1],
            factory,
            timeout=self.limits.connect_s + 1,  # the connection itself gives up first, in our words
            bindAddress=(flow.local[0], 0),
        )
        return connection

    def _drop_outgoing(self, connection: StreamConnection) -> None:
        for key in [key for key, each in self._outgoing.items() if each is connection]:
            del self._outgoing[key]
        connector = self._connectors.pop(connection, None)
        if connector is not None and connection.transport is None:
            connector.disconnect()

    def _forget_accepted(self, connection: StreamConnection) -> None:
        host = self._addresses.pop(connection, None)
        if host is not None:
            self._per_address[host] -= 1
            if not self._per_address[host]:
                del self._per_address[host]

    def _tell_emptied(self) -> None:
        if self._emptied is not None and not self._all:
            emptied, self._emptied = self._emptied, None
            emptied.callback(None)


class _Acceptor(Factory):
    noisy = False

    def __init__(self, pool: StreamPool, transport_name: str) -> None:
        self._pool, self._transport_name = pool, transport_name

    def buildProtocol(self, addr: Any) -> StreamConnection | Refused:  # noqa: N802
        host: str = addr.host  # of an IPv4Address or IPv6Address
        return self._pool.make_accepted(self._transport_name, host.partition("%")[0])

    def logPrefix(self) -> str:  # noqa: N802
        return f"SIP/{self._transport_name}"


class _Opener(ClientFactory):
    noisy = False

    def __init__(self, connection: StreamConnection) -> None:
        self._connection = connection

    def buildProtocol(self, addr: Any) -> StreamConnection:  # noqa: ARG002, N802
        return self._connection

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:  # noqa: N802
        if isinstance(reason.value, error.ConnectBindError) and connector.bindAddress is not None:
            # The flow's local address is no longer ours (a restored flow, a new lease): take the route's.
            connector.bindAddress = None
            connector.connect()
        else:
            self._connection.failed(reason)
