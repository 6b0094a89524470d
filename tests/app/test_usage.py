"""What calls cost, from the exchange to the database and back, and into the mail."""

from dataclasses import replace
from decimal import Decimal
from threading import Event

import pytest
from twisted.internet.task import Clock

from pbx.app.usage import UsageDesk, in_words, recipients_of
from pbx.call.effects import ChargeUsage, OpenUsage, UsageReached
from pbx.call.usage_ledger import UsageLedger
from pbx.office.extension import Extension
from pbx.office.member import Member
from pbx.office.rate import Rate
from pbx.office.snapshot import Office
from pbx.office.usage_limit import UsageLimit
from pbx.rules.facts import Used
from pbx.store.store import open_store
from pbx.store.usage import Usage
from pbx.store.writer import Writer

MONTH = "2026-11"
PATIENCE_S = 60.0
LIMIT = UsageLimit("minutes", minutes=10)
RATE = Rate("+84", Decimal("0.12"), Decimal(0), 60)
OFFICE = Office(
    members=(
        Member("olga@acme.example", "Olga", "owner"),
        Member("ann@acme.example", "Ann"),
        Member("adam@acme.example", "Adam", "admin"),
    ),
    extensions=(Extension("100", "Ann", "ann@acme.example", usage_limit=LIMIT), Extension("101")),
)


class Reactor(Clock):
    """Threads are not waited for: what they do is done at once."""

    def getThreadPool(self):  # noqa: N802
        return self

    def callInThreadWithCallback(self, done, function, *args, **kwargs):  # noqa: N802
        done(True, function(*args, **kwargs))

    def callFromThread(self, function, *args):  # noqa: N802
        function(*args)


class Run:
    """One run of the server, as far as usage goes; `die` is kill -9."""

    def __init__(self, url: str) -> None:
        self.reactor = Reactor()
        self.reactor.advance(5000.0)
        self.store = open_store(url)
        self.usage = Usage(self.store)
        self.writer = Writer(self.store)
        self.mails = []
        self.ledger = UsageLedger(lambda key: OFFICE.extension(key).usage_limit)
        self.desk = UsageDesk(
            *(self.reactor, self.store, self.writer, self, lambda: OFFICE, self.ledger, lambda: MONTH),
            lambda step, *args: step(*args, self.reactor.seconds()),
        )
        self.desk.load()

    def send(self, facts, recipients) -> None:
        self.mails.append((facts, recipients))

    def open(self, leg: str = "call.B1") -> None:
        now = self.reactor.seconds()
        self.ledger.open(leg, "100", MONTH, "+8490", RATE, now)
        self.desk.open(OpenUsage(leg, "call", "100", MONTH, "+8490", RATE, now))

    def close(self, leg: str = "call.B1") -> None:
        charge, reached = self.ledger.close(leg, self.reactor.seconds())
        self.desk.charge(ChargeUsage(charge))
        for each in reached:
            self.desk.reached(UsageReached(each))

    def stop(self) -> None:
        self.writer.stop()
        self.store.close()


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'pbx.db'}"


def test_what_was_used_is_known_after_a_restart(url):
    run = Run(url)
    run.open()
    run.reactor.advance(90.0)
    run.close()
    run.stop()
    run = Run(url)
    assert run.ledger.used("100", MONTH, 0.0) == Used(Decimal("0.240000"), 90.0)
    run.stop()


def test_a_call_that_a_crash_ended_is_charged_at_the_next_start(url):
    run = Run(url)
    run.open()
    run.writer.stop()
    run.usage.beat(5061.0)
    run.store.close()
    run = Run(url)
    assert run.ledger.used("100", MONTH, 0.0) == Used(Decimal("0.240000"), 61.0)
    run.stop()


def test_mail_once_for_each_threshold_across_restarts(url):
    run = Run(url)
    run.open()
    run.reactor.advance(500.0)
    run.close()
    [(facts, recipients)] = run.mails
    assert (facts.percent, facts.used, facts.limit) == (80, "8 min", "10 min")
    assert (facts.extension.key, facts.extension.label) == ("100", "Ann")
    assert recipients == ["ann@acme.example", "olga@acme.example", "adam@acme.example"]
    run.stop()
    run = Run(url)
    run.open("call.B2")
    run.reactor.advance(50.0)
    run.close("call.B2")
    assert run.mails == []
    run.open("call.B3")
    run.reactor.advance(60.0)
    run.close("call.B3")
    assert [facts.percent for facts, _ in run.mails] == [100]
    run.stop()


def test_a_reset_and_a_top_up_are_known_at_once(url):
    run = Run(url)
    run.open()
    run.reactor.advance(590.0)
    run.close()
    run.open("call.B2")
    now = run.reactor.seconds()
    assert run.ledger.cut_at("call.B2") == now + 10.0
    written = Event()
    run.writer.flush(lambda _done: written.set())
    assert written.wait(PATIENCE_S)
    run.usage.reset("100", MONTH, 1.0)
    run.desk.reload()
    assert run.ledger.cut_at("call.B2") == now + 600.0
    run.usage.top_up("100", MONTH, 2.0, Used(seconds=60.0))
    run.desk.reload()
    assert run.ledger.cut_at("call.B2") == now + 660.0
    run.stop()


def test_who_is_told():
    assert recipients_of(OFFICE, "101") == ["olga@acme.example", "adam@acme.example"]
    owned = replace(OFFICE.extensions[0], assignee="olga@acme.example")
    assert recipients_of(replace(OFFICE, extensions=(owned,)), "100") == [
        "olga@acme.example",
        "adam@acme.example",
    ]


def test_in_words():
    assert in_words(Used(Decimal("12.5"), 60.0), UsageLimit("amount", Decimal(50))) == ("12.50", "50.00")
    assert in_words(Used(Decimal("12.5"), 7260.0), UsageLimit("minutes", minutes=150)) == (
        "121 min",
        "150 min",
    )
