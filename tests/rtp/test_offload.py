"""Whether the kernel may have the streams of a join: both ends are played."""

import pytest

from pbx.rtp.offload import NOT_HEARD, RETURNS, Offload, why_seen
from pbx.rtp.remote import Remote
from pbx.rtp.session import RtpSession
from pbx.sdp.crypto import SrtpKeys
from tests.rtp.test_relay import NAT, A, B
from tests.rtp.test_relay_kernel import FakeKernel

KEYS = SrtpKeys("AES_CM_128_HMAC_SHA1_80", bytes(30), bytes(30))


class Ports:
    """Draining them shows what is in the queue: perhaps that the peer is elsewhere."""

    def __init__(self, port):
        self.address, self.on_drain = ("192.0.2.9", port), lambda: None

    def drain(self, _now, _most):
        self.on_drain()


class End:
    def __init__(self, port, source, remote=None):
        self.session, self.ports, self.offload = RtpSession(), Ports(port), None
        self.is_tapped, self.chosen = False, 0
        if remote is not False:
            self.session.agree(remote or Remote(source), print, 0.0)
        if source is not None:
            self.session.latch.accept(source)

    def choose_path(self):
        self.chosen += 1


class Pair:
    def __init__(self, kernel="takes"):
        self.kernel = FakeKernel() if kernel == "takes" else kernel
        self.a, self.b = End(10_000, A), End(10_002, B)
        self.offload = self.a.offload = self.b.offload = Offload(self.a, self.b, self.kernel)

    @property
    def is_there(self):
        ways = [end.session.way is not None for end in (self.a, self.b)]
        assert ways[0] == ways[1] == bool(self.kernel.joins)
        return ways[0]


@pytest.fixture
def pair():
    return Pair()


SEEN = {
    "nothing agreed": (False, A, "not agreed yet"),
    "SRTP": (Remote(A, srtp=KEYS), A, "encrypted"),
    "rtcp-mux": (Remote(A, rtcp_mux=True), A, "RTCP on the same port"),
    "mapped": (Remote(A, payload_map=((0, 8),)), A, "payload types differ"),
    "sendonly": (Remote(A, may_receive=False), A, "on hold"),
    "recvonly": (Remote(A, may_send=False), A, "on hold"),
    "keys": (Remote(A, telephone_event=101, has_digits=True), A, "digits count"),
    "keys that come some other way": (Remote(A, has_digits=True), A, ""),
    "keys that nobody needs": (Remote(A, telephone_event=101), A, ""),
    "not heard": (Remote(A), None, NOT_HEARD),
    "all plain": (Remote(A), A, ""),
}


@pytest.mark.parametrize(("remote", "source", "why"), SEEN.values(), ids=SEEN)
def test_why_packets_have_to_be_seen(remote, source, why):
    assert why_seen(End(10_000, source, remote)) == why


def test_what_the_pbx_listens_to_has_to_be_seen(pair):
    pair.b.is_tapped = True
    assert pair.offload.why_stays(pair.a) == "heard by the PBX"


def test_each_end_tells_its_own_reason_first(pair):
    pair.a.is_tapped = True
    pair.b.session.agree(Remote(B, rtcp_mux=True), print, 0.0)
    assert pair.offload.why_stays(pair.a) == "heard by the PBX"
    assert pair.offload.why_stays(pair.b) == "RTCP on the same port"


def test_without_a_kernel_there_is_nobody_to_have_it():
    pair = Pair(kernel=None)
    assert pair.offload.why_stays(pair.a) == "nobody to have it"
    assert not pair.offload.fetch()


@pytest.mark.parametrize("end", ["a", "b"])
def test_there_and_back(pair, end):
    pair.offload.hand_over(getattr(pair, end), 0.0)
    assert pair.is_there
    pair.kernel.relays(30, 20)
    pair.offload.come_back()
    assert not pair.is_there
    counts = {each.session.stats(None).packets_in for each in (pair.a, pair.b)}
    assert counts == {30, 20}
    assert pair.a.chosen == pair.b.chosen == 2
    pair.offload.come_back()
    assert pair.a.chosen == 2  # nothing to do


FOUND = {
    "the peer elsewhere": lambda pair: pair.b.session.latch.accept(NAT),
    "that the join is over": lambda pair: setattr(pair.a, "offload", None),
}


@pytest.mark.parametrize("found", FOUND.values(), ids=FOUND)
def test_it_is_not_handed_over_when_the_queue_showed(found, pair):
    pair.b.ports.on_drain = lambda: found(pair)
    pair.offload.hand_over(pair.a, 0.0)
    assert pair.kernel.tries == 0
    assert not pair.is_there


def test_a_refusal_is_remembered_until_something_changes(pair):
    pair.kernel.answer = "it does not want to"
    pair.offload.hand_over(pair.a, 0.0)
    assert pair.offload.why_stays(pair.b) == "it does not want to"
    pair.offload.permit()
    assert pair.offload.why_stays(pair.b) == ""


def test_not_now_is_no_refusal(pair):
    pair.kernel.answer = None
    pair.offload.hand_over(pair.a, 0.0)
    assert pair.offload.why_stays(pair.a) == ""
    assert not pair.is_there


def test_what_the_kernel_loses_too_often_stays(pair):
    found = []
    for _ in range(RETURNS):
        pair.offload.hand_over(pair.a, 0.0)
        pair.kernel.joins[0].lost("")
        assert not pair.is_there
        found.append(pair.offload.why_stays(pair.a))
    assert found == [*[""] * (RETURNS - 1), "the kernel keeps losing it"]
    pair.offload.permit()
    pair.offload.hand_over(pair.a, 0.0)
    pair.kernel.joins[0].lost("")
    assert pair.offload.why_stays(pair.a) == ""


def test_what_the_kernel_loses_has_to_begin_here_anew(pair):
    for end in (pair.a, pair.b):
        end.session.packets_in = 100
    pair.offload.hand_over(pair.a, 0.0)
    pair.offload.come_back()
    assert pair.a.session.has_begun
    pair.offload.hand_over(pair.a, 0.0)
    pair.kernel.joins[0].lost("")
    assert not pair.a.session.has_begun
    assert not pair.b.session.has_begun


def test_the_kernel_may_say_why_it_gives_it_back(pair):
    pair.offload.hand_over(pair.a, 0.0)
    pair.kernel.joins[0].lost("it cannot count")
    assert pair.offload.why_stays(pair.b) == "it cannot count"
