"""The media process: carries out the core's orders on its endpoints, relays, and reports.

Run as `python -m pbx.media.worker FD SILENCE_S [MARK ...]`, FD being its end of a stream socket pair, MARK
that of its entries in the kernel; without it the kernel is left alone. It ends when the core's end is closed,
be it by order or because the core died. Interrupts from the terminal and termination by the service manager
are the core's to answer, which then ends its calls in order.
"""

import gc
import os
import random
import resource
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from operator import attrgetter
from typing import Any, Final

from pbx.errors import MediaError
from pbx.media.files import Files
from pbx.media.loop import Loop
from pbx.media.orders import (
    SOUND_ORDERS,
    Address,
    CloseEndpoint,
    EndpointClosed,
    EndpointFailed,
    Join,
    OpenEndpoint,
    Part,
    ReadStats,
    Resumed,
    SetRemote,
    Silent,
    SoundOrder,
    SrtpKeys,
    StatsRead,
)
from pbx.media.studio import Studio
from pbx.media.wire import (
    Counted,
    Decoder,
    Latched,
    Message,
    PathsRead,
    Ping,
    Pong,
    ReadPaths,
    Restore,
    encode,
)
from pbx.rtp.kernel.joins import POLL_S, KernelJoins
from pbx.rtp.kernel.link import Link
from pbx.rtp.kernel.marks import Mark
from pbx.rtp.port_pair import PortPair
from pbx.rtp.relay import Endpoint
from pbx.rtp.remote import Remote
from pbx.rtp.sockets import Handler
from pbx.rtp.srtp import Counter
from pbx.rtp.stream import Stream

CHUNK: Final = 65_536
GOODBYE_S: Final = 2.0
PRIORITY: Final = -10
POLLS: Final = 6  # of the kernel's counters in the time after which a peer is silent, at least


class Worker:
    """All endpoints of one process."""

    def __init__(self, control: socket.socket, silence_s: float, mark: Mark | None = None) -> None:
        control.setblocking(False)
        self._control = control
        self._silence_s = silence_s
        self._decoder = Decoder()
        self._events: list[Message] = []  # that are not encoded yet
        self._unsent = b""
        self._endpoints: dict[str, Endpoint] = {}
        self._loop = Loop(self._tick, min(1.0, silence_s), self._handler_failed)
        self._loop.watch(control, self._receive_orders)
        self._trouble = ""
        self._is_swept = False
        self._files: Files | None = None
        self._kernel = self._open_kernel(mark) if mark is not None else None
        self._studio = Studio(
            self._endpoints,
            self._report,
            lambda at: self._loop.beat(self._beat, at),
            self._broke,
            self._open_files,
            random.SystemRandom(),
        )

    def _beat(self, now: float) -> float:
        due = self._studio.tick(now)
        self._flush()
        return due

    def _broke(self, name: str, error: Exception) -> None:
        traceback.print_exception(error)  # to the core's standard error
        self._fail(name, f"bug in the media worker: {error!r}")

    def _open_files(self) -> Files:
        files = Files()
        self._loop.watch(files.wake, self._take_told)
        self._files = files
        return files

    def _take_told(self, now: float) -> None:
        assert self._files is not None
        self._files.take(now)
        self._flush()

    def _open_kernel(self, mark: Mark) -> KernelJoins | None:
        try:
            return KernelJoins(Link(), mark, self._loop.hasten, min(POLL_S, self._silence_s / POLLS))
        except OSError as error:
            self._trouble = f"a media worker has no netlink socket: {error.strerror}"
            return None

    def run(self) -> None:
        """Work until the core closes its end."""
        try:
            self._loop.run()
        finally:
            self._studio.close()
            for endpoint in self._endpoints.values():
                endpoint.close()
            if self._kernel is not None:
                self._kernel.close()
            self._loop.end()
            self._say_goodbye()

    # Orders in.

    def _receive_orders(self, now: float) -> None:
        try:
            data = self._control.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._loop.stop()
            return
        for message in self._decoder.feed(data):
            try:
                ACTIONS[type(message)](self, message, now)
            except OSError as error:
                self._fail(_endpoint_of(message), error.strerror or repr(error))
            except MediaError as error:
                self._fail(_endpoint_of(message), str(error))
            except (
                Exception
            ) as error:  # the edge of the process: told again, it would fail the next worker too
                traceback.print_exception(error)
                self._fail(_endpoint_of(message), f"bug in the media worker: {error!r}")
        self._flush()

    def _open(self, order: OpenEndpoint, _now: float) -> None:
        if order.endpoint in self._endpoints:
            raise MediaError("opened twice")
        self._endpoints[order.endpoint] = Endpoint(
            order.endpoint, order.address, order.rtp_port, self._loop, self, self._kernel
        )

    def _set_remote(self, order: SetRemote, now: float) -> None:
        if (endpoint := self._endpoints.get(order.endpoint)) is not None:
            endpoint.set_remote(Remote(*remote_values(order)), now)
            self._studio.changed(endpoint)

    def _restore(self, order: Restore, _now: float) -> None:
        if (endpoint := self._endpoints.get(order.endpoint)) is not None:
            known = {Counter(kind, ssrc): value for kind, ssrc, value in order.counters}
            endpoint.restore(order.source, known)

    def _join(self, order: Join, now: float) -> None:
        a, b = self._endpoints.get(order.a), self._endpoints.get(order.b)
        if a is not None and b is not None:
            before = (a.peer, b.peer)
            a.join(b, now)
            for endpoint in (a, b, *before):
                self._studio.joined(endpoint)

    def _part(self, order: Part, _now: float) -> None:
        if (endpoint := self._endpoints.get(order.a)) is not None:
            peer = endpoint.peer
            endpoint.part()
            for each in (endpoint, peer):
                self._studio.joined(each)

    def _sound(self, order: SoundOrder, now: float) -> None:
        self._studio.perform(order, now)

    def _close(self, order: CloseEndpoint, _now: float) -> None:
        if (endpoint := self._endpoints.pop(order.endpoint, None)) is not None:
            self._studio.closed(order.endpoint)
            endpoint.close()
            self._report(EndpointClosed(order.endpoint, endpoint.stats()))

    def _read_stats(self, order: ReadStats, _now: float) -> None:
        if (endpoint := self._endpoints.get(order.endpoint)) is not None:
            self._report(StatsRead(order.endpoint, endpoint.stats()))

    def _read_paths(self, _order: ReadPaths, _now: float) -> None:
        paths = ((name, endpoint.path) for name, endpoint in self._endpoints.items())
        trouble = self._trouble if self._kernel is None else self._kernel.trouble
        self._report(PathsRead(tuple((name, path) for name, path in paths if path), trouble))

    def _pong(self, _ping: Ping, _now: float) -> None:
        self._report(Pong())
        if self._kernel is not None and not self._is_swept:
            # Not before: until we had its orders the kernel served the calls of a predecessor that died.
            self._is_swept = True
            self._kernel.sweep()

    # Events out, one send for all of a batch of orders or of a tick: each wakes the core.

    def latched(self, endpoint: Endpoint, source: Address) -> None:
        """The endpoint has found its peer: needed when this worker dies, so the next tick is soon enough."""
        self._report(Latched(endpoint.name, source))

    def counted(self, endpoint: Endpoint, keys: SrtpKeys, counter: Counter, value: int) -> None:
        """The endpoint's SRTP session has come on, further than was told."""
        self._report(Counted(endpoint.name, keys, counter.kind, counter.ssrc, value))
        self._flush()

    def signalled(self, endpoint: Endpoint, packet: bytes, now: float) -> None:
        """The peer presses a key, perhaps."""
        self._studio.signalled(endpoint, packet, now)
        self._flush()  # a key is acted on, and the next one may be seen by the kernel's log

    def _tick(self, now: float) -> None:
        if self._kernel is not None:
            self._kernel.poll(now)
        for endpoint in self._endpoints.values():
            change = endpoint.tick(now, self._silence_s)
            if change is not None:
                name = endpoint.name
                self._report(Silent(name, self._silence_s) if change else Resumed(name))
        self._flush()

    def _handler_failed(self, handler: Handler, error: Exception) -> None:
        traceback.print_exception(error)  # to the core's standard error
        owner = getattr(handler, "__self__", None)
        if isinstance(owner, Stream | PortPair):
            owner = getattr(owner.take, "__self__", None)
        if not isinstance(owner, Endpoint):
            raise error
        self._fail(owner.name, f"bug in the media worker: {error!r}")
        self._flush()

    def _fail(self, name: str, why: str) -> None:
        endpoint = self._endpoints.pop(name, None)
        if endpoint is not None:
            self._studio.closed(name)
            endpoint.close()
        self._report(EndpointFailed(name, why))

    def _report(self, event: Message) -> None:
        self._events.append(event)

    def _flush(self) -> None:
        # What a busy core has no room for waits for the next event, or second: a few bytes for each order.
        if not self._encode():
            return
        try:
            sent = self._control.send(self._unsent)
        except BlockingIOError:
            return
        except OSError:
            self._loop.stop()
            return
        self._unsent = self._unsent[sent:]

    def _encode(self) -> bytes:
        """All that is to be sent."""
        if self._events:
            self._unsent += encode(*self._events)
            self._events.clear()
        return self._unsent

    def _say_goodbye(self) -> None:
        self._control.settimeout(GOODBYE_S)
        with suppress(OSError):
            self._control.sendall(self._encode())
            self._control.shutdown(socket.SHUT_RDWR)
        self._control.close()


remote_values: Final = attrgetter(*(field.name for field in fields(Remote)))
ACTIONS: Final[dict[type, Callable[[Worker, Any, float], None]]] = {
    OpenEndpoint: Worker._open,
    SetRemote: Worker._set_remote,
    Restore: Worker._restore,
    Join: Worker._join,
    Part: Worker._part,
    CloseEndpoint: Worker._close,
    ReadStats: Worker._read_stats,
    Ping: Worker._pong,
    ReadPaths: Worker._read_paths,
    **dict.fromkeys(SOUND_ORDERS, Worker._sound),
}


def _endpoint_of(message: Message) -> str:
    return getattr(message, "endpoint", "") or getattr(message, "a", "")


def main(fd: int, silence_s: float, mark: Mark | None = None) -> None:
    """The process."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)  # audio cannot wait; allowed to few, missed by few
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    worker = Worker(socket.socket(fileno=fd), silence_s, mark)
    gc.collect()
    gc.freeze()  # what is there now stays: no need to look at it again and again
    gc.set_threshold(50_000, 20, 100)  # nor at what a tick of many packets makes for a moment
    worker.run()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), Mark.parse(sys.argv[3:]))
