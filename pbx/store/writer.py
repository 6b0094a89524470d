"""A thread that writes what the core hands it, in batches: the reactor only appends to a queue."""

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from twisted.logger import Logger

from pbx.errors import StoreError
from pbx.store.store import Store

log: Final = Logger()

BATCH: Final = 200
RETRY_S: Final = 1.0
MOST_WAITING: Final = 100_000  # a database that is gone for hours must not eat all memory

_Job = tuple[str, Any, Any]


class Writer:
    """Bindings and call records on their way to the database. What cannot be written is tried again."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._stopping = threading.Event()
        self._thread.start()

    def save_bindings(self, username: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Replace a device's saved bindings."""
        self._put(("bindings", username, rows))

    def write_record(self, row: Mapping[str, Any]) -> None:
        """Add a finished call."""
        self._put(("record", None, row))

    def ask_revision(self, then: Callable[[int], None]) -> None:
        """Call `then`, in this thread, with the revision of the office."""
        self._put(("revision", then, None))

    def stop(self) -> None:
        """Write what is left, then end."""
        self._stopping.set()
        self._jobs.put(("stop", None, None))
        self._thread.join(timeout=10.0)

    def _put(self, job: _Job) -> None:
        if self._jobs.qsize() < MOST_WAITING:
            self._jobs.put(job)

    def _run(self) -> None:
        while True:
            batch = [self._jobs.get()]
            while len(batch) < BATCH and not self._jobs.empty():
                batch.append(self._jobs.get())
            self._write(batch)
            if any(job[0] == "stop" for job in batch):
                return

    def _write(self, batch: list[_Job]) -> None:
        bindings = {job[1]: job[2] for job in batch if job[0] == "bindings"}
        records = [job[2] for job in batch if job[0] == "record"]
        while bindings or records:
            try:
                if bindings:
                    self._store.save_bindings(bindings)
                    bindings = {}
                self._store.add_records(records)
                records = []
            except StoreError as error:
                log.error("not written yet: {error}", error=str(error))
                if self._stopping.wait(RETRY_S):
                    return
        for job in batch:
            if job[0] == "revision":
                try:
                    number = self._store.revision()
                except StoreError as error:
                    log.error("{error}", error=str(error))
                    continue
                job[1](number)
