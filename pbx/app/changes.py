"""Changes of the office that are made from a phone: in the database first, then in force at once."""

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from pbx.call.changes import changed
from pbx.call.dialogue import Unanswered
from pbx.call.questions import ChangeOffice, Refused
from pbx.errors import StoreError
from pbx.store.store import ConflictError, Store

log: Final = Logger()

TRIES: Final = 5  # others change the office meanwhile


class OfficeChanges:
    """
    Args:
        look: puts what is in the database in force; fires when it is.
    """

    def __init__(self, reactor: Any, store: Store, look: Callable[[], "Deferred[int]"]) -> None:
        self._reactor, self._store, self._look = reactor, store, look

    def change(self, about: ChangeOffice, then: Callable[[Any], None]) -> None:
        """`then` gets True when the change is in force, Refused, or Unanswered."""

        def saved(refused: Refused | None) -> Any:
            if refused is not None:
                log.info("{key} is not changed: {why}", key=about.key, why=refused.why)
                return refused
            log.info("{key} was changed from a phone: {change}", key=about.key, change=str(about.change))
            return self._look().addCallback(lambda _: True)

        def failed(failure: Failure) -> Unanswered:
            if isinstance(failure.value, StoreError):
                log.error("{key} is not changed: {why}", key=about.key, why=failure.getErrorMessage())
            else:
                log.failure("an extension was not changed", failure)
            return Unanswered("the office was not changed")

        pool = self._reactor.getThreadPool()
        done = deferToThreadPool(self._reactor, pool, save_change, self._store, about)
        done.addCallback(saved).addErrback(failed).addCallback(then)


def save_change(store: Store, about: ChangeOffice) -> Refused | None:
    """Make a change in the database, based on what is there; None: it is done. Blocks.

    Raises:
        StoreError: the database fails, or others change the office all the time.
    """
    for left in reversed(range(TRIES)):
        office, revision = store.load()
        if office is None:
            raise StoreError("the office is gone")
        new = changed(office, about)
        if isinstance(new, Refused):
            return new
        if new == office:
            return None
        try:
            store.save(new, expected=revision)
        except ConflictError:
            if not left:
                raise
        else:
            return None
    raise AssertionError("the last try returns or raises")
