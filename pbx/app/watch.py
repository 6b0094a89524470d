"""Keeps the office in memory equal to the one in the database, whoever changes that."""

from collections.abc import Callable
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from pbx.errors import StoreError
from pbx.office.snapshot import Office
from pbx.store.writer import Answer, Then

log: Final = Logger()

POLL_S: Final = 2.0


class Reader(Protocol):
    """store.writer.Writer, as far as it is needed here."""

    def look(self, known: int, then: Then) -> None: ...


class OfficeWatch:
    """Looks at the revision every few seconds and on request; the database is read in the reader's thread.

    Args:
        revision: of the office that is in force.
        domain: offices for another one are refused, since the devices' passwords fit theirs alone.
        take_over: puts a changed office in force.
    """

    def __init__(
        self, reactor: Any, reader: Reader, revision: int, domain: str, take_over: Callable[[Office], None]
    ) -> None:
        self._reactor, self._reader, self._take_over = reactor, reader, take_over
        self._revision, self._domain = revision, domain
        self._refused: int | None = None
        self._asking: list[Deferred[int]] = []
        self._poll = LoopingCall(self._look_again)
        self._poll.clock = reactor

    def start(self) -> None:
        """Look every few seconds from now on."""
        self._poll.start(POLL_S, now=False)

    def stop(self) -> None:
        if self._poll.running:
            self._poll.stop()

    def look(self) -> "Deferred[int]":
        """Look now. Fires with the revision in force, or fails with a StoreError."""
        asking: Deferred[int] = Deferred()
        self._asking.append(asking)
        if len(self._asking) == 1:
            self._ask()
        return asking

    def _look_again(self) -> None:
        if not self._asking:  # else the database is slow, and asking more often does not help
            self.look().addErrback(_expected)

    def _ask(self) -> None:
        count = len(self._asking)  # who asks after this may have written what this look does not see
        self._reader.look(
            self._revision, lambda answer: self._reactor.callFromThread(self._answered, answer, count)
        )

    def _answered(self, answer: Answer, count: int) -> None:
        asked, self._asking = self._asking[:count], self._asking[count:]
        outcome = self._use(answer)
        for each in asked:
            if isinstance(outcome, StoreError):
                each.errback(outcome)
            else:
                each.callback(outcome)
        if self._asking:
            self._ask()

    def _use(self, answer: Answer) -> int | StoreError:
        if answer is None:
            return self._revision
        if isinstance(answer, StoreError):
            return answer
        office, revision = answer
        if office.realm != self._domain:
            refusal = StoreError(
                f"the office in the database is for the domain {office.realm}, this server's is "
                f"{self._domain}: it goes on with the old office"
            )
            if revision != self._refused:
                log.error("{error}", error=str(refusal))
            self._refused = revision
            return refusal
        self._take_over(office)
        self._revision = revision
        log.info("the office has changed: revision {revision} is in force", revision=revision)
        return revision


def _expected(failure: Any) -> None:
    failure.trap(StoreError)  # the writer has logged it
