"""When a message is tried again, and when no more."""

import pytest

from pbx.mail.schedule import GIVE_UP_S, MOST_DOUBTS, Change, Outcome, Verdict, judge, wait_before

CASES = {
    "taken": (Verdict.TAKEN, 0, 0, 0.0, ("sent", 1, 0, 0.0)),
    "refused": (Verdict.REFUSED, 3, 0, 0.0, ("refused", 4, 0, 0.0)),
    "later": (Verdict.LATER, 0, 0, 0.0, ("waiting", 1, 0, 60.0)),
    "later, the fourth time": (Verdict.LATER, 3, 0, 0.0, ("waiting", 4, 0, 480.0)),
    "later, two days on": (Verdict.LATER, 30, 0, GIVE_UP_S, ("refused", 31, 0, 0.0)),
    "in doubt": (Verdict.DOUBTFUL, 0, 0, 0.0, ("waiting", 1, 1, 60.0)),
    "in doubt too often": (Verdict.DOUBTFUL, 2, MOST_DOUBTS - 1, 0.0, ("refused", 3, MOST_DOUBTS, 0.0)),
    "later, after doubts": (Verdict.LATER, 2, MOST_DOUBTS - 1, 0.0, ("waiting", 3, MOST_DOUBTS - 1, 240.0)),
    "taken, after two days": (Verdict.TAKEN, 9, 1, GIVE_UP_S, ("sent", 10, 1, 0.0)),
}


@pytest.mark.parametrize(("verdict", "attempts", "doubts", "age", "expected"), CASES.values(), ids=CASES)
def test_judge(verdict, attempts, doubts, age, expected):
    now = 1_000_000.0
    change = judge(Outcome(verdict, "words"), attempts, doubts, now - age, now)
    state, tried, doubted, wait = expected
    assert (change.state, change.attempts, change.doubts, change.next_at) == (
        state,
        tried,
        doubted,
        now + wait,
    )
    assert "words" in change.words


def test_the_waits_grow_from_a_minute_to_two_hours():
    assert [wait_before(number) / 60 for number in range(1, 10)] == [1, 2, 4, 8, 16, 32, 64, 120, 120]
    assert wait_before(10_000) == 7200


def test_two_days_of_a_server_that_is_always_busy():
    change = Change("waiting", 0, 0, 0.0, "")
    now = 0.0
    while change.state == "waiting":
        now = change.next_at
        change = judge(Outcome(Verdict.LATER, "450 busy"), change.attempts, change.doubts, 0.0, now)
    assert (change.state, change.words) == ("refused", "given up after two days: 450 busy")
    assert GIVE_UP_S <= now < GIVE_UP_S + 7200
    assert change.attempts == 31
