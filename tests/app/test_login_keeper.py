"""Logins at hot-desk phones on their way to the database: the newest ones get there, whatever fails."""

from datetime import UTC, datetime

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from pbx.app import hot_desk
from pbx.app.hot_desk import LOOK_S, RETRY_S, LoginKeeper
from pbx.call.effects import SaveLogins
from pbx.call.logins import Login
from pbx.errors import StoreError
from pbx.store.hot_desk import HotDesk, LoginRow

AT = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
ANN, BOB = Login("200", "ann@acme.example", AT), Login("201", "bob@acme.example", AT)


class Reactor(Clock):
    def getThreadPool(self):  # noqa: N802
        return None


class World:
    """A keeper whose writes are answered by hand: `writes` are what was asked, `written` what is there."""

    def __init__(self) -> None:
        self.reactor = Reactor()
        self.writes = []
        self.written = None
        self.looks = []
        self.keeper = LoginKeeper(self.reactor, self, self.looks.append, wall=AT.timestamp)

    def replace(self, rows):
        raise AssertionError("not from the reactor")

    def defer(self, _reactor, _pool, function, rows):
        assert function == self.replace
        self.writes.append((rows, Deferred()))
        return self.writes[-1][1]

    def save(self, *logins: Login) -> None:
        self.keeper.save(SaveLogins(logins))

    def end(self, error: Exception | None = None) -> None:
        rows, write = self.writes.pop(0)
        if error is None:
            self.written = [row.device for row in rows]
            write.callback(None)
        else:
            write.errback(error)


@pytest.fixture
def world(monkeypatch):
    made = World()
    monkeypatch.setattr(hot_desk, "deferToThreadPool", made.defer)
    return made


def test_logins_come_back_as_they_were(store_of, world):
    table = store_of
    table.replace([LoginRow(each.device, each.member, each.since.timestamp()) for each in (ANN, BOB)])
    assert LoginKeeper(world.reactor, table, print).load() == [ANN, BOB]


@pytest.fixture
def store_of(tmp_path):
    from pbx.store.store import open_store  # noqa: PLC0415  # the other tests need no database

    store = open_store(f"sqlite:///{tmp_path / 'pbx.db'}")
    yield HotDesk(store)
    store.close()


def test_what_changes_during_a_write_is_written_after_it_and_only_the_newest(world):
    world.save(ANN)
    world.save(ANN, BOB)
    world.save(BOB)
    assert len(world.writes) == 1
    world.end()
    world.reactor.advance(0)
    assert len(world.writes) == 1
    world.end()
    assert world.written == ["201"]
    world.reactor.advance(10)
    assert world.writes == []


def test_a_write_that_fails_is_tried_again_until_it_works(world):
    world.save(ANN)
    for _ in range(3):
        world.end(StoreError("gone"))
        world.reactor.advance(RETRY_S / 2)
        assert world.writes == []
        world.reactor.advance(RETRY_S / 2)
    world.end()
    assert world.written == ["200"]


def test_after_a_failure_the_newest_are_written(world):
    world.save(ANN)
    world.end(StoreError("gone"))
    world.save(BOB)
    world.reactor.advance(RETRY_S)
    world.end()
    assert world.written == ["201"]
    world.reactor.advance(10)
    assert world.writes == []


def test_what_changed_during_a_write_that_fails_is_not_lost(world):
    world.save(ANN)
    world.save(BOB)
    world.end(StoreError("gone"))
    world.reactor.advance(RETRY_S)
    world.end()
    assert world.written == ["201"]


def test_nobody_logged_in_is_written_too(world):
    world.save()
    world.end()
    assert world.written == []


def stopped(world: World) -> list[None]:
    seen: list[None] = []
    world.keeper.stop().addCallback(seen.append)
    return seen


def test_the_end_waits_for_what_is_being_written_and_what_waits(world):
    world.save(ANN)
    world.save(BOB)
    seen = stopped(world)
    world.end()
    world.reactor.advance(0)
    assert seen == []
    world.end()
    assert seen == [None]


def test_the_end_does_not_wait_for_a_database_that_is_gone(world):
    world.save(ANN)
    seen = stopped(world)
    world.end(StoreError("gone"))
    assert seen == [None]
    world.reactor.advance(10)
    assert world.writes == []


def test_the_end_during_a_pause_tries_once_more(world):
    world.save(ANN)
    world.end(StoreError("gone"))
    seen = stopped(world)
    world.reactor.advance(RETRY_S)
    world.end(StoreError("still gone"))
    assert seen == [None]


def test_nothing_to_write_is_over_at_once(world):
    assert stopped(world) == [None]


def test_it_looks_at_the_time_every_few_seconds_until_the_end(world):
    world.keeper.start()
    world.reactor.pump([LOOK_S] * 2)
    assert world.looks == [AT] * 3
    stopped(world)
    world.reactor.advance(5 * LOOK_S)
    assert len(world.looks) == 3
