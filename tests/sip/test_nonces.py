"""Nonces: nobody else's are taken, and no count of one is taken twice."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbx.sip.nonces import WINDOW, Nonces, Use

NEW, REPLAY, FORGOTTEN = Use.NEW, Use.REPLAY, Use.FORGOTTEN
SECRET = bytes(range(32))


def make(capacity=100):
    return Nonces("pbx.local", SECRET, 300.0, capacity)


def test_the_number_and_the_end_of_a_nonce_are_read_back():
    nonces = make()
    nonces.make(0.0, "192.0.2.1")
    assert nonces.read(nonces.make(5.0, "192.0.2.1"), "192.0.2.1") == (2, 305.0)


@pytest.mark.parametrize("at", range(54))
def test_a_nonce_that_was_changed_anywhere_is_not_ours(at):
    nonces = make()
    nonce = nonces.make(1.0, "192.0.2.1")
    changed = nonce[:at] + ("0" if nonce[at] != "0" else "1") + nonce[at + 1 :]
    assert len(nonce) == 54
    assert nonces.read(changed, "192.0.2.1") is None


@pytest.mark.parametrize("nonce", ["", "x", "é" * 54, "0" * 54, "0" * 4096])
def test_rubbish_is_not_ours(nonce):
    assert make().read(nonce, "") is None


COUNTS = {
    "one after the other": ([1, 2, 3], [NEW, NEW, NEW]),
    "pipelined, out of order": ([2, 1, 4, 3, 3], [NEW, NEW, NEW, NEW, REPLAY]),
    "gaps": ([1, 1000, 999, 1], [NEW, NEW, NEW, REPLAY]),
    "just within the window": ([WINDOW, 1, 1], [NEW, NEW, REPLAY]),
    "just beyond the window": ([WINDOW + 1, 1], [NEW, REPLAY]),
    "a jump of exactly the window": ([1, 1 + WINDOW, 1, 2], [NEW, NEW, REPLAY, NEW]),
    "the greatest count": ([0xFFFFFFFF, 0xFFFFFFFE, 1, 0xFFFFFFFF], [NEW, NEW, REPLAY, REPLAY]),
}


@pytest.mark.parametrize(("counts", "uses"), COUNTS.values(), ids=COUNTS)
def test_counts(counts, uses):
    nonces = make()
    assert [nonces.use(1, count) for count in counts] == uses


@given(st.lists(st.integers(1, 3 * WINDOW) | st.integers(1, 0xFFFFFFFF), max_size=60))
@settings(max_examples=60)
def test_no_count_is_ever_taken_twice_nor_a_near_new_one_refused(counts):
    nonces = make()
    used: set[int] = set()
    for count in counts:
        is_taken = nonces.use(1, count) is NEW
        assert is_taken == (count not in used and count > max(used, default=0) - WINDOW)
        if is_taken:
            used.add(count)


@given(st.integers(1, 5), st.lists(st.tuples(st.integers(1, 20), st.integers(1, 4)), max_size=80))
@settings(max_examples=100)
def test_whatever_is_forgotten_no_use_is_taken_twice(capacity, uses):
    nonces = make(capacity)
    taken = [use for use in uses if nonces.use(*use) is NEW]
    assert len(taken) == len(set(taken))


def test_the_newer_nonce_has_the_place():
    nonces = make(3)
    assert [nonces.use(number, 1) for number in (1, 2, 3, 4, 1, 2, 4)] == [
        *[NEW, NEW, NEW, NEW],
        *[FORGOTTEN, REPLAY, REPLAY],
    ]
