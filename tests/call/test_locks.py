"""Five wrong codes in a row lock for fifteen minutes (product §3)."""

from pbx.call.locks import FAILURES, LOCKED_S, MOST_SUBJECTS, Locks


def fail(locks: Locks, times: int, subject: str = "passcode 100", now: float = 0.0) -> list[bool]:
    return [locks.begin(subject, now) for _ in range(times)]


def test_the_limits_are_five_and_fifteen_minutes():
    assert (FAILURES, LOCKED_S) == (5, 900.0)


def test_the_sixth_is_not_even_looked_at():
    locks = Locks()
    assert fail(locks, 6) == [True] * 5 + [False]
    assert locks.is_locked("passcode 100", 899.0)
    assert not locks.is_locked("passcode 101", 0.0)


def test_time_opens_it_and_five_more_lock_it_again():
    locks = Locks()
    fail(locks, 5)
    assert not locks.is_locked("passcode 100", 900.0)
    assert fail(locks, 6, now=900.0) == [True] * 5 + [False]
    assert locks.is_locked("passcode 100", 1799.0)


def test_asking_while_it_is_locked_does_not_prolong_it():
    locks = Locks()
    fail(locks, 5)
    assert fail(locks, 1, now=800.0) == [False]
    assert not locks.is_locked("passcode 100", 900.0)


def test_a_right_one_counts_anew():
    locks = Locks()
    fail(locks, 4)
    locks.right("passcode 100")
    assert fail(locks, 5) == [True] * 5


def test_who_has_a_code_of_his_own_guesses_no_longer_at_those_of_others():
    """At a hot desk every member's PIN is right: four guesses, one's own PIN, four guesses …"""
    locks, subject = Locks(), "hot desk 200"
    tries = 0
    for now in range(60):
        for _ in range(FAILURES - 1):
            tries += locks.begin(subject, 10.0 * now, is_shared=True)
        if locks.begin(subject, 10.0 * now, is_shared=True):
            locks.right(subject, is_shared=True)
    assert tries <= FAILURES


def test_mistakes_at_a_hot_desk_are_forgotten_in_time():
    locks, subject = Locks(), "hot desk 200"
    for day in range(20):
        assert locks.begin(subject, 86400.0 * day, is_shared=True)
        assert locks.begin(subject, 86400.0 * day + 10.0, is_shared=True)
        locks.right(subject, is_shared=True)
    assert not locks.is_locked(subject, 86400.0 * 19 + 10.0)


def test_many_calls_at_once_have_no_more_tries_than_one():
    locks = Locks()
    assert sum(fail(locks, 100)) == FAILURES


def test_memory_is_bounded_and_the_oldest_is_forgotten():
    locks = Locks()
    fail(locks, 5, "the first")
    for number in range(MOST_SUBJECTS):
        locks.begin(f"passcode {number}", 1.0)
    assert not locks.is_locked("the first", 1.0)
    assert len(locks._failures) == MOST_SUBJECTS
