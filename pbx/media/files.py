"""A thread that writes a worker's recordings: the loop never waits for the disk."""

import socket
import threading
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from pbx.errors import MediaError, UsageError
from pbx.media.samples import Samples
from pbx.media.wav import WavWriter

STOP_S: Final = 2.0


class Files:
    """Carries out what is put, in order; `wake` can be read when something is to be told."""

    def __init__(self) -> None:
        self.wake, self._waker = socket.socketpair()
        for end in (self.wake, self._waker):
            end.setblocking(False)
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._told: deque[Callable[[], None]] = deque()
        self._thread = threading.Thread(target=self._run, name="files", daemon=True)
        self._thread.start()

    def open(self, path: str, rate_hz: int, channels: int) -> "File":
        """A file that is made when the thread comes to it."""
        return File(self, path, rate_hz, channels)

    def put(self, job: Callable[[], None]) -> None:
        self._jobs.put(job)

    def tell(self, what: Callable[[], None]) -> None:
        """From the thread: let the loop call it."""
        self._told.append(what)
        with suppress(BlockingIOError):  # it is full of wakes already
            self._waker.send(b"\0")

    def take(self, _now: float) -> None:
        """From the loop, when `wake` can be read."""
        try:
            self.wake.recv(4096)
        except BlockingIOError:
            return
        while self._told:
            self._told.popleft()()

    def stop(self) -> None:
        """Do what is left."""
        self._jobs.put(None)
        self._thread.join(STOP_S)
        while self._told:
            self._told.popleft()()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except Exception as error:  # the thread's edge: one file's bug loses no other
                traceback.print_exception(error)


class File:
    """A `recorder.Writer`."""

    def __init__(self, files: Files, path: str, rate_hz: int, channels: int) -> None:
        self._files = files
        self._made = (Path(path), rate_hz, channels)
        self._writer: WavWriter | None = None
        self._trouble = ""

    def append(self, samples: Samples, right: Samples | None) -> None:
        self._files.put(lambda: self._append(samples, right))

    def close(self, done: Callable[[str], None]) -> None:
        def close() -> None:
            try:
                if self._writer is not None:
                    self._writer.close()
            except MediaError as error:
                self._trouble = self._trouble or str(error)
            finally:
                self._files.tell(lambda: done(self._trouble))

        self._files.put(close)

    def _append(self, samples: Samples, right: Samples | None) -> None:
        if self._trouble:
            return
        try:
            if self._writer is None:
                self._writer = WavWriter(*self._made)
            self._writer.append(samples, right)
        except (MediaError, UsageError) as error:
            self._trouble = str(error)
