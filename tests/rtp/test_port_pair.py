"""Two sockets for the peer and one for strangers: who is read, and where what is sent goes."""

import pytest

from pbx.rtp.latch import Latch
from pbx.rtp.port_pair import STRAYS_A_SECOND, STRAYS_A_WAKE, PortPair
from tests.rtp.test_relay import NAT, STRANGER, A, FakeNet

PORT = 10_000


class Owner:
    """Watches the ports as an endpoint does; whatever does not come from A is a stranger's."""

    def __init__(self, announced=A):
        self.net, self.latch, self.taken = FakeNet(), Latch(), []
        if announced is not None:
            self.latch.announce(announced, is_symmetric=True, relatch=False, now=0.0)
        self.ports = PortPair(self.net, "192.0.2.9", PORT, self.latch, self.take)
        self.net.watch(self.ports.rtp, lambda now: self.ports.read(self.ports.rtp, now))

    def take(self, data, source, _now):
        self.taken.append((data, source))
        self.ports.unwanted += source != A

    def arrive(self, *packets, source=A):
        self.net.arrive(PORT, source, *packets)

    @property
    def sent(self):
        return self.net.sent(PORT)


@pytest.fixture
def owner():
    return Owner()


def test_the_even_port_is_freed_when_the_odd_one_is_taken():
    net = FakeNet()
    net.taken.add(PORT + 1)
    with pytest.raises(OSError, match="taken"):
        PortPair(net, "192.0.2.9", PORT, Latch(), print)
    assert [sock.is_closed for sock in net.sockets] == [True]


class TestSending:
    def test_goes_where_the_peer_is_known_to_be(self, owner):
        assert owner.ports.send(b"1")
        owner.latch.accept(NAT)
        assert owner.ports.send(b"2")
        assert owner.sent == [(b"1", A), (b"2", NAT)]

    def test_to_a_peer_that_is_nowhere_yet_sends_nothing(self):
        owner = Owner(announced=None)
        assert not owner.ports.send(b"1")
        assert owner.sent == []

    FAILURES = (("not connected", False, 1, []), ("once", True, 1, [b"1"]), ("twice", True, 2, []))

    @pytest.mark.parametrize(
        ("connected", "times", "sent"), [each[1:] for each in FAILURES], ids=[each[0] for each in FAILURES]
    )
    def test_is_tried_again_only_when_connected(self, owner, connected, times, sent):
        """A connected socket reports with the next call that an earlier packet met no one."""
        if connected:
            owner.ports.connect(0.0)
        owner.ports.rtp.failures += [ConnectionRefusedError()] * times
        assert owner.ports.send(b"1") == bool(sent)
        assert [data for data, _ in owner.sent] == sent


class TestConnecting:
    def test_takes_what_others_sent_before_and_gives_them_a_socket_of_their_own(self, owner):
        owner.ports.rtp.queue.append((b"1", STRANGER))
        owner.ports.connect(0.0)
        owner.arrive(b"2", source=STRANGER)
        assert owner.taken == [(b"1", STRANGER), (b"2", STRANGER)]
        assert owner.ports.connected == owner.ports.rtp.peer == A

    def test_follows_the_peer_and_makes_no_third_socket(self, owner):
        owner.ports.connect(0.0)
        owner.latch.accept(NAT)
        owner.ports.follow(0.0)
        assert owner.ports.connected == owner.ports.rtp.peer == NAT
        assert len(owner.net.sockets) == 3

    def test_does_not_begin_by_following(self, owner):
        owner.ports.follow(0.0)
        assert owner.ports.connected is None

    def test_to_where_no_route_goes_leaves_it_open_to_all(self, owner):
        owner.ports.connect(0.0)
        owner.net.unreachable.add(NAT)
        owner.latch.accept(NAT)
        owner.ports.follow(0.0)
        assert owner.ports.connected is None


class TestStrangers:
    def test_who_flood_are_stemmed(self, owner):
        owner.arrive(*[b"1"] * STRAYS_A_SECOND, source=STRANGER)
        assert not owner.ports.stem(0.0)
        owner.arrive(b"1", source=STRANGER)
        assert owner.ports.stem(0.0)
        assert owner.ports.connected == A
        assert not owner.ports.stem(0.0)  # it is done

    def test_who_flood_are_not_read_until_they_are_forgiven(self, owner):
        owner.ports.connect(0.0)
        owner.arrive(*[b"1"] * 1000, source=STRANGER)
        assert STRAYS_A_SECOND < len(owner.taken) <= STRAYS_A_SECOND + STRAYS_A_WAKE
        before = len(owner.taken)
        owner.arrive(b"2")
        assert owner.taken[before:] == [(b"2", A)]
        owner.ports.forgive()
        owner.arrive(b"3", source=STRANGER)
        assert len(owner.taken) > before + 1

    def test_are_read_several_at_a_time_once_there_is_one(self, owner):
        queue = owner.ports.rtp.queue
        queue.extend([(b"1", STRANGER)] * 20)
        for left in (19, 19 - STRAYS_A_WAKE):
            owner.ports.read(owner.ports.rtp, 0.0)
            assert len(queue) == left


def test_a_queue_is_drained_as_far_as_asked(owner):
    owner.ports.rtp.queue.extend([(b"1", A)] * 5)
    owner.ports.drain(0.0, 3)
    assert len(owner.taken) == 3
    owner.ports.drain(0.0)
    assert len(owner.taken) == 5


def test_closed_it_reads_no_more(owner):
    owner.ports.connect(0.0)
    owner.ports.close()
    assert not owner.net.handlers
    assert all(sock.is_closed for sock in owner.net.sockets)
