"""Work in many turns: what a reactor is asked for, without one."""

from types import SimpleNamespace

import pytest

from pbx.app.turns import in_turns


@pytest.fixture
def later():
    return []


@pytest.fixture
def reactor(later):
    return SimpleNamespace(callLater=lambda _, step: later.append(step))


def test_one_part_is_made_a_turn(reactor, later):
    begun, done = [], []
    parts = (begun.append(number) or number for number in range(3))
    in_turns(reactor, parts).addCallback(done.append)
    seen = [list(begun)]
    while later:
        later.pop(0)()
        seen.append(list(begun))
    assert seen == [[0], [0, 1], [0, 1, 2], [0, 1, 2]]
    assert done == [[0, 1, 2]]


def test_nothing_to_do_is_done_at_once(reactor, later):
    done = []
    in_turns(reactor, ()).addCallback(done.append)
    assert (done, later) == ([[]], [])


def test_a_part_that_fails_fails_the_whole(reactor, later):
    failed = []
    in_turns(reactor, (1 // number for number in (1, 0, 1))).addErrback(failed.append)
    later.pop(0)()
    assert later == []
    failed[0].trap(ZeroDivisionError)
