"""Answers what dialogues ask (`pbx.call.questions`): from the voicemail desk, or by hashing a PIN."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hmac import compare_digest
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from pbx.call.dialogue import LOCKED, Unanswered
from pbx.call.locks import FAILURES, Locks
from pbx.call.questions import (
    CheckSecret,
    DropGreeting,
    FindMember,
    FoundMember,
    HeldMessage,
    LeaveMailbox,
    ListMessages,
    MailboxFull,
    MarkMessage,
    NewGreeting,
    NewMessage,
    OpenedMailbox,
    OpenMailbox,
)
from pbx.call.sound import Begin, Finish
from pbx.call.voicemail import LEAST_S
from pbx.errors import PbxError
from pbx.office.snapshot import Office
from pbx.store.desk import Desk
from pbx.store.passwords import Passwords
from pbx.store.recordings import Recording, keep_until
from pbx.store.sound_files import recording_path, voicemail_path
from pbx.store.voicemail import Counts, Limits, Message

log: Final = Logger()

Then = Callable[[Any], None]


class Answers:
    """
    Args:
        office: gives the one in force.
        locks: count wrong codes.
        heard: is told of each message that was left, and where its file is.
        forget: removes what was rendered of a file.
        full: is told of a mailbox that turned a caller away, once until it has room again.
    """

    def __init__(
        self,
        reactor: Any,
        desk: Desk,
        data: Path,
        office: Callable[[], Office],
        locks: Locks,
        heard: Callable[[Message, Path], None],
        full: Callable[[str], None],
        forget: Callable[[str], None],
    ) -> None:
        self._reactor, self._desk, self._data, self._office = reactor, desk, data, office
        self._locks, self._heard, self._full, self._forget = locks, heard, full, forget
        self._passwords = Passwords()
        self._messages: dict[str, Message] = {}  # that are being recorded
        self._recordings: dict[str, Recording] = {}
        self.counts: dict[str, Counts] = {}  # of all mailboxes that hold something

    def answer(self, about: Any, then: Then) -> None:
        """`then` gets the answer, or an Unanswered, now or later."""

        def checked(answer: Any) -> None:
            then(Unanswered(str(answer)) if isinstance(answer, PbxError) else answer)

        try:
            ANSWERS[type(about)](self, about, checked)
        except PbxError as error:
            log.error("{what} failed: {error}", what=type(about).__name__, error=str(error))
            then(Unanswered(str(error)))

    # --- mailboxes -----------------------------------------------------------------------------------------

    def _open(self, about: OpenMailbox, then: Then) -> None:
        settings = self._office().settings
        limits = Limits(settings.voicemail_messages, settings.voicemail_minutes)

        def opened(mailbox: Any) -> None:
            if isinstance(mailbox, PbxError):
                then(mailbox)
                return
            counts = self.counts.get(about.mailbox, Counts())
            greeting = str(self._data / mailbox.greeting) if mailbox.greeting else ""
            then(OpenedMailbox(limits.room_s(counts), greeting, counts.new, counts.saved))

        self._desk.mailbox(about.mailbox, opened)

    def _list(self, about: ListMessages, then: Then) -> None:
        zone = ZoneInfo(self._office().settings.timezone)

        def listed(found: Any) -> None:
            then(found if isinstance(found, PbxError) else [self._held(each, zone) for each in found])

        self._desk.messages(about.mailbox, listed)

    def _held(self, message: Message, zone: ZoneInfo) -> HeldMessage:
        return HeldMessage(
            message.id,
            message.caller,
            message.caller_name,
            datetime.fromtimestamp(message.started_at, zone),
            datetime.now(zone),
            message.seconds,
            "saved" if message.state == "saved" else "new",
            str(self._data / message.path),
        )

    def _mark(self, about: MarkMessage, then: Then) -> None:
        self._desk.mark(about.message, about.state, then)

    def _leave(self, about: LeaveMailbox, then: Then) -> None:
        for path in about.heard:
            self._forget(path)
        self._desk.purge(about.mailbox)
        then(None)

    def _drop_greeting(self, about: DropGreeting, then: Then) -> None:
        self._desk.drop_greeting(about.mailbox, then)

    def _is_full(self, about: MailboxFull, then: Then) -> None:
        def noted(is_news: Any) -> None:
            if is_news is True:
                self._full(about.mailbox)
            then(None)

        self._desk.note_full(about.mailbox, noted)

    # --- recordings ----------------------------------------------------------------------------------------

    def _begin(self, about: Begin, then: Then) -> None:
        what, now = about.what, time.time()
        if isinstance(what, NewMessage):
            message = Message(
                what.id,
                what.mailbox,
                what.caller,
                what.caller_name,
                what.called,
                now,
                0.0,
                "recording",
                voicemail_path(what.mailbox, what.id),
            )
            path = self._desk.begin(message)
            self._messages[what.id] = message
        elif isinstance(what, NewGreeting):
            path = self._desk.begin_greeting(what.mailbox)
        else:
            days = self._office().settings.recording_days
            place = recording_path(what.id, now)
            recording = Recording(what.id, what.call, what.extension, now, None, place, keep_until(now, days))
            path = self._desk.begin_recording(recording)
            self._recordings[what.id] = recording
        then(str(path))

    def _finish(self, about: Finish, then: Then) -> None:
        what = about.what
        if isinstance(what, NewGreeting):
            is_too_short = 0 <= about.seconds < LEAST_S  # then the mailbox comes back with its old one
            self._desk.finish_greeting(
                what.mailbox,
                lambda mailbox: then(
                    None if is_too_short or isinstance(mailbox, PbxError) or not mailbox.greeting else True
                ),
            )
        elif (message := self._messages.pop(what.id, None)) is not None:
            self._desk.finish(message, lambda kept: self._kept(kept, then))
        elif (recording := self._recordings.pop(what.id, None)) is not None:
            self._desk.finish_recording(recording, lambda kept: then(kept and True))
        else:
            then(None)

    def _kept(self, kept: Any, then: Then) -> None:
        if isinstance(kept, Message):
            self._heard(kept, self._data / kept.path)
            then(True)
        else:
            then(None)

    # --- secrets -------------------------------------------------------------------------------------------

    def _check(self, about: CheckSecret, then: Then) -> None:
        # Where there is no secret the same work is done: how long it takes tells nothing.
        stored = about.hash or NOBODYS

        def checked(made: str) -> bool:
            return compare_digest(made, stored) and bool(about.hash)

        subjects = {about.subject: False} | ({about.where: True} if about.where else {})
        self._try(subjects, about.code, stored, checked, then)

    def _find_member(self, about: FindMember, then: Then) -> None:
        """All PINs share one salt (`office.member`): one hash finds whose it is."""
        members = {each.pin_hash: each.email for each in self._office().members if each.pin_hash}
        salted = next(iter(members), NOBODYS)

        def checked(made: str) -> FoundMember | None:
            email = members.get(made)
            return FoundMember(email, datetime.now(UTC)) if email is not None else None

        self._try({about.subject: True}, about.pin, salted, checked, then)

    def _try(
        self,
        subjects: Mapping[str, bool],
        code: str,
        like: str,
        check: Callable[[str], Any],
        then: Then,
    ) -> None:
        """Hash a code and see what that opens, unless one of the subjects is locked.

        Args:
            subjects: by which failures are counted, and whether each is shared, as for Locks.
            like: a hash of the same salt and costs.
            check: gets the hash; what it returns is the answer, and right if it is true.
        """
        now = self._reactor.seconds()
        if any(self._locks.is_locked(subject, now) for subject in subjects):
            then(LOCKED)
            return
        for subject, is_shared in subjects.items():
            self._locks.begin(subject, now, is_shared=is_shared)

        def hashed(made: str) -> None:
            answer = check(made)
            for subject, is_shared in subjects.items():
                if answer:
                    self._locks.right(subject, is_shared=is_shared)
                elif self._locks.is_locked(subject, now):
                    text = "{subject}: {count} wrong codes in a row, locked"
                    log.warn(text, subject=subject, count=FAILURES)
            then(answer)

        def failed(failure: Failure) -> None:
            log.failure("a code was not checked", failure)
            then(Unanswered("the code was not checked"))

        pool = self._reactor.getThreadPool()
        deferToThreadPool(self._reactor, pool, self._passwords.hash, code, like).addCallbacks(hashed, failed)


NOBODYS: Final = f"scrypt$16384$8$1${'A' * 22}==${'A' * 43}="  # of no text that anybody knows

ANSWERS: Final[dict[type, Callable[[Answers, Any, Then], None]]] = {
    OpenMailbox: Answers._open,
    ListMessages: Answers._list,
    MarkMessage: Answers._mark,
    LeaveMailbox: Answers._leave,
    DropGreeting: Answers._drop_greeting,
    MailboxFull: Answers._is_full,
    CheckSecret: Answers._check,
    FindMember: Answers._find_member,
    Begin: Answers._begin,
    Finish: Answers._finish,
}
