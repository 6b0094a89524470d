"""What goes to a peer, and how: by what was agreed."""

import pytest

from pbx.rtp.port_pair import PortPair
from pbx.rtp.remote import Remote
from pbx.rtp.rtcp import Report
from pbx.rtp.sender import Sender
from pbx.rtp.session import RtpSession
from pbx.rtp.srtp import Srtp
from pbx.sdp.crypto import SrtpKeys
from tests.rtp.test_relay import NAT, A, FakeNet, rtp

PORT = 10_000
SUITE = "AES_CM_128_HMAC_SHA1_80"
KEYS, PHONE_KEYS = SrtpKeys(SUITE, bytes(30), b"x" * 30), SrtpKeys(SUITE, b"x" * 30, bytes(30))
REPORT = Report(7, 1, ()).pack()
A_RTCP = (A[0], A[1] + 1)


class World:
    def __init__(self, remote, *, is_connected=False):
        self.net, self.session = FakeNet(), RtpSession()
        self.ports = PortPair(self.net, "192.0.2.9", PORT, self.session.latch, print)
        self.sender = Sender(self.session, self.ports)
        if remote is not None:
            self.session.agree(remote, lambda *_: None, 0.0)
        if is_connected:
            self.ports.connect(0.0)

    @property
    def sent(self):
        """By either port."""
        return self.net.sent(PORT), self.net.sent(PORT + 1)


GOES = {
    "nothing is agreed: neither RTP nor RTCP": (None, [], []),
    "all is agreed: each by its own port": (Remote(A), [(rtp(1), A)], [(REPORT, A_RTCP)]),
    "on hold: RTCP alone": (Remote(A, may_send=False), [], [(REPORT, A_RTCP)]),
    "rtcp-mux: both by one port": (Remote(A, rtcp_mux=True), [(rtp(1), A), (REPORT, A)], []),
    "announced nowhere: neither": (Remote(None), [], []),
}


@pytest.mark.parametrize(("remote", "by_rtp_port", "by_rtcp_port"), GOES.values(), ids=GOES)
def test_what_goes_by_which_port(remote, by_rtp_port, by_rtcp_port):
    world = World(remote)
    world.sender.send_rtp(rtp(1))
    world.sender.send_rtcp(REPORT)
    assert world.sent == (by_rtp_port, by_rtcp_port)


def test_srtp_is_counted_as_it_goes_out_and_no_packet_goes_twice():
    world, phone = World(Remote(A, srtp=KEYS)), Srtp(PHONE_KEYS)
    for packet in (rtp(1), rtp(1), rtp(2)):
        world.sender.send_rtp(packet)
    world.sender.send_rtcp(REPORT)
    ((first, _), (second, _)), ((report, _),) = world.sent
    assert [phone.unprotect(first), phone.unprotect(second)] == [rtp(1), rtp(2)]
    assert phone.unprotect_rtcp(report) == REPORT
    assert (world.session.packets_out, world.session.bytes_out) == (2, len(first) + len(second))


def test_what_does_not_go_out_is_not_counted():
    world = World(Remote(A))
    world.ports.rtp.failures.append(OSError("no route"))
    world.sender.send_rtp(rtp(1))
    world.ports.rtcp.failures.append(OSError("no route"))
    world.sender.send_rtcp(REPORT)
    assert world.sent == ([], [])
    assert world.session.packets_out == 0


def test_rtcp_follows_a_peer_behind_nat():
    world = World(Remote(A))
    world.session.latch.accept(NAT)
    world.sender.send_rtcp(REPORT)
    assert world.sent == ([], [(REPORT, (NAT[0], NAT[1] + 1))])


PLAIN = {
    "connected, and nothing to do": (Remote(A), True, True),
    "not connected": (Remote(A), False, False),
    "on hold": (Remote(A, may_send=False), True, False),
    "encrypted": (Remote(A, srtp=KEYS), True, False),
    "nothing agreed": (None, True, False),
}


@pytest.mark.parametrize(("remote", "is_connected", "plain"), PLAIN.values(), ids=PLAIN)
def test_whether_packets_go_out_as_they_are(remote, is_connected, plain):
    assert World(remote, is_connected=is_connected).sender.is_plain == plain
