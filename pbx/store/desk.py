"""The voicemail desk: a thread that keeps messages and recordings for the core.

The reactor only leaves requests. What must not be lost (a finished message) is tried again until it is kept;
a question is answered at once, with an error when the database is gone.
"""

import errno
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from twisted.logger import Logger

from pbx.errors import PbxError, StoreError
from pbx.store.recordings import Recording, Recordings
from pbx.store.salvage import Salvaged, remove, salvage
from pbx.store.sound_files import finish, greeting_path, locate, make_room, part_of
from pbx.store.store import Store, UnusableError
from pbx.store.voicemail import Counts, Mailbox, Message, State, Voicemail

log: Final = Logger()

RETRY_S: Final = 1.0
STOP_S: Final = 10.0

Answered = Callable[[Any], None]


@dataclass(frozen=True, slots=True)
class _Request:
    """`is_kept`: it is tried again until the database takes it."""

    what: str
    work: Callable[[], Any]
    then: Answered | None
    is_kept: bool


class Desk:
    """Messages, mailboxes and recordings, for callers in the reactor.

    Each `then` is called in the reactor's thread with the result, or with a PbxError: why there is none.

    Args:
        data: the data folder.
        in_reactor: has a function called in the reactor's thread (`reactor.callFromThread`).
        changed: is called there with a mailbox and what it holds, for each at start and after a change.
        wall: seconds since 1970.
    """

    def __init__(
        self,
        store: Store,
        data: Path,
        in_reactor: Callable[..., object],
        changed: Callable[[str, Counts], None],
        *,
        wall: Callable[[], float] = time.time,
        retry_s: float = RETRY_S,
    ) -> None:
        self._voicemail, self._recordings = Voicemail(store), Recordings(store)
        self._data, self._in_reactor, self._tell = data, in_reactor, changed
        self._wall, self._retry_s = wall, retry_s
        self._wakes = threading.Condition()
        self._requests: deque[_Request] = deque()
        self._left: list[_Request] = []  # kept ones that the database did not take yet; the thread's own
        self._live: set[str] = set()  # paths of what is being made
        self._told: dict[str, Counts] = {}
        self._is_stale = True  # the core may not know what the mailboxes hold
        self._is_gone = False
        self._is_told = False  # that it is gone
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="voicemail desk", daemon=True)
        self._thread.start()

    # --- a message is made ---------------------------------------------------------------------------------

    def begin(self, message: Message) -> Path:
        """Note that a message is about to be recorded.

        Returns:
            The file to write it to; its folder is there (made at once: one small step of the file system).

        Raises:
            StoreError: the disk does not take it.
        """
        path = self._begin(message.path)
        row = replace(message, state="recording")
        self._ask(f"message {message.id}", lambda: self._voicemail.put(row), None, is_kept=True)
        return path

    def finish(self, message: Message, then: Answered | None = None) -> None:
        """Nobody writes the file of `begin` any more, whether in order or because the writer died.

        `then` gets the new Message, its length read from the file, or None when that was too short to keep:
        it is gone then.
        """
        self._ask(f"message {message.id}", lambda: self._finish(message), then, is_kept=True)

    # --- messages that are there ---------------------------------------------------------------------------

    def messages(self, mailbox: str, then: Answered) -> None:
        """`then` gets the list of its new and saved Messages, the oldest first."""
        self._ask(f"mailbox {mailbox}", lambda: self._voicemail.messages(mailbox), then)

    def mark(self, message_id: str, state: State, then: Answered | None = None) -> None:
        """Make a message new, saved or (until `purge`) deleted; `then` gets it, None when there is none."""

        def work() -> Message | None:
            self._is_stale = True
            return self._voicemail.mark(message_id, state)

        self._ask(f"message {message_id}", work, then)

    def purge(self, mailbox: str) -> None:
        """Delete for good what is marked as deleted: whoever listened has hung up."""

        def work() -> None:
            for message in self._voicemail.messages(mailbox, ("deleted",)):
                self._delete(message)

        self._ask(f"mailbox {mailbox}", work, None, is_kept=True)

    def refresh(self, then: Answered | None = None) -> None:
        """Somebody else may have changed messages: tell the core of all that differ from what it was told."""

        def work() -> None:
            self._is_stale = True

        self._ask("the mailboxes", work, then)

    # --- mailboxes -----------------------------------------------------------------------------------------

    def mailbox(self, key: str, then: Answered) -> None:
        """`then` gets its Mailbox."""
        self._ask(f"mailbox {key}", lambda: self._voicemail.mailbox(key), then)

    def begin_greeting(self, key: str) -> Path:
        """As `begin`, for the mailbox's own greeting; the one that is there stays until `finish_greeting`."""
        return self._begin(greeting_path(key))

    def finish_greeting(self, key: str, then: Answered | None = None) -> None:
        """Use what was recorded; `then` gets the Mailbox, unchanged when the recording was too short."""
        path = greeting_path(key)

        def work() -> Mailbox:
            part = part_of(locate(self._data, path))
            is_made = part.exists() and finish(locate(self._data, path)) > 0
            box = self._voicemail.mailbox(key)
            if is_made or (box.greeting != path and locate(self._data, path).exists()):
                box = replace(box, greeting=path)
                self._voicemail.put_mailbox(box)
            self._live.discard(path)
            return box

        self._ask(f"the greeting of mailbox {key}", work, then, is_kept=True)

    def drop_greeting(self, key: str, then: Answered | None = None) -> None:
        """Back to the office's greeting; an unfinished recording goes too. `then` gets the Mailbox."""

        def work() -> Mailbox:
            box = replace(self._voicemail.mailbox(key), greeting="")
            self._voicemail.put_mailbox(box)
            remove(locate(self._data, greeting_path(key)))
            self._live.discard(greeting_path(key))
            return box

        self._ask(f"the greeting of mailbox {key}", work, then)

    def note_full(self, key: str, then: Answered) -> None:
        """A mailbox turned a caller away: `then` gets whether its owner has yet to be told so."""

        def work() -> bool:
            box = self._voicemail.mailbox(key)
            if not box.is_full_mail_sent:
                self._voicemail.put_mailbox(replace(box, is_full_mail_sent=True))
            return not box.is_full_mail_sent

        self._ask(f"mailbox {key}", work, then)

    # --- recordings of calls -------------------------------------------------------------------------------

    def begin_recording(self, recording: Recording) -> Path:
        """As `begin`, for the recording of a call."""
        path = self._begin(recording.path)
        row = replace(recording, seconds=None)
        self._ask(f"recording {recording.id}", lambda: self._recordings.put(row), None, is_kept=True)
        return path

    def finish_recording(self, recording: Recording, then: Answered | None = None) -> None:
        """As `finish`; `then` gets the Recording, or None."""

        def work() -> Recording | None:
            seconds = finish(locate(self._data, recording.path))
            made = replace(recording, seconds=seconds) if seconds else None
            if made is not None:
                self._recordings.put(made)
            else:
                self._recordings.forget(recording.id)
            self._live.discard(recording.path)
            return made

        self._ask(f"recording {recording.id}", work, then, is_kept=True)

    def sweep(self, then: Answered | None = None) -> None:
        """Delete the recordings whose time is over; `then` gets how many."""

        def work() -> int:
            due = self._recordings.due(self._wall())
            for recording in due:
                remove(locate(self._data, recording.path))
                self._recordings.forget(recording.id)
            if due:
                log.info("{count} recordings were past their time and are deleted", count=len(due))
            return len(due)

        self._ask("recordings past their time", work, then)

    # --- start and end -------------------------------------------------------------------------------------

    def salvage(self, recording_days: int, then: Answered | None = None) -> None:
        """Put in order what a crash left behind; `then` gets Salvaged. The log is told in any case."""

        def work() -> Salvaged:
            found = salvage(
                self._data, self._voicemail, self._recordings, recording_days, self._live.__contains__
            )
            self._is_stale = True
            _log(found)
            return found

        self._ask("what the last run left behind", work, then, is_kept=True)

    @property
    def waiting(self) -> int:
        """How many requests are still to be carried out."""
        with self._wakes:
            return len(self._requests) + len(self._left)

    def stop(self, timeout: float = STOP_S) -> None:
        """Carry out what was asked, then end. Blocks: not for the reactor's thread."""
        with self._wakes:
            self._stopping = True
            self._wakes.notify()
        self._thread.join(timeout)
        if self._thread.is_alive():
            log.error("the database does not answer; {count} requests of voicemail wait", count=self.waiting)

    # --- the thread ----------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._wakes:
                self._wakes.wait_for(self._has_work, self._retry_s if self._is_gone else None)
                is_last = self._stopping
                taken = self._left + list(self._requests)
                self._left = []
                self._requests.clear()
            self._is_gone = False
            for request in taken:
                self._carry_out(request)
            with log.failuresHandled("the voicemail desk failed"):
                self._tell_changes()
            self._is_told = self._is_told and self._is_gone
            if is_last and not self._requests:
                if self._left:
                    log.error(
                        "{count} requests of voicemail could not be written; the next start finds the files",
                        count=len(self._left),
                    )
                return

    def _has_work(self) -> bool:
        is_untold = self._is_stale and not self._is_gone
        return bool(self._requests or self._stopping or is_untold)

    def _carry_out(self, request: _Request) -> None:
        answer: Any
        if self._is_gone and request.is_kept:  # in their order
            self._left.append(request)
            return
        try:
            answer = request.work()
        except (PbxError, OSError) as error:
            if _passes(error):
                self._note_gone(request.what, error)
                if request.is_kept:
                    self._left.append(request)
                    return
            else:
                log.error("{what} failed: {error}", what=request.what, error=str(error))
            answer = error if isinstance(error, PbxError) else StoreError(f"{request.what}: {error}")
        except Exception:  # a bug must not end the thread
            log.failure("{what} failed", what=request.what)
            answer = StoreError(f"{request.what} failed; the server's log says why")
        if request.then is not None:
            self._in_reactor(request.then, answer)

    def _tell_changes(self) -> None:
        if not self._is_stale or self._is_gone:
            return
        self._is_stale = False
        try:
            counts = self._voicemail.counts()
        except StoreError as error:
            self._note_gone("the mailboxes", error)
            self._is_stale = True
            return
        told, self._told = self._told, counts
        for mailbox in sorted(counts.keys() | told.keys()):
            now = counts.get(mailbox, Counts())
            if now != told.get(mailbox, Counts()):
                self._in_reactor(self._tell, mailbox, now)

    def _note_gone(self, what: str, error: Exception) -> None:
        self._is_gone = True
        if not self._is_told:
            self._is_told = True
            log.error("{what}: {error}; tried again until it works", what=what, error=str(error))

    # --- inside --------------------------------------------------------------------------------------------

    def _ask(
        self, what: str, work: Callable[[], Any], then: Answered | None, *, is_kept: bool = False
    ) -> None:
        with self._wakes:
            self._requests.append(_Request(what, work, then, is_kept))
            self._wakes.notify()

    def _begin(self, relative: str) -> Path:
        path = locate(self._data, relative)
        try:
            make_room(path)
        except OSError as error:
            raise StoreError(f"{path.parent}: {error.strerror}") from error
        self._live.add(relative)
        return part_of(path)

    def _finish(self, message: Message) -> Message | None:
        seconds = finish(locate(self._data, message.path))
        finished = replace(message, state="new", seconds=seconds) if seconds else None
        if finished is not None:
            self._voicemail.put(finished)
            self._is_stale = True
        else:
            self._voicemail.forget(message.id)
        self._live.discard(message.path)
        return finished

    def _delete(self, message: Message) -> None:
        delete_message(self._data, self._voicemail, message)
        self._is_stale = True


def _passes(error: Exception) -> bool:
    """Whether the same may work later: the database is away, or the disk full."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE)
    return isinstance(error, StoreError) and not isinstance(error, UnusableError)


def delete_message(data: Path, voicemail: Voicemail, message: Message) -> None:
    """Delete a message for good, in an order in which a crash leaves nothing that comes back.

    Raises:
        StoreError, BrokenFileError: the database or the disk failed; asked again, it goes on.
    """
    voicemail.mark(message.id, "deleted")
    remove(locate(data, message.path))
    voicemail.forget(message.id)
    box = voicemail.mailbox(message.mailbox)
    if box.is_full_mail_sent:  # there is room again: the next time it is full is told anew
        voicemail.put_mailbox(replace(box, is_full_mail_sent=False))


def _log(found: Salvaged) -> None:
    for message in found.messages:
        text = (
            "mailbox {mailbox}: message {id} ({seconds:.0f} s) was unfinished or unknown; it is kept as new"
        )
        log.warn(text, mailbox=message.mailbox, id=message.id, seconds=message.seconds)
    for recording in found.recordings:
        log.warn("recording {path} was not finished or not known; it is kept", path=recording.path)
    for path in found.discarded:
        log.info("{path}: unfinished and too short to keep", path=path)
    for complaint in found.complaints:
        log.warn("{complaint}", complaint=complaint)
