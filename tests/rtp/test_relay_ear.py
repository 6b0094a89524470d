"""The PBX listens at an endpoint, or speaks there in place of the joined peer."""

import pytest

from pbx.rtp.relay import HELD_S
from pbx.rtp.remote import Remote
from pbx.rtp.rtcp import Report, ReportBlock
from pbx.rtp.session import FIRST
from pbx.rtp.srtp import Srtp
from pbx.sdp.crypto import SrtpKeys
from tests.rtp.test_relay import NAT, REMOTE_A, A, B, FakeNet, Pair, rtp
from tests.rtp.test_relay_kernel import ENOUGH, KernelPair

SUITE = "AES_CM_128_HMAC_SHA1_80"
KEYS, PHONE_KEYS = SrtpKeys(SUITE, bytes(30), b"x" * 30), SrtpKeys(SUITE, b"x" * 30, bytes(30))


class Ear:
    """Writes down what it hears."""

    delay_s = None

    def __init__(self):
        self.heard = []

    def hear(self, packet, now):
        self.heard.append((now, packet))

    def cover(self, packet, now):
        self.heard.append((now, packet))

    @property
    def packets(self):
        return [packet for _, packet in self.heard]


@pytest.fixture
def net():
    return FakeNet()


@pytest.fixture
def ear():
    return Ear()


STARTS = {"from the first on": 1, "in the middle of a stream": FIRST + 20}


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_the_ear_hears_all_and_so_does_the_joined_peer(net, ear, start):
    pair = Pair(net)
    pair.from_a(*map(rtp, range(1, start)))
    pair.from_b(*map(rtp, range(1, start)))
    pair.a.listen(ear, None)
    said = [rtp(start + at) for at in range(5)]
    for at, packet in enumerate(said):
        pair.from_a(packet, now=1.0 + at)
        pair.from_b(packet)
    assert ear.heard == [(1.0 + at, packet) for at, packet in enumerate(said)]
    assert pair.to_b == [(rtp(at), B) for at in range(1, start + 5)]
    assert pair.a.stats().packets_in == pair.b.stats().packets_out == start + 4


def test_afterwards_the_short_way_is_taken_again(net, ear):
    pair = Pair(net)
    pair.from_a(*map(rtp, range(1, 20)))
    short = pair.a._handler
    assert short == pair.a._stream.relay
    pair.a.listen(ear, None)
    assert pair.a._handler != short
    pair.from_a(*map(rtp, range(20, 25)))
    pair.a.listen(None, None)
    assert pair.a._handler == short
    pair.from_a(*map(rtp, range(25, 30)))
    assert ear.packets == list(map(rtp, range(20, 25)))
    assert pair.to_b == [(rtp(at), B) for at in range(1, 30)]
    assert pair.a.stats().lost == 0


def test_while_covered_a_peer_hears_nothing_of_the_joined_one(net, ear):
    pair = Pair(net)
    pair.from_a(*map(rtp, range(1, 20)))
    pair.from_b(*map(rtp, range(1, 20)))
    before = len(pair.to_a)
    pair.a.listen(None, ear.cover)
    pair.from_b(*map(rtp, range(20, 30)))
    assert len(pair.to_a) == before
    pair.a.say(own := rtp(1, ssrc=99))
    assert pair.to_a[before:] == [(own, A)]
    assert ear.packets == list(map(rtp, range(20, 30)))
    pair.from_a(rtp(20))
    assert pair.to_b[-1] == (rtp(20), B)  # the other direction goes on, by the short way
    assert pair.a._handler == pair.a._stream.relay
    pair.a.listen(None, None)
    pair.from_b(rtp(30))
    assert pair.to_a[-1] == (rtp(30), A)
    assert pair.b._handler == pair.b._stream.relay
    assert pair.b.stats().packets_in == 30


def test_what_was_covered_is_not_counted_as_lost_when_the_peer_reports_it(net, ear):
    pair = Pair(net)

    def report(lost):
        block = ReportBlock(7, 0.0, lost, 1, 80, 0, 0.0)
        net.arrive(10001, (A[0], A[1] + 1), Report(9, None, (block,)).pack())
        return pair.a.stats().lost_out

    pair.from_a(*map(rtp, range(1, 20)))
    pair.from_b(*map(rtp, range(1, 20)))
    assert report(2) == 2
    pair.a.listen(None, ear.cover)
    pair.from_b(*map(rtp, range(20, 30)))
    pair.a.listen(None, None)
    pair.from_b(*map(rtp, range(30, 40)))
    assert report(12) == 2
    assert report(13) == 3
    pair.a.part()
    pair.a.join(pair.b, 0.0)
    assert report(50) == 3
    assert report(51) == 4


def test_the_cover_gets_packets_with_the_types_of_whom_it_covers(net, ear):
    pair = Pair(net, b=Remote(B, payload_map=((96, 111),)))
    pair.a.listen(None, ear.cover)
    pair.from_b(rtp(1, payload_type=96))
    assert ear.packets == [rtp(1, payload_type=111)]


def test_who_is_on_hold_is_not_heard_and_hears_nothing(net, ear):
    pair = Pair(net, a=Remote(A, may_send=False, may_receive=False))
    pair.a.listen(ear, None)
    pair.from_a(rtp(1))
    pair.a.say(rtp(2))
    assert (ear.packets, pair.to_a) == ([], [])
    assert pair.a.stats().packets_in == 1


def test_alone_it_is_heard_and_nothing_is_held_for_a_join(net, ear):
    pair = Pair(net, joined=False)
    pair.a.listen(ear, None)
    pair.from_a(rtp(1))
    pair.a.join(pair.b, HELD_S / 2)
    assert (ear.packets, pair.to_b) == ([rtp(1)], [])


def test_srtp_is_opened_for_the_ear_and_what_is_said_is_protected(net, ear):
    phone = Srtp(PHONE_KEYS)
    pair = Pair(net, a=Remote(A, srtp=KEYS))
    pair.a.listen(ear, ear.cover)
    pair.from_a(phone.protect(rtp(1)))
    pair.a.say(rtp(7, ssrc=99))
    ((sent, _),) = pair.to_a
    assert (ear.packets, phone.unprotect(sent)) == ([rtp(1)], rtp(7, ssrc=99))


def test_what_is_said_goes_where_the_peer_is(net, ear):
    pair = Pair(net)
    pair.a.say(rtp(1))
    pair.from_a(rtp(1), source=NAT)
    pair.a.say(rtp(2))
    assert [target for _, target in pair.to_a] == [A, NAT]


def test_before_anything_is_agreed_on_nothing_is_said(net):
    pair = Pair(net, a=None)
    pair.a.say(rtp(1))
    assert pair.to_a == []


@pytest.mark.parametrize("joined", [True, False])
def test_closed_it_lets_go(net, ear, joined):
    pair = Pair(net, joined=joined)
    pair.a.listen(ear, ear.cover)
    pair.from_a(rtp(1))
    pair.a.close()
    pair.from_b(rtp(1))
    pair.a.listen(None, None)
    assert ear.packets == [rtp(1)]


class TestTheKernel:
    LISTENING = (
        ("an ear", lambda pair, ear: pair.a.listen(ear, None)),
        ("a cover", lambda pair, ear: pair.a.listen(None, ear.cover)),
        ("an ear at the other side", lambda pair, ear: pair.b.listen(ear, None)),
    )

    @pytest.mark.parametrize("listen", [each for _, each in LISTENING], ids=[name for name, _ in LISTENING])
    def test_is_left_as_long_as_somebody_listens(self, listen, ear):
        pair = KernelPair()
        pair.talk()
        assert pair.kernel.joins
        pair.kernel.relays(30, 20)
        listen(pair, ear)
        assert pair.kernel.joins == []
        tries = pair.kernel.tries
        pair.talk(3 * ENOUGH)
        assert pair.kernel.tries == tries
        assert pair.a.path == pair.b.path == "user space: heard by the PBX"
        assert ear.heard
        for endpoint in (pair.a, pair.b):
            endpoint.listen(None, None)
        heard = len(ear.heard)
        pair.talk(3 * ENOUGH)
        assert pair.kernel.joins
        assert len(ear.heard) == heard
        assert pair.a.stats().kernel_in == 30

    def test_gets_no_stream_that_is_listened_to_from_the_start(self, ear):
        pair = KernelPair()
        pair.b.listen(ear, None)
        pair.talk(5 * ENOUGH)
        assert pair.kernel.tries == 0

    def test_the_same_again_changes_nothing(self, ear):
        pair = KernelPair()
        pair.talk()
        pair.a.listen(None, None)
        assert pair.kernel.joins

    def test_comes_back_however_often_somebody_listens(self, ear):
        pair = KernelPair()
        for _ in range(10):
            pair.talk(3 * ENOUGH)
            assert pair.kernel.joins
            pair.a.listen(ear, None)
            pair.a.listen(None, None)


def test_an_ear_s_bug_is_told_to_whoever_reads_the_socket(net):
    class Deaf:
        def hear(self, packet, now):
            raise ZeroDivisionError

    pair = Pair(net, a=REMOTE_A, joined=False)
    pair.a.listen(Deaf(), None)
    with pytest.raises(ZeroDivisionError):
        pair.from_a(rtp(1))
