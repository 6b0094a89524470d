"""Twisted's TLS on a stream, without what it leaves behind, and with a brake on who calls us."""

from typing import Any, Final

from twisted.internet.protocol import Factory
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory
from twisted.python.failure import Failure

from pbx.net.handshakes import Handshakes
from pbx.net.tls import ServerCertificate
from pbx.sip.attempts import network_of

FIRST_BYTES: Final = 4096  # so much is read at once before the handshake is done, and kept until its turn


class _TlsTransport(BufferingTLSTransport):
    def _tlsShutdownFinished(self, reason: Failure | None) -> None:  # noqa: N802
        """A peer that goes without a close_notify (no power, no network, bad manners) is a Failure here.

        It and the frame that made it hold each other, and with them 50 kB of OpenSSL's, until the collector
        comes, which is seldom: some hundred MB in the hands of who connects and vanishes all the time.
        """
        super()._tlsShutdownFinished(reason)  # type: ignore[no-untyped-call]  # Twisted's
        if reason is not None:
            reason.cleanFailure()  # type: ignore[no-untyped-call]  # Twisted's


class TlsFactory(TLSMemoryBIOFactory):
    """Puts TLS below the protocols of another factory."""

    protocol = _TlsTransport


class _AcceptedTls(_TlsTransport):
    """Until its handshake is done, what comes waits for its turn, and nothing further is read."""

    _early = b""

    def makeConnection(self, transport: Any) -> None:  # noqa: N802
        self._network = network_of(transport.getPeer().host)
        transport.bufferSize, self._full_size = FIRST_BYTES, transport.bufferSize
        super().makeConnection(transport)  # type: ignore[no-untyped-call]  # Twisted's

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        if self._handshakeDone:
            super().dataReceived(data)  # type: ignore[no-untyped-call]  # Twisted's
            return
        self._early = data
        self._transport().pauseProducing()
        self._turns().wait(self._network, self)

    def go_on(self) -> None:
        """Its turn has come."""
        transport, data, self._early = self._transport(), self._early, b""
        try:
            super().dataReceived(data)  # type: ignore[no-untyped-call]  # Twisted's
        except BaseException:
            transport.abortConnection()  # as the reactor does with who fails while it reads
            raise
        if self._handshakeDone:
            transport.bufferSize = self._full_size
        transport.resumeProducing()

    def abortConnection(self) -> None:  # noqa: N802
        self._turns().leave(self._network, self)
        super().abortConnection()  # type: ignore[no-untyped-call]  # Twisted's

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]  # noqa: N802
        self._turns().leave(self._network, self)
        super().connectionLost(reason)

    def _transport(self) -> Any:
        return self.transport

    def _turns(self) -> Handshakes:
        factory: Any = self.factory
        turns: Handshakes = factory.handshakes
        return turns


class AcceptingTlsFactory(TLSMemoryBIOFactory):
    """Puts TLS below those who connect to us.

    Args:
        certificate: ours.
        wrapped: makes the protocols above.
        clock: a reactor.
        handshakes: says whose turn it is.
    """

    protocol = _AcceptedTls

    def __init__(
        self,
        certificate: ServerCertificate,
        wrapped: Factory,
        clock: Any,
        handshakes: Handshakes,
    ) -> None:
        super().__init__(certificate, False, wrapped, clock)  # type: ignore[arg-type]  # a factory by duck
        self.handshakes = handshakes
