"""The log: one line an event. Milestones are written a few at a time, bad news at once."""

import threading
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol, TextIO

from twisted.logger import LogLevel, eventAsText, globalLogBeginner

FLUSH_S: Final = 0.1
OURS: Final = "pbx."  # namespaces whose events are plain `str.format` texts
KINDS: Final = 256
RANK: Final = {level: rank for rank, level in enumerate(LogLevel.iterconstants())}


class Later(Protocol):
    """The part of a reactor that calls later (IReactorTime)."""

    def callLater(self, delay: float, callable: Callable[[], Any]) -> Any: ...  # noqa: A002, N802


class _Kind(NamedTuple):
    """What events of one namespace and level have in common."""

    name: str
    is_ours: bool
    is_shown: bool
    is_urgent: bool


class LineLog:
    """A log observer (Twisted's ILogObserver): `time [namespace#level] text`.

    Twisted's own takes 30 µs an event with its write; here a line costs 4, and the writes of FLUSH_S are one.

    Args:
        stream: gets the lines.
        reactor: its thread's milestones wait FLUSH_S for others; those of other threads are written at once.
        is_verbose: debug events too, and Twisted's own below a warning.
    """

    def __init__(self, stream: TextIO, reactor: Later, is_verbose: bool = False) -> None:
        self._stream, self._reactor, self._is_verbose = stream, reactor, is_verbose
        self._least = RANK[LogLevel.debug if is_verbose else LogLevel.info]
        self._thread = threading.get_ident()
        self._lock = threading.Lock()
        self._lines: list[str] = []
        self._is_due = False
        self._kinds: dict[tuple[str, Any], _Kind] = {}
        self._second, self._stamp = -1, ""

    def begin(self) -> None:
        """Take everything that is logged from now on."""
        globalLogBeginner.beginLoggingTo([self], redirectStandardIO=False)  # type: ignore[list-item]

    def __call__(self, event: dict[str, Any]) -> None:
        try:
            kind = self._kinds[event["log_namespace"], event["log_level"]]
        except KeyError:
            kind = self._make_kind(event.get("log_namespace", ""), event.get("log_level", LogLevel.info))
        if not kind.is_shown:
            return
        text = _text(event, kind.is_ours)
        at = event["log_time"]
        with self._lock:
            stamp = self._stamp if int(at) == self._second else self._make_stamp(at)
            self._lines.append(f"{stamp}{kind.name}{text}\n")
            if kind.is_urgent or threading.get_ident() != self._thread:
                self._write()
            elif not self._is_due:
                self._is_due = True
                self._reactor.callLater(FLUSH_S, self.flush)

    def flush(self) -> None:
        """Write what waits."""
        with self._lock:
            self._is_due = False
            self._write()

    def _write(self) -> None:
        lines, self._lines = self._lines, []
        if lines:
            self._stream.write("".join(lines))
            self._stream.flush()

    def _make_kind(self, namespace: str, level: Any) -> _Kind:
        is_ours, rank = namespace.startswith(OURS), RANK[level]
        least = self._least if is_ours or self._is_verbose else RANK[LogLevel.warn]
        kind = _Kind(f" [{namespace}#{level.name}] ", is_ours, rank >= least, rank > RANK[LogLevel.info])
        if len(self._kinds) < KINDS:
            self._kinds[namespace, level] = kind
        return kind

    def _make_stamp(self, at: float) -> str:
        self._second, self._stamp = int(at), time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(at))
        return self._stamp


def _text(event: dict[str, Any], is_ours: bool) -> str:
    """What the event says, on one line but for a traceback."""
    if is_ours and "log_failure" not in event:
        try:
            return str(event["log_format"]).format_map(event)
        except (KeyError, ValueError, AttributeError, IndexError):
            pass  # Twisted's formatter says what is wrong with the event
    return eventAsText(event, includeTimestamp=False, includeSystem=False)
