"""The voicemail desk in the running server: started, told of the hours, asked by commands, stopped."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool

from pbx.errors import PbxError
from pbx.office.snapshot import Office
from pbx.store.desk import Desk
from pbx.store.store import Store
from pbx.store.voicemail import Counts

SWEEP_S: Final = 3600.0


class Mailboxes:
    """Owns the desk.

    Args:
        changed: is called with a mailbox and what it holds, at start and after a change.
    """

    def __init__(
        self,
        reactor: Any,
        store: Store,
        data: Path,
        office: Callable[[], Office],
        changed: Callable[[str, Counts], None],
    ) -> None:
        self._reactor, self._office = reactor, office
        self.desk = Desk(store, data, reactor.callFromThread, changed)
        self._sweep = LoopingCall(self.desk.sweep)
        self._sweep.clock = reactor

    def start(self) -> None:
        """Put in order what the last run left; delete recordings past their time, now and each hour."""
        self.desk.salvage(self._office().settings.recording_days)
        self._sweep.start(SWEEP_S)

    def refresh(self) -> "Deferred[Any]":
        """A command has changed messages: the lamps follow. Fails with a StoreError."""
        done: Deferred[Any] = Deferred()

        def answered(answer: Any) -> None:
            if isinstance(answer, PbxError):
                done.errback(answer)
            else:
                done.callback({})

        self.desk.refresh(answered)
        return done

    def stop(self) -> "Deferred[None]":
        """Write what is left. Fires when the desk is closed."""
        if self._sweep.running:
            self._sweep.stop()
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), self.desk.stop)
