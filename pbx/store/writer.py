"""A thread that talks with the database for the core: the reactor only leaves notes, and never waits."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from time import monotonic, time
from typing import Any, Final

from twisted.logger import Logger

from pbx.errors import StoreError
from pbx.office.snapshot import Office
from pbx.store.lane import Lane
from pbx.store.records import KEEP_S, Records
from pbx.store.store import Store, UnusableError
from pbx.store.traces import KEEP_S as TRACES_KEEP_S
from pbx.store.traces import Traces
from pbx.store.usage import ChargedLeg, OpenLeg, Usage

log: Final = Logger()

BATCH: Final = 200
GATHER_S: Final = 0.5  # what is not urgent waits so long for others: one transaction for all costs a tenth
RETRY_S: Final = 1.0
MOST_RECORDS: Final = 100_000  # a database that is gone for days must not eat all memory
MOST_TRACES: Final = 10_000
STOP_S: Final = 10.0
BEAT_S: Final = 0.9  # a leg that a crash ends is charged to the last sign of life
FIRST_TIDY_S: Final = 60.0  # a start has other things to do
TIDY_S: Final = 3600.0
TIDY_MORE_S: Final = 1.0  # between batches: others want to write, too

Row = Mapping[str, Any]
Rows = Callable[[], Sequence[Row]]
Answer = tuple[Office, int] | StoreError | None
Then = Callable[[Answer], None]
Flushed = Callable[[bool], None]


class Writer:
    """Bindings, call records, charges and traces on their way to the database; the office on its way back.

    What cannot be written is tried again until it can, or until the end. While the database is gone, only the
    newest bindings of each device wait for it, call records and traces up to a limit, and every charge.
    """

    def __init__(
        self,
        store: Store,
        retry_s: float = RETRY_S,
        most_records: int = MOST_RECORDS,
        gather_s: float = GATHER_S,
        *,
        records: Records | None = None,
        usage: Usage | None = None,
    ) -> None:
        self._store, self._retry_s, self._gather_s = store, retry_s, gather_s
        self._kept = (records or Records(store), Traces(store))
        self._usage = usage or Usage(store)
        self._changed = threading.Condition()
        self._bindings: dict[str, Rows] = {}
        # In this order: what a call cost is in the database before the call is.
        self._charges: Lane[OpenLeg | ChargedLeg] = Lane(self._write_usage, _uncharged)
        self._records: Lane[Row] = Lane(self._kept[0].add, _unrecorded, most_records)
        self._traces: Lane[Row] = Lane(self._kept[1].add, _untraced, MOST_TRACES)
        self._lanes: tuple[Lane[Any], ...] = (self._charges, self._records, self._traces)
        self._open: set[str] = set()  # legs whose charge grows
        self._beat_at = 0.0
        self._tidy_at = monotonic() + FIRST_TIDY_S
        self._questions: list[tuple[int, Then]] = []
        self._flushes: list[Flushed] = []
        self._has_urgent = False  # among the bindings
        self._is_idle = False  # the thread waits for work
        self._stopping = False
        self._gone_since: float | None = None  # the database does not answer
        self._is_unwritten = False  # what it answers does not count: it takes nothing (a full disk)
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    # --- called by the reactor -----------------------------------------------------------------------------

    def save_bindings(self, username: str, rows: Rows, *, is_urgent: bool = False) -> None:
        """Replace a device's saved bindings; urgent ones do not wait for others.

        Args:
            rows: makes them, in the writer's thread, if no newer ones come before they are written.
        """
        with self._changed:
            self._bindings[username] = rows
            self._has_urgent = self._has_urgent or is_urgent
            self._wake()

    def write_record(self, row: Row) -> None:
        """Add a finished call."""
        with self._changed:
            self._records.put(row)
            self._wake()

    def write_usage(self, change: OpenLeg | ChargedLeg) -> None:
        """A leg that is charged to an extension has begun, or ended; asked for before its call's record."""
        with self._changed:
            self._charges.put(change)
            if isinstance(change, OpenLeg):
                self._open.add(change.leg)
            else:
                self._open.discard(change.leg)
            self._wake()

    def write_traces(self, rows: Iterable[Row]) -> None:
        """Add messages of traced calls."""
        with self._changed:
            for row in rows:
                self._traces.put(row)
            self._wake()

    def look(self, known: int, then: Then) -> None:
        """Ask for the office if its revision is no longer `known`.

        Args:
            then: is called, in the writer's thread, with the office and its revision, with None when nothing
                has changed, or with what went wrong.
        """
        with self._changed:
            self._questions.append((known, then))
            self._changed.notify()

    def flush(self, then: Flushed) -> None:
        """Write at once what waits for others.

        Args:
            then: is called, in the writer's thread, with whether all that was handed in until now is written.
        """
        with self._changed:
            self._flushes.append(then)
            self._changed.notify()

    @property
    def waiting(self) -> int:
        """How many devices' bindings, call records and the like wait, beside those that are being written."""
        with self._changed:
            return self._count()

    def stop(self, timeout: float = STOP_S) -> None:
        """Write what is left, then end. Blocks: not for the reactor's thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join(timeout)
        if self._thread.is_alive():
            log.error("the database does not answer; {count} changes may be lost", count=self.waiting)

    # --- the thread ----------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._changed:
                self._is_idle = True
                self._changed.wait_for(self._has_work, self._rest_s())
                self._is_idle = False
                if self._has_work():
                    self._changed.wait_for(self._is_urgent, self._gather_s)
                bindings = self._take_bindings()
                rows = [lane.take(len(lane) if lane is self._charges else BATCH) for lane in self._lanes]
                questions, self._questions = self._questions, []
                flushes, self._flushes = self._flushes, []
                has_all = not self._count()
                is_last = self._stopping and has_all
            done = True
            with log.failuresHandled("the writer failed"):  # a bug; what caused it is dropped
                done = self._write(bindings, rows)
            with log.failuresHandled("the writer failed"):
                self._answer(questions)
            with log.failuresHandled("the writer failed"):
                self._tell_flushed(flushes, done, has_all)
            with log.failuresHandled("the writer failed"):
                self._do_chores(done)
            if (not done or is_last) and self._end(bindings, rows, done):
                return

    def _wake(self) -> None:
        """Waking a thread for each record of a busy hour costs more than the record."""
        if self._is_idle or self._has_urgent or len(self._records) == BATCH:
            self._is_idle = False
            self._changed.notify()

    def _has_work(self) -> bool:
        return bool(self._bindings or self._has_asked() or self._stopping or any(self._lanes))

    def _is_urgent(self) -> bool:
        return self._has_urgent or self._has_asked() or self._stopping or len(self._records) >= BATCH

    def _has_asked(self) -> bool:
        return bool(self._questions or self._flushes)

    def _count(self) -> int:
        return len(self._bindings) + sum(map(len, self._lanes))

    def _rest_s(self) -> float:
        """How long to wait for work: until a sign of life or tidying is due."""
        due = min(self._tidy_at, self._beat_at + BEAT_S) if self._open else self._tidy_at
        return max(0.0, due - monotonic())

    def _take_bindings(self) -> dict[str, Rows]:
        taken = dict(list(self._bindings.items())[:BATCH])
        for username in taken:
            del self._bindings[username]
        self._has_urgent = self._has_urgent and bool(self._bindings)
        return taken

    def _write(self, bindings: dict[str, Rows], rows: list[list[Any]]) -> bool:
        """Write them; False when the database fails, and then they are still in what was handed in."""
        if not bindings and not any(rows):
            return True
        try:
            if bindings:
                self._write_bindings(bindings)
                bindings.clear()
            for lane, each in zip(self._lanes, rows, strict=True):
                lane.write(each)
        except StoreError as error:
            self._takes_nothing(error)
            return False
        self._takes_again()
        return True

    def _write_bindings(self, bindings: dict[str, Rows]) -> None:
        """All at once; when one of them is unusable, one by one."""
        made = {username: rows() for username, rows in bindings.items()}
        try:
            self._store.save_bindings(made)
        except UnusableError:
            for username, rows in made.items():
                try:
                    self._store.save_bindings({username: rows})
                except UnusableError as error:
                    log.error("registration of {user} not kept: {error}", user=username, error=str(error))

    def _write_usage(self, changes: Sequence[OpenLeg | ChargedLeg]) -> None:
        self._beat_at = monotonic()
        self._usage.write(changes, self._beat_at)

    def _do_chores(self, is_written: bool) -> None:
        """A sign of life while legs are charged; what is too old goes, a batch at a time."""
        now = monotonic()
        try:
            if self._open and now >= self._beat_at + BEAT_S:
                self._beat_at = now
                self._usage.beat(now)
                if is_written:
                    self._takes_again()
            if now >= self._tidy_at and not self._stopping:
                self._tidy_at = now + TIDY_S
                if self._tidy():
                    self._tidy_at = now + TIDY_MORE_S
        except StoreError as error:
            self._takes_nothing(error)

    def _tidy(self) -> bool:
        """Whether there may be more to forget."""
        wall = time()
        records, traces = self._kept
        before = wall - KEEP_S
        counts = (records.tidy(before), self._usage.tidy(before), traces.tidy(wall - TRACES_KEEP_S))
        return any(counts)

    def _answer(self, questions: list[tuple[int, Then]]) -> None:
        for known, then in questions:
            answer: Answer
            try:
                if self._store.revision() == known:
                    answer = None
                else:
                    office, revision = self._store.load()
                    answer = (office, revision) if office is not None else StoreError("the office is gone")
            except StoreError as error:
                self._is_gone(error)
                answer = error
            else:
                self._is_back()
            then(answer)

    def _tell_flushed(self, flushes: Sequence[Flushed], done: bool, has_all: bool) -> None:
        """Who asks while more waits than one batch takes is told after the last one."""
        if done and not has_all:
            with self._changed:
                self._flushes[:0] = flushes
            return
        for then in flushes:
            then(done)

    def _end(self, bindings: dict[str, Rows], rows: list[list[Any]], done: bool) -> bool:
        """Whether the thread is over; if not, after a failure, what is left goes back and time passes."""
        with self._changed:
            self._bindings = {**bindings, **self._bindings}  # newer ones win
            for lane, each in zip(self._lanes, rows, strict=True):
                lane.give_back(each)
            if self._stopping:
                if not done:
                    log.error("{count} changes could not be written", count=self._count())
                return True
            self._changed.wait_for(lambda: self._stopping or self._has_asked(), self._retry_s)
            return False

    def _takes_nothing(self, error: StoreError) -> None:
        self._is_unwritten = True
        self._is_gone(error)

    def _takes_again(self) -> None:
        self._is_unwritten = False
        self._is_back()

    def _is_gone(self, error: StoreError) -> None:
        if self._gone_since is None:
            self._gone_since = monotonic()
            log.error("{error}; tried again until it works", error=str(error))

    def _is_back(self) -> None:
        if self._gone_since is not None and not self._is_unwritten:
            gone_s = round(monotonic() - self._gone_since)
            log.warn(
                "the database is back after {gone} s; {lost} call records are lost",
                gone=gone_s,
                lost=self._records.lost,
            )
            self._gone_since, self._records.lost = None, 0


def _uncharged(row: OpenLeg | ChargedLeg, why: str) -> None:
    log.critical("leg {leg} is not charged to {key}: {error}", leg=row.leg, key=row.key, error=why)


def _unrecorded(row: Row, why: str) -> None:
    log.error("call {call} not recorded: {error}", call=row["id"], error=why)


def _untraced(row: Row, why: str) -> None:
    log.error("a message of {subject} is not kept: {error}", subject=row["subject"], error=why)
