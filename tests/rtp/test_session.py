"""What one peer sends is opened and counted, whoever passes it on."""

import pytest

from pbx.rtp.kernel.conntrack import Flow, Traffic
from pbx.rtp.kernel.joins import KernelJoin
from pbx.rtp.remote import Remote
from pbx.rtp.rtcp import Report, ReportBlock, reports
from pbx.rtp.session import FIRST, RtpSession
from pbx.rtp.srtp import Counter, Srtp
from pbx.sdp.crypto import SrtpKeys
from tests.rtp.test_relay import NAT, A, B, rtp

SUITE = "AES_CM_128_HMAC_SHA1_80"
KEYS, PHONE_KEYS = SrtpKeys(SUITE, bytes(30), b"x" * 30), SrtpKeys(SUITE, b"x" * 30, bytes(30))
EVENTS = 101
STEP_S = 0.02


def made(remote=None, counted=lambda *_: None, now=0.0):
    session = RtpSession()
    session.agree(remote or Remote(A), counted, now)
    return session


def joined():
    session, peer = made(), made(Remote(B))
    session.peer, peer.peer = peer, session
    return session, peer


def talk(session, *sequences):
    for sequence in sequences:
        session.count(packet := rtp(sequence), len(packet), sequence * STEP_S)


OPENED = {
    "RTP is taken as it is": (Remote(A), rtp(1), rtp(1)),
    "a keep-alive is none": (Remote(A), b"\r\n\r\n", None),
    "SRTP is decrypted": (Remote(A, srtp=KEYS), Srtp(PHONE_KEYS).protect(rtp(1)), rtp(1)),
    "plain RTP is forged where SRTP was agreed on": (Remote(A, srtp=KEYS), rtp(1), None),
    "a keep-alive is none, encrypted or not": (Remote(A, srtp=KEYS), b"\r\n\r\n", None),
}


@pytest.mark.parametrize(("remote", "data", "packet"), OPENED.values(), ids=OPENED)
def test_opening(remote, data, packet):
    assert made(remote).open(data) == packet


EXPECTED = {
    "any type when none is agreed on": ((), 99, True),
    "one that is agreed on": (((0, 8000), (101, 8000)), 101, True),
    "no other then": (((0, 8000), (101, 8000)), 99, False),
}


@pytest.mark.parametrize(("rates", "payload_type", "expected"), EXPECTED.values(), ids=EXPECTED)
def test_what_is_expected(rates, payload_type, expected):
    session = made(Remote(A, clock_rates=rates))
    assert session.is_expected(rtp(1, payload_type=payload_type)) == expected
    assert not session.is_expected(rtp(1, payload_type=payload_type)[:11])


def test_an_event_is_told_apart_and_does_not_change_the_payload_type():
    session = made(Remote(A, telephone_event=EVENTS))
    found = [session.count(rtp(at, payload_type=kind), 32, 0.0) for at, kind in enumerate((0, EVENTS, 0))]
    assert found == [False, True, False]
    stats = session.stats(None)
    assert (stats.packets_in, stats.bytes_in, stats.payload_type, stats.lost) == (3, 96, 0, 0)


def test_what_we_send_goes_on_when_the_peer_alone_changes_its_key():
    phone = Srtp(PHONE_KEYS)
    session = made(Remote(A, srtp=KEYS))
    for index in range(65_530, 65_540):
        phone.unprotect(session.srtp.protect(rtp(index & 0xFFFF)))
    session.agree(Remote(A, srtp=SrtpKeys(SUITE, KEYS.local, b"n" * 30)), print, 1.0)
    assert phone.unprotect(session.srtp.protect(rtp(5))) == rtp(5)


def test_srtp_goes_on_with_the_same_keys_and_begins_anew_with_others():
    told = []
    session = made(Remote(A, srtp=KEYS), lambda *each: told.append(each))
    before = session.srtp
    session.agree(Remote(A, srtp=KEYS, may_send=False), print, 1.0)
    assert session.srtp is before
    session.open(Srtp(PHONE_KEYS).protect(rtp(1)))
    assert told == [(KEYS, Counter("in", 7), 1)]
    session.agree(Remote(A, srtp=PHONE_KEYS), print, 2.0)
    assert session.srtp is not before
    session.agree(Remote(A), print, 3.0)
    assert session.srtp is None


def test_what_went_the_short_way_is_booked_at_both_ends_once():
    session, peer = joined()
    session.stream.packets, session.stream.octets = 3, 516
    for _ in range(2):
        ours, theirs = session.stats(None), peer.stats(None)
        assert (ours.packets_in, ours.bytes_in, ours.kernel_in) == (3, 516, 0)
        assert (theirs.packets_out, theirs.bytes_out, theirs.packets_in) == (3, 516, 0)


def test_what_went_through_the_kernel_is_booked_and_no_loss_when_it_comes_back():
    session, peer = joined()
    talk(session, 1, 2)
    flow = Flow(A, B)
    session.way = KernelJoin(flow, flow, (4, False, False), print).there
    session.way.count(Traffic(1000, 200_000))
    session.come_back()
    assert session.way is None
    talk(session, 1003, 1004)
    stats = session.stats(None)
    assert (stats.packets_in, stats.kernel_in, stats.lost) == (1004, 1000, 0)
    assert peer.packets_out == 1000


def test_a_stream_has_begun_after_some_packets_and_begins_again_when_the_kernel_lost_it():
    session = made()
    found = []
    for sequence in range(2 * (FIRST + 1)):
        talk(session, sequence)
        found.append(session.has_begun)
        if session.has_begun:
            session.was_lost()
    assert found == 2 * [*[False] * FIRST, True]


class TestReports:
    def test_of_the_peer_are_read_and_passed_on(self):
        session, peer = joined()
        talk(peer, 1)
        data = Report(9, None, (ReportBlock(7, 0.0, 4, 1, 80, 0, 0.0),)).pack()
        assert session.read_rtcp(data, 5.0) == data
        assert session.heard == 5.0
        stats = session.stats(None)
        assert (stats.lost_out, stats.jitter_out_s, stats.refused) == (4, 0.01, 0)

    def test_that_are_passed_on_tell_the_round_trip_to_whom_they_go(self):
        session, peer = joined()
        sent = Report(7, 77, ()).pack()
        assert session.read_rtcp(sent, 1.0) == sent
        (sent,) = reports(sent)
        peer.read_rtcp(Report(9, None, (ReportBlock(7, 0.0, 0, 1, 0, sent.sr_id, 0.5),)).pack(), 2.0)
        assert peer.stats(None).round_trip_s == pytest.approx(0.5, abs=0.01)
        assert session.stats(None).round_trip_s is None

    REFUSED = (
        ("rubbish", Remote(A), b"\x80\xc8rubbish"),
        ("RTP", Remote(A), rtp(1)),
        ("a plain one where SRTP was agreed on", Remote(A, srtp=KEYS), Report(9, None, ()).pack()),
    )

    @pytest.mark.parametrize(
        ("remote", "data"), [each[1:] for each in REFUSED], ids=[each[0] for each in REFUSED]
    )
    def test_that_are_none_are_refused(self, remote, data):
        session = made(remote)
        assert session.read_rtcp(data, 5.0) is None
        assert (session.refused, session.heard) == (1, 0.0)

    def test_before_anything_is_agreed_on_are_refused(self):
        session = RtpSession()
        assert session.read_rtcp(Report(9, None, ()).pack(), 5.0) is None
        assert session.refused == 1

    def test_of_our_own_tell_how_the_stream_comes(self):
        session = made()
        talk(session, 1, 2, 4)
        (report,) = reports(session.pack_report(99, 8000, None, "name", 1.0))
        assert report.ssrc == 99
        assert [(block.ssrc, block.lost) for block in report.blocks] == [(7, 1)]


def test_what_was_found_out_before_is_known():
    session = RtpSession()
    session.restore(NAT, {Counter("in", 7): 70_000})
    session.agree(Remote(A), print, 0.0)
    assert session.latch.source == NAT


def test_when_it_is_over_its_counts_are_left():
    session = made(Remote(A, srtp=KEYS))
    talk(session, 1, 2)
    session.end()
    assert session.srtp is None
    assert session.stats(None).packets_in == 2
