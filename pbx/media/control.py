"""The core's side of the media workers: processes, sockets, one timer. What to say to whom is the crew's."""

import os
import subprocess
import sys
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from socket import AF_UNIX, SOCK_STREAM, socketpair
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from pbx.errors import MediaError
from pbx.media.crew import Crew
from pbx.media.crew_effects import Effect, Kill, Report, Spawn, Tell
from pbx.media.digit_events import PressedOnce
from pbx.media.key_reader import KeyReader
from pbx.media.link import Link
from pbx.media.orders import Digit, Event, Order
from pbx.media.wire import Message, PathsRead, ReadPaths, encode
from pbx.rtp.kernel.keys import KeyLog
from pbx.rtp.kernel.marks import Mark

log = Logger()

SILENCE_S: Final = 30.0
START_S: Final = 10.0
GOODBYE_S: Final = 3.0
CENSUS_S: Final = 1.0
COMMAND: Final = (sys.executable, "-m", "pbx.media.worker")


class MediaControl:
    """Orders in, events out; the workers' lives are its own business."""

    def __init__(
        self,
        reactor: Any,
        workers: int,
        on_event: Callable[[Event], None],
        *,
        settle: Callable[[], None] | None = None,
        command: Sequence[str] = COMMAND,
    ) -> None:
        """
        Args:
            on_event: is called with each event; now and then from within `perform`.
            settle: is called after events that came together, and then calls `flush`.
        """
        self._reactor, self._on_event = reactor, on_event
        self._command = command
        self._settle = settle or self.flush
        self._crew = Crew(workers)
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._links: dict[int, Link] = {}
        self._timer: Any = None
        self._effects: deque[Effect] = deque()
        self._is_stepping = False
        self._told: defaultdict[Link, list[Message]] = defaultdict(list)  # what waits for `flush`
        self._key_reader: KeyReader | None = None
        self._presses = PressedOnce()
        self._stopped: Deferred[None] | None = None
        self._ready: Deferred[None] | None = None
        self._unheard: set[int] = set()
        self._mark: Mark | None = None
        self._census: _Census | None = None

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids of the workers, by number."""
        return tuple(process.pid for _, process in sorted(self._processes.items()))

    def start(self, mark: Mark | None = None) -> "Deferred[None]":
        """Bring the workers up. Fires when all of them are there, or have had START_S to come.

        Args:
            mark: of our entries in the kernel; None: audio stays in user space.
        """
        self._mark = mark
        self._step(self._crew.start(self._reactor.seconds()))
        self._arm()
        self._unheard = set(self._processes)
        ready: Deferred[None] = Deferred()
        self._ready = ready
        late = self._reactor.callLater(START_S, self._go_without)
        ready.addCallback(lambda _: late.cancel() if late.active() else None)
        return ready

    def _go_without(self) -> None:
        log.error("media workers {numbers} have not come up in time", numbers=sorted(self._unheard))
        self._unheard.clear()
        self._heard(-1)

    def perform(self, order: Order) -> None:
        """Carry out an order with the next `flush`; what comes of it is told by events."""
        if self._stopped is not None:
            return
        effects = self._crew.perform(order)
        if len(effects) == 1 and type(effect := effects[0]) is Tell and not self._effects:
            self._tell(effect.worker, effect.message)  # nearly always
        else:
            self._step(effects)

    def watch_keys(self, keys: KeyLog) -> None:
        """Hear the keys pressed in calls that pass through the kernel."""
        self._key_reader = KeyReader(keys, self._crew.hears_keys, self._pressed, self._reactor.seconds)
        self._reactor.addReader(self._key_reader)

    def _pressed(self, endpoint: str, digit: str, at_ticks: int) -> None:
        self._report(Digit(endpoint, digit, at_ticks), "log")
        self._settle()

    def flush(self) -> None:
        """Send what the workers were told: nothing more is to be said for now."""
        while self._told:
            link, messages = self._told.popitem()
            try:
                link.tell(encode(*messages))
                link.flush()
            except Exception:
                log.failure("media worker {number} is not told", number=link.number)

    def read_paths(self) -> "Deferred[tuple[dict[str, str], str]]":
        """Ask all workers who passes the packets on.

        Fires with the paths of joined endpoints, by name, and what troubles the kernel; after CENSUS_S with
        what is known by then.
        """
        if self._census is None:
            self._census = _Census(set(self._links))
            self._census.late = self._reactor.callLater(CENSUS_S, self._count, None)
            for number in self._links:
                self._tell(number, ReadPaths())
            self.flush()
        asked: Deferred[tuple[dict[str, str], str]] = Deferred()
        self._census.asked.append(asked)
        if not self._links:
            self._reactor.callLater(0, self._count, None)
        return asked

    def _count(self, number: int | None, read: PathsRead | None = None) -> None:
        """Worker `number` has answered, or nobody will."""
        census = self._census
        if census is None:
            return
        if read is not None:
            census.paths.update(read.paths)
            census.trouble = read.trouble or census.trouble
        census.missing.discard(number)
        if number is not None and census.missing:
            return
        self._census = None
        if census.late.active():
            census.late.cancel()
        for asked in census.asked:
            asked.callback((census.paths, census.trouble))

    def stop(self) -> Deferred[None]:
        """End the workers, who report what they were still told to close. Fires when all are gone."""
        if self._stopped is None:
            self._stopped = Deferred()
            if self._key_reader is not None:
                self._reactor.removeReader(self._key_reader)
            self._arm()
            self.flush()
            for link in self._links.values():
                link.finish()
            if self._links:
                self._timer = self._reactor.callLater(GOODBYE_S, self._kill_all)
            else:
                self._stopped.callback(None)
        return self._stopped

    # What the links report.

    def _received(self, link: Link, data: bytes) -> None:
        if self._links.get(link.number) is not link:
            return
        if self._ready is not None:
            self._heard(link.number)
        try:
            messages = link.decoder.feed(data)
        except MediaError as error:
            self._lost(link, f"unreadable: {error}")
            return
        now = self._reactor.seconds()
        for message in messages:
            if type(message) is PathsRead:
                self._count(link.number, message)
            elif effects := self._crew.receive(link.number, message, now):
                self._step(effects)
        self._settle()

    def _heard(self, number: int) -> None:
        """A worker has spoken for the first time; when all have, audio can flow."""
        self._unheard.discard(number)
        if not self._unheard and self._ready is not None:
            ready, self._ready = self._ready, None
            ready.callback(None)

    def _lost(self, link: Link, why: str) -> None:
        """The worker closed its end: it is dead, or as good as dead."""
        if self._links.get(link.number) is not link:
            return
        del self._links[link.number]
        self._told.pop(link, None)
        link.abort()
        process = self._processes.pop(link.number)
        process.kill()
        code = process.wait()  # at once: it closed its last socket, or was just killed
        if self._stopped is None:
            log.error(
                "media worker {number} died: {why}, exit code {code}", number=link.number, why=why, code=code
            )
            why = f"media worker {link.number} died ({why}, exit code {code})"
            self._bury(link.number, why)
        elif not self._links:
            self._arm()
            self._stopped.callback(None)

    # Effects.

    def _step(self, effects: list[Effect]) -> None:
        """Perform effects in order, also when an event's receiver gives new orders meanwhile."""
        waiting = self._effects
        waiting.extend(effects)
        if self._is_stepping:
            return
        self._is_stepping = True
        try:
            while waiting:
                effect = waiting.popleft()
                if type(effect) is Tell:
                    self._tell(effect.worker, effect.message)
                elif type(effect) is Report:
                    self._report(effect.event)
                elif type(effect) is Spawn:
                    self._spawn(effect.worker)
                elif type(effect) is Kill:
                    self._lost(self._links[effect.worker], "hung")
        finally:
            self._is_stepping = False

    def _tell(self, worker: int, message: Message) -> None:
        link = self._links.get(worker)
        if link is not None:
            self._told[link].append(message)

    def _report(self, event: Event, where: str = "worker") -> None:
        if isinstance(event, Digit):
            now = self._reactor.seconds()
            if not self._presses.is_new(where, event.endpoint, event.digit, event.at_ticks, now):
                return
        try:
            self._on_event(event)
        except Exception:
            log.failure("media event {event} failed", event=event)

    def _spawn(self, number: int) -> None:
        try:
            ours, theirs = socketpair(AF_UNIX, SOCK_STREAM)
        except OSError as error:  # too many open files
            self._reactor.callLater(0, self._died, number, f"cannot be started: {error}")
            return
        with theirs:
            mark = [] if self._mark is None else self._mark.of_worker(number).arguments()
            command = [*self._command, str(theirs.fileno()), str(SILENCE_S), *mark]
            try:
                self._processes[number] = subprocess.Popen(  # noqa: S603  # our own program
                    command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()], env=_environment()
                )
            except OSError as error:
                ours.close()
                self._reactor.callLater(0, self._died, number, f"cannot be started: {error}")
                return
        self._links[number] = Link(number, ours, self._reactor, self._received, self._lost)

    def _died(self, number: int, why: str) -> None:
        if self._stopped is None:
            log.error("media worker {number} died: {why}", number=number, why=why)
            self._bury(number, f"media worker {number} died: {why}")

    def _bury(self, number: int, why: str) -> None:
        self._step(self._crew.died(number, why, self._reactor.seconds()))
        self._arm()
        self._settle()

    def _kill_all(self) -> None:
        for link in list(self._links.values()):
            self._lost(link, "did not end")

    def _arm(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        if self._stopped is None and (deadline := self._crew.deadline) is not None:
            delay = max(0.0, deadline - self._reactor.seconds())
            self._timer = self._reactor.callLater(delay, self._expire)

    def _expire(self) -> None:
        self._step(self._crew.expire(self._reactor.seconds()))
        self._arm()
        self._settle()


@dataclass
class _Census:
    """A question to all workers, and who asked it."""

    missing: set[int | None]
    paths: dict[str, str] = field(default_factory=dict)
    trouble: str = ""
    asked: "list[Deferred[tuple[dict[str, str], str]]]" = field(default_factory=list)
    late: Any = None


def _environment() -> dict[str, str]:
    """numpy's threads would only get into each other's way: what a worker multiplies is tiny."""
    return {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
