"""Mail on its way out: kept in the database at once, sent from there until the server has it.

The reactor's side. The database, files and commands are worked on in threads; nothing here waits for them.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeVar

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.task import LoopingCall, deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from pbx.entropy import Entropy
from pbx.errors import StoreError
from pbx.mail.attachments import throw_away
from pbx.mail.client import Parcel, SmtpConnection
from pbx.mail.facts import Facts
from pbx.mail.letter import write_letter
from pbx.mail.packing import make_row, pack
from pbx.mail.post import MailTroubleError, Post
from pbx.mail.schedule import (
    GIVE_UP_S,
    LONGEST_WAIT_S,
    MOST_DOUBTS,
    Change,
    Outcome,
    Verdict,
    judge,
    wait_before,
)
from pbx.office.values import Email, NotAllowedError
from pbx.store.outbox import Outbox, OutboxRow
from pbx.store.store import UnusableError

log: Final = Logger()

CONNECTIONS: Final = 2
BATCH: Final = 100
MOST_KEPT: Final = 10_000  # in memory, while the database is gone

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between what we do by ourselves."""

    look_s: float = 15.0  # for what has become due, and what `pbx mail retry` did
    retry_s: float = 1.0  # after the database failed
    tidy_s: float = 6 * 3600.0
    stop_s: float = 10.0  # for the answer to a message that is out


class Mailer:
    """Sends mail, and loses none.

    Args:
        post: the way to the server; None = there is none, and mail is kept.
        office: gives the office's name and time zone.
        sender: whom mail comes from.
        wall: seconds since 1970.
        folder: of attachments; those that no mail names any more are thrown away.
    """

    def __init__(
        self,
        reactor: Any,
        outbox: Outbox,
        post: Post | None,
        office: Callable[[], tuple[str, str]],
        sender: str,
        entropy: Entropy,
        wall: Callable[[], float],
        pace: Pace | None = None,
        folder: Path | None = None,
    ) -> None:
        self._reactor, self._outbox, self._post, self._office = reactor, outbox, post, office
        self._sender, self._entropy, self._wall = sender, entropy, wall
        self._pace, self._folder = pace or Pace(), folder
        self._new: dict[str, OutboxRow] = {}  # not in the database yet
        self._ended: dict[str, Change] = {}  # attempts that the database does not know of yet
        self._queue: deque[OutboxRow] = deque()  # to be sent next
        self._in_hand: dict[str, OutboxRow] = {}  # queued, being sent, or ended
        self._connections: set[SmtpConnection] = set()
        self._opening = 0
        self._failures = 0  # of the server, one after the other
        self._retry_at = 0.0
        self._said = ""  # the server's trouble, as it is in the log
        self._lost = 0
        self._is_gone = False  # the database
        self._is_recovered = self._is_writing = self._is_looking = False
        self._is_stopping = self._is_hurried = False
        self._pause: Deferred[None] | None = None
        self._idle: list[Deferred[None]] = []
        self._look_call, self._tidy_call = LoopingCall(self._look), LoopingCall(self._tidy)
        self._look_call.clock = self._tidy_call.clock = reactor

    # --- for the rest of the core --------------------------------------------------------------------------

    def send(self, facts: Facts, recipients: Iterable[str], attachment: Path | None = None) -> None:
        """Mail to each recipient, from the reactor's thread. Returns at once, and never fails.

        Args:
            attachment: a file that goes along. It is read when the mail goes out; when it is gone by then,
                the mail says so.
        """
        name, zone = self._office()
        letter = write_letter(facts, name, zone)
        now = self._wall()
        for given in dict.fromkeys(recipients):
            try:
                recipient = Email().read(given)
            except NotAllowedError as error:
                log.error("no mail to {given!r}: not {allowed}", given=given, allowed=error.allowed)
                continue
            id_ = self._entropy.token() + self._entropy.token()
            row = make_row(id_, letter, self._sender, recipient, now, attachment)
            if len(self._new) >= MOST_KEPT:
                del self._new[next(iter(self._new))]
                self._lost += 1
            self._new[id_] = row
        self._write()

    def start(self) -> None:
        """Send what waits, from now on."""
        self._tidy_call.start(self._pace.tidy_s, now=True)
        if self._post is not None:
            self._look_call.start(self._pace.look_s, now=True)

    def try_now(self) -> None:
        """Look at once for what is due, whatever trouble the server made before."""
        self._retry_at = 0.0
        self._look()

    def stop(self) -> "Deferred[None]":
        """Wait for answers to what is out, write what is not written, and end. Fires when it is over."""
        self._is_stopping = True
        for call in (self._look_call, self._tidy_call):
            if call.running:
                call.stop()
        self._give_back_queue()
        for connection in tuple(self._connections):
            connection.stop()
        return ensureDeferred(self._end())

    async def _end(self) -> None:
        limit = self._reactor.callLater(self._pace.stop_s, self._hurry)
        while (self._connections or self._opening or self._is_looking) and not self._is_hurried:
            self._idle.append(Deferred())
            await self._idle[-1]
        if self._pause is not None:
            self._pause.cancel()
        self._write()
        while self._is_writing:
            self._idle.append(Deferred())
            await self._idle[-1]
        if limit.active():
            limit.cancel()

    def _hurry(self) -> None:
        self._is_hurried = True
        for connection in tuple(self._connections):
            connection.transport.abortConnection()
        self._wake()

    def _wake(self) -> None:
        waiting, self._idle = self._idle, []
        for each in waiting:
            each.callback(None)

    # --- into the database ---------------------------------------------------------------------------------

    def _write(self) -> None:
        if not self._is_writing and (self._new or self._ended):
            self._is_writing = True
            ensureDeferred(self._write_all()).addErrback(lambda failure: log.failure("mail", failure))

    async def _write_all(self) -> None:
        """Write until nothing is left; while the database is gone, again and again."""
        try:
            while self._new or self._ended:
                new, ended = list(islice(self._new.values(), BATCH)), dict(islice(self._ended.items(), BATCH))
                try:
                    await self._in_thread(lambda: self._put(new, ended))  # noqa: B023  # awaited here
                except StoreError as error:
                    self._database_failed(error)
                    if self._is_stopping:
                        break
                    await self._sleep()
                    continue
                self._database_works()
                for row in new:
                    self._new.pop(row.id, None)
                for id_ in ended:
                    del self._ended[id_]
                    self._in_hand.pop(id_, None)
        finally:
            self._is_writing = False
            if self._is_stopping and (self._new or self._ended):
                log.error("{count} mails could not be written", count=len(self._new) + len(self._ended))
            self._wake()
        self._look()

    def _put(self, new: list[OutboxRow], ended: dict[str, Change]) -> None:
        """In a thread. What no database would take is dropped, so that it holds up nothing."""
        try:
            surplus = self._outbox.add(new)
        except UnusableError:
            surplus = sum(self._put_one(row) for row in new)
        if surplus:
            log.error("too much mail waits: the {count} oldest are not sent", count=surplus)
        now = self._wall()
        for id_, each in ended.items():
            self._outbox.finish(id_, each.state, each.attempts, each.doubts, each.next_at, each.words, now)

    def _put_one(self, row: OutboxRow) -> int:
        try:
            return self._outbox.add([row])
        except UnusableError as error:
            log.error("mail to {recipient} is not kept: {error}", recipient=row.recipient, error=str(error))
            return 0

    async def _sleep(self) -> None:
        self._pause = deferLater(self._reactor, self._pace.retry_s)
        try:
            await self._pause
        except CancelledError:
            pass  # by `stop`, for the last try
        finally:
            self._pause = None

    def _database_failed(self, error: StoreError) -> None:
        if not self._is_gone:
            self._is_gone = True
            log.error("mail: {error}; tried again until it works", error=str(error))

    def _database_works(self) -> None:
        if self._is_gone:
            log.warn("mail: the database is back; {lost} mails are lost", lost=self._lost)
            self._is_gone, self._lost = False, 0

    def _tidy(self) -> "Deferred[None]":
        unwritten = {str(row.body["attachment"]) for row in self._new.values()}

        def tidy() -> None:
            self._outbox.tidy(self._wall())
            if self._folder is not None:
                throw_away(self._folder, unwritten | self._outbox.attachments(), self._wall())

        return self._in_thread(tidy).addErrback(self._expected)

    def _expected(self, failure: Any) -> None:
        failure.trap(StoreError)
        self._database_failed(failure.value)

    def _in_thread(self, work: Callable[[], T]) -> "Deferred[T]":
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), work)

    # --- out of the database -------------------------------------------------------------------------------

    def _look(self) -> None:
        """See whether something is due."""
        if self._post is None or self._is_stopping or self._is_looking or self._is_paused():
            return
        looked: Deferred[None] = ensureDeferred(self._look_and_open())
        looked.addErrback(lambda failure: log.failure("mail", failure))

    async def _look_and_open(self) -> None:
        await self._fetch()
        if self._is_paused():  # since the database was asked
            self._give_back_queue()
        wanted = min(CONNECTIONS, len(self._queue))
        while not self._is_stopping and len(self._connections) + self._opening < wanted:
            self._opening += 1
            ensureDeferred(self._open()).addErrback(lambda failure: log.failure("mail", failure))

    async def _fetch(self) -> None:
        """Fill the queue, unless somebody does so already or the database is gone."""
        if self._is_looking:
            return
        self._is_looking = True
        try:
            if not self._is_recovered:
                found = await self._in_thread(lambda: self._outbox.recover(self._wall(), MOST_DOUBTS))
                self._is_recovered = True
                if found:
                    log.warn("{count} mails were being sent when the last server ended", count=found)
            known = frozenset(self._in_hand)
            rows = await self._in_thread(lambda: self._outbox.due(self._wall(), BATCH, known))
        except StoreError as error:
            self._database_failed(error)
            return
        finally:
            self._is_looking = False
            self._wake()
        self._database_works()
        for row in rows:
            if row.id not in self._in_hand and not self._is_stopping:
                self._in_hand[row.id] = row
                self._queue.append(row)

    async def _open(self) -> None:
        assert self._post is not None
        try:
            connection = await self._post.connect(self)
        except MailTroubleError as error:
            self._trouble(str(error))
        else:
            if connection.is_lost:
                return
            self._connections.add(connection)
            if self._is_stopping:
                connection.stop()
        finally:
            self._opening -= 1
            self._wake()

    def _trouble(self, words: str) -> None:
        """The server takes nothing: all that is due waits, whosever turn it is.

        In a pause nothing is opened. So who fails in one was there before it began: it is the same trouble.
        """
        now = self._wall()
        if not self._is_paused():
            self._failures += 1
            self._retry_at = now + wait_before(self._failures)
        until = self._retry_at
        if words != self._said:
            log.error("mail is not sent: {words}", words=words)
            self._said = words
        self._give_back_queue()
        if not self._is_stopping:
            put_off = self._in_thread(lambda: self._outbox.delay(now, until, now - GIVE_UP_S, words))
            put_off.addErrback(self._expected)

    def _is_paused(self) -> bool:
        """The server is left alone (not when the clock was set back)."""
        return 0 < self._retry_at - self._wall() <= LONGEST_WAIT_S

    def _give_back_queue(self) -> None:
        while self._queue:
            self._in_hand.pop(self._queue.popleft().id, None)

    # --- what connections ask (client.Source) --------------------------------------------------------------

    def next(self) -> "Deferred[Parcel | None]":
        return ensureDeferred(self._next())

    async def _next(self) -> Parcel | None:
        if not self._queue:
            await self._fetch()
        while self._queue and not self._is_stopping:
            row = self._queue.popleft()
            try:
                return await self._in_thread(lambda: pack(row, self._sender))  # noqa: B023  # awaited here
            except (KeyError, TypeError, ValueError) as error:
                log.failure("mail {id} cannot be made", id=row.id)
                self._note(row, Outcome(Verdict.REFUSED, f"it cannot be made: {error!r}"))
        return None

    def commit(self, parcel: Parcel) -> "Deferred[bool]":
        return self._in_thread(lambda: self._outbox.claim(parcel.id, self._wall()))

    def done(self, parcel: Parcel, outcome: Outcome | None) -> None:
        if outcome is None:
            self._in_hand.pop(parcel.id, None)
        else:
            self._note(self._in_hand[parcel.id], outcome)

    def closed(self, connection: SmtpConnection, trouble: str) -> None:
        self._connections.discard(connection)
        if trouble and not self._is_stopping:
            self._trouble(f"{self._post.server if self._post else ''}: {trouble}")
        self._wake()
        if not trouble:
            self._look()

    def _note(self, row: OutboxRow, outcome: Outcome) -> None:
        change = judge(outcome, row.attempts, row.doubts, row.since, self._wall())
        facts = {"id": row.id, "recipient": row.recipient, "words": change.words}
        if change.state == "sent":
            self._failures, self._retry_at, self._said = 0, 0.0, ""
            log.info("mail {id} to {recipient} is taken: {words}", **facts)
        elif change.state == "refused":
            log.error("mail {id} to {recipient} is not sent: {words}", **facts)
        else:
            log.warn("mail {id} to {recipient} is put off: {words}", **facts)
        self._ended[row.id] = change
        self._write()
