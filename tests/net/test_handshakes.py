"""TLS handshakes cost us a signature each: one at a time, and whoever else has work has his turn between."""

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs

from pbx.net.handshakes import LONGEST_PAUSE_S, SHARE, Handshakes
from pbx.net.tls import ServerCertificate, ensure_certificate
from pbx.net.tls_layer import AcceptingTlsFactory

COST_S = 0.002
PAUSE_S = (COST_S / SHARE - COST_S) * 1.001  # the sums of floats differ in their last digit


class Step:
    """A step of a handshake that takes its time."""

    def __init__(self, clock, name, done, cost_s=COST_S):
        self.clock, self.name, self.done, self.cost_s = clock, name, done, cost_s

    def go_on(self):
        self.done.append(self.name)
        self.clock.rightNow += self.cost_s


def make_queue():
    clock, done = Clock(), []
    queue = Handshakes(clock)

    def wait(network, name, cost_s=COST_S):
        step = Step(clock, name, done, cost_s)
        queue.wait(network, step)
        return step

    return clock, queue, wait, done


def advance(clock, seconds):
    for _ in range(round(seconds * 1000)):
        clock.advance(0.001)


def test_one_alone_has_its_turn_at_once():
    clock, _, wait, done = make_queue()
    wait("a", "first")
    assert done == ["first"]
    clock.advance(PAUSE_S)
    wait("a", "second")
    assert done == ["first", "second"]


def test_after_each_step_the_others_have_their_share_of_time():
    clock, _, wait, done = make_queue()
    for number in range(1000):
        wait("a", number)
    assert done == [0]
    clock.advance(PAUSE_S * 0.9)
    assert done == [0]
    clock.advance(PAUSE_S * 0.1)
    assert done == [0, 1]
    advance(clock, 1.0)
    assert done == list(range(len(done)))
    assert SHARE / COST_S * 0.6 < len(done) < SHARE / COST_S * 1.7  # steps in 1.0 to 1.3 s of the clock


def test_a_step_that_costs_nothing_keeps_nobody_waiting():
    clock, _, wait, done = make_queue()
    wait("a", "long")
    for number in range(3):
        wait("a", number, cost_s=0.0)
    clock.advance(PAUSE_S)
    for _ in range(3):
        clock.advance(0.0)
    assert done == ["long", 0, 1, 2]


def test_networks_have_their_turns_one_after_the_other():
    clock, _, wait, done = make_queue()
    for number in range(100):
        wait("flood", f"flood {number}")
    wait("office", "phone 0")
    wait("office", "phone 1")
    wait("home", "other")
    for _ in range(6):
        clock.advance(PAUSE_S)
    assert done == ["flood 0", "flood 1", "phone 0", "other", "flood 2", "phone 1", "flood 3"]


def test_a_machine_that_stood_still_in_a_step_does_not_hold_up_the_next():
    clock, _, wait, done = make_queue()
    wait("a", "first", cost_s=60.0)
    wait("a", "second")
    clock.advance(LONGEST_PAUSE_S)
    assert done == ["first", "second"]


def test_who_is_gone_has_no_turn():
    clock, queue, wait, done = make_queue()
    wait("a", "first")
    gone, _, last = wait("a", "gone"), wait("b", "other"), wait("a", "last")
    queue.leave("a", gone)
    queue.leave("a", gone)
    queue.leave("nobody", gone)
    for _ in range(3):
        clock.advance(PAUSE_S)
    assert done == ["first", "last", "other"]
    queue.leave("a", last)


def test_nothing_is_left_when_all_are_gone():
    clock, queue, wait, _ = make_queue()
    wait("a", "first")
    queue.leave("a", wait("a", "gone"))
    clock.advance(PAUSE_S)
    assert (clock.getDelayedCalls(), queue._waiting) == ([], {})


def test_a_step_that_fails_holds_up_nobody():
    class Failing:
        def go_on(self):
            raise RuntimeError("a bug")

    clock, queue, wait, done = make_queue()
    with capturedLogs() as logs:
        queue.wait("a", Failing())
    assert [event["log_level"].name for event in logs] == ["critical"]
    wait("a", "next")
    clock.advance(0.0)
    assert done == ["next"]


# --- with TLS itself, in memory ---------------------------------------------------------------------------


class Ear(Protocol):
    def __init__(self):
        self.heard = b""

    def dataReceived(self, data):  # noqa: N802
        self.heard += data


class Wire(StringTransport):
    """A connection in memory that can be told to read nothing for now."""

    def __init__(self, host, port):
        super().__init__(peerAddress=IPv4Address("TCP", host, port))
        self.bufferSize = 65536

    def take(self):
        value = self.value()
        self.clear()
        return value


class Phone:
    """A TLS client and the server's end of its connection."""

    def __init__(self, factory, host, port=40000):
        self.tls = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
        self.tls.set_connect_state()
        self.wire = Wire(host, port)
        self.server = factory.buildProtocol(self.wire.getPeer())
        self.server.makeConnection(self.wire)

    @property
    def ear(self):
        return self.server.wrappedProtocol

    def step(self):
        """Read what the server said, and what is to be said then."""
        if answer := self.wire.take():
            self.tls.bio_write(answer)
        with suppress(SSL.WantReadError):
            self.tls.do_handshake()
        return self.take()

    def take(self):
        with suppress(SSL.WantReadError):
            return self.tls.bio_read(65536)
        return b""

    def say(self, data):
        self.server.dataReceived(data)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return ServerCertificate(
        *ensure_certificate(tmp_path_factory.mktemp("own"), lambda: ["pbx.local"], datetime.now(UTC))
    )


@pytest.fixture
def listening(certificate):
    clock = Clock()
    return clock, AcceptingTlsFactory(certificate, Factory.forProtocol(Ear), clock, Handshakes(clock))


def hold(clock, factory):
    """Take the turn, so that whoever comes now waits."""
    factory.handshakes.wait("somebody", Step(clock, "held", []))


def test_a_handshake_waits_for_its_turn_and_nothing_is_read_meanwhile(listening):
    clock, factory = listening
    hold(clock, factory)
    phone = Phone(factory, "192.0.2.1")
    phone.say(phone.step())
    assert (phone.wire.take(), phone.wire.producerState) == (b"", "paused")
    clock.advance(LONGEST_PAUSE_S)
    assert phone.wire.producerState == "producing"
    phone.say(phone.step())
    clock.advance(LONGEST_PAUSE_S)
    phone.step()
    phone.tls.send(b"hello")
    hold(clock, factory)  # who is through waits no more
    phone.say(phone.take())
    assert phone.ear.heard == b"hello"
    assert phone.wire.producerState == "producing"


def test_what_comes_with_the_end_of_a_handshake_is_heard(listening):
    clock, factory = listening
    phone = Phone(factory, "192.0.2.1")
    phone.say(phone.step())
    clock.advance(LONGEST_PAUSE_S)
    finished = phone.step()
    phone.tls.send(b"REGISTER")
    hold(clock, factory)
    phone.say(finished + phone.take())
    assert phone.ear.heard == b""
    clock.advance(LONGEST_PAUSE_S)
    assert phone.ear.heard == b"REGISTER"


def test_who_fails_in_his_turn_is_cut_as_he_would_be_at_any_other_time(listening):
    """The reactor does so with who fails while it reads; nobody would hear of him any more."""
    clock, factory = listening
    phone = Phone(factory, "192.0.2.1")
    phone.say(phone.step())
    clock.advance(LONGEST_PAUSE_S)
    finished = phone.step()
    phone.tls.send(b"REGISTER")
    phone.ear.dataReceived = lambda _data: 1 / 0
    with capturedLogs() as logs:
        phone.say(finished + phone.take())
    assert [event["log_level"].name for event in logs] == ["critical"]
    assert phone.wire.disconnected


def test_a_hello_in_pieces_has_a_turn_for_each(listening):
    """Else a thousand first bytes would be let in, and then cost a signature each, all at once."""
    clock, factory = listening
    phone = Phone(factory, "192.0.2.1")
    hello = phone.step()
    phone.say(hello[:5])
    clock.advance(LONGEST_PAUSE_S)
    hold(clock, factory)
    phone.say(hello[5:])
    assert phone.wire.value() == b""
    clock.advance(LONGEST_PAUSE_S)
    assert phone.wire.value() != b""


def test_little_is_kept_of_who_waits(listening):
    clock, factory = listening
    phone = Phone(factory, "192.0.2.1")
    assert phone.wire.bufferSize == 4096
    phone.say(phone.step())
    clock.advance(LONGEST_PAUSE_S)
    phone.say(phone.step())
    clock.advance(LONGEST_PAUSE_S)
    assert phone.wire.bufferSize == 65536


@pytest.mark.parametrize("end", ["abortConnection", "connectionLost"])
def test_who_hangs_up_while_he_waits_costs_nothing(listening, end):
    clock, factory = listening
    hold(clock, factory)
    phone = Phone(factory, "192.0.2.1")
    phone.say(phone.step())
    getattr(phone.server, end)(*[None] if end == "connectionLost" else [])
    phone.wire.clear()
    assert factory.handshakes._waiting == {}
    clock.advance(LONGEST_PAUSE_S)
    assert phone.wire.value() == b""


def test_rubbish_is_refused_in_its_turn(listening):
    clock, factory = listening
    hold(clock, factory)
    phone = Phone(factory, "192.0.2.1")
    phone.say(b"GET / HTTP/1.0\r\n\r\n")
    assert not phone.wire.disconnecting
    clock.advance(LONGEST_PAUSE_S)
    assert phone.wire.disconnecting
