"""The core's side with real workers; each test has a reactor of its own, run until the expected happens."""

import errno
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from twisted.internet.epollreactor import EPollReactor
from twisted.logger import capturedLogs

from pbx.media import control
from pbx.media.control import MediaControl
from pbx.media.orders import (
    CloseEndpoint,
    EndpointClosed,
    EndpointFailed,
    Join,
    Mix,
    OpenEndpoint,
    Play,
    Played,
    ReadStats,
    Record,
    Recorded,
    SetRemote,
    StatsRead,
    StopPlay,
    WorkerRestarted,
)
from pbx.media.wire import encode
from pbx.rtp.packet import unpack
from tests.support.rtp_phone import PATIENCE_S, V4, Phone, free_pair, rtp
from tests.support.sound import tone
from tests.support.stage import write_sound


class Core:
    """A media control whose events are waited for."""

    def __init__(self, workers, **more):
        self.reactor = EPollReactor()
        self.events = []
        self.control = MediaControl(self.reactor, workers, self._take, **more)
        self._awaited = self._found = None
        self.is_ready = False
        self.reactor.callWhenRunning(lambda: self.control.start().addCallback(self._ready))

    def _ready(self, _):
        self.is_ready = True

    def _take(self, event):
        self.events.append(event)
        if self._awaited is not None and isinstance(event, self._awaited):
            self._awaited, self._found = None, event
            self.reactor.crash()

    def wait_for(self, kind, *orders):
        """Give orders, then run until an event of the kind comes."""
        for order in orders:
            self.reactor.callLater(0, self.control.perform, order)
        self.reactor.callLater(0, self.control.flush)
        self._awaited = kind
        self._run()
        return self._found

    def settle(self, *orders):
        """All orders until now are carried out."""
        return self.wait_for(StatsRead, *orders, ReadStats("a")).stats

    def stop(self):
        self.reactor.callLater(0, lambda: self.control.stop().addCallback(lambda _: self.reactor.crash()))
        self._run()

    def _run(self):
        late = []
        timer = self.reactor.callLater(PATIENCE_S, lambda: (late.append(True), self.reactor.crash()))
        self.reactor.run(installSignalHandlers=False)
        assert not late, f"waited too long; there were {self.events}"
        timer.cancel()


@pytest.fixture
def make_core():
    made = []

    def make(workers, **more):
        made.append(Core(workers, **more))
        return made[-1]

    yield make
    for core in made:
        pids = core.control.pids
        core.stop()
        assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


@pytest.fixture
def phones():
    pair = Phone(), Phone()
    yield pair
    for phone in pair:
        phone.close()


def joined(core, phones, calls=("call", "call")):
    """Endpoints a and b, and the addresses their phones send to."""
    ports = free_pair(), free_pair()
    for name, call, phone, port in zip("ab", calls, phones, ports, strict=True):
        core.settle(OpenEndpoint(name, call, V4, port), SetRemote(name, phone.address))
    core.settle(Join("a", "b"))
    return [(V4, port) for port in ports]


def talk(phones, addresses, sequence):
    """Both hear each other."""
    (a, b), (to_a, to_b) = phones, addresses
    a.rtp.sendto(rtp(sequence, ssrc=1), to_a)
    assert b.heard() == rtp(sequence, ssrc=1)
    b.rtp.sendto(rtp(sequence, ssrc=2), to_b)
    assert a.heard() == rtp(sequence, ssrc=2)


def is_bound(port):
    """Seen from outside: trying to bind would take the port from the worker."""
    rows = Path("/proc/net/udp").read_text().splitlines()[1:]
    return any(int(row.split()[1].split(":")[1], 16) == port for row in rows)


def test_an_order_is_on_its_way_with_the_flush_before_the_reactor_goes_on(make_core):
    """The phone that reads of a port in the answer sent next may speak at once: the port must be there."""
    core, first, second = make_core(1), free_pair(), free_pair()
    core.settle(OpenEndpoint("a", "call", V4, first))
    core.control.perform(OpenEndpoint("b", "call", V4, second))
    core.control.flush()  # the reactor stands still from here on
    patience = time.monotonic() + PATIENCE_S
    while not is_bound(second) and time.monotonic() < patience:
        time.sleep(0.001)
    assert is_bound(second)


def test_the_start_is_over_when_every_worker_has_spoken(make_core):
    core = make_core(2)
    core.settle(OpenEndpoint("a", "call", V4, free_pair()))
    until = time.monotonic() + PATIENCE_S
    while not core.is_ready and time.monotonic() < until:
        core.settle()
    assert core.is_ready


def test_workers_have_no_threads_of_numpy_s(make_core):
    core = make_core(1)
    core.wait_for(EndpointFailed, OpenEndpoint("a", "call", "192.0.2.1", 20_000))  # none of ours: it is up
    (pid,) = core.control.pids
    assert len(list(Path(f"/proc/{pid}/task").iterdir())) == 1


def test_orders_are_carried_out_and_events_come_back(make_core, phones):
    core = make_core(2)
    talk(phones, joined(core, phones), 1)
    closed = core.wait_for(EndpointClosed, CloseEndpoint("b"))
    assert (closed.endpoint, closed.stats.packets_in) == ("b", 1)


def test_a_killed_worker_is_replaced_and_its_calls_go_on(make_core, phones):
    core = make_core(1)
    addresses = joined(core, phones)
    elsewhere = Phone()
    try:
        elsewhere.rtp.sendto(rtp(1), addresses[0])
        assert phones[1].heard() == rtp(1)
        core.settle()  # where it came from is told before what is asked for now
        (pid,) = core.control.pids
        os.kill(pid, signal.SIGKILL)
        assert core.wait_for(WorkerRestarted).calls == ("call",)
        assert core.control.pids != (pid,)
        core.settle()
        phones[1].rtp.sendto(rtp(2), addresses[1])  # found again without having spoken
        assert elsewhere.heard() == rtp(2)
        talk((elsewhere, phones[1]), addresses, 3)
    finally:
        elsewhere.close()


def test_calls_of_two_workers_can_be_joined(make_core, phones):
    core = make_core(2)
    addresses = joined(core, phones, calls=("one", "other"))
    a, b = phones
    a.rtp.settimeout(0.05)
    for sequence in range(1_000):  # until it has arrived with the other worker
        core.settle()
        b.rtp.sendto(rtp(sequence, ssrc=2), addresses[1])
        with suppress(TimeoutError):
            a.heard()
            break
    a.rtp.settimeout(PATIENCE_S)
    b.rtp.sendto(rtp(2_000, ssrc=2), addresses[1])
    while a.heard() != rtp(2_000, ssrc=2):
        pass
    a.rtp.sendto(rtp(1, ssrc=1), addresses[0])
    assert b.heard() == rtp(1, ssrc=1)


def test_who_enters_a_room_of_another_worker_hears_there_what_is_played(make_core, phones, tmp_path):
    stem, core = write_sound(tmp_path, tone(440, 16_000, 1.0)), make_core(2)
    ports = free_pair(), free_pair()
    for name, call, phone, port in zip("ab", "12", phones, ports, strict=True):
        agreed = SetRemote(name, phone.address, codecs=((0, "PCMU"),))
        core.settle(OpenEndpoint(name, call, V4, port), agreed)
    core.settle(Play("b", "p", stem), Mix("a", "room"))
    first = unpack(phones[1].heard()).ssrc
    assert core.wait_for(Played, Mix("b", "room")) == Played("b", "p", "ended")
    while unpack(phones[1].heard()).ssrc == first:  # then comes what the other worker said
        pass


def test_what_was_played_and_recorded_when_a_worker_is_killed_is_answered(make_core, phones, tmp_path):
    stem, core = write_sound(tmp_path, tone(440, 16_000, 1.0)), make_core(1)
    agreed = SetRemote("a", phones[0].address, codecs=((0, "PCMU"),))
    core.settle(OpenEndpoint("a", "call", V4, free_pair()), agreed)
    core.settle(Record("a", "r", str(tmp_path / "file.wav")), Play("a", "one", stem))
    os.kill(core.control.pids[0], signal.SIGKILL)
    core.wait_for(WorkerRestarted)
    answers = [event for event in core.events if isinstance(event, Played | Recorded)]
    why = "the media worker died"
    assert answers == [Recorded("a", "r", -1.0, why), Played("a", "one", why)]
    core.settle(Play("a", "two", stem, loop=True))
    assert core.wait_for(Played, StopPlay("a")) == Played("a", "two", "stopped")


def test_a_worker_that_cannot_live_ends_its_calls_with_a_reason(make_core):
    core = make_core(1, command=(sys.executable, "-c", "raise SystemExit(3)"))
    failed = core.wait_for(EndpointFailed, OpenEndpoint("a", "call", V4, free_pair()))
    assert failed.endpoint == "a"
    assert "exit code 3" in failed.why


def test_a_program_that_is_not_there_too(make_core):
    core = make_core(1, command=("/nonexistent/worker",))
    failed = core.wait_for(EndpointFailed, OpenEndpoint("a", "call", V4, free_pair()))
    assert "cannot be started" in failed.why


def test_with_too_many_open_files_too(make_core, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(control, "socketpair", refuse)
    core = make_core(1)
    failed = core.wait_for(EndpointFailed, OpenEndpoint("a", "call", V4, free_pair()))
    assert "Too many open files" in failed.why


def test_what_was_ordered_closed_is_reported_before_the_end(make_core, phones):
    core = make_core(1)
    joined(core, phones)
    core.reactor.callLater(0, core.control.perform, CloseEndpoint("a"))
    core.stop()
    assert any(isinstance(event, EndpointClosed) for event in core.events)


def read_paths(core):
    """What the workers say of who relays."""
    found = []
    core.reactor.callLater(
        0,
        lambda: core.control.read_paths().addCallback(
            lambda read: (found.append(read), core.reactor.crash())
        ),
    )
    core._run()
    return found[0]


@pytest.fixture
def no_time_is_up(monkeypatch):
    """When workers are asked."""
    monkeypatch.setattr(control, "CENSUS_S", 2 * PATIENCE_S)


@pytest.mark.usefixtures("no_time_is_up")
def test_all_workers_are_asked_who_relays(make_core):
    core = make_core(2)
    names = [("a", "one"), ("b", "one"), ("c", "two"), ("d", "two")]
    core.settle(
        *(OpenEndpoint(name, call, V4, free_pair()) for name, call in names), Join("a", "b"), Join("c", "d")
    )
    assert read_paths(core) == (dict.fromkeys("abcd", "user space"), "")


@pytest.mark.usefixtures("no_time_is_up")
def test_a_worker_that_does_not_answer_keeps_nobody_waiting_for_long(make_core):
    core = make_core(2)
    names = [("a", "one"), ("b", "one"), ("c", "two"), ("d", "two")]
    core.settle(
        *(OpenEndpoint(name, call, V4, free_pair()) for name, call in names), Join("a", "b"), Join("c", "d")
    )
    stopped = core.control.pids[0]
    os.kill(stopped, signal.SIGSTOP)

    def expire():
        """The time is up once the other has answered."""
        census = core.control._census
        if census is not None and len(census.missing) == 1:
            census.late.reset(0)
        else:
            core.reactor.callLater(0.01, expire)

    core.reactor.callLater(0, expire)
    try:
        paths, _ = read_paths(core)
    finally:
        os.kill(stopped, signal.SIGCONT)
    assert len(paths) == 2


def test_an_order_that_cannot_be_written_does_not_stop_those_of_other_workers():
    """Nor does it reach whoever flushes: the reactor would close the socket that the step came by."""

    class Line:
        number = 0

        def __init__(self):
            self.sent = []

        def tell(self, data):
            self.sent.append(data)

        def flush(self):
            pass

    core = MediaControl(None, 2, print)
    good, bad = Line(), Line()
    core._told[good].append(CloseEndpoint("a"))
    core._told[bad].append(CloseEndpoint(object()))
    with capturedLogs() as logs:
        core.flush()
    assert good.sent == [encode(CloseEndpoint("a"))]
    assert [event["log_level"].name for event in logs] == ["critical"]
