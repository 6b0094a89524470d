"""Every message of RFC 5118: SIP over IPv6. Content-Length is right here where the RFC's own is not."""

import pytest

from pbx.sip.fields import parse_via
from pbx.sip.parser import MalformedMessageError, parse_datagram, validate
from pbx.sip.uri import parse_uri
from tests.support.reading import read


def _wire(text: str, body: str = "") -> bytes:
    head = text.removeprefix("\n") + f"Content-Length: {len(body) + body.count(chr(10))}\n\n"
    return (head + body).replace("\n", "\r\n").encode()


def _register(uri: str) -> bytes:
    return _wire(f"""
REGISTER {uri} SIP/2.0
To: sip:user@example.com
From: sip:user@example.com;tag=81x2
Via: SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111
Call-ID: SSG9559905523997077@hlau_4100
Max-Forwards: 70
Contact: "Caller" <sip:caller@[2001:db8::1]>
CSeq: 98176 REGISTER
""")


CASES = {
    "4.1: an IPv6 reference": (
        _register("sip:[2001:db8::10]"),
        {
            "parsed_uri.host": "2001:db8::10",
            "parsed_uri.port": None,
            "via.host": "2001:db8::9:1",
            "via.port": None,
            "via.branch": "z9hG4bKas3-111",
            "contacts.0.display": "Caller",
            "contacts.0.uri.host": "2001:db8::1",
        },
    ),
    "4.3: a port inside the brackets is part of the address": (
        _register("sip:[2001:db8::10:5070]"),
        {"parsed_uri.host": "2001:db8::10:5070", "parsed_uri.port": None},
    ),
    "4.4: a port outside the brackets": (
        _register("sip:[2001:db8::10]:5070"),
        {"parsed_uri.host": "2001:db8::10", "parsed_uri.port": 5070},
    ),
    "4.5: received with brackets": (
        _wire("""
BYE sip:[2001:db8::10] SIP/2.0
To: sip:user@example.com;tag=bd76ya
From: sip:user@example.com;tag=81x2
Via: SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];branch=z9hG4bKas3-111
Call-ID: SSG9559905523997077@hlau_4100
Max-Forwards: 70
CSeq: 321 BYE
"""),
        {"via.host": "2001:db8::9:1", "via.received": "2001:db8::9:255", "via.branch": "z9hG4bKas3-111"},
    ),
    "4.5: received without brackets": (
        _wire("""
OPTIONS sip:[2001:db8::10] SIP/2.0
To: sip:user@example.com
From: sip:user@example.com;tag=81x2
Via: SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255;branch=z9hG4bKas3
Call-ID: SSG95523997077@hlau_4100
Max-Forwards: 70
Contact: "Caller" <sip:caller@[2001:db8::9:1]>
CSeq: 921 OPTIONS
"""),
        {"via.host": "2001:db8::9:1", "via.received": "2001:db8::9:255"},
    ),
    "4.6: IPv6 addresses in the SDP": (
        _wire(
            """
INVITE sip:user@[2001:db8::10] SIP/2.0
To: sip:user@[2001:db8::10]
From: sip:user@example.com;tag=81x2
Via: SIP/2.0/UDP [2001:db8::20];branch=z9hG4bKas3-111
Call-ID: SSG9559905523997077@hlau_4100
Contact: "Caller" <sip:caller@[2001:db8::20]>
CSeq: 8612 INVITE
Max-Forwards: 70
Content-Type: application/sdp
""",
            "v=0\no=assistant 971731711378798081 0 IN IP6 2001:db8::20\n"
            "s=Live video feed for today's meeting\nc=IN IP6 2001:db8::20\nt=3338481189 3370017201\n"
            "m=audio 6000 RTP/AVP 2\na=rtpmap:2 G726-32/8000\n"
            "m=video 6024 RTP/AVP 107\na=rtpmap:107 H263-1998/90000\n",
        ),
        {"parsed_uri.user": "user", "to.uri.host": "2001:db8::10", "content_type": "application/sdp"},
    ),
    "4.7: several IP addresses in SIP headers": (
        _wire("""
BYE sip:user@host.example.net SIP/2.0
Via: SIP/2.0/UDP [2001:db8::9:1]:6050;branch=z9hG4bKas3-111
Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKjhja8781hjuaij65144
Via: SIP/2.0/TCP [2001:db8::9:255];branch=z9hG4bK451jj;received=192.0.2.200
Call-ID: 997077@lau_4100
Max-Forwards: 70
CSeq: 89187 BYE
To: sip:user@example.net;tag=9817--94
From: sip:user@example.com;tag=81x2
"""),
        {"via.host": "2001:db8::9:1", "via.port": 6050, "to.tag": "9817--94"},
    ),
    "4.8: several IP addresses in the SDP": (
        _wire(
            """
INVITE sip:user@[2001:db8::10] SIP/2.0
To: sip:user@[2001:db8::10]
From: sip:user@example.com;tag=81x2
Via: SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111
Call-ID: SSG9559905523997077@hlau_4100
Contact: "Caller" <sip:caller@[2001:db8::9:1]>
Max-Forwards: 70
CSeq: 8912 INVITE
Content-Type: application/sdp
""",
            "v=0\no=bob 280744730 28977631 IN IP4 host.example.com\ns=\nt=0 0\nm=audio 22334 RTP/AVP 0\n"
            "c=IN IP4 192.0.2.1\nm=video 6024 RTP/AVP 107\nc=IN IP6 2001:db8::1\n"
            "a=rtpmap:107 H263-1998/90000\n",
        ),
        {"parsed_uri.host": "2001:db8::10", "contacts.0.uri.host": "2001:db8::9:1"},
    ),
    "4.9: IPv4-mapped addresses": (
        _wire(
            """
INVITE sip:user@example.com SIP/2.0
To: sip:user@example.com
From: sip:user@east.example.com;tag=81x2
Via: SIP/2.0/UDP [::ffff:192.0.2.10]:19823;branch=z9hG4bKbh19
Via: SIP/2.0/UDP [::ffff:192.0.2.2];branch=z9hG4bKas3-111
Call-ID: SSG9559905523997077@hlau_4100
Contact: "T. desk phone" <sip:ted@[::ffff:192.0.2.2]>
CSeq: 612 INVITE
Max-Forwards: 70
Content-Type: application/sdp
""",
            "v=0\no=assistant 971731711378798081 0 IN IP6 ::ffff:192.0.2.2\ns=Call me soon, please!\n"
            "c=IN IP6 ::ffff:192.0.2.2\nt=3338481189 3370017201\nm=audio 6000 RTP/AVP 2\n"
            "a=rtpmap:2 G726-32/8000\nm=video 6024 RTP/AVP 107\na=rtpmap:107 H263-1998/90000\n",
        ),
        {
            "via.host": "::ffff:192.0.2.10",
            "via.port": 19823,
            "contacts.0.uri.host": "::ffff:192.0.2.2",
        },
    ),
    "4.10: one colon too many before an embedded IPv4 address": (
        _wire("""
OPTIONS sip:user@[2001:db8:::192.0.2.1] SIP/2.0
To: sip:user@[2001:db8:::192.0.2.1]
From: sip:user@example.com;tag=810x2
Via: SIP/2.0/UDP lab1.east.example.com;branch=z9hG4bKas3-111
Call-ID: G9559905523997077@hlau_4100
CSeq: 689 OPTIONS
Max-Forwards: 70
"""),
        {"parsed_uri.host": "2001:db8::192.0.2.1", "uri": "sip:user@[2001:db8:::192.0.2.1]"},
    ),
    "4.10: the same reference written right": (
        _wire("""
OPTIONS sip:user@[2001:db8::192.0.2.1] SIP/2.0
To: sip:user@[2001:db8::192.0.2.1]
From: sip:user@example.com;tag=810x2
Via: SIP/2.0/UDP lab1.east.example.com;branch=z9hG4bKas3-111
Call-ID: G9559905523997077@hlau_4100
CSeq: 689 OPTIONS
Max-Forwards: 70
"""),
        {"parsed_uri.host": "2001:db8::192.0.2.1"},
    ),
}


@pytest.mark.parametrize(("data", "fields"), CASES.values(), ids=CASES)
def test_accepted(data, fields):
    message = parse_datagram(data)
    validate(message)
    assert {path: read(message, path) for path in fields} == fields
    assert message.render() == data


def test_4_2_a_reference_without_brackets_gets_a_400():
    with pytest.raises(MalformedMessageError) as caught:
        validate(parse_datagram(_register("sip:2001:db8::10")))
    assert (caught.value.status, caught.value.field) == (400, "Request-URI")
    assert caught.value.request.via.host == "2001:db8::9:1"


def test_4_7_each_via():
    vias = [parse_via(value) for value in parse_datagram(CASES[SEVERAL][0]).headers.values("Via")]
    assert [(via.host, via.port, via.received) for via in vias] == [
        ("2001:db8::9:1", 6050, None),
        ("192.0.2.1", None, None),
        ("2001:db8::9:255", None, "192.0.2.200"),
    ]


SEVERAL = "4.7: several IP addresses in SIP headers"


@pytest.mark.parametrize(
    "host",
    [
        "[2001:db8::10",
        "[2001:db8::xyz]",
        "[1:2:3:4:5:6:7:8:9]",
        "[fe80::1%eth0]",
        "[]",
        "[2001:db8:::1]",
        "::1",
    ],
)
def test_what_is_no_ipv6_reference(host):
    with pytest.raises(MalformedMessageError):
        parse_uri(f"sip:{host}")
    with pytest.raises(MalformedMessageError):
        parse_via(f"SIP/2.0/UDP {host};branch=z9hG4bK1")


def test_a_received_that_is_no_address_says_nothing():
    assert parse_via("SIP/2.0/UDP h;received=2001:db8:::1").received is None
    assert parse_via("SIP/2.0/UDP h;received=2001:db8:::192.0.2.1").received == "2001:db8::192.0.2.1"
