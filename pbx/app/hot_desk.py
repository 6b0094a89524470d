"""Logins at hot-desk phones in the running server: loaded, ended when their time has come, saved."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from pbx.call.effects import SaveLogins
from pbx.call.logins import Login
from pbx.errors import StoreError
from pbx.store.hot_desk import HotDesk, LoginRow

log: Final = Logger()

LOOK_S: Final = 10.0  # how late a login may end by itself
RETRY_S: Final = 1.0


class LoginKeeper:
    """Writes the newest logins, one write at a time, and tries again until it works.

    Args:
        expire: ends the logins whose time has come; gets the time in UTC.
        wall: seconds since 1970.
    """

    def __init__(
        self,
        reactor: Any,
        table: HotDesk,
        expire: Callable[[datetime], None],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._reactor, self._table, self._wall = reactor, table, wall
        self._waiting: tuple[LoginRow, ...] | None = None
        self._writing: Deferred[None] | None = None
        self._retry_s = 0.0
        self._is_stopping = False
        self._stopped: Deferred[None] = Deferred()
        self._look = LoopingCall(lambda: expire(datetime.fromtimestamp(self._wall(), UTC)))
        self._look.clock = reactor

    def load(self) -> list[Login]:
        """What was saved; waits for the database, so only before calls are taken."""
        rows = self._table.load()
        return [Login(row.device, row.member, datetime.fromtimestamp(row.since, UTC)) for row in rows]

    def start(self) -> None:
        """End logins in time, from now on."""
        self._look.start(LOOK_S, now=True)

    def save(self, effect: SaveLogins) -> None:
        """These are all."""
        self._waiting = tuple(
            LoginRow(each.device, each.member, each.since.timestamp()) for each in effect.logins
        )
        if self._writing is None:
            self._write()

    def stop(self) -> "Deferred[None]":
        """Fires when what there was to write is written, or has failed once more."""
        self._is_stopping = True
        if self._look.running:
            self._look.stop()
        return self._stopped if self._writing is not None else succeed(None)

    def _write(self) -> None:
        rows, self._waiting = self._waiting or (), None
        self._retry_s = 0.0
        pool = self._reactor.getThreadPool()

        def failed(failure: Failure) -> None:
            if not isinstance(failure.value, StoreError):
                log.failure("logins at hot-desk phones are not saved", failure)
                return
            log.error("logins at hot-desk phones are not saved: {why}", why=failure.getErrorMessage())
            if self._waiting is None:
                self._waiting = rows
            self._retry_s = RETRY_S

        self._writing = deferToThreadPool(self._reactor, pool, self._table.replace, rows)
        self._writing.addErrback(failed)
        self._writing.addCallback(lambda _: self._written())

    def _written(self) -> None:
        if self._waiting is None or (self._is_stopping and self._retry_s):
            self._writing = None
            if self._is_stopping:
                self._stopped.callback(None)
        else:
            self._reactor.callLater(self._retry_s, self._write)
