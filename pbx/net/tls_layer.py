"""Twisted's TLS on a stream, without what it leaves behind."""

from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory
from twisted.python.failure import Failure


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
