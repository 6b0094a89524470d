"""How long what comes in waits for its turn."""

import socket
import time

import pytest
from twisted.internet.task import Clock

from pbx.net.load import LoadGauge
from pbx.net.sockets import Endpoint
from pbx.net.udp import BATCH, OVERFLOW_S, UdpPort
from pbx.sip.overload import WINDOW_S

DATAGRAM = b"x" * 1000


class Readers:
    """A reactor that reads only when it is told to."""

    def addReader(self, reader) -> None:  # noqa: N802
        pass

    def removeReader(self, reader) -> None:  # noqa: N802
        pass


@pytest.fixture(params=["127.0.0.1", "0.0.0.0", "::1"])
def port(request):
    received = []
    made = UdpPort(Endpoint(request.param, 0, "sip.udp"), lambda data, _: received.append(data), Readers())
    made.received = received
    yield made
    made.close()


def send(port, count):
    host = "::1" if port.is_ipv6 else "127.0.0.1"
    with socket.socket(port.family, socket.SOCK_DGRAM) as sender:
        for _ in range(count):
            sender.sendto(DATAGRAM, (host, port.port))


def test_an_empty_socket_lets_nobody_wait(port):
    assert port.take_wait() == 0.0
    port.doRead()
    assert port.take_wait() == 0.0


def test_a_socket_that_is_emptied_lets_nobody_wait(port):
    send(port, 3)
    port.doRead()
    assert len(port.received) == 3
    assert port.take_wait() == 0.0


def test_where_others_wait_the_age_of_the_datagram_counts(port, monkeypatch):
    send(port, 3 * BATCH)
    shift_clock(monkeypatch, 0.25)
    port.doRead()
    assert 0.25 <= port.take_wait() < 5.0
    assert port.take_wait() == 0.0  # it was asked for


def test_the_least_of_a_window_counts(port, monkeypatch):
    send(port, 3 * BATCH)
    shift_clock(monkeypatch, 7.0)
    port.doRead()
    shift_clock(monkeypatch, 0.5)
    port.doRead()
    assert 0.5 <= port.take_wait() < 7.0
    port.doRead()
    port.doRead()
    assert port.take_wait() == 0.0


def test_a_clock_that_was_set_back_makes_nothing_negative(port, monkeypatch):
    send(port, 2 * BATCH)
    shift_clock(monkeypatch, -1000.0)
    port.doRead()
    assert port.take_wait() == 0.0


def test_while_somebody_screens_he_gets_each_batch_whole_with_its_age(port, monkeypatch):
    send(port, BATCH + 1)
    shift_clock(monkeypatch, 0.5)
    told = []
    port.screen = lambda batch, wait_s: told.append((len(batch), wait_s))
    port.doRead()
    assert port.take_wait() >= 0.5
    port.doRead()
    port.doRead()  # nothing is there: nobody is asked
    assert port.take_wait() == 0.0
    assert [count for count, _ in told] == [BATCH, 1]
    assert all(0.5 <= age < 5.0 for _, age in told)


def test_losing_datagrams_counts_when_the_socket_does_not_empty(port):
    port._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 100 * 1024)
    send(port, 1000)
    port.doRead()
    assert port.take_wait() >= OVERFLOW_S
    port.doRead()
    assert port.take_wait() > 0.0  # no more is lost: their age again


def test_what_is_lost_by_a_burst_that_is_worked_off_does_not_count(port):
    port._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 100 * 1024)
    send(port, 1000)
    for _ in range(40):
        port.doRead()
    assert port.take_wait() == 0.0


REAL = time.time


def shift_clock(monkeypatch, seconds):
    monkeypatch.setattr("pbx.net.udp.time.time", lambda: REAL() + seconds)


# --- the gauge ---------------------------------------------------------------------------------------------


class Queue:
    def __init__(self, *waits) -> None:
        self.waits, self.screen = list(waits), None

    def take_wait(self) -> float:
        return self.waits.pop(0)


class User:
    def __init__(self, *overloads) -> None:
        self.least, self.overloads = [], list(overloads)

    def end_window(self, least_s):
        self.least.append(round(least_s, 6))
        return self.overloads.pop(0)


def test_each_window_tells_of_the_worst_socket_and_of_a_late_timer():
    clock, user = Clock(), User(False, True, False)
    one, other = Queue(0.0, 0.2, 0.0), Queue(0.1, 0.1, 0.0)
    screen = object()
    gauge = LoadGauge(clock, user, screen)
    gauge.start([one, other])
    clock.advance(WINDOW_S / 2)
    assert user.least == []
    clock.advance(WINDOW_S / 2)
    assert (user.least, one.screen) == ([0.1], None)
    clock.advance(WINDOW_S)
    assert user.least == [0.1, 0.2]
    assert (one.screen, other.screen) == (screen, screen)
    clock.advance(WINDOW_S + 0.3)
    assert user.least == [0.1, 0.2, 0.3]
    assert (one.screen, other.screen) == (None, None)
    gauge.stop()
    assert clock.getDelayedCalls() == []
