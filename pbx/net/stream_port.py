"""A listening socket of streams that leaves the core to others."""

import socket
from typing import Any, Final

from twisted.internet.tcp import Port

ACCEPTS: Final = 8  # connections taken in one turn of the reactor; each costs 0.1 to 1 ms


class StreamPort(Port):
    """Takes a few connections at a time.

    Twisted's own takes 100, and 20 more each time that was not enough: soon all that wait, up to BACKLOG.
    One host that connects and closes in a tight loop held up everybody by 0.2 to 0.8 s so.
    """

    @classmethod
    def on(cls, listener: socket.socket, factory: Any, reactor: Any) -> "StreamPort":
        """Accept on a copy of `listener`, as IReactorSocket.adoptStreamPort does."""
        port: StreamPort = cls._fromListeningDescriptor(reactor, listener.fileno(), listener.family, factory)  # type: ignore[no-untyped-call]  # Twisted's
        port.startListening()
        return port

    def doRead(self) -> None:  # noqa: N802
        self.numberAccepts = min(self.numberAccepts, ACCEPTS)
        super().doRead()  # type: ignore[no-untyped-call]  # Twisted's
