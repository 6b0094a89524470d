"""When an endpoint hands its stream to the kernel, and when it takes it back: a kernel that is played."""

import pytest

from pbx.rtp.kernel.conntrack import Flow, Traffic
from pbx.rtp.kernel.joins import KernelJoin
from pbx.rtp.offload import RETURNS
from pbx.rtp.port_pair import STRAYS_A_SECOND
from pbx.rtp.relay import PATIENCE, Endpoint
from pbx.rtp.remote import Remote
from pbx.rtp.session import FIRST
from pbx.sdp.crypto import SrtpKeys
from tests.rtp.test_relay import NAT, REMOTE_A, REMOTE_B, STRANGER, A, B, FakeNet, Pair, rtp

OURS = "192.0.2.9"
ENOUGH = FIRST + 3  # the first ones find the peer


class FakeKernel:
    """Takes streams until it is told to refuse."""

    def __init__(self):
        self.joins, self.answer, self.tries = [], "take", 0

    def join(self, flow, onward, lost, now):
        self.tries += 1
        if self.answer != "take":
            return self.answer
        self.joins.append(KernelJoin(flow, onward, (4, False, False), lost))
        return self.joins[-1]

    def leave(self, join):
        if join in self.joins:
            self.joins.remove(join)

    def relays(self, there, back):
        """So many packets of 172 bytes were relayed, in all."""
        (join,) = self.joins
        join.there.count(Traffic(there, 200 * there))
        join.back.count(Traffic(back, 200 * back))


class KernelPair(Pair):
    def __init__(self, a=REMOTE_A, b=REMOTE_B):
        self.net, self.found, self.counters, self.kernel = FakeNet(), [], [], FakeKernel()
        self.a, self.b = (
            Endpoint(name, OURS, port, self.net, self, self.kernel)
            for name, port in (("a", 10000), ("b", 10002))
        )
        self.a.set_remote(a, 0.0)
        self.b.set_remote(b, 0.0)
        self.a.join(self.b, 0.0)
        self.number = 0

    def next(self, ssrc=1):
        self.number += 1
        return rtp(self.number, ssrc=ssrc)

    def talk(self, times=ENOUGH, of_a=A):
        """Both speak, until the kernel has the stream."""
        for _ in range(times):
            self.number += 1
            now = self.number * 0.02
            self.from_b(rtp(self.number, ssrc=2), now=now)
            if self.kernel.joins:
                return
            self.from_a(rtp(self.number, ssrc=1), now=now, source=of_a)
            if self.kernel.joins:
                return


@pytest.fixture
def pair():
    made = KernelPair()
    made.talk()
    return made


def test_the_kernel_gets_a_stream_that_goes_both_ways(pair):
    (join,) = pair.kernel.joins
    ways = {Flow(A, (OURS, 10000)): Flow((OURS, 10002), B), Flow(B, (OURS, 10002)): Flow((OURS, 10000), A)}
    assert ways[join.flow] == join.onward
    assert pair.a.path == pair.b.path == "kernel"


def test_not_before_both_have_gone_on_for_a_moment():
    pair = KernelPair()
    pair.talk(FIRST - 1)
    pair.from_a(*(rtp(100 + each, ssrc=1) for each in range(50)))
    assert pair.kernel.tries == 0


def test_what_waits_in_the_queues_goes_out_before():
    pair = KernelPair()
    pair.talk(FIRST)
    socket = next(sock for sock in pair.net.sockets if sock.port == 10002)
    late = rtp(500, ssrc=2)
    socket.queue.append((late, B))
    pair.talk(4)
    assert pair.kernel.joins
    assert (late, A) in pair.to_a
    assert not any(sock.queue for sock in pair.net.sockets)


WHY = {
    "encrypted": ({"srtp": SrtpKeys("AES_CM_128_HMAC_SHA1_80", bytes(30), bytes(30))}, "encrypted"),
    "on hold": ({"may_send": False}, "on hold"),
    "only listening": ({"may_receive": False}, "on hold"),
    "mapped": ({"payload_map": ((0, 8),)}, "payload types differ"),
    "muxed": ({"rtcp_mux": True}, "RTCP on the same port"),
}


@pytest.mark.parametrize(("more", "why"), WHY.values(), ids=WHY)
def test_what_has_to_be_seen_or_changed_stays(more, why, pair):
    pair.b.set_remote(Remote(B, **more), 1.0)
    assert pair.kernel.joins == []
    pair.kernel.tries = 0
    pair.talk(2 * ENOUGH)
    assert pair.kernel.tries == 0
    assert pair.a.path == pair.b.path == f"user space: {why}"


CHANGES = {
    "another offer": lambda pair: pair.a.set_remote(Remote(A, relatch=True), 1.0),
    "parted": lambda pair: pair.b.part(),
    "closed": lambda pair: pair.a.close(),
    "joined with another": lambda pair: pair.a.join(Endpoint("c", OURS, 10004, pair.net, pair), 1.0),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_changes_brings_the_stream_back_with_its_counts(change, pair):
    seen = pair.number
    pair.kernel.relays(30, 20)
    change(pair)
    assert pair.kernel.joins == []
    a, b = pair.a.stats(), pair.b.stats()
    assert (a.packets_in, a.packets_out, a.kernel_in) == (seen + 30, seen + 20, 30)
    assert (b.packets_in, b.packets_out, b.kernel_in) == (seen + 20, seen + 30, 20)
    assert a.bytes_in - 30 * 172 == b.bytes_in - 20 * 172


def test_a_jump_over_what_the_kernel_relayed_is_no_loss(pair):
    pair.kernel.relays(1000, 1000)
    pair.a.set_remote(REMOTE_A, 1.0)
    pair.number += 1000
    pair.talk(3)
    assert pair.a.stats().lost == pair.b.stats().lost == 0
    assert pair.a.stats().jitter_s < 0.001


def test_the_announced_source_is_noticed_and_takes_the_stream_over():
    pair = KernelPair()
    pair.talk(of_a=NAT)
    assert pair.kernel.joins
    pair.from_a(packet := pair.next())
    assert pair.kernel.joins == []
    assert pair.to_b[-1] == (packet, B)
    pair.talk()
    (join,) = pair.kernel.joins
    assert A in {join.flow.source, join.onward.target}


def test_a_packet_that_shows_up_here_means_the_kernel_lost_the_stream(pair):
    pair.from_a(packet := pair.next())
    assert pair.kernel.joins == []
    assert pair.to_b[-1] == (packet, B)
    pair.talk()
    assert pair.a.path == "kernel"


def test_a_stranger_does_not_mean_that_and_a_flood_gets_a_queue_of_its_own(pair):
    pair.from_a(rtp(1, ssrc=66), source=STRANGER)
    assert pair.kernel.joins
    assert pair.a.stats().strangers == 1
    pair.from_a(*[rtp(1, ssrc=66)] * 1000, source=STRANGER)
    assert pair.kernel.joins
    assert STRAYS_A_SECOND < pair.a.stats().strangers < 2 * STRAYS_A_SECOND
    pair.from_a(packet := pair.next())
    assert pair.kernel.joins == []
    assert pair.to_b[-1] == (packet, B)


def test_a_peer_that_stays_silent_is_waited_for_in_vain_for_a_moment_only():
    pair = KernelPair()
    pair.from_a(*(pair.next() for _ in range(PATIENCE - 1)))
    assert {sock.peer for sock in pair.net.sockets} == {None}
    pair.from_a(pair.next())
    assert [sock.peer for sock in pair.net.sockets if sock.peer] == [A, B]
    pair.number = 100
    pair.talk(3 * ENOUGH)
    assert pair.kernel.joins


def test_a_kernel_that_keeps_losing_it_is_asked_no_more(pair):
    for _ in range(RETURNS):
        pair.from_a(pair.next())
        pair.talk()
    assert pair.kernel.joins == []
    assert pair.a.path == pair.b.path == "user space: the kernel keeps losing it"
    pair.a.set_remote(Remote(A, relatch=True), 1.0)
    pair.talk()
    assert pair.a.path == "kernel"


def test_a_refusal_holds_for_the_call_and_a_delay_does_not():
    pair = KernelPair()
    pair.kernel.answer = None
    pair.talk(3 * ENOUGH)
    assert pair.kernel.tries >= 2
    pair.kernel.answer = "it does not want to"
    pair.talk()
    tries = pair.kernel.tries
    pair.talk(3 * ENOUGH)
    assert pair.kernel.tries == tries
    assert pair.a.path == pair.b.path == "user space: it does not want to"


def test_silence_is_what_the_counters_say(pair):
    pair.kernel.relays(10, 10)
    assert pair.a.tick(40.0, 30.0) is None
    assert pair.b.tick(40.0, 30.0) is None
    pair.kernel.relays(500, 10)
    assert pair.a.tick(71.0, 30.0) is None
    assert pair.b.tick(71.0, 30.0) is True
    pair.kernel.relays(600, 11)
    assert pair.b.tick(72.0, 30.0) is False


def test_without_a_kernel_there_is_nothing_to_say_about_it():
    pair = Pair(FakeNet())
    pair.from_a(rtp(1))
    assert pair.a.path == "user space"
