"""The core's side of the speech process: there when there is work, one job at a time, replaced if it dies."""

import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from socket import AF_UNIX, SOCK_STREAM, socketpair
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from pbx.errors import MediaError
from pbx.media.jobs import HELLO, Decoder, encode
from pbx.media.prompt import RenderError, StoppedError

log = Logger()

START_S: Final = 20.0
IDLE_S: Final = 10.0  # without work until the process ends: it is there again in a third of a second
GOODBYE_S: Final = 3.0
MOST_DEATHS: Final = 2  # a job that takes so many processes with it has failed
PROGRAM: Final = (sys.executable, "-m", "pbx.media.speech")


@dataclass(slots=True, eq=False)
class _Job:
    message: dict[str, Any]
    limit_s: float
    done: "Deferred[dict[str, Any]]" = field(default_factory=Deferred)
    deaths: int = 0


class _Link(Protocol):
    """The socket of one process."""

    def __init__(self, control: "SpeechControl") -> None:
        self._control, self._decoder = control, Decoder()

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        try:
            messages = self._decoder.feed(data)
        except MediaError as error:
            self._control.lost(self, f"unreadable: {error}")
            return
        for message in messages:
            self._control.received(self, message)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802
        self._control.lost(self, reason.getErrorMessage())


class SpeechControl:
    """Jobs in, answers out. The process starts with the first job and ends after a while without one."""

    def __init__(
        self,
        reactor: Any,
        arguments: Sequence[str],
        *,
        idle_s: float,
    ) -> None:
        """`arguments` follow the descriptor on the program's command line."""
        self._reactor, self._arguments = reactor, tuple(arguments)
        self._idle_s = idle_s
        self._soon: deque[_Job] = deque()
        self._later: deque[_Job] = deque()
        self._job: _Job | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._link: _Link | None = None
        self._is_ready = self._is_ending = False
        self._timer: Any = None
        self._stopped: Deferred[None] | None = None

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        return self._process.pid if self._process is not None else None

    def submit(
        self, message: dict[str, Any], limit_s: float, *, is_urgent: bool = True
    ) -> "Deferred[dict[str, Any]]":
        """Have a job done.

        Args:
            limit_s: the process is killed when it takes longer.
            is_urgent: it goes before those that are not.

        Fires with the answer; fails with RenderError when two processes died of it, or the server stops.
        """
        job = _Job(message, limit_s)
        if self._stopped is not None:
            job.done.errback(StoppedError())
        else:
            (self._soon if is_urgent else self._later).append(job)
            self._go_on()
        return job.done

    def stop(self) -> "Deferred[None]":
        """End the process. Fires when it is gone."""
        if self._stopped is None:
            self._stopped = Deferred()
            waiting = [*([self._job] if self._job else []), *self._soon, *self._later]
            self._job = None
            self._soon.clear()
            self._later.clear()
            self._disarm()
            if self._link is None:
                self._stopped.callback(None)
            else:
                self._end()
            for job in waiting:
                job.done.errback(StoppedError())
        return self._stopped

    def _go_on(self) -> None:
        """Give the process its next job, if it can take one."""
        if self._job is not None or self._is_ending or self._stopped is not None:
            return
        if not self._soon and not self._later:
            if self._link is not None and self._is_ready:
                self._arm(self._idle_s, self._end)
            return
        if self._link is None:
            self._spawn()
        elif self._is_ready:
            self._job = (self._soon or self._later).popleft()
            self._arm(self._job.limit_s, self._kill, f"took more than {self._job.limit_s:g} s")
            transport: Any = self._link.transport
            transport.write(encode(self._job.message))

    def received(self, link: _Link, message: dict[str, Any]) -> None:
        """A process says something."""
        if link is not self._link:
            return
        if message == HELLO:
            self._is_ready = True
        elif self._job is not None:
            job, self._job = self._job, None
            job.done.callback(message)
        if not self._is_ending:
            self._disarm()
            self._go_on()

    def lost(self, link: _Link, why: str) -> None:
        """A process is gone, or is to be."""
        if link is not self._link:
            return
        self._disarm()
        process, self._process, self._link = self._process, None, None
        was_ready, was_ending = self._is_ready, self._is_ending
        self._is_ready = self._is_ending = False
        transport: Any = link.transport
        transport.abortConnection()
        assert process is not None  # they come and go together
        process.kill()
        code = process.wait()  # at once: it closed its last socket, or was just killed
        if self._stopped is not None:
            self._stopped.callback(None)
            return
        if not was_ending:
            log.error("speech process died: {why}, exit code {code}", why=why, code=code)
            self._blame(f"{why}, exit code {code}", was_ready)
        self._go_on()

    def _blame(self, why: str, was_ready: bool) -> None:
        """The job in hand, or the first in line if it died at its start, is done once more, or has failed."""
        job, self._job = self._job, None
        if job is None and not was_ready and (waiting := self._soon or self._later):
            job = waiting.popleft()
        if job is None:
            return
        job.deaths += 1
        if job.deaths < MOST_DEATHS:
            self._soon.appendleft(job)
        else:
            job.done.errback(RenderError(f"the speech process died of it {job.deaths} times ({why})"))

    def _spawn(self) -> None:
        try:
            ours, theirs = socketpair(AF_UNIX, SOCK_STREAM)
        except OSError as error:  # too many open files
            self._cannot_start(error)
            return
        with ours, theirs:
            command = [*PROGRAM, str(theirs.fileno()), *self._arguments]
            try:
                self._process = subprocess.Popen(  # noqa: S603  # our own program
                    command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
                )
            except OSError as error:
                self._cannot_start(error)
                return
            self._link = link = _Link(self)
            ours.setblocking(False)
            factory = Factory.forProtocol(lambda: link)
            self._reactor.adoptStreamConnection(ours.fileno(), AF_UNIX, factory)
        self._arm(START_S, self._kill, f"was not there after {START_S:g} s")

    def _cannot_start(self, error: OSError) -> None:
        log.error("speech process cannot be started: {error}", error=error)
        self._reactor.callLater(0, self._not_started, str(error))

    def _not_started(self, why: str) -> None:
        self._blame(f"it cannot be started: {why}", was_ready=False)
        self._go_on()

    def _kill(self, why: str) -> None:
        if self._link is not None:
            self.lost(self._link, why)

    def _end(self) -> None:
        """Say that no job follows; the process then ends."""
        self._is_ending = True
        transport: Any = self._link and self._link.transport
        transport.loseWriteConnection()
        self._arm(GOODBYE_S, self._kill, "did not end")

    def _arm(self, seconds: float, do: Any, *arguments: Any) -> None:
        self._disarm()
        self._timer = self._reactor.callLater(seconds, do, *arguments)

    def _disarm(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
