"""The core's end of one worker's socket: what is said at one time goes out in one piece."""

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from twisted.python.failure import Failure

from pbx.media.wire import Decoder

CHUNK: Final = 65_536


class Link:
    """A descriptor of the reactor's own kind: through a transport each send costs two more system calls."""

    def __init__(
        self,
        number: int,
        sock: socket.socket,
        reactor: Any,
        received: Callable[["Link", bytes], None],
        lost: Callable[["Link", str], None],
    ) -> None:
        sock.setblocking(False)
        self.number, self.decoder = number, Decoder()
        self._socket, self._reactor = sock, reactor
        self._received, self._lost = received, lost
        self._unsent: list[bytes] = []
        self._is_blocked = self._is_finished = self._is_closed = False
        reactor.addReader(self)

    def tell(self, data: bytes) -> None:
        """Send with the next `flush`."""
        self._unsent.append(data)

    def flush(self) -> None:
        """Send what the socket takes."""
        if self._unsent and not self._is_blocked:
            self.doWrite()

    def finish(self) -> None:
        """Say that no order follows; the worker then ends."""
        self._is_finished = True
        if not self._is_blocked:
            self.doWrite()

    def abort(self) -> None:
        """Be done with it."""
        if not self._is_closed:
            self._is_closed = True
            self._reactor.removeReader(self)
            self._reactor.removeWriter(self)
            self._socket.close()

    # Called by the reactor.

    def fileno(self) -> int:
        return self._socket.fileno()

    def logPrefix(self) -> str:  # noqa: N802
        return f"media worker {self.number}"

    def doRead(self) -> None:  # noqa: N802
        try:
            data = self._socket.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            self._lost(self, str(error))
            return
        if data:
            self._received(self, data)
        else:
            self._lost(self, "it closed the connection")

    def doWrite(self) -> None:  # noqa: N802
        if self._is_closed:
            return
        if self._unsent:
            data = b"".join(self._unsent)
            self._unsent.clear()
            try:
                sent = self._socket.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                sent = len(data)  # it is gone, which reading tells
            if sent < len(data):
                self._unsent.append(data[sent:])
        is_blocked = bool(self._unsent)
        if is_blocked is not self._is_blocked:
            self._is_blocked = is_blocked
            (self._reactor.addWriter if is_blocked else self._reactor.removeWriter)(self)
        if self._is_finished and not is_blocked:
            self._finish()

    def connectionLost(self, reason: Failure) -> None:  # noqa: N802
        self._lost(self, reason.getErrorMessage())

    def _finish(self) -> None:
        self._is_finished = False
        with suppress(OSError):  # it is gone, which reading tells
            self._socket.shutdown(socket.SHUT_WR)
