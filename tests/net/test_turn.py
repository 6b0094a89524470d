"""Turns of a real reactor, each taken by hand."""

import os
import time

import pytest
from twisted.internet.epollreactor import EPollReactor

from pbx.net.turn import hasten, make_turn


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
    made.now = 0.0
    made.seconds = lambda: made.now
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


def test_timers_fall_due_in_order_and_once(reactor):
    hasten(reactor)
    fallen = []
    for seconds in (2.0, 1.0):
        reactor.callLater(seconds, fallen.append, seconds)
    cancelled = reactor.callLater(0.5, fallen.append, 0.5)
    later = reactor.callLater(1.5, fallen.append, 1.5)
    cancelled.cancel()
    later.delay(2.0)
    waits = []
    for now in (0.0, 0.9, 1.0, 1.9, 2.5, 3.5):
        reactor.now = now
        reactor.runUntilCurrent()
        waits.append(reactor.timeout())
    assert fallen == [1.0, 2.0, 1.5]
    assert waits == [1.0, pytest.approx(0.1), 1.0, pytest.approx(0.1), 1.0, None]


def test_what_is_set_while_timers_fall_due_is_waited_for(reactor):
    hasten(reactor)
    fallen = []
    reactor.callLater(1.0, reactor.callLater, 0.5, fallen.append, "second")
    reactor.now = 1.0
    reactor.runUntilCurrent()
    assert (fallen, reactor.timeout()) == ([], 0.5)
    reactor.now = 1.5
    assert reactor.timeout() == 0.0
    reactor.runUntilCurrent()
    assert (fallen, reactor.timeout()) == (["second"], None)


def test_a_timer_far_away_is_no_error(reactor):
    hasten(reactor)
    reactor.callLater(1e9, int)
    assert reactor.timeout() == 2147483  # the most that epoll takes
    assert reactor.timeout() == 2147483


def test_what_a_thread_asks_for_is_done(reactor):
    hasten(reactor)
    heard = []
    reactor.callFromThread(heard.append, "asked")
    reactor.runUntilCurrent()
    assert heard == ["asked"]


def test_it_runs_and_stops(reactor):
    hasten(reactor)
    reactor.seconds = time.monotonic
    reactor.callLater(0.0, reactor.stop)
    ended = []
    reactor.addSystemEventTrigger("during", "shutdown", ended.append, "shutdown")
    reactor.run(installSignalHandlers=False)
    assert ended == ["shutdown"]
