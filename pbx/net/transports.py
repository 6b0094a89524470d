"""Every SIP socket of the server: listens where the configuration says, sends where a flow leads."""

import socket
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Final, Generic, NamedTuple, TypeVar

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.logger import Logger

from pbx.net.addresses import LocalAddresses
from pbx.net.driver import Driver, SipMachine
from pbx.net.handshakes import Handshakes
from pbx.net.load import LoadGauge, LoadUser
from pbx.net.locate import DEFAULT_PORT, Reach, Target
from pbx.net.pool import StreamPool
from pbx.net.sockets import Endpoint, listen, parse_endpoint
from pbx.net.stream import StreamLimits
from pbx.net.stream_port import StreamPort
from pbx.net.tls import ServerCertificate, TrustedServers
from pbx.net.tls_layer import AcceptingTlsFactory
from pbx.net.udp import UdpPort
from pbx.sip.flow import Flow
from pbx.sip.message import Request, Response
from pbx.sip.parser import MalformedMessageError
from pbx.sip.transaction.types import Send

NAMES: Final = 4096

EffectT = TypeVar("EffectT")

log: Final = Logger()


class Listening(NamedTuple):
    """One place where we listen; the port is the real one also when 0 was configured."""

    transport: str
    host: str
    port: int


class Transports(Generic[EffectT]):
    """Listens, sends and closes; what comes in becomes steps of the machine.

    Args:
        reactor: Twisted's.
        driver, machine: what comes in is a step of `machine`, taken by `driver`.
        addresses: chooses the source address towards a peer.
        trusted: verifies the TLS servers that we connect to.
        limits: see StreamLimits.
        load: is told how long what comes in waits for its turn.
    """

    def __init__(
        self,
        reactor: Any,
        driver: Driver[EffectT],
        machine: SipMachine[EffectT],
        addresses: LocalAddresses,
        *,
        trusted: TrustedServers | None = None,
        limits: StreamLimits | None = None,
        load: LoadUser | None = None,
    ) -> None:
        self._reactor, self._driver, self._machine = reactor, driver, machine
        self._addresses = addresses
        self._streams = StreamPool(reactor, self, (trusted or TrustedServers(None)).expect, limits)
        self._handshakes = Handshakes(reactor)
        self._udp: list[UdpPort] = []
        self._udp_of: dict[tuple[str, int], UdpPort] = {}  # what _udp_port found, by Flow.local
        self._ports: list[Any] = []  # IListeningPort, of streams
        self._names: dict[tuple[str, int], str] = {}
        self._gauge = None if load is None else LoadGauge(reactor, load, self._screen)
        self.listening: tuple[Listening, ...] = ()

    def listen(
        self,
        udp: Iterable[str] = (),
        tcp: Iterable[str] = (),
        tls: Iterable[str] = (),
        certificate: ServerCertificate | None = None,
    ) -> None:
        """Open every listening socket; all or none. Texts are as in [sip] of pbx.toml: "0.0.0.0:5060".

        Raises:
            ConfigError: one cannot be opened; the message names it, the key and the way out.
        """
        try:
            for text in udp:
                self._listen_udp(parse_endpoint(text, "sip.udp"))
            for text in tcp:
                self._listen_stream("TCP", parse_endpoint(text, "sip.tcp"), None)
            for text in tls:
                self._listen_stream("TLS", parse_endpoint(text, "sip.tls"), certificate)
        except BaseException:
            self._stop_listening()
            self._close_udp()
            raise
        if self._gauge is not None:
            self._gauge.start(self._udp)

    def send(self, data: bytes, flow: Flow) -> None:
        """Send one rendered message; a failure comes back as the machine's `flow_lost`."""
        if flow.transport != "UDP":
            self._streams.send(data, flow, self._names.get(flow.peer, "") if flow.transport == "TLS" else "")
            return
        port = self._udp_of.get(flow.local) or self._udp_port(flow)
        why = "no UDP socket of this kind is open" if port is None else port.send(data, flow)
        if why is not None:
            self.lost(flow, why)

    def close(self, flow: Flow) -> None:
        """Close the stream of `flow`, after what is still to be sent; nothing for UDP."""
        if flow.transport != "UDP":
            self._streams.close(flow)

    def flow_to(self, transport: str, peer: tuple[str, int], name: str = "") -> Flow | None:
        """The flow to a peer that has not called us, or None when there is no way to it.

        Args:
            transport: "UDP", "TCP" or "TLS".
            peer: address literal and port.
            name: the domain that a TLS server there must prove to be (RFC 5922 §4); its address when empty.

        Returns:
            A flow whose `local` is the address we send from and the port we listen on for that transport,
            which is what Via and Contact have to say.
        """
        source = self._addresses.source_for(peer[0])
        if source is None:
            return None
        local = self._local_for(transport, source)
        if local is None:
            return None
        if transport == "TLS" and name:
            if len(self._names) >= NAMES:
                self._names.clear()
            self._names[peer] = name
        return Flow(transport, peer, local)

    def flows_to(self, targets: Iterable[Target]) -> list[Flow]:
        """The flows to `targets` (resolve's) in their order, without those that cannot be reached."""
        flows = (self.flow_to(target.transport, target.peer, target.name) for target in targets)
        return [flow for flow in flows if flow is not None]

    @property
    def reach(self) -> Reach:
        """What a Resolver should look for: UDP and each family only where we listen, streams always."""
        hosts = [each.host for each in self.listening]
        has_udp = any(each.transport == "UDP" for each in self.listening)
        return Reach(
            ("UDP", "TCP", "TLS") if has_udp else ("TCP", "TLS"),
            ipv4=not hosts or any(":" not in host for host in hosts),
            ipv6=not hosts or any(":" in host for host in hosts),
        )

    def stop(self) -> "Deferred[None]":
        """Stop in order: accept nothing new, flush and close the streams, close UDP. Fires at the end."""
        if self._gauge is not None:
            self._gauge.stop()
        stopped = self._stop_listening()
        stopped.addCallback(lambda _: self._streams.stop())
        stopped.addCallback(self._close_udp)
        return stopped

    # What the streams report (StreamUser)

    def message(self, message: Request | Response, flow: Flow) -> None:
        self._driver.run(self._machine.receive_message, message, flow)

    def malformed(self, what: MalformedMessageError, flow: Flow) -> None:
        self._driver.run(self._machine.receive_malformed, what, flow)

    def lost(self, flow: Flow, why: str) -> None:
        self._driver.run(self._machine.flow_lost, flow, why)

    def keeps(self, flow: Flow) -> bool:
        return self._machine.keeps(flow)

    # Inside

    def _screen(self, batch: Sequence[tuple[bytes, Flow]], wait_s: float) -> None:
        """In overload: what is turned away goes first and in a row; code that has just run runs fastest."""
        answers: Sequence[Send] = ()
        try:
            answers, passed = self._machine.screen_batch(batch, wait_s, self._reactor.seconds())
        except Exception:
            log.failure("screening failed")
            passed = [(self._machine.receive, data, flow) for data, flow in batch]
        for answer in answers:
            self.send(answer.data, answer.flow)
        for step, data, flow in passed:
            self._driver.take(step, data, flow)

    def _listen_udp(self, endpoint: Endpoint) -> None:
        receive = partial(self._driver.take, self._machine.receive)
        port = UdpPort(endpoint, receive, self._reactor, self._driver.settle)
        self._udp.append(port)
        self._add("UDP", endpoint, port.port)

    def _listen_stream(
        self, transport: str, endpoint: Endpoint, certificate: ServerCertificate | None
    ) -> None:
        factory: Any = self._streams.accept(transport)
        if certificate is not None:
            factory = AcceptingTlsFactory(certificate, factory, self._reactor, self._handshakes)
        with listen(endpoint, socket.SOCK_STREAM) as listener:
            number: int = listener.getsockname()[1]
            self._ports.append(StreamPort.on(listener, factory, self._reactor))
        self._add(transport, endpoint, number)

    def _add(self, transport: str, endpoint: Endpoint, port: int) -> None:
        self.listening += (Listening(transport, endpoint.host, port),)
        log.info(
            "listening on {transport} {endpoint}", transport=transport, endpoint=endpoint._replace(port=port)
        )

    def _udp_port(self, flow: Flow) -> UdpPort | None:
        """The socket the flow came by; else one able to send from its address; else one of its family."""
        host, number = flow.local
        able = [port for port in self._udp if port.can_send(host)]
        able += [port for port in self._udp if port.is_ipv6 == (":" in flow.peer[0])]
        found = next((port for port in able if port.port == number), able[0] if able else None)
        if found is not None and len(self._udp_of) < NAMES:
            self._udp_of[flow.local] = found
        return found

    def _local_for(self, transport: str, source: str) -> tuple[str, int] | None:
        family = [each for each in self.listening if (":" in each.host) == (":" in source)]
        ours = [each for each in family if each.transport == transport]
        for each in ours:
            if each.host == source:
                return source, each.port
        for each in ours:
            if each.host in ("0.0.0.0", "::"):  # noqa: S104
                return source, each.port
        if transport == "UDP":
            return (ours[0].host, ours[0].port) if ours else None
        # A stream can be opened from anywhere; the port is only where we say that we listen.
        port = ours[0].port if ours else DEFAULT_PORT[transport]
        return source, port

    def _stop_listening(self) -> "Deferred[Any]":
        ports: Sequence[Any] = self._ports
        self._ports = []
        self.listening = ()
        return DeferredList([maybeDeferred(port.stopListening) for port in ports], consumeErrors=True)

    def _close_udp(self, _: object = None) -> None:
        self._udp_of.clear()
        for port in self._udp:
            port.close()
        self._udp.clear()
