"""Secrets that callers key in: right, wrong, and locked after five wrong ones in a row (product §3)."""

from pathlib import Path

import pytest
from twisted.internet.defer import succeed
from twisted.internet.task import Clock

from pbx.app import answers
from pbx.app.answers import FAILURES, LOCKED_S, Answers
from pbx.call.dialogue import LOCKED
from pbx.call.questions import CheckSecret
from pbx.office.snapshot import Office
from pbx.store.passwords import Passwords

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
    made = Answers(reactor, None, Path("/data"), Office, nothing, nothing, nothing)

    def check(code, subject="mailbox 100", stored=HASH):
        found = []
        made.answer(CheckSecret(subject, stored, code), found.append)
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
