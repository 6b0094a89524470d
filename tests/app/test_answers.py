"""Secrets that callers key in: right, wrong, and locked after five wrong ones in a row (product §3)."""

from pathlib import Path

import pytest
from twisted.internet.defer import fail, succeed
from twisted.internet.task import Clock

from pbx.app import answers
from pbx.app.answers import Answers
from pbx.call.dialogue import LOCKED, Unanswered
from pbx.call.locks import FAILURES, LOCKED_S, Locks
from pbx.call.questions import CheckSecret, FindMember, FoundMember, NewGreeting, NewMessage, NewRecording
from pbx.call.sound import Finish
from pbx.office.member import Member
from pbx.office.snapshot import Office
from pbx.store.passwords import Passwords
from pbx.store.voicemail import Mailbox

HASH = Passwords(n=2).hash("1234")


class Reactor(Clock):
    def getThreadPool(self):  # noqa: N802
        return None


@pytest.fixture
def reactor():
    return Reactor()


@pytest.fixture
def check(reactor, monkeypatch):
    """What comes of a code."""
    monkeypatch.setattr(answers, "deferToThreadPool", lambda _reactor, _pool, f, *given: succeed(f(*given)))
    nothing = lambda *_: None  # noqa: E731
    made = Answers(reactor, None, Path("/data"), Office, Locks(), nothing, nothing, nothing)

    def check(code, subject="mailbox 100", stored=HASH, where=""):
        found = []
        made.answer(CheckSecret(subject, stored, code, where), found.append)
        (answer,) = found
        return answer

    return check


def test_right_and_wrong(check):
    assert check("1234") is True
    assert check("1235") is False


def test_where_there_is_no_secret_no_code_is_right(check):
    assert check("", stored="") is False
    assert check("1234", stored="") is False


def test_five_wrong_ones_in_a_row_lock_it_for_a_while_also_for_the_right_one(check, reactor):
    assert [check("0000") for _ in range(FAILURES)] == [False] * FAILURES
    assert check("1234") == LOCKED
    assert check("1234", subject="mailbox 101") is True
    reactor.advance(LOCKED_S - 1)
    assert check("1234") == LOCKED
    reactor.advance(2)
    assert check("1234") is True


def test_a_right_one_in_between_counts_anew(check):
    for _ in range(3):
        assert [check("0000") for _ in range(FAILURES - 1)] == [False] * (FAILURES - 1)
        assert check("1234") is True


def test_who_has_a_pin_of_his_own_has_no_more_guesses_at_those_of_others(check):
    """Nor by trying one after the other: what is keyed in at a phone is counted there, too."""
    here = "mailboxes at 100"
    for number in range(FAILURES):
        assert check("1234", where=here) is True
        assert check("0000", f"mailbox {200 + number}", where=here) is False
    assert check("1234", where=here) == LOCKED
    assert check("1234", where="mailboxes at 101") is True


def test_a_phone_that_is_locked_locks_nothing_else(check):
    here = "mailboxes at 100"
    for number in range(FAILURES):
        check("0000", f"mailbox {200 + number}", where=here)
    for _ in range(FAILURES):
        assert check("0000", where=here) == LOCKED
    assert check("1234") is True


ANN_HASH = Passwords(n=2).hash("7781")
OFFICE = Office(
    members=(
        Member("ann@acme.example", pin_hash=ANN_HASH),
        Member("bob@acme.example", pin_hash=Passwords().hash("7782", like=ANN_HASH)),
        Member("cy@acme.example"),
    )
)


@pytest.fixture
def find(reactor, monkeypatch):
    """Whose PIN it is, in an office; and how often that was hashed."""
    hashed = []

    def at_once(_reactor, _pool, function, *given):
        hashed.append(given[1])
        return succeed(function(*given))

    monkeypatch.setattr(answers, "deferToThreadPool", at_once)
    nothing = lambda *_: None  # noqa: E731
    locks = Locks()

    def find(pin, office=OFFICE):
        found = []
        made = Answers(reactor, None, Path("/data"), lambda: office, locks, nothing, nothing, nothing)
        made.answer(FindMember("hot desk 200", pin), found.append)
        (answer,) = found
        return answer.email if isinstance(answer, FoundMember) else answer

    find.hashed = hashed
    return find


def test_a_pin_says_whose_it_is(find):
    assert find("7781") == "ann@acme.example"
    assert find("7782") == "bob@acme.example"
    assert find("7783") is None
    assert find("") is None


def test_every_pin_costs_one_hash_also_where_nobody_has_one(find):
    for pin, office in (("7781", OFFICE), ("7783", OFFICE), ("7781", Office())):
        find(pin, office)
    assert len(find.hashed) == 3
    assert find.hashed[0] == find.hashed[1] == ANN_HASH
    assert find.hashed[2].startswith("scrypt$16384$8$1$")


def test_five_unknown_pins_lock_the_phone(find, reactor):
    assert [find("0000") for _ in range(6)] == [None] * 5 + [LOCKED]
    assert find("7781") == LOCKED
    reactor.advance(LOCKED_S)
    assert find("7781") == "ann@acme.example"


def test_a_thread_that_fails_is_an_answer_too(reactor, monkeypatch):
    """Else the caller would wait for ever."""
    monkeypatch.setattr(answers, "deferToThreadPool", lambda *_: fail(RuntimeError("no thread")))
    nothing = lambda *_: None  # noqa: E731
    made = Answers(reactor, None, Path("/data"), Office, Locks(), nothing, nothing, nothing)
    found = []
    made.answer(CheckSecret("room 700", HASH, "1234"), found.append)
    assert [type(each) for each in found] == [Unanswered]


def test_the_end_of_a_recording_that_nobody_knows_is_answered(reactor):
    nothing = lambda *_: None  # noqa: E731
    made = Answers(reactor, None, Path("/data"), Office, Locks(), nothing, nothing, nothing)
    found = []
    made.answer(Finish(NewMessage("m1", "100", "101", "", "100"), 3.0, "stopped"), found.append)
    made.answer(Finish(NewRecording("r1", "c", "100", "101", "100"), 3.0, "stopped"), found.append)
    assert found == [None, None]


@pytest.mark.parametrize(("seconds", "kept"), [(0.4, None), (3.0, True), (-1.0, True)])
def test_a_greeting_that_was_too_short_is_told_also_where_there_is_an_older_one(reactor, seconds, kept):
    class Desk:
        def finish_greeting(self, key, then):
            then(Mailbox(key, "voicemail/100/greeting.wav"))

    nothing = lambda *_: None  # noqa: E731
    made = Answers(reactor, Desk(), Path("/data"), Office, Locks(), nothing, nothing, nothing)
    found = []
    made.answer(Finish(NewGreeting("100"), seconds, "#"), found.append)
    assert found == [kept]
