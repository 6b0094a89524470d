"""The relay on sockets that only pretend: what arrives is queued by hand, what is sent is written down."""

import gc
import weakref
from collections import deque

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pbx.rtp.packet import Packet
from pbx.rtp.port_pair import STRAYS_A_SECOND
from pbx.rtp.relay import HELD, HELD_S, Endpoint
from pbx.rtp.remote import Remote
from pbx.rtp.rtcp import Report, ReportBlock
from pbx.rtp.session import FIRST
from pbx.rtp.srtp import Counter, Srtp
from pbx.sdp.crypto import SrtpKeys

A, B, NAT, STRANGER = (
    ("192.0.2.1", 4000),
    ("192.0.2.2", 5000),
    ("203.0.113.7", 61_000),
    ("198.51.100.66", 666),
)


REMOTE_A, REMOTE_B = Remote(A), Remote(B)


class FakeSocket:
    """Filters by source once connected, as the kernel does for what comes afterwards."""

    def __init__(self, net, port):
        self.net, self.port = net, port
        self.peer, self.queue, self.sent, self.failures = None, deque(), [], []
        self.is_closed = False

    def recv(self, size):
        return self.recvfrom(size)[0]

    def recv_into(self, buffer):
        data = self.recv(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def recvfrom(self, size):
        if not self.queue:
            raise BlockingIOError
        return self.queue.popleft()

    def send(self, data):
        assert self.peer is not None
        return self.sendto(data, self.peer)

    def sendto(self, data, address):
        if self.failures:
            raise self.failures.pop()
        self.sent.append((bytes(data), address))
        return len(data)

    def connect(self, address):
        if address in self.net.unreachable:
            raise OSError("no route")
        self.peer = address

    def close(self):
        self.is_closed = True


class FakeNet:
    """The sockets of one host, and a loop that is turned by hand."""

    def __init__(self):
        self.sockets, self.handlers, self.taken, self.unreachable = [], {}, set(), set()

    def bind(self, address, port, *, has_bursts=False):
        if port in self.taken:
            raise OSError("taken")
        self.sockets.append(FakeSocket(self, port))
        return self.sockets[-1]

    def share(self, first, address, port):
        self.sockets.append(FakeSocket(self, port))
        return self.sockets[-1]

    def watch(self, sock, handler):
        self.handlers[sock] = handler

    def unwatch(self, sock):
        self.handlers.pop(sock, None)

    def close(self, sock):
        self.unwatch(sock)
        sock.close()

    def arrive(self, port, source, *packets, now=0.0):
        """Packets reach the best matching socket, which is read as long as it is watched and has any."""
        for data in packets:
            fitting = [sock for sock in self.sockets if sock.port == port and sock.peer in (source, None)]
            sock = max(fitting, key=lambda one: one.peer is not None)
            sock.queue.append((data, source))
            while sock.queue and sock in self.handlers:
                self.handlers[sock](now)

    def sent(self, port):
        return [entry for sock in self.sockets if sock.port == port for entry in sock.sent]


@pytest.fixture
def net():
    return FakeNet()


class Pair:
    """Endpoint a on ports 10000 and 10001, endpoint b on 10002 and 10003."""

    def __init__(self, net, a=REMOTE_A, b=REMOTE_B, joined=True):
        self.net, self.found, self.counters = net, [], []
        self.a, self.b = (
            Endpoint(name, "192.0.2.9", port, net, self) for name, port in (("a", 10000), ("b", 10002))
        )
        for endpoint, remote in ((self.a, a), (self.b, b)):
            if remote is not None:
                endpoint.set_remote(remote, 0.0)
        if joined:
            self.a.join(self.b, 0.0)

    def latched(self, endpoint, source):
        self.found.append((endpoint.name, source))

    def counted(self, endpoint, keys, counter, value):
        self.counters.append((endpoint.name, keys, counter, value))

    def from_a(self, *packets, source=A, now=0.0):
        self.net.arrive(10000, source, *packets, now=now)

    def from_b(self, *packets, source=B, now=0.0):
        self.net.arrive(10002, source, *packets, now=now)

    @property
    def to_a(self):
        return self.net.sent(10000)

    @property
    def to_b(self):
        return self.net.sent(10002)


def rtp(sequence, payload_type=0, ssrc=7, **more):
    return Packet(payload_type, sequence, 160 * sequence, ssrc, b"\xd5" * 20, **more).pack()


SPECIAL = {
    "a marker": rtp(2, marker=True),
    "a telephone-event": rtp(2, payload_type=101),
    "a header extension": rtp(2, extension=(1, b"abcd")),
    "another source": rtp(900, ssrc=8),
    "a jump": rtp(40_000),
    "a late one": rtp(0),
    "the same again": rtp(1),
}


@pytest.mark.parametrize("packet", SPECIAL.values(), ids=SPECIAL)
def test_every_kind_of_packet_passes_unchanged_and_in_order(net, packet):
    pair = Pair(net)
    packets = [rtp(1), packet, rtp(3), rtp(4)]
    pair.from_a(*packets)
    assert pair.to_b == [(data, B) for data in packets]
    assert pair.a.stats().packets_in == pair.b.stats().packets_out == 4


def test_counters_are_the_same_by_the_short_and_the_long_way(net):
    packets = [rtp(sequence) for sequence in (2, 3, 4, 6, 5, 7, 10)]
    short, long = Pair(net), Pair(FakeNet(), b=Remote(B, may_send=False))
    for at, packet in enumerate(packets):
        short.from_a(packet, now=0.02 * at)
        long.from_a(packet, now=0.02 * at)
    ours, theirs = short.a.stats(), long.a.stats()
    assert ours == theirs
    assert (ours.lost, ours.packets_in, ours.ssrc) == (2, 7, 7)
    assert ours.jitter_s > 0
    assert (long.to_b, long.b.stats().packets_out) == ([], 0)


RUBBISH = {
    "nothing": b"",
    "a keep-alive": b"\r\n\r\n",
    "STUN": bytes.fromhex("0001 0000 2112a442") + bytes(12),
    "half a header": rtp(2)[:11],
}


@pytest.mark.parametrize("data", RUBBISH.values(), ids=RUBBISH)
def test_rubbish_goes_nowhere(net, data):
    pair = Pair(net)
    pair.from_a(data, rtp(1), data, rtp(2))
    assert pair.to_b == [(rtp(1), B), (rtp(2), B)]


def test_rubbish_and_unknown_payload_types_find_no_peer(net):
    pair = Pair(net, a=Remote(A, clock_rates=((0, 8000), (101, 8000))))
    pair.from_a(b"\r\n\r\n", rtp(1, payload_type=99), source=NAT)
    assert (pair.found, pair.to_b) == ([], [])
    pair.from_a(rtp(1, payload_type=101), source=NAT)
    assert (pair.found, pair.a.source) == ([("a", NAT)], NAT)


def test_the_stream_goes_where_it_comes_from(net):
    pair = Pair(net)
    pair.from_b(rtp(1))
    pair.from_a(rtp(1), source=NAT)
    pair.from_b(rtp(2))
    assert pair.to_a == [(rtp(1), A), (rtp(2), NAT)]


def test_what_was_queued_before_the_socket_was_connected_is_looked_at(net):
    pair = Pair(net, a=Remote(None))
    sock = pair.net.sockets[0]
    sock.queue.extend([(rtp(1, ssrc=66), STRANGER), (rtp(2), NAT)])
    pair.from_a(rtp(1), source=NAT)
    assert pair.a.source == STRANGER  # the first that came
    assert pair.to_b == [(rtp(1, ssrc=66), B)]
    assert pair.a.stats().strangers == 2


def test_what_others_sent_before_the_socket_was_connected_is_not_taken_for_the_peers(net):
    pair = Pair(net, a=None)
    pair.net.sockets[0].queue.append((rtp(1, ssrc=66), STRANGER))
    pair.a.set_remote(Remote(A, symmetric=False), 0.0)
    pair.from_a(rtp(1))
    assert pair.to_b == [(rtp(1), B)]
    assert pair.a.stats().strangers == 1


def test_counters_are_complete_after_the_join_has_ended(net):
    pair = Pair(net)
    pair.from_a(*map(rtp, range(5)))
    pair.from_b(*map(rtp, range(7)))
    pair.a.part()
    a, b = pair.a.stats(), pair.b.stats()
    assert (a.packets_in, a.packets_out, b.packets_in, b.packets_out) == (5, 7, 7, 5)


def test_relatch_lets_another_source_have_a_silent_stream(net):
    pair = Pair(net)
    pair.from_a(rtp(1), now=0.0)
    pair.a.set_remote(Remote(A, relatch=True), 5.0)
    pair.from_a(rtp(2), source=NAT, now=5.1)
    pair.from_a(rtp(3), source=NAT, now=6.0)
    assert pair.to_b == [(rtp(1), B), (rtp(3), B)]
    assert pair.a.source == NAT


def test_without_a_route_to_the_announced_address_the_peer_is_still_found(net):
    net.unreachable.add(A)
    pair = Pair(net)
    pair.from_a(rtp(1), source=NAT)
    pair.from_b(rtp(1))
    assert (pair.to_b, pair.to_a) == ([(rtp(1), B)], [(rtp(1), NAT)])


def test_a_peer_announced_nowhere_gets_nothing_until_it_is_heard(net):
    pair = Pair(net, a=Remote(None))
    pair.from_b(rtp(1))
    pair.from_a(rtp(1), source=NAT)
    pair.from_b(rtp(2))
    assert pair.to_a == [(rtp(2), NAT)]


def test_a_restored_peer_is_sent_to_before_it_is_heard(net):
    pair = Pair(net, a=None)
    pair.a.restore(NAT, {})
    pair.a.set_remote(REMOTE_A, 0.0)
    pair.from_b(rtp(1))
    assert (pair.to_a, pair.found) == ([(rtp(1), NAT)], [("b", B)])


def test_srtp_counters_are_told_and_a_restored_session_goes_on_from_them(net):
    suite = "AES_CM_128_HMAC_SHA1_80"
    keys, phone = SrtpKeys(suite, bytes(30), b"x" * 30), Srtp(SrtpKeys(suite, b"x" * 30, bytes(30)))
    pair = Pair(net, a=Remote(A, srtp=keys))
    for index in range(65_000, 66_000):
        pair.from_a(phone.protect(rtp(index & 0xFFFF)))
        pair.from_b(rtp(index & 0xFFFF))
    known = {}
    for name, its_keys, counter, value in pair.counters:
        assert (name, its_keys) == ("a", keys)
        known[counter] = value
    assert set(known) == {Counter("in", 7), Counter("out", 7)}
    again = Pair(FakeNet(), a=None)
    again.a.restore(None, known)
    again.a.set_remote(Remote(A, srtp=keys), 0.0)
    again.from_a(phone.protect(rtp(66_001 & 0xFFFF)))
    assert again.to_b == [(rtp(66_001 & 0xFFFF), B)]


def test_early_packets_are_held_until_there_is_a_way(net):
    pair = Pair(net, a=None, joined=False)
    pair.from_a(*(rtp(sequence) for sequence in range(9)))
    pair.a.set_remote(Remote(A), 0.1)
    pair.from_a(rtp(9), now=0.1)
    pair.a.join(pair.b, 0.2)
    assert pair.to_b == [(rtp(sequence), B) for sequence in range(10 - HELD, 10)]


def test_held_packets_grow_stale(net):
    pair = Pair(net, joined=False)
    pair.from_a(rtp(1), now=0.0)
    pair.a.join(pair.b, HELD_S + 0.1)
    assert pair.to_b == []


def test_a_peer_who_may_not_be_received_is_counted_and_dropped(net):
    pair = Pair(net, a=Remote(A, may_receive=False))
    pair.from_a(rtp(1), rtp(2))
    assert (pair.to_b, pair.a.stats().packets_in, pair.a.source) == ([], 2, A)


def test_hold_and_resume_take_effect_on_the_next_packet(net):
    pair = Pair(net)
    pair.from_a(rtp(1), rtp(2))
    pair.b.set_remote(Remote(B, may_send=False), 1.0)
    pair.from_a(rtp(3))
    pair.b.set_remote(Remote(B), 2.0)
    pair.from_a(rtp(4))
    assert pair.to_b == [(rtp(1), B), (rtp(2), B), (rtp(4), B)]


def test_a_refused_send_is_tried_once_more(net):
    pair = Pair(net)
    first = [rtp(1 + each) for each in range(FIRST + 1)]
    pair.from_a(*first)
    pair.net.sockets[2].failures.append(ConnectionRefusedError())
    pair.from_a(rtp(12))
    pair.net.sockets[2].failures += [ConnectionRefusedError(), ConnectionRefusedError()]
    pair.from_a(rtp(13), rtp(14))
    assert pair.to_b == [(packet, B) for packet in (*first, rtp(12), rtp(14))]


def test_sockets_are_connected_when_a_stream_has_begun_and_not_before(net):
    pair = Pair(net)
    pair.from_a(*(rtp(1 + each) for each in range(FIRST)))
    assert [sock.peer for sock in net.sockets] == [None] * 4
    pair.from_a(rtp(9))
    assert [sock.peer for sock in net.sockets] == [
        A,
        None,
        B,
        None,
        None,
        None,
    ]  # with one for strangers each
    pair.from_a(rtp(10), source=NAT)
    assert (pair.to_b[-1], pair.a.stats().strangers) == ((rtp(9), B), 1)


def test_a_flood_before_the_stream_has_begun_gets_a_queue_of_its_own(net):
    pair = Pair(net, joined=False)
    pair.from_a(rtp(1))
    pair.from_a(*[rtp(1, ssrc=66)] * 1000, source=STRANGER)
    assert pair.a.stats().strangers < 2 * STRAYS_A_SECOND
    assert net.sockets[0].peer == A
    pair.from_a(rtp(2))
    assert pair.a.stats().packets_in == 2


def test_a_flooding_stranger_is_not_read_until_the_next_second(net):
    pair = Pair(net)
    pair.from_a(rtp(1))
    pair.from_a(*[rtp(1, ssrc=66)] * 1000, source=STRANGER)
    assert STRAYS_A_SECOND < pair.a.stats().strangers < 2 * STRAYS_A_SECOND
    pair.from_a(rtp(2))
    assert pair.to_b[-1] == (rtp(2), B)
    pair.a.tick(1.0, 30.0)
    before = pair.a.stats().strangers
    pair.from_a(rtp(1, ssrc=66), source=STRANGER)
    assert pair.a.stats().strangers > before


REPORT = Report(7, 1, ()).pack()


def test_reports_go_to_the_announced_port_then_to_where_theirs_come_from(net):
    Pair(net, a=Remote(A, rtcp=(A[0], 4010)))
    net.arrive(10003, (B[0], 5001), REPORT)
    net.arrive(10001, (A[0], 4444), REPORT)
    net.arrive(10003, (B[0], 5001), REPORT)
    assert net.sent(10001) == [(REPORT, (A[0], 4010)), (REPORT, (A[0], 4444))]


def test_reports_follow_a_peer_behind_nat(net):
    pair = Pair(net)
    pair.from_a(rtp(1), source=NAT)
    net.arrive(10003, (B[0], 5001), REPORT)
    assert net.sent(10001) == [(REPORT, (NAT[0], NAT[1] + 1))]


def test_there_is_no_port_above_the_last_for_reports(net):
    pair = Pair(net)
    pair.from_a(rtp(1), source=(NAT[0], 65535))
    net.arrive(10003, (B[0], 5001), REPORT)
    assert net.sent(10001) == [(REPORT, (A[0], A[1] + 1))]


def test_reports_of_strangers_and_rubbish_are_dropped(net):
    pair = Pair(net)
    net.arrive(10001, STRANGER, REPORT)
    net.arrive(10001, (A[0], 4001), b"\x80\xc8rubbish", rtp(1))
    assert net.sent(10003) == []
    assert (pair.a.stats().strangers, pair.a.stats().refused) == (1, 2)


def test_reports_on_a_peer_that_is_joined_no_more_are_not_read_as_ours(net):
    pair = Pair(net)
    pair.from_b(rtp(1))
    pair.a.part()
    report = Report(9, None, (ReportBlock(7, 0.0, 4, 1, 0, 0, 0.0),)).pack()
    net.arrive(10001, (A[0], 4001), report)
    assert (pair.a.stats().lost_out, pair.a.stats().refused) == (None, 0)


def test_silence_is_found_once_and_its_end(net):
    pair = Pair(net)
    found = []
    for second in range(1, 12):
        if second in (2, 8):
            pair.from_a(rtp(second), now=float(second))
        found.append(pair.a.tick(float(second), 3.0))
    assert found == [None, None, None, None, True, None, None, False, None, None, True]


def test_reports_alone_break_the_silence(net):
    pair = Pair(net)
    for second in range(1, 9):
        net.arrive(10001, (A[0], 4001), REPORT, now=float(second))
        assert pair.a.tick(float(second), 3.0) is None


@pytest.mark.parametrize("remote", [None, Remote(A, may_receive=False)], ids=["not answered", "on hold"])
def test_who_need_not_speak_is_not_silent(net, remote):
    pair = Pair(net, a=remote)
    assert [pair.a.tick(float(second), 3.0) for second in range(1, 9)] == [None] * 8


def test_silence_counts_from_the_end_of_the_hold(net):
    pair = Pair(net, a=Remote(A, may_receive=False))
    pair.a.set_remote(Remote(A), 100.0)
    assert [pair.a.tick(now, 3.0) for now in (102.0, 103.0)] == [None, True]


ports = st.sampled_from([10000, 10001, 10002, 10003])
sources = st.sampled_from([A, (A[0], A[1] + 1), B, (B[0], B[1] + 1), NAT])
datagrams = st.one_of(
    st.binary(max_size=40),
    st.binary(max_size=60).map(lambda rest: b"\x80\x00" + rest),
    st.binary(max_size=60).map(lambda rest: b"\xbf\x00" + rest),
    st.binary(max_size=60).map(lambda rest: b"\x81\xc9\0\7" + rest),
    st.binary(max_size=60).map(lambda rest: b"\x80\xc8\0\6" + rest),
    st.integers(0, 0xFFFF).map(rtp),
)
KEYS = SrtpKeys("AEAD_AES_128_GCM", bytes(28), b"x" * 28)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([None, KEYS]), st.lists(st.tuples(ports, sources, datagrams), max_size=20))
@example(KEYS, [(10002, B, b"\x8f" + rtp(1)[1:])])
def test_no_datagram_does_harm(srtp, arrivals):
    net = FakeNet()
    pair = Pair(net, a=Remote(A, srtp=srtp))
    for at, (port, source, data) in enumerate(arrivals):
        net.arrive(port, source, data, now=at * 0.02)
    stats = pair.a.stats()
    assert stats.packets_in + stats.strangers + stats.refused <= len(arrivals)
    pair.a.close()
    pair.b.close()
    assert not net.handlers


def test_closing_frees_all_sockets_and_the_other_side_lives_on(net):
    pair = Pair(net)
    pair.from_a(rtp(1))
    pair.a.close()
    assert [sock.is_closed for sock in net.sockets] == [sock.port < 10002 for sock in net.sockets]
    assert not any(sock.is_closed for sock in net.handlers)
    pair.from_b(rtp(1))
    assert pair.b.stats().packets_in == 1


def test_closed_it_is_let_go_at_once(net):
    """Without the collector: it looks seldom in a media worker."""
    pair = Pair(net, a=Remote(A, srtp=KEYS))
    pair.from_b(*(rtp(1 + each) for each in range(FIRST + 2)))
    pair.from_a(rtp(1))
    ends = [weakref.ref(pair.a), weakref.ref(pair.b)]
    for each in (pair.a, pair.b):
        each.close()
    gc.disable()
    try:
        del pair.a, pair.b, each
        assert [end() for end in ends] == [None, None]
    finally:
        gc.enable()
