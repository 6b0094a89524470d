"""The media worker's event loop: epoll, at once when little comes, in ticks of 5 ms when much does."""

import select
import socket
from collections.abc import Callable
from math import inf
from socket import SocketType
from time import monotonic, sleep
from typing import Final

from pbx.rtp.sockets import Handler, Socket

UDP: Final = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
TICK_S: Final = 0.005
ROUNDS: Final = 4  # of reading in one tick, as long as more has come meanwhile
PERIOD_S: Final = 0.25
BUSY_A_SECOND: Final = 3_000  # packets; from here on ticks save more than they delay (bench/parts/worker.py)
CALM_A_SECOND: Final = 2_000
RECEIVE_BUFFER: Final = 512 * 1024  # bytes; a tick of a busy worker must not lose a burst of video


class Loop:
    """Calls handlers of sockets that can be read, and `on_interval` every `interval_s` or a little later."""

    def __init__(
        self, on_interval: Handler, interval_s: float, on_failure: Callable[[Handler, Exception], None]
    ) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Handler] = {}
        self._on_interval, self._interval_s, self._on_failure = on_interval, interval_s, on_failure
        self._next_interval = 0.0
        self._next_beat = inf
        self._on_beat: Callable[[float], float] | None = None
        self._is_running = True
        self.is_busy = False

    def __len__(self) -> int:
        """How many sockets are watched."""
        return len(self._handlers)

    # The endpoints' view of the world.

    def bind(self, address: str, port: int, *, has_bursts: bool = False) -> SocketType:
        sock = _udp_socket(address)
        try:
            if has_bursts:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            sock.bind((address, port))  # alone: whoever has the port already keeps it
        except OSError:
            sock.close()
            raise
        return sock

    def share(self, first: Socket, address: str, port: int) -> SocketType:
        assert isinstance(first, SocketType)
        second = _udp_socket(address)
        try:
            first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            second.bind((address, port))
        except OSError:
            second.close()
            raise
        finally:  # the door is shut again: no other program may share the port
            for sock in (first, second):
                if sock.fileno() >= 0:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)
        return second

    def watch(self, sock: Socket, handler: Handler) -> None:
        assert isinstance(sock, SocketType)
        fd = sock.fileno()
        if fd not in self._handlers:
            self._epoll.register(fd, select.EPOLLIN)
        self._handlers[fd] = handler

    def unwatch(self, sock: Socket) -> None:
        assert isinstance(sock, SocketType)
        if self._handlers.pop(sock.fileno(), None) is not None:
            self._epoll.unregister(sock.fileno())

    def close(self, sock: Socket) -> None:
        assert isinstance(sock, SocketType)
        self._handlers.pop(sock.fileno(), None)
        sock.close()  # which ends the kernel's watching too, as nobody else has it

    # Running.

    def stop(self) -> None:
        """Leave `run` when this round is done."""
        self._is_running = False

    def hasten(self, at: float) -> None:
        """Let the next interval end at this time, unless it ends earlier anyway."""
        self._next_interval = min(self._next_interval, at)

    def beat(self, on_beat: Callable[[float], float], at: float) -> None:
        """Call `on_beat` with the time at `at` or soon after, and again at the time that it returns."""
        self._on_beat, self._next_beat = on_beat, at

    def run(self) -> None:
        """Work until stopped."""
        now = monotonic()
        next_tick, next_period, self._next_interval = now, now + PERIOD_S, now + self._interval_s
        count = 0
        while self._is_running:
            if self.is_busy:
                next_tick = max(next_tick + TICK_S, now)
                sleep(max(0.0, next_tick - now))
                for _ in range(ROUNDS):
                    if not (handled := self._round(0.0)):
                        break
                    count += handled
            else:
                until = min(next_period, self._next_interval, self._next_beat)
                count += self._round(max(0.0, until - now))
            now = monotonic()
            if now >= self._next_beat and self._on_beat is not None:
                self._next_beat = self._on_beat(now)
            if now >= next_period:
                rate = count / (now - next_period + PERIOD_S)
                self.is_busy = rate > (CALM_A_SECOND if self.is_busy else BUSY_A_SECOND)
                next_period, count = now + PERIOD_S, 0
            if now >= self._next_interval:
                self._next_interval = now + self._interval_s
                self._on_interval(now)

    def end(self) -> None:
        """Forget all sockets; closing them is their owners' work."""
        self._handlers.clear()
        self._epoll.close()

    def _round(self, timeout_s: float) -> int:
        events = self._epoll.poll(timeout_s)
        now = monotonic()
        get = self._handlers.get
        for fd, _ in events:
            if (handler := get(fd)) is not None:  # gone when an order of this round closed it
                try:
                    handler(now)
                except Exception as error:  # the edge of the process: one endpoint's bug hurts no other
                    self._on_failure(handler, error)
        return len(events)


def _udp_socket(address: str) -> SocketType:
    # The plain type: what socket.socket adds is for others, and takes a third of the time.
    if ":" not in address:
        return SocketType(socket.AF_INET, UDP)
    sock = SocketType(socket.AF_INET6, UDP)
    try:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    except OSError:
        sock.close()
        raise
    return sock
