"""Turns of a real reactor, each taken by hand."""

import os

import pytest
from twisted.internet.epollreactor import EPollReactor

from pbx.net.turn import make_turn


class End:
    """The reading end of a pipe."""

    def __init__(self, reactor, act):
        self.number, self.writer = os.pipe()
        self.act, self.lost, self.reactor = act, [], reactor
        reactor.addReader(self)

    def fileno(self):
        return self.number

    def logPrefix(self):  # noqa: N802
        return "end"

    def doRead(self):  # noqa: N802
        self.act(os.read(self.number, 10))

    def connectionLost(self, reason):  # noqa: N802
        self.lost.append(reason.type)

    def close(self):
        self.reactor.removeReader(self)
        os.close(self.number)
        os.close(self.writer)


@pytest.fixture
def reactor():
    made = EPollReactor()
    yield made
    made.removeAll()
    made._poller.close()


def test_whoever_has_something_to_read_reads_it(reactor):
    heard = []
    ends = [End(reactor, heard.append) for _ in range(2)]
    turn = make_turn(reactor)
    turn(0)
    assert heard == []
    for end, data in zip(ends, (b"a", b"b"), strict=True):
        os.write(end.writer, data)
    turn(None)
    turn(False)
    assert sorted(heard) == [b"a", b"b"]
    for end in ends:
        end.close()


def test_one_that_another_has_closed_in_this_turn_is_passed_over(reactor):
    heard = []

    def act(data):
        heard.append(data)
        for each in ends:
            reactor.removeReader(each)

    ends = [End(reactor, act) for _ in range(2)]
    for end in ends:
        os.write(end.writer, b"x")
    make_turn(reactor)(0)
    assert heard == [b"x"]
    for end in ends:
        end.close()


def test_one_that_fails_is_lost_and_hurts_no_other(reactor):
    heard = []
    bad, good = End(reactor, lambda _: 1 / 0), End(reactor, heard.append)
    for end in (bad, good):
        os.write(end.writer, b"x")
    turn = make_turn(reactor)
    turn(0)
    os.write(good.writer, b"y")
    turn(0)
    assert (bad.lost, good.lost, heard) == ([ZeroDivisionError], [], [b"x", b"y"])
    for end in (bad, good):
        end.close()
