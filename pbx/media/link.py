"""The core's end of one worker's socket: what is said in one turn of the reactor goes out in one piece."""

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
        self._is_waiting = False  # for the end of this turn
        self._is_blocked = self._is_finished = self._is_closed = False
        reactor.addReader(self)

    def tell(self, data: bytes) -> None:
        """Send when this turn of the reactor is over."""
        self._unsent.append(data)
        if not (self._is_waiting or self._is_blocked):
            self._is_waiting = True
            self._reactor.callLater(0, self._turn_over)

    def flush(self) -> None:
        """Send at once what the socket takes."""
        if not self._is_blocked:
            self.doWrite()

    def finish(self) -> None:
        """Say that no order follows; the worker then ends."""
        self._is_finished = True
        self.flush()

    def abort(self) -> None:
        """Be done with it."""
        if not self._is_closed:
            self._is_closed = True
            self._reactor.removeReader(self)
            self._reactor.removeWriter(self)
            self._socket.close()

    def _turn_over(self) -> None:
        self._is_waiting = False
        self.flush()

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
            try:
                sent = self._socket.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                sent = len(data)  # it is gone, which reading tells
            self._unsent = [data[sent:]] if sent < len(data) else []
        self._block(bool(self._unsent))
        if self._is_finished and not self._unsent:
            self._finish()

    def connectionLost(self, reason: Failure) -> None:  # noqa: N802
        self._lost(self, reason.getErrorMessage())

    def _block(self, is_blocked: bool) -> None:
        if is_blocked != self._is_blocked:
            self._is_blocked = is_blocked
            (self._reactor.addWriter if is_blocked else self._reactor.removeWriter)(self)

    def _finish(self) -> None:
        self._is_finished = False
        with suppress(OSError):  # it is gone, which reading tells
            self._socket.shutdown(socket.SHUT_WR)
