"""The glance sees what the parser would see, or nothing."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pbx.sip.flow import Flow
from pbx.sip.glance import glance
from pbx.sip.grammar import MalformedMessageError
from pbx.sip.parser import parse_datagram
from pbx.sip.transaction.key import server_key
from pbx.sip.transaction.reply_path import trace_reply_path
from pbx.sip.uri import SipUri

FLOW = Flow("UDP", ("192.0.2.9", 5099), ("192.0.2.1", 5060))
INVITE = (
    b"INVITE sip:101@pbx.local SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 10.0.0.9:5062;rport;branch=z9hG4bK-a1\r\n"
    b"Max-Forwards: 70\r\n"
    b'From: "Ann" <sip:100@pbx.local>;tag=f1\r\n'
    b"To: <sip:101@pbx.local>\r\n"
    b"Call-ID: c1@10.0.0.9\r\n"
    b"CSeq: 1 INVITE\r\n"
    b"Contact: <sip:100@10.0.0.9:5062>\r\n"
    b"Content-Length: 4\r\n\r\nv=0\r"
)
ACK = INVITE.replace(b"INVITE", b"ACK").replace(b"To: <sip:101@pbx.local>", b"To: <sip:101@pbx.local>;tag=t1")
BRANCH = b";branch=z9hG4bK-a1"

SEEN = {
    "an INVITE": INVITE,
    "rport behind the branch": INVITE.replace(b";rport" + BRANCH, BRANCH + b";rport"),
    "a registration": INVITE.replace(b"INVITE sip:101@pbx.local", b"REGISTER sip:pbx.local"),
    "a question": INVITE.replace(b"INVITE", b"OPTIONS"),
    "a text": INVITE.replace(b"INVITE", b"MESSAGE"),
    "a subscription": INVITE.replace(b"INVITE", b"SUBSCRIBE"),
    "other parameters of the Via": INVITE.replace(b";rport", b";alias;rport;x=y"),
    "a host name without a port": INVITE.replace(b"10.0.0.9:5062;", b"phone.Local;"),
    "a branch in capitals": INVITE.replace(b"z9hG4bK-a1", b"z9hG4bK-A1"),
    "credentials": INVITE.replace(b"Max-Forwards", b"authorization: Digest x\r\nMax-Forwards"),
    "credentials for a proxy": INVITE.replace(b"Max-", b"Proxy-Authorization: Digest x\r\nMax-"),
    "no user": INVITE.replace(b"sip:101@pbx.local SIP", b"sip:pbx.local:5060;transport=udp SIP"),
    "parameters of the URI": INVITE.replace(b"pbx.local SIP", b"pbx.local;user=phone SIP"),
    "a number with a plus": INVITE.replace(b"sip:101", b"sip:+65*10#"),
}


def agrees(data: bytes) -> None:
    """What was seen is what the parser reads."""
    seen = glance(data)
    assert seen is not None
    request = parse_datagram(data)
    uri = request.parsed_uri
    assert isinstance(uri, SipUri)
    assert (seen.method, seen.user) == (request.method, uri.user or "")
    headers = request.headers
    names = ("Via", "From", "To", "Call-ID", "CSeq")
    assert (seen.via, seen.from_, seen.to, seen.call_id, seen.cseq) == tuple(map(headers.get, names))
    assert seen.has_credentials == ("Authorization" in headers or "Proxy-Authorization" in headers)
    assert seen.branch == request.via.branch
    assert seen.key == server_key(request)
    assert request.to.tag is None
    assert trace_reply_path(request, FLOW) == FLOW
    again = parse_datagram(data.replace(seen.via.encode(), seen.reply_via(*FLOW.peer).encode(), 1))
    assert again.via == parse_datagram(request.render()).via


@pytest.mark.parametrize("data", SEEN.values(), ids=SEEN)
def test_what_phones_send_is_seen(data):
    agrees(data)


UNSEEN = {
    "an ACK": ACK,
    "another method": INVITE.replace(b"INVITE", b"BYE"),
    "a method that begins like one": INVITE.replace(b"INVITE", b"INVITED"),
    "a response": INVITE.replace(b"INVITE sip:101@pbx.local SIP/2.0", b"SIP/2.0 200 OK"),
    "a dialog": INVITE.replace(b"To: <sip:101@pbx.local>", b"To: <sip:101@pbx.local>;tag=t"),
    "a dialog in capitals": INVITE.replace(b"To: <sip:101@pbx.local>", b"To: <sip:101@pbx.local>;TAG=t"),
    "two Vias": INVITE.replace(b"Max-", b"Via: SIP/2.0/UDP 10.0.0.1\r\nMax-"),
    "a second Via in short": INVITE.replace(b"Max-", b"v: SIP/2.0/UDP 10.0.0.1\r\nMax-"),
    "two Vias in one line": INVITE.replace(BRANCH, BRANCH + b", SIP/2.0/UDP 10.0.0.1"),
    "a Via in capitals": INVITE.replace(b"Via", b"VIA"),
    "a folded line": INVITE.replace(b"Via: SIP/2.0/UDP", b"Via: SIP/2.0/UDP\r\n "),
    "a line folded with a tab": INVITE.replace(b"To: ", b"To:\r\n\t "),
    "a line feed alone": INVITE.replace(b"f1", b"f1\nX: y"),
    "short names": INVITE.replace(b"Call-ID", b"i"),
    "no Call-ID": INVITE.replace(b"Call-ID: c1@10.0.0.9\r\n", b""),
    "no CSeq": INVITE.replace(b"CSeq: 1 INVITE\r\n", b""),
    "no rport": INVITE.replace(b";rport", b""),
    "rport with a value": INVITE.replace(b";rport", b";rport=1"),
    "no branch": INVITE.replace(BRANCH, b""),
    "the branch of an old peer": INVITE.replace(b"z9hG4bK-a1", b"1"),
    "nothing behind the cookie": INVITE.replace(b"z9hG4bK-a1", b"z9hG4bK"),
    "TCP": INVITE.replace(b"/UDP", b"/TCP"),
    "an IPv6 Via": INVITE.replace(b"10.0.0.9:5062;", b"[2001:db8::9]:5062;"),
    "an escape in the user": INVITE.replace(b"sip:101@pbx.local SIP", b"sip:%31@pbx.local SIP"),
    "a password in the URI": INVITE.replace(b"sip:101@pbx.local SIP", b"sip:101:x@pbx.local SIP"),
    "another scheme": INVITE.replace(b"sip:101@pbx.local SIP", b"tel:101 SIP"),
    "sips": INVITE.replace(b"sip:101@pbx.local SIP", b"sips:101@pbx.local SIP"),
    "a name that is not ASCII": INVITE.replace(b"Ann", "Änn".encode()),
    "no end of the headers": INVITE.partition(b"\r\n\r\n")[0],
    "nothing": b"",
}


@pytest.mark.parametrize("data", UNSEEN.values(), ids=UNSEEN)
def test_everything_else_is_left_to_the_parser(data):
    assert glance(data) is None


PARTS = [
    *INVITE.split(b"\r\n"),
    *ACK.split(b"\r\n"),
    *(b"", b" folded", b"v: SIP/2.0/UDP a", b"Via: x", b"To: <sip:a@b>;tag=1", b"\x00", b"\xff", b"\n"),
]


@given(st.lists(st.sampled_from(PARTS), max_size=14).map(b"\r\n".join))
@example(INVITE)
def test_whatever_comes_it_agrees_with_the_parser_or_says_nothing(data):
    seen = glance(data)
    if seen is None:
        return
    try:
        request = parse_datagram(data)
        assert (seen.method, seen.key) == (request.method, server_key(request))
        assert len(request.headers.values("Via")) == 1
        assert request.to.tag is None
    except MalformedMessageError:
        pass  # it would get 400 instead of 503


@given(st.binary(max_size=300))
def test_no_octets_break_it(data):
    glance(data)
    glance(b"INVITE sip:1@a SIP/2.0\r\n" + data + b"\r\n\r\n")
