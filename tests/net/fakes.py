"""Stand-ins for Twisted's transports and reactor, and builders of what goes over them."""

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.testing import MemoryReactorClock, StringTransport
from zope.interface import implementer

from pbx.net.pool import StreamPool
from tests.support.messages import make_request

PEER = ("192.0.2.77", 40000)
OURS = ("192.0.2.5", 5060)


class Wire(StringTransport):
    """A connection in memory: what was written is in value(); aborting and closing are noted."""

    def __init__(self, peer=PEER, local=OURS) -> None:
        super().__init__(IPv4Address("TCP", *local), IPv4Address("TCP", *peer))
        self.is_aborted = False

    def abortConnection(self) -> None:  # noqa: N802
        self.is_aborted = True
        super().abortConnection()

    def take(self) -> bytes:
        value = self.value()
        self.clear()
        return value


class Notes:
    """A user of the pool that writes everything down."""

    def __init__(self) -> None:
        self.seen = []
        self.kept = set()
        self.on_message = None

    def message(self, message, flow):
        self.seen.append(("message", getattr(message, "method", None) or message.status, flow))
        if self.on_message is not None:
            self.on_message(message, flow)

    def malformed(self, what, flow):
        self.seen.append(("malformed", what.field, flow))

    def lost(self, flow, why):
        self.seen.append(("lost", flow, why))

    def keeps(self, flow):
        return flow in self.kept

    def kinds(self):
        return [note[0] for note in self.seen]


@implementer(IOpenSSLClientConnectionCreator)
class Creator:
    """Stands for TLS towards a server that must prove a name."""

    def __init__(self, name):
        self.name = name

    def clientConnectionForTLS(self, _protocol):  # noqa: N802
        raise NotImplementedError("no handshake is made in memory")


def make_pool(limits=None):
    reactor, notes = MemoryReactorClock(), Notes()
    return StreamPool(reactor, notes, Creator, limits), reactor, notes


def make_message(**values) -> bytes:
    """A whole request, as it comes over a stream."""
    return make_request("OPTIONS", **values).render()
