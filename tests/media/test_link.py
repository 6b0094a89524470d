"""The core's end of a worker's socket, with a socket and a reactor that only pretend."""

import pytest
from twisted.internet.task import Clock

from pbx.media.link import Link
from pbx.media.orders import Resumed
from pbx.media.wire import encode


class Reactor(Clock):
    def __init__(self):
        super().__init__()
        self.readers, self.writers = set(), set()
        self.addReader, self.removeReader = self.readers.add, self.readers.discard
        self.addWriter, self.removeWriter = self.writers.add, self.writers.discard


class Socket:
    """Takes `room` bytes at a time, then none until there is room again."""

    def __init__(self):
        self.room, self.sent, self.events, self.incoming = 1000, [], [], []

    def setblocking(self, flag):
        assert not flag

    def send(self, data):
        if isinstance(self.room, OSError):
            raise self.room
        if not self.room:
            raise BlockingIOError
        taken, self.room = data[: self.room], max(0, self.room - len(data))
        self.sent.append(taken)
        return len(taken)

    def recv(self, _size):
        if not self.incoming:
            raise BlockingIOError
        data = self.incoming.pop(0)
        if isinstance(data, OSError):
            raise data
        return data

    def shutdown(self, _how):
        self.events.append("shut")

    def close(self):
        self.events.append("closed")


@pytest.fixture
def made():
    made = Made()
    assert made.link in made.reactor.readers
    return made


class Made:
    def __init__(self):
        self.reactor, self.socket, self.received, self.lost = Reactor(), Socket(), [], []
        self.link = Link(
            3, self.socket, self.reactor, lambda _, data: self.received.append(data), self._take_loss
        )

    def _take_loss(self, link, why):
        self.lost.append(why)
        link.abort()


def test_what_is_told_until_a_flush_goes_out_in_one_piece(made):
    made.link.tell(b"a")
    made.link.tell(b"b")
    assert made.socket.sent == []
    made.link.flush()
    made.link.flush()
    made.link.tell(b"c")
    made.link.flush()
    assert made.socket.sent == [b"ab", b"c"]


def test_what_the_socket_does_not_take_is_sent_when_there_is_room(made):
    made.socket.room = 3
    made.link.tell(b"abcde")
    made.link.flush()
    assert made.reactor.writers == {made.link}
    made.link.tell(b"f")
    made.link.flush()
    made.link.doWrite()
    assert made.socket.sent == [b"abc"]
    made.socket.room = 1000
    made.link.doWrite()
    assert made.socket.sent == [b"abc", b"def"]
    assert made.reactor.writers == set()


def test_the_end_comes_after_all_that_was_told(made):
    made.socket.room = 1
    made.link.tell(b"ab")
    made.link.finish()
    assert made.socket.events == []
    made.socket.room = 1000
    made.link.doWrite()
    assert (made.socket.sent, made.socket.events) == ([b"a", b"b"], ["shut"])


def test_what_comes_is_handed_on(made):
    data = encode(Resumed("a"))
    made.socket.incoming = [data]
    made.link.doRead()
    made.link.doRead()  # nothing there
    assert (made.received, made.lost) == ([data], [])


LOSSES = {"closed": (b"", "it closed the connection"), "broken": (OSError("reset"), "reset")}


@pytest.mark.parametrize(("what", "why"), LOSSES.values(), ids=LOSSES)
def test_a_lost_connection_is_reported_and_nothing_is_sent_any_more(made, what, why):
    made.socket.incoming = [what]
    made.link.tell(b"a")
    made.link.doRead()
    made.link.flush()
    made.link.abort()
    assert (made.lost, made.socket.sent, made.socket.events) == ([why], [], ["closed"])
    assert made.reactor.readers == set()


def test_a_worker_that_died_is_noticed_by_reading_not_by_writing(made):
    made.socket.room = OSError("broken pipe")
    made.link.tell(b"a")
    made.link.flush()
    assert (made.lost, made.reactor.writers) == ([], set())
