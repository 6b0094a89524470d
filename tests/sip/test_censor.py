"""What may be kept of a message."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.sip.censor import censor

CASES = {
    "proof of the password": (
        'Authorization: Digest username="100", realm="r", nonce="n", response="0123", cnonce="ab", qop=auth',
        'Authorization: Digest username="100", realm="r", nonce="n", response="****", cnonce="**", qop=auth',
    ),
    "a proxy's, folded, in capitals": (
        'PROXY-AUTHORIZATION:Digest username="100",\r\n RESPONSE = "0123"\r\nTo: <sip:a@b>',
        'PROXY-AUTHORIZATION:Digest username="100",\r\n RESPONSE = "****"\r\nTo: <sip:a@b>',
    ),
    "another scheme is cut whole": ("Authorization: Basic abc=", "Authorization: ***** ****"),
    "the server's proof": (
        'Authentication-Info: rspauth="0123", nextnonce="n"',
        'Authentication-Info: rspauth="****", nextnonce="n"',
    ),
    "a challenge proves nothing": (
        'WWW-Authenticate: Digest realm="r", nonce="response=1"',
        'WWW-Authenticate: Digest realm="r", nonce="response=1"',
    ),
    "a password in a URI": ("To: <sip:ann:secret@b>", "To: <sip:ann:******@b>"),
    "a password with a colon": ("To: sip:ann;x=y:se:cret@b", "To: sip:ann;x=y:*******@b"),
    "two in a row": ("To: sip:ann@b,sip:bob:secret@b", "To: sip:ann@b,sip:bob:******@b"),
    "a port before another @": (
        "Refer-To: <sip:ann@b:5060?Replaces=1@b>",
        "Refer-To: <sip:ann@b:5060?Replaces=1@b>",
    ),
    "a port is no password": ("Contact: <sip:ann@b:5060>", "Contact: <sip:ann@b:5060>"),
}
BODIES = {
    "media keys": (
        "application/sdp",
        "v=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:abcd|2^20|1:4;inline:efg FEC\r\na=sendrecv",
        "v=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:****|2^20|1:4;inline:*** FEC\r\na=sendrecv",
    ),
    "MIKEY": ("application/sdp", "a=key-mgmt:mikey AQAF", "a=key-mgmt:mikey ****"),
    "a key of old": ("application/sdp", "k=clear:key", "k=clear:***"),
    "a key that is pressed": (
        "application/dtmf-relay",
        "Signal= 5\r\nDuration=160",
        "Signal= *\r\nDuration=160",
    ),
    "a key alone": ("application/dtmf", "5", "*"),
    "a key alone, with parameters": ("application/dtmf;charset=us-ascii", "5", "*"),
    "a key alone, folded": ("\r\n application/dtmf ; q=1", "5", "*"),
    "a key that is pressed, as it is read": (
        "application/dtmf-relay",
        " Signal-Code = 5\r\nDuration=160",
        " Signal-Code = *\r\nDuration=160",
    ),
    "text": ("text/plain", "5 * 5", "5 * 5"),
}


@pytest.mark.parametrize(("header", "expected"), CASES.values(), ids=CASES)
def test_headers(header, expected):
    around = "INVITE sip:101@pbx.local SIP/2.0\r\n{}\r\nCSeq: 1 INVITE\r\n\r\n"
    assert censor(around.format(header).encode()) == around.format(expected)


@pytest.mark.parametrize(("kind", "body", "expected"), BODIES.values(), ids=BODIES)
def test_bodies(kind, body, expected):
    head = f"INFO sip:101@pbx.local SIP/2.0\r\nContent-Type: {kind}\r\n\r\n"
    assert censor((head + body).encode()) == head + expected


def test_a_uri_is_read_once_however_it_repeats():
    """In the core process nothing may take the square of what a stranger sends."""
    text = "sip:a:" * 8_000
    assert censor(f"INVITE sip:x SIP/2.0\r\nSubject: {text}\r\n\r\n".encode()).count(text) == 1


@given(st.text(), st.sampled_from(["Authorization: Digest response=", "a=crypto:1 x inline:", "sip:a:"]))
def test_the_length_stays_and_nothing_raises(text, before):
    data = f"INVITE sip:x SIP/2.0\r\n{before}{text}@b\r\n\r\n{before}{text}".encode("utf-8", "replace")
    assert len(censor(data).encode()) == len(data)


@given(st.binary())
def test_any_octets_have_a_text(data):
    assert isinstance(censor(data), str)
