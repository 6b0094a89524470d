"""The sender, with a database or a server whose failures the test decides; time is a clock's."""

from pathlib import Path

import pytest
from twisted.internet.task import Clock

from pbx.entropy import SeededEntropy
from pbx.errors import StoreError
from pbx.mail.facts import Trial
from pbx.mail.letter import write_letter
from pbx.mail.outbox import MOST_KEPT, Mailer
from pbx.mail.packing import make_row
from pbx.store.outbox import Outbox
from pbx.store.store import UnusableError, open_store
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

    def attachments(self):
        return set()

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


class Connection:
    is_lost = False


class FakePost:
    """A server that answers, and then what the test says."""

    server = "mx"

    def __init__(self) -> None:
        self._opened = []

    async def connect(self, _source):
        self._opened.append(Connection())
        return self._opened[-1]

    def opened(self) -> list[Connection]:
        """The connections made since this was asked last."""
        opened, self._opened = self._opened, []
        return opened


class Core:
    def __init__(self, outbox=None, post=None, folder=None) -> None:
        self.clock, self.pool, self.outbox = Clock(), Pool(), outbox or FakeOutbox()
        self.clock.getThreadPool = lambda: self.pool
        self.clock.callFromThread = lambda function, *args: function(*args)
        self.mailer = Mailer(
            self.clock,
            self.outbox,
            post,
            lambda: ("Acme", "UTC"),
            "pbx@acme.example",
            SeededEntropy(1),
            self.now,
            folder=folder,
        )

    def now(self) -> float:
        return 5000.0 + self.clock.seconds()

    def wait(self, seconds: float) -> None:
        for _ in range(int(seconds)):
            self.clock.advance(1.0)
            self.pool.run()

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


class Waiting:
    """A core with mail that waits, and a server that closes connections when the test says so."""

    def __init__(self, folder: Path) -> None:
        self.store = open_store(f"sqlite:///{folder / 'pbx.db'}")
        self.outbox, self.post = Outbox(self.store), FakePost()
        self.core = Core(self.outbox, self.post)
        self.put("first", "second", "third")
        self.core.mailer.start()
        self.core.pool.run()

    def put(self, *ids: str) -> None:
        letter, now = write_letter(Trial(AT), "Acme", "UTC"), self.core.now()
        self.outbox.add(make_row(id_, letter, "pbx@acme.example", "ann@acme.example", now) for id_ in ids)

    def fail(self, connection: Connection) -> None:
        """The connection ends before any mail went over it."""
        self.core.mailer.closed(connection, "closed")

    def tries(self) -> dict[str, tuple[int, float]]:
        """Of each mail that waits: attempts, and seconds to the next."""
        now = self.core.now()
        return {row.id: (row.attempts, row.next_at - now) for row in self.outbox.rows(("waiting",), 100)}


@pytest.fixture
def waiting(tmp_path):
    made = Waiting(tmp_path)
    yield made
    made.store.close()


def test_connections_that_fail_together_are_one_failure_of_the_server(waiting):
    for attempt, wait_s in enumerate((60, 120, 240, 480), 1):
        first, second = waiting.post.opened()
        waiting.fail(first)
        waiting.core.pool.run()
        waiting.fail(second)
        waiting.core.pool.run()
        assert waiting.tries() == dict.fromkeys(("first", "second", "third"), (attempt, wait_s))
        waiting.core.wait(wait_s - 1)
        assert waiting.post.opened() == []
        waiting.core.wait(1)


def test_what_became_due_before_the_second_failed_waits_as_long_as_the_rest(waiting):
    first, second = waiting.post.opened()
    waiting.fail(first)
    waiting.core.wait(20)
    waiting.put("late")
    waiting.fail(second)
    waiting.core.pool.run()
    assert waiting.tries() == dict.fromkeys(("first", "second", "third", "late"), (1, 40))


def test_a_pause_is_one_while_another_connection_lives(waiting):
    first, _ = waiting.post.opened()
    waiting.fail(first)
    waiting.core.pool.run()
    waiting.put("late", "later")
    waiting.core.wait(59)
    assert waiting.post.opened() == []
    waiting.core.wait(1)
    assert len(waiting.post.opened()) == 1


def test_trouble_while_the_database_is_asked_begins_the_pause(waiting):
    first, _ = waiting.post.opened()
    waiting.put("late", "later")
    waiting.core.mailer.try_now()  # asks
    waiting.fail(first)
    waiting.core.pool.run()
    assert waiting.post.opened() == []
    assert waiting.tries()["late"] == (1, 60)


def test_after_being_told_to_try_now_a_failure_counts(waiting):
    for wait_s in (60, 120, 240):
        for each in waiting.post.opened():
            waiting.fail(each)
        waiting.core.pool.run()
        assert waiting.tries()["first"] == (1, wait_s)
        waiting.outbox.retry(waiting.core.now())
        waiting.core.mailer.try_now()
        waiting.core.pool.run()
