"""A thread that talks with the database for the core: the reactor only leaves notes, and never waits."""

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Any, Final

from twisted.logger import Logger

from pbx.errors import StoreError
from pbx.office.snapshot import Office
from pbx.store.store import Store, UnusableError

log: Final = Logger()

BATCH: Final = 200
GATHER_S: Final = 0.25  # what is not urgent waits so long for others: one transaction for all costs a tenth
RETRY_S: Final = 1.0
MOST_RECORDS: Final = 100_000  # a database that is gone for days must not eat all memory
STOP_S: Final = 10.0

Row = Mapping[str, Any]
Answer = tuple[Office, int] | StoreError | None
Then = Callable[[Answer], None]


class Writer:
    """Bindings and call records on their way to the database, and the office on its way back.

    What cannot be written is tried again until it can, or until the end. While the database is gone, only the
    newest bindings of each device wait for it, and call records up to a limit.
    """

    def __init__(
        self,
        store: Store,
        retry_s: float = RETRY_S,
        most_records: int = MOST_RECORDS,
        gather_s: float = GATHER_S,
    ) -> None:
        self._store, self._retry_s, self._most_records = store, retry_s, most_records
        self._gather_s = gather_s
        self._changed = threading.Condition()
        self._bindings: dict[str, Sequence[Row]] = {}
        self._records: deque[Row] = deque()
        self._questions: list[tuple[int, Then]] = []
        self._lost = 0
        self._has_urgent = False  # among the bindings
        self._is_idle = False  # the thread waits for work
        self._stopping = False
        self._gone_since: float | None = None  # the database does not answer
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    # --- called by the reactor -----------------------------------------------------------------------------

    def save_bindings(self, username: str, rows: Sequence[Row], *, is_urgent: bool = False) -> None:
        """Replace a device's saved bindings; urgent ones do not wait for others."""
        with self._changed:
            self._bindings[username] = rows
            self._has_urgent = self._has_urgent or is_urgent
            self._wake()

    def write_record(self, row: Row) -> None:
        """Add a finished call."""
        with self._changed:
            if len(self._records) >= self._most_records:
                self._records.popleft()
                self._lost += 1
            self._records.append(row)
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

    @property
    def waiting(self) -> int:
        """How many devices' bindings and call records are still to be written."""
        with self._changed:
            return len(self._bindings) + len(self._records)

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
                self._changed.wait_for(self._has_work, None)
                self._is_idle = False
                self._changed.wait_for(self._is_urgent, self._gather_s)
                bindings = self._take_bindings()
                records = [self._records.popleft() for _ in range(min(BATCH, len(self._records)))]
                questions, self._questions = self._questions, []
                is_last = self._stopping and not (self._bindings or self._records)
            done = True
            with log.failuresHandled("the writer failed"):  # a bug; what caused it is dropped
                done = self._write(bindings, records)
            with log.failuresHandled("the writer failed"):
                self._answer(questions)
            if (not done or is_last) and self._end(bindings, records, done):
                return

    def _wake(self) -> None:
        """Waking a thread for each record of a busy hour costs more than the record."""
        if self._is_idle or self._has_urgent or len(self._records) == BATCH:
            self._is_idle = False
            self._changed.notify()

    def _has_work(self) -> bool:
        return bool(self._bindings or self._records or self._questions or self._stopping)

    def _is_urgent(self) -> bool:
        return self._has_urgent or bool(self._questions or self._stopping or len(self._records) >= BATCH)

    def _take_bindings(self) -> dict[str, Sequence[Row]]:
        taken = dict(list(self._bindings.items())[:BATCH])
        for username in taken:
            del self._bindings[username]
        self._has_urgent = self._has_urgent and bool(self._bindings)
        return taken

    def _write(self, bindings: dict[str, Sequence[Row]], records: list[Row]) -> bool:
        """Write them; False when the database fails, and then they are still in what was handed in."""
        if not bindings and not records:
            return True
        try:
            if bindings:
                self._try(lambda: self._store.save_bindings(bindings), self._each_binding, bindings)
                bindings.clear()
            if records:
                self._try(lambda: self._store.add_records(records), self._each_record, records)
                records.clear()
        except StoreError as error:
            self._is_gone(error)
            return False
        self._is_back()
        return True

    def _try(self, write: Callable[[], None], write_each: Callable[[Any], None], what: Any) -> None:
        """All at once; when one of them is unusable, one by one."""
        try:
            write()
        except UnusableError:
            write_each(what)

    def _each_binding(self, bindings: dict[str, Sequence[Row]]) -> None:
        for username, rows in bindings.items():
            try:
                self._store.save_bindings({username: rows})
            except UnusableError as error:
                log.error("registration of {user} not kept: {error}", user=username, error=str(error))

    def _each_record(self, records: list[Row]) -> None:
        for row in records:
            try:
                self._store.add_records([row])
            except UnusableError as error:
                log.error("call {call} not recorded: {error}", call=row["id"], error=str(error))

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

    def _end(self, bindings: dict[str, Sequence[Row]], records: list[Row], done: bool) -> bool:
        """Whether the thread is over; if not, after a failure, what is left goes back and time passes."""
        with self._changed:
            self._bindings = {**bindings, **self._bindings}  # newer ones win
            self._records.extendleft(reversed(records))
            if self._stopping:
                if not done:
                    log.error(
                        "{count} changes could not be written", count=len(self._bindings) + len(self._records)
                    )
                return True
            self._changed.wait_for(lambda: self._stopping or bool(self._questions), self._retry_s)
            return False

    def _is_gone(self, error: StoreError) -> None:
        if self._gone_since is None:
            self._gone_since = monotonic()
            log.error("{error}; tried again until it works", error=str(error))

    def _is_back(self) -> None:
        if self._gone_since is not None:
            gone_s = round(monotonic() - self._gone_since)
            log.warn(
                "the database is back after {gone} s; {lost} call records are lost",
                gone=gone_s,
                lost=self._lost,
            )
            self._gone_since, self._lost = None, 0
