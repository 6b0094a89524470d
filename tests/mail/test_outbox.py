"""The sender with a database whose failures the test decides; there is no server, time is a clock's."""

from pathlib import Path

import pytest
from twisted.internet.task import Clock

from pbx.entropy import SeededEntropy
from pbx.errors import StoreError
from pbx.mail.facts import Trial
from pbx.mail.outbox import MOST_KEPT, Mailer
from pbx.store.store import UnusableError
from tests.mail.test_message import AT


class FakeOutbox:
    """What was added; `gone` makes everything fail, `unusable` are recipients that it never takes."""

    def __init__(self) -> None:
        self.rows = {}
        self.gone = False
        self.unusable = set()

    def add(self, rows):
        if self.gone:
            raise StoreError("database: gone")
        if self.unusable & {row.recipient for row in rows}:
            raise UnusableError("database: no")
        self.rows |= {row.id: row for row in rows}
        return 0

    def tidy(self, now):
        if self.gone:
            raise StoreError("database: gone")


class Pool:
    """Threads whose work is done when the test says so."""

    def __init__(self) -> None:
        self.work = []

    def callInThreadWithCallback(self, then, function, *args, **kwargs):  # noqa: N802
        self.work.append((then, function, args, kwargs))

    def run(self) -> None:
        while self.work:
            then, function, args, kwargs = self.work.pop(0)
            try:
                result = True, function(*args, **kwargs)
            except Exception:
                from twisted.python.failure import Failure  # noqa: PLC0415

                result = False, Failure()
            then(*result)


class Core:
    def __init__(self) -> None:
        self.clock, self.pool, self.outbox = Clock(), Pool(), FakeOutbox()
        self.clock.getThreadPool = lambda: self.pool
        self.clock.callFromThread = lambda function, *args: function(*args)
        self.mailer = Mailer(
            self.clock,
            self.outbox,
            None,
            lambda: ("Acme", "UTC"),
            "pbx@acme.example",
            SeededEntropy(1),
            lambda: 5000.0,
        )

    def send(self, *recipients: str, attachment: Path | None = None) -> None:
        self.mailer.send(Trial(AT), recipients, attachment)

    def recipients(self):
        return [row.recipient for row in self.outbox.rows.values()]


@pytest.fixture
def core():
    return Core()


def test_each_recipient_gets_a_row_of_his_own_and_nothing_waits(core):
    core.send(
        "Ann@acme.example", "bob@acme.example", "ann@acme.example\r\nBcc: x@y", attachment=Path("/x/a.mp3")
    )
    assert core.outbox.rows == {}
    core.pool.run()
    assert core.recipients() == ["ann@acme.example", "bob@acme.example"]
    for id_, row in core.outbox.rows.items():
        assert (row.created_at, row.state, row.body["attachment"]) == (5000.0, "waiting", "/x/a.mp3")
        assert row.body["message_id"] == f"{id_}@acme.example"


def test_while_the_database_is_gone_mail_waits_in_memory(core):
    core.outbox.gone = True
    core.send("ann@acme.example")
    core.pool.run()
    core.send("bob@acme.example")
    for _ in range(5):
        core.clock.advance(1.0)
        core.pool.run()
    assert core.outbox.rows == {}
    core.outbox.gone = False
    core.clock.advance(1.0)
    core.pool.run()
    assert core.recipients() == ["ann@acme.example", "bob@acme.example"]


def test_the_oldest_are_lost_when_too_many_wait_in_memory(core):
    core.outbox.gone = True
    core.send(*(f"p{number}@acme.example" for number in range(MOST_KEPT + 2)))
    core.outbox.gone = False
    core.pool.run()
    assert len(core.recipients()) == MOST_KEPT
    assert core.recipients()[0] == "p2@acme.example"


def test_what_no_database_takes_holds_up_nobody(core):
    core.outbox.unusable = {"bob@acme.example"}
    core.send("ann@acme.example", "bob@acme.example", "cyd@acme.example")
    core.pool.run()
    assert core.recipients() == ["ann@acme.example", "cyd@acme.example"]


@pytest.mark.parametrize("is_gone", [False, True])
def test_at_the_end_what_waits_is_written_or_lost_but_nobody_is_held_up(core, is_gone):
    core.mailer.start()
    core.outbox.gone = True
    core.send("ann@acme.example")
    core.pool.run()
    core.outbox.gone = is_gone
    stopped = core.mailer.stop()
    core.pool.run()
    assert stopped.called
    assert core.recipients() == ([] if is_gone else ["ann@acme.example"])
    assert not core.clock.getDelayedCalls()
