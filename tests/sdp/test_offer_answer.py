"""Offer and answer on each leg, and content dressed for the other."""

import pytest

from pbx.errors import UsageError
from pbx.sdp import errors
from pbx.sdp.content import hold, make_content, with_direction
from pbx.sdp.errors import SdpError
from pbx.sdp.offer_answer import SdpSide
from pbx.sdp.session import SessionDescription
from tests.sdp.builders import (
    OURS,
    PEER,
    PORT_A,
    PORT_B,
    PORT_C,
    attributes,
    audio,
    m_lines,
    sdp,
    side,
    stream,
    through,
    version,
    video,
)

OFFER = sdp(*audio("96 8 0 101", "fmtp:96 useinbandfec=1", "fmtp:101 0-16", "ptime:20", "sendrecv"))
ANSWER = sdp(*audio("8 101", "fmtp:101 0-15", "ptime:20", "sendrecv", port=6000), address="203.0.113.9")


class TestDressing:
    """What passes from leg to leg, and what does not."""

    def test_the_offer_to_b_is_our_own(self):
        _, _, offered, _ = through(OFFER, ANSWER)
        origin, *rest = offered.decode().split("\r\n")[1:]
        assert origin.startswith("o=- ")
        assert origin.endswith(f" 1 IN IP4 {OURS}")
        assert rest == [
            "s=-",
            f"c=IN IP4 {OURS}",
            "t=0 0",
            f"m=audio {PORT_B.rtp_port} RTP/AVP 96 8 0 101",
            "a=rtpmap:96 opus/48000/2",
            "a=fmtp:96 useinbandfec=1",
            "a=rtpmap:8 PCMA/8000",
            "a=rtpmap:0 PCMU/8000",
            "a=rtpmap:101 telephone-event/8000",
            "a=fmtp:101 0-16",
            "a=ptime:20",
            "a=sendrecv",
            "",
        ]

    def test_the_answer_to_a_is_what_b_wants_at_our_address(self):
        _, _, _, answered = through(OFFER, ANSWER)
        assert m_lines(answered) == [f"audio {PORT_A.rtp_port} RTP/AVP 8 101"]
        assert attributes(answered) == [
            "rtpmap:8 PCMA/8000",
            "rtpmap:101 telephone-event/8000",
            "fmtp:101 0-15",
            "ptime:20",
            "sendrecv",
        ]

    def test_the_legs_have_sessions_of_their_own(self):
        _, _, offered, answered = through(OFFER, ANSWER)
        ids = [SessionDescription.parse(each).origin.session_id for each in (offered, answered)]
        assert ids[0] != ids[1]
        assert "4711" not in ids

    def test_both_streams_say_where_to_send_and_what_arrives(self):
        a, b, _, _ = through(OFFER, ANSWER)
        assert stream(a).remote_rtp == (PEER, 4000)
        assert stream(a).remote_rtcp == (PEER, 4001)
        assert stream(a).local == PORT_A
        assert stream(b).remote_rtp == ("203.0.113.9", 6000)
        assert stream(b).local == PORT_B
        for each in (stream(a), stream(b)):
            assert each.active
            assert each.codecs == {8: "PCMA/8000", 101: "telephone-event/8000"}
            assert each.telephone_event == each.telephone_event_send == 101
            assert each.may_send
            assert each.may_receive
            assert each.srtp is None

    def test_harmless_attributes_pass_and_the_others_end_here(self):
        offer = sdp(
            *audio("0", "label:1", "ice-ufrag:x", "candidate:1 1 UDP 1 192.0.2.9 1 typ host"), "b=AS:64"
        )
        _, _, offered, _ = through(offer, sdp(*audio("0")))
        assert attributes(offered) == ["rtpmap:0 PCMU/8000", "label:1", "sendrecv"]
        assert SessionDescription.parse(offered).media[0].bandwidths == ("AS:64",)

    def test_an_odd_rtcp_port_of_ours_is_said(self):
        a = side()
        a.receive_offer(OFFER)
        answered = a.make_answer(make_content(), [PORT_A._replace(rtcp_port=30001)])
        assert "rtcp:30001" in attributes(answered)

    def test_ipv6_to_ipv4(self):
        a, b, _, _ = through(sdp(*audio(), address="2001:db8::7"), ANSWER)
        assert stream(a).remote_rtp == ("2001:db8::7", 4000)
        assert stream(b).remote_rtp == ("203.0.113.9", 6000)
        a.receive_offer(sdp(*audio(), address="2001:db8::7"))
        moved = a.make_answer(b.remote_content, [PORT_A._replace(address="2001:db8::1")]).decode()
        assert "c=IN IP6 2001:db8::1\r\n" in moved
        assert f"IN IP4 {OURS}\r\ns=-" in moved  # the origin stays as it was (RFC 3264 §8)

    def test_a_second_address_gets_its_own_connection_line(self):
        b = side()
        content = side().receive_offer(sdp(*audio(), *video()))
        offered = SessionDescription.parse(
            b.make_offer(content, [PORT_A, PORT_B._replace(address="2001:db8::1")])
        )
        assert [each.connections for each in offered.media] == [(), (("IN", "IP6", "2001:db8::1"),)]

    def test_session_bandwidth_passes(self):
        _, _, offered, _ = through(sdp(*audio(), session=("b=CT:128",)), ANSWER)
        assert SessionDescription.parse(offered).bandwidths == ("CT:128",)


class TestVersion:
    """RFC 3264 §8: one more when, and only when, the description differs."""

    def test_the_same_offer_again_has_the_same_version(self):
        b = side()
        first = b.make_offer(make_content(), [PORT_B])
        b.receive_answer(ANSWER)
        assert b.make_offer(make_content(), [PORT_B]) == first

    def test_a_change_adds_one(self):
        b = side()
        b.make_offer(make_content(), [PORT_B])
        b.receive_answer(ANSWER)
        assert version(b.make_offer(hold(make_content()), [PORT_B])) == 2
        b.receive_answer(sdp(*audio("8 101", "recvonly")))
        assert version(b.make_offer(make_content(), [PORT_B])) == 3

    def test_also_from_offer_to_answer(self):
        a, b, _, answered = through(OFFER, ANSWER)
        a.receive_offer(OFFER)
        assert a.make_answer(b.remote_content, [PORT_A]) == answered
        assert version(a.make_offer(hold(b.remote_content), [PORT_A])) == 2

    def test_a_refused_offer_has_used_its_version_up(self):
        b = side()
        b.make_offer(make_content(), [PORT_B])
        b.receive_answer(ANSWER)
        b.make_offer(hold(make_content()), [PORT_B])
        b.rollback()
        assert version(b.make_offer(make_content(), [PORT_B])) == 3


class TestLines:
    """Several media lines."""

    def test_every_offered_line_is_answered_in_its_place(self):
        offer = sdp(
            "m=image 4002 udptl t38",
            *audio("0", protocol="UDP/TLS/RTP/SAVPF"),
            *video("98", port=0),
            *audio("8"),
            "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        )
        a, b = side(), side()
        content = a.receive_offer(offer)
        assert m_lines(b.make_offer(content, [PORT_B] * 5)) == [f"audio {PORT_B.rtp_port} RTP/AVP 8"]
        answered = a.make_answer(b.receive_answer(sdp(*audio("8"))), [PORT_A] * 5)
        assert m_lines(answered) == [
            "image 0 udptl t38",
            "audio 0 UDP/TLS/RTP/SAVPF 0",
            "video 0 RTP/AVP 98",
            f"audio {PORT_A.rtp_port} RTP/AVP 8",
            "application 0 UDP/DTLS/SCTP webrtc-datachannel",
        ]
        assert [each.active for each in a.streams()] == [False, False, False, True, False]
        assert [(each.kind, each.ordinal) for each in b.streams()] == [("audio", 1)]

    def test_a_line_without_a_transport_of_ours_is_refused(self):
        a = side()
        a.receive_offer(sdp(*audio(), *video()))
        wanted = side().receive_offer(sdp(*audio(), *video()))
        answered = a.make_answer(wanted, [PORT_A, None])
        assert m_lines(answered)[1] == "video 0 RTP/AVP 98"

    def test_missing_transports_are_none(self):
        b = side()
        content = side().receive_offer(sdp(*audio(), *video()))
        assert len(m_lines(b.make_offer(content, [PORT_B]))) == 1

    def test_what_the_session_has_is_never_dropped_from_an_offer(self):
        _, b, _, _ = through(sdp(*audio(), *video()), sdp(*audio(), *video()))
        assert m_lines(b.make_offer(make_content(), [PORT_B])) == [
            f"audio {PORT_B.rtp_port} RTP/AVP 8 0 101",
            "video 0 RTP/AVP 98",
        ]
        b.receive_answer(sdp(*audio(), *video(port=0)))
        assert [each.active for each in b.streams()] == [True, False]

    def test_and_comes_back_in_its_place(self):
        a, b, _, _ = through(sdp(*audio(), *video()), sdp(*audio(), *video(port=0)))
        assert [each.active for each in b.streams()] == [True, False]
        content = a.receive_offer(sdp(*audio(), *video()))
        assert m_lines(b.make_offer(content, [PORT_B, PORT_C])) == [
            f"audio {PORT_B.rtp_port} RTP/AVP 8 0 101",
            f"video {PORT_C.rtp_port} RTP/AVP 98",
        ]

    def test_content_of_another_call_takes_the_line_of_its_kind(self):
        """B has only 'audio 1', for A's first audio line was refused; C's audio is its 'audio 0'."""
        a, b = side(), side()
        content = a.receive_offer(sdp(*audio("0", protocol="TCP/RTP/AVP"), *audio("8")))
        b.make_offer(content, [None, PORT_B])
        b.receive_answer(sdp(*audio("8")))
        offered = b.make_offer(side().receive_offer(sdp(*audio("8"))), [PORT_B])
        assert m_lines(offered) == [f"audio {PORT_B.rtp_port} RTP/AVP 8"]
        b.receive_answer(sdp(*audio("8")))
        assert [(each.kind, each.ordinal) for each in b.streams()] == [("audio", 0)]

    def test_an_answer_that_leaves_lines_out_refuses_them(self):
        b = side()
        b.make_offer(side().receive_offer(sdp(*audio(), *video())), [PORT_B, PORT_C])
        content = b.receive_answer(sdp(*audio()))
        assert [line.rejected for line in content.lines] == [False, True]
        assert [each.active for each in b.streams()] == [True, False]

    def test_an_answer_that_spoils_one_line_keeps_the_other(self):
        b = side()
        b.make_offer(side().receive_offer(sdp(*audio(), *video())), [PORT_B, PORT_C])
        content = b.receive_answer(sdp(*audio(), *video("99")))
        assert [line.rejected for line in content.lines] == [False, True]
        assert [each.active for each in b.streams()] == [True, False]

    def test_everything_may_be_switched_off_once_there_is_a_session(self):
        a, b, _, _ = through(OFFER, ANSWER)
        content = a.receive_offer(sdp(*audio("8", port=0)))
        assert m_lines(b.make_offer(content, [PORT_B])) == ["audio 0 RTP/AVP 96 8 0 101"]
        answered = a.make_answer(b.receive_answer(sdp(*audio("8", port=0))), [PORT_A])
        assert m_lines(answered) == ["audio 0 RTP/AVP 8"]
        assert not stream(a).active
        assert not stream(b).active

    def test_an_offer_without_any_line_switches_nothing_off(self):
        """RFC 3264 §8: each offer has all lines of the session; a refresh would find none to offer."""
        a, _, _, _ = through(OFFER, ANSWER)
        with pytest.raises(SdpError) as raised:
            a.receive_offer(sdp())
        assert raised.value.code == errors.MEDIA_TYPE_NOT_AVAILABLE
        assert stream(a).active

    def test_a_line_of_ours_that_was_off_stays_off_whatever_is_answered(self):
        _, b, _, _ = through(sdp(*audio(), *video()), sdp(*audio(), *video()))
        b.make_offer(make_content(), [PORT_B])
        content = b.receive_answer(sdp(*audio(), *video()))
        assert content.lines[1].rejected
        assert not stream(b, 1).active


REFUSED_OFFERS = {
    "no lines": (sdp(), errors.MEDIA_TYPE_NOT_AVAILABLE),
    "nothing but fax": (sdp("m=image 4000 udptl t38"), errors.MEDIA_TYPE_NOT_AVAILABLE),
    "only lines with port 0": (sdp(*audio(port=0)), errors.MEDIA_TYPE_NOT_AVAILABLE),
    "a browser": (sdp(*audio("96", protocol="UDP/TLS/RTP/SAVPF")), errors.INCOMPATIBLE_TRANSPORT),
    "fax and a browser: the browser's reason": (
        sdp("m=image 4000 udptl t38", *audio("96", protocol="UDP/TLS/RTP/SAVPF")),
        errors.INCOMPATIBLE_TRANSPORT,
    ),
    "unknown codecs": (sdp(*audio("120")), errors.INCOMPATIBLE_MEDIA_FORMAT),
    "multicast": (sdp(*audio(), address="233.252.0.1/127"), errors.MULTICAST_NOT_AVAILABLE),
    "a host name": (sdp(*audio(), address="phone.example"), errors.INCOMPATIBLE_ADDRESS_FORMAT),
    "rubbish": (b"hello", errors.MISCELLANEOUS),
}


@pytest.mark.parametrize(("body", "code"), REFUSED_OFFERS.values(), ids=REFUSED_OFFERS)
def test_a_refused_offer_leaves_nothing_pending(body, code):
    a = side()
    with pytest.raises(SdpError) as refused:
        a.receive_offer(body)
    assert refused.value.code == code
    assert a.state == "stable"
    assert a.remote_content is None
    a.receive_offer(OFFER)


def test_an_answer_that_fits_nothing_is_a_488_and_may_be_tried_again():
    a = side()
    a.receive_offer(sdp(*audio("96 101")))
    with pytest.raises(SdpError) as refused:
        a.make_answer(make_content((0, 8)), [PORT_A])
    assert (refused.value.status, refused.value.code) == (488, errors.INCOMPATIBLE_MEDIA_FORMAT)
    assert m_lines(a.make_answer(side().receive_offer(OFFER), [PORT_A])) == [
        f"audio {PORT_A.rtp_port} RTP/AVP 96 101"
    ]


BAD_ANSWERS = {
    "another kind": sdp(*video()),
    "one line too many": sdp(*audio("8"), *audio("8")),
    "no offered format": sdp(*audio("18")),
    "only digits": sdp(*audio("101")),
    "a host name": sdp(*audio("8"), address="phone.example"),
    "SAVP to AVP": sdp(*audio("8", protocol="RTP/SAVP")),
    "rubbish": b"v=0\r\n",
}


@pytest.mark.parametrize("body", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_a_bad_answer_leaves_the_offer_pending(body):
    b = side()
    b.make_offer(make_content(), [PORT_B])
    with pytest.raises(SdpError):
        b.receive_answer(body)
    assert b.state == "offered"
    b.receive_answer(ANSWER)
    assert stream(b).active


# A offers, B answers -> what B is offered, what A is answered, may we send to A and receive from it.
DIRECTIONS = {
    "sendonly, recvonly": ("sendonly", "recvonly", "sendonly", "recvonly", (False, True)),
    "recvonly, sendonly": ("recvonly", "sendonly", "recvonly", "sendonly", (True, False)),
    "inactive, inactive": ("inactive", "inactive", "inactive", "inactive", (False, False)),
    "sendonly, and B holds too": ("sendonly", "inactive", "sendonly", "inactive", (False, False)),
    "sendrecv, and B holds": ("sendrecv", "sendonly", "sendrecv", "sendonly", (True, False)),
    "resumed": ("sendrecv", "sendrecv", "sendrecv", "sendrecv", (True, True)),
    "B answers more than it may: sendrecv to sendonly": (
        *("sendonly", "sendrecv", "sendonly", "recvonly"),
        (False, True),
    ),
    "B answers the wrong way: sendonly to sendonly": (
        *("sendonly", "sendonly", "sendonly", "inactive"),
        (False, False),
    ),
}


class TestHold:
    """RFC 3264 §8.4 and what was before it."""

    @pytest.mark.parametrize(
        ("offer", "answer", "offered", "answered", "may"), DIRECTIONS.values(), ids=DIRECTIONS
    )
    def test_direction(self, offer, answer, offered, answered, may):
        a, b, to_b, to_a = through(sdp(*audio("8", offer)), sdp(*audio("8", answer)))
        assert attributes(to_b)[-1] == offered
        assert attributes(to_a)[-1] == answered
        assert (stream(a).may_send, stream(a).may_receive) == may
        # What we may take from one leg is what we may give to the other.
        assert (stream(b).may_receive, stream(b).may_send) == may
        assert stream(a).direction == answered

    def test_the_null_address_holds_without_a_direction(self):
        a, b, offered, answered = through(
            sdp(*audio("8"), address="0.0.0.0"), sdp(*audio("8", "recvonly")), policies=("off", "off")
        )
        assert m_lines(offered) == [f"audio {PORT_B.rtp_port} RTP/AVP 8"]
        assert f"c=IN IP4 {OURS}" in offered.decode()
        assert attributes(offered)[-1] == "sendonly"
        assert attributes(answered)[-1] == "recvonly"
        assert (stream(a).remote_rtp, stream(a).may_send, stream(a).may_receive) == (None, False, True)
        assert a.remote_content.is_held
        assert not b.remote_content.is_held

    def test_an_answer_that_says_too_much_is_cut_down(self):
        b = side()
        b.make_offer(hold(make_content()), [PORT_B])
        assert b.receive_answer(sdp(*audio("8", "sendrecv"))).lines[0].direction == "recvonly"

    def test_the_null_address_in_an_answer(self):
        _, b, _, answered = through(sdp(*audio("8")), sdp(*audio("8"), address="0.0.0.0"))
        assert attributes(answered)[-1] == "sendonly"
        assert not stream(b).may_send

    def test_the_session_resumes(self):
        a, b, _, _ = through(sdp(*audio("8", "sendonly")), sdp(*audio("8", "recvonly")))
        content = a.receive_offer(sdp(*audio("8")))
        assert attributes(b.make_offer(content, [PORT_B]))[-1] == "sendrecv"
        answered = a.make_answer(b.receive_answer(sdp(*audio("8"))), [PORT_A])
        assert attributes(answered)[-1] == "sendrecv"
        assert stream(a).may_send
        assert stream(a).may_receive

    def test_an_offerless_reinvite_is_offered_what_the_other_party_can(self):
        """A held party asks for an offer: it gets the other's codecs, both ways again."""
        a, b, _, _ = through(OFFER, sdp(*audio("8 101", "sendonly")))
        offered = a.make_offer(with_direction(b.remote_content), [PORT_A])
        assert m_lines(offered) == [f"audio {PORT_A.rtp_port} RTP/AVP 8 101"]
        assert attributes(offered)[-1] == "sendrecv"
        content = a.receive_answer(sdp(*audio("8 101", "recvonly")))
        assert content.lines[0].direction == "recvonly"


class TestNumbers:
    """Payload types of legs that do not know each other."""

    def test_the_answer_uses_the_offerers_numbers(self):
        a = side()
        a.receive_offer(
            sdp(
                *[
                    "m=audio 4000 RTP/AVP 111 110",
                    "a=rtpmap:111 opus/48000/2",
                    "a=rtpmap:110 telephone-event/8000",
                ]
            )
        )
        answered = a.make_answer(side().receive_offer(sdp(*audio("8 96 101"))), [PORT_A])
        assert m_lines(answered) == [f"audio {PORT_A.rtp_port} RTP/AVP 111 110"]

    def test_a_number_keeps_its_meaning_for_the_whole_session(self):
        """RFC 3264 §8.3.2: 101 was telephone-event on this leg; the new party calls opus 101."""
        _, b, _, _ = through(OFFER, ANSWER)
        new = side().receive_offer(
            sdp(
                "m=audio 4000 RTP/AVP 101 8 96",
                "a=rtpmap:101 opus/48000/2",
                "a=rtpmap:96 telephone-event/8000",
            )
        )
        offered = b.make_offer(new, [PORT_B])
        assert m_lines(offered) == [f"audio {PORT_B.rtp_port} RTP/AVP 96 8 101"]
        assert "rtpmap:96 opus/48000/2" in attributes(offered)
        assert "rtpmap:101 telephone-event/8000" in attributes(offered)

    def test_also_where_the_peer_gave_the_meaning_in_an_answer(self):
        b = side()
        b.make_offer(make_content(telephone_event=101), [PORT_B])
        b.receive_answer(sdp("m=audio 4000 RTP/AVP 8 99", "a=rtpmap:99 telephone-event/8000"))
        offered = b.make_offer(
            side().receive_offer(sdp("m=audio 1 RTP/AVP 99", "a=rtpmap:99 opus/48000/2")), [PORT_B]
        )
        assert m_lines(offered) == [f"audio {PORT_B.rtp_port} RTP/AVP 96"]

    def test_an_answer_with_other_numbers_is_understood(self):
        b = side()
        b.make_offer(make_content(telephone_event=101), [PORT_B])
        b.receive_answer(sdp("m=audio 4000 RTP/AVP 8 99", "a=rtpmap:99 telephone-event/8000"))
        assert (stream(b).telephone_event, stream(b).telephone_event_send) == (101, 99)


class TestMuxAndFeedback:
    """RFC 5761, RFC 4585."""

    def test_mux_is_answered_and_not_offered_on(self):
        a, b, offered, answered = through(sdp(*audio("8", "rtcp-mux")), sdp(*audio("8")))
        assert "rtcp-mux" not in attributes(offered)
        assert "rtcp-mux" in attributes(answered)
        assert (stream(a).rtcp_mux, stream(a).remote_rtcp) == (True, (PEER, 4000))
        assert (stream(b).rtcp_mux, stream(b).remote_rtcp) == (False, (PEER, 4001))

    def test_mux_stays_in_later_offers_until_the_peer_leaves_it_out(self):
        a, b, _, _ = through(sdp(*audio("8", "rtcp-mux")), sdp(*audio("8")))
        assert "rtcp-mux" in attributes(a.make_offer(b.remote_content, [PORT_A]))
        a.receive_answer(sdp(*audio("8")))
        assert not stream(a).rtcp_mux
        assert "rtcp-mux" not in attributes(a.make_offer(b.remote_content, [PORT_A]))

    def test_the_feedback_profile_is_answered_and_plainly_offered_on(self):
        offer = sdp(*video("98", "rtcp-fb:98 nack", "rtcp-fb:* ccm fir", protocol="RTP/AVPF"))
        answer = sdp(
            *video("98", "rtcp-fb:98 nack", "rtcp-fb:98 goog-remb", "rtcp-fb:* ccm fir", "rtcp-fb:* x")
        )
        _, _, offered, answered = through(offer, answer)
        assert m_lines(offered) == [f"video {PORT_B.rtp_port} RTP/AVP 98"]
        assert "rtcp-fb:98 nack" in attributes(offered)
        assert m_lines(answered) == [f"video {PORT_A.rtp_port} RTP/AVPF 98"]
        assert [each for each in attributes(answered) if each.startswith("rtcp-fb")] == [
            "rtcp-fb:98 nack",
            "rtcp-fb:* ccm fir",
        ]

    def test_a_peers_profile_is_kept_in_later_offers(self):
        a, b, _, _ = through(sdp(*audio("8", protocol="RTP/AVPF")), sdp(*audio("8")))
        assert m_lines(a.make_offer(b.remote_content, [PORT_A])) == [f"audio {PORT_A.rtp_port} RTP/AVPF 8"]


class TestLateAndForked:
    """Answers that come more than once."""

    def test_the_same_answer_again_changes_nothing(self):
        b = side()
        b.make_offer(make_content(), [PORT_B])
        content = b.receive_answer(ANSWER)
        before = b.streams()
        assert b.revise_answer(ANSWER) is content
        assert b.streams() is before

    def test_a_revised_answer_replaces_the_first(self):
        b = side()
        b.make_offer(make_content((8, 0)), [PORT_B])
        b.receive_answer(ANSWER)
        content = b.revise_answer(sdp(*audio("0", port=7000)))
        assert [each.name for each in content.lines[0].formats] == ["PCMU"]
        assert stream(b).remote_rtp == (PEER, 7000)

    def test_only_the_last_exchange_can_be_revised(self):
        b = side()
        b.make_offer(make_content((8, 0)), [PORT_B])
        b.receive_answer(ANSWER)
        b.make_offer(make_content((8, 0)), [PORT_C])
        b.rollback()
        with pytest.raises(UsageError):
            b.revise_answer(ANSWER)
        b.receive_offer(OFFER)
        b.make_answer(make_content(), [PORT_B])
        with pytest.raises(UsageError):
            b.revise_answer(ANSWER)

    def test_nor_one_before_it(self):
        b = side()
        b.make_offer(make_content((8, 0)), [PORT_B])
        b.receive_answer(ANSWER)
        b.receive_offer(OFFER)
        b.make_answer(make_content(), [PORT_B])
        with pytest.raises(UsageError):
            b.revise_answer(ANSWER)

    def test_a_bad_revision_leaves_what_was_settled(self):
        b = side()
        b.make_offer(make_content((8, 0)), [PORT_B])
        b.receive_answer(ANSWER)
        before = b.streams()
        with pytest.raises(SdpError):
            b.revise_answer(sdp(*audio("18")))
        assert b.streams() is before


class TestRollback:
    """A refused offer never was."""

    def test_of_ours(self):
        _, b, _, _ = through(OFFER, ANSWER)
        streams, content = b.streams(), b.remote_content
        b.make_offer(hold(make_content((0,))), [PORT_C])
        b.rollback()
        assert b.state == "stable"
        assert b.streams() == streams
        assert b.remote_content == content

    def test_of_the_peers(self):
        a, _, _, _ = through(OFFER, ANSWER)
        streams, content = a.streams(), a.remote_content
        a.receive_offer(sdp(*audio("18", port=9000)))
        a.rollback()
        assert a.state == "stable"
        assert a.streams() == streams
        assert a.remote_content == content

    def test_the_first_offer_may_be_made_anew_in_another_profile(self):
        b = side()
        assert "RTP/SAVP" in b.make_offer(make_content(), [PORT_B], srtp=True).decode()
        b.rollback()
        assert m_lines(b.make_offer(make_content(), [PORT_B], srtp=False)) == [
            f"audio {PORT_B.rtp_port} RTP/AVP 8 0 101"
        ]


def offered_side() -> SdpSide:
    b = side()
    b.make_offer(make_content(), [PORT_B])
    return b


def receiving_side() -> SdpSide:
    a = side()
    a.receive_offer(OFFER)
    return a


OPERATIONS = {
    "receive_offer": lambda which: which.receive_offer(OFFER),
    "make_offer": lambda which: which.make_offer(make_content(), [PORT_B]),
    "receive_answer": lambda which: which.receive_answer(ANSWER),
    "make_answer": lambda which: which.make_answer(make_content(), [PORT_A]),
    "revise_answer": lambda which: which.revise_answer(ANSWER),
    "rollback": lambda which: which.rollback(),
}
STATES = {
    "stable": (side, {"receive_offer": "offer received", "make_offer": "offered"}),
    "offered": (offered_side, {"receive_answer": "stable", "rollback": "stable"}),
    "offer received": (receiving_side, {"make_answer": "stable", "rollback": "stable"}),
}
WALK = [(state, operation) for state in STATES for operation in OPERATIONS]


@pytest.mark.parametrize(
    ("state", "operation"), WALK, ids=[f"{operation} when {state}" for state, operation in WALK]
)
def test_every_operation_in_every_state(state, operation):
    build, legal = STATES[state]
    which = build()
    assert which.state == state
    if operation in legal:
        OPERATIONS[operation](which)
        assert which.state == legal[operation]
    else:
        with pytest.raises(UsageError):
            OPERATIONS[operation](which)
        assert which.state == state


def test_there_must_be_something_to_offer():
    with pytest.raises(UsageError):
        side().make_offer(make_content(), [None])
