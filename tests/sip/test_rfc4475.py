"""Every message of RFC 4475, as far as the parser and `validate` have a say in it."""

import pytest

from pbx.sip.fields import parse_seconds
from pbx.sip.message import Response, make_response
from pbx.sip.parser import MalformedMessageError, StreamParser, parse_datagram, validate
from pbx.sip.uri import OpaqueUri, parse_uri
from tests.sip import rfc4475_messages as rfc4475
from tests.support.reading import read

# What must be accepted, and what it must be understood to say.
ACCEPTED = {
    "3.1.1.1 wsinv: a short tortuous INVITE": (
        rfc4475.WSINV,
        {
            "method": "INVITE",
            "parsed_uri.user": "vivekg",
            "parsed_uri.host": "chair-dnrc.example.com",
            "parsed_uri.params": {"unknownparam": None},
            "to.tag": "1918181833n",
            "to.uri.user": "vivekg",
            "to.uri.params": {},
            "from_.display": 'J Rosenberg \\"',
            "from_.tag": "98asjd8",
            "max_forwards": 68,
            "cseq": (9, "INVITE"),
            "via.transport": "UDP",
            "via.host": "192.0.2.2",
            "via.branch": "390skdjuw",
            "routes.0.uri.params": {"lr": None, "unknownwith": "value", "unknown-no-value": None},
            "contacts.0.display": 'Quoted string ""',
            "contacts.0.params": {"newparam": "newvalue", "secondparam": None, "q": "0.33"},
        },
        {
            "Subject": [""],
            "NewFangledHeader": ["newfangled value continued newfangled value"],
            "UnknownHeaderWithUnusualValue": [";;,,;;,;"],
        },
    ),
    "3.1.1.2 intmeth: a wide range of valid characters": (
        rfc4475.INTMETH,
        {
            "method": "!interesting-Method0123456789_*+`.%indeed'~",
            "parsed_uri.user": "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*",
            "parsed_uri.password": "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)",
            "parsed_uri.host": "example.com",
            "via.branch": "z9hG4bK-.!%66*_+`'~",
            "to.display": "BEL:\x07 NUL:\x00 DEL:\x7f",
            "from_.display": "token1~` token2'+_ token3*%!.-",
            "from_.tag": "_token~1'+`*%!-.",
            "from_.params": {"fromparam''~+*_!.-%": '"работающий"', "tag": "_token~1'+`*%!-."},
            "call_id": "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{",
            "max_forwards": 255,
        },
        {"extensionHeader-!.%*+_`'~": ["\ufeff大停電"]},
    ),
    "3.1.1.3 esc01: valid use of the % escaping mechanism": (
        rfc4475.ESC01,
        {
            "parsed_uri.user": "sips:user@example.com",
            "parsed_uri.host": "example.net",
            "to.uri.user": "user",
            "from_.uri.user": "I have spaces",
            "contacts.0.uri.user": "caller",
            "contacts.0.uri.params": {"lr": None, "name": "value%41"},
            "content_type": "application/sdp",
        },
        {},
    ),
    "3.1.1.4 escnull: escaped nulls in URIs": (
        rfc4475.ESCNULL,
        {
            "to.uri.user": "null-\0-null",
            "contacts.0.uri.user": "\0",
            "contacts.1.uri.user": "\0\0",
        },
        {},
    ),
    "3.1.1.5 esc02: use of % when it is not an escape": (
        rfc4475.ESC02,
        {
            "method": "RE%47IST%45R",
            "to.display": "%Z%45",
            "via.branch": "z9hG4bK209%fzsnel234",
            "cseq.method": "RE%47IST%45R",
            "contacts.0.uri.user": "alias1",
            "contacts.1.uri.user": "alias3",
        },
        {"C%6Fntact": ["<sip:alias2@host2.example.com>"]},
    ),
    "3.1.1.6 lwsdisp: no LWS between display name and <": (
        rfc4475.LWSDISP,
        {"from_.display": "caller", "from_.uri.user": "caller", "from_.tag": "323"},
        {},
    ),
    "3.1.1.7 longreq: long values in header fields": (
        rfc4475.LONGREQ,
        {
            "to.display": f"I have a user name of {'extreme' * 10} proportion",
            "to.uri.port": 6000,
            "from_.tag": f"12{'982' * 50}424",
            "via.host": "sip33.example.com",
            "call_id": f"longreq.one{'really' * 20}longcallid",
        },
        {
            "Via": [
                *(f"SIP/2.0/TCP sip{n}.example.com" for n in range(33, 0, -1)),
                f"SIP/2.0/TCP host.example.com;received=192.0.2.5;branch=very{'long' * 50}branchvalue",
            ]
        },
    ),
    "3.1.1.8 dblreq: extra trailing octets in a UDP datagram": (
        rfc4475.DBLREQ,
        {"method": "REGISTER", "body": b"", "contacts.0.uri.host": "host.example.com"},
        {},
    ),
    "3.1.1.9 semiuri: semicolons in the user part of a URI": (
        rfc4475.SEMIURI,
        {"parsed_uri.user": "user;par=u@example.net", "parsed_uri.params": {}},
        {
            "Accept": [
                "application/sdp",
                "application/pkcs7-mime",
                "multipart/mixed",
                "multipart/signed",
                "message/sip",
                "message/sipfrag",
            ]
        },
    ),
    "3.1.1.10 transports: varied and unknown transport types": (
        rfc4475.TRANSPORTS,
        {"via.transport": "UDP"},
        {
            "Via": [
                "SIP/2.0/UDP t1.example.com;branch=z9hG4bKkdjuw",
                "SIP/2.0/SCTP t2.example.com;branch=z9hG4bKklasjdhf",
                "SIP/2.0/TLS t3.example.com;branch=z9hG4bK2980unddj",
                "SIP/2.0/UNKNOWN t4.example.com;branch=z9hG4bKasd0f3en",
                "SIP/2.0/TCP t5.example.com;branch=z9hG4bK0a9idfnee",
            ]
        },
    ),
    "3.1.1.11 mpart01: a multipart body with binary parts": (
        rfc4475.MPART01,
        {"body": rfc4475.MPART01[-553:], "content_type": "multipart/mixed"},
        {},
    ),
    "3.1.1.12 unreason: an unusual reason phrase": (
        rfc4475.UNREASON,
        {"status": 200, "reason": "= 2**3 * 5**2 но сто девяносто девять - простое"},
        {},
    ),
    "3.1.1.13 noreason: an empty reason phrase": (rfc4475.NOREASON, {"status": 100, "reason": ""}, {}),
    "3.1.2.12 baddate: a Date that is not in GMT is not looked at": (
        rfc4475.BADDATE,
        {"method": "INVITE"},
        {"Date": ["Fri, 01 Jan 2010 16:00:00 EST"]},
    ),
    "3.1.2.14 badaspec: spaces within addr-spec are forgiven": (
        rfc4475.BADASPEC,
        {"to.display": "Watson, Thomas", "to.uri.user": "t.watson"},
        {},
    ),
    "3.1.2.15 baddn: a comma in a display name without quotes is forgiven": (
        rfc4475.BADDN,
        {"from_.display": "Bell, Alexander", "from_.tag": "43", "to.display": "Watson, Thomas"},
        {},
    ),
    "3.2.1 badbranch: a magic cookie and nothing more is for the transactions": (
        rfc4475.BADBRANCH,
        {"via.branch": "z9hG4bK"},
        {},
    ),
    "3.3.2 unkscm: an unknown scheme in the Request-URI is for the stack (416)": (
        rfc4475.UNKSCM,
        {"parsed_uri": OpaqueUri("nobodyknowsthisscheme", "totallyopaquecontent")},
        {},
    ),
    "3.3.3 novelsc: so is a known but untypical one": (
        rfc4475.NOVELSC,
        {"parsed_uri": OpaqueUri("soap.beep", "//192.0.2.103:3002")},
        {},
    ),
    "3.3.4 unksm2: unknown schemes in To, From and Contact are well-formed": (
        rfc4475.UNKSM2,
        {
            "to.uri": OpaqueUri("isbn", "2983792873"),
            "from_.uri": OpaqueUri("http", "//www.example.com"),
            "from_.tag": "3234233",
            "contacts.0.uri": OpaqueUri("name", "John_Smith"),
        },
        {},
    ),
    "3.3.5 bext01: what is required is for the stack (420)": (
        rfc4475.BEXT01,
        {"via.transport": "TLS"},
        {
            "Require": ["nothingSupportsThis", "nothingSupportsThisEither"],
            "Proxy-Require": ["noProxiesSupportThis", "norDoAnyProxiesSupportThis"],
        },
    ),
    "3.3.6 invut: an unknown Content-Type is for the stack (415)": (
        rfc4475.INVUT,
        {"content_type": "application/unknownformat", "body": rfc4475.INVUT[-40:]},
        {},
    ),
    "3.3.7 regaut01: an unknown Authorization scheme is for the digest": (
        rfc4475.REGAUT01,
        {"method": "REGISTER"},
        {"Authorization": ["NoOneKnowsThisScheme opaque-data=here"]},
    ),
    "3.3.10 bcast: a response with a broadcast Via": (
        rfc4475.BCAST,
        {"status": 200, "via.host": "192.0.2.198"},
        {
            "Via": [
                "SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923",
                "SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1saber23",
            ]
        },
    ),
    "3.3.11 zeromf: Max-Forwards of zero is for the stack": (rfc4475.ZEROMF, {"max_forwards": 0}, {}),
    "3.3.12 cparam01: a Contact header parameter": (
        rfc4475.CPARAM01,
        {"contacts.0.params": {"unknownparam": None}, "contacts.0.uri.params": {}},
        {},
    ),
    "3.3.13 cparam02: a Contact URI parameter": (
        rfc4475.CPARAM02,
        {"contacts.0.params": {}, "contacts.0.uri.params": {"unknownparam": None}},
        {},
    ),
    "3.3.14 regescrt: a Contact URI with an escaped header": (
        rfc4475.REGESCRT,
        {"contacts.0.uri.headers": {"Route": "<sip:sip.example.com>"}},
        {},
    ),
    "3.3.15 sdp01: an Accept that we cannot meet is for the stack (406)": (
        rfc4475.SDP01,
        {"content_type": "application/sdp"},
        {"Accept": ["text/nobodyKnowsThis"]},
    ),
    "3.4.1 inv2543: the syntax of RFC 2543": (
        rfc4475.INV2543,
        {
            "via.branch": None,
            "from_.tag": None,
            "max_forwards": None,
            "to.params": {"user": "phone"},
            "to.uri.params": {},
            "record_routes.0.uri.params": {"maddr": "ss1.example.com"},
            "body": rfc4475.INV2543[-105:],
        },
        {},
    ),
}


@pytest.mark.parametrize(("data", "fields", "headers"), ACCEPTED.values(), ids=ACCEPTED)
def test_accepted(data, fields, headers):
    message = parse_datagram(data)
    validate(message)
    assert {path: read(message, path) for path in fields} == fields
    for name, values in headers.items():
        found = message.headers.values(name) if len(values) > 1 else message.headers.get_all(name)
        assert found == values


# What must be refused: where the fault is, with which status, and whether it can be answered.
REFUSED = {
    "3.1.2.1 badinv01: extraneous separators": (rfc4475.BADINV01, "Via", 400, True),
    "3.1.2.2 clerr: Content-Length larger than the datagram": (rfc4475.CLERR, "Content-Length", 400, True),
    "3.1.2.3 ncl: negative Content-Length": (rfc4475.NCL, "Content-Length", 400, True),
    "3.1.2.4 scalar02: overlarge numbers in a request": (rfc4475.SCALAR02, "CSeq", 400, True),
    "3.1.2.5 scalarlg: overlarge numbers in a response": (rfc4475.SCALARLG, "CSeq", 400, False),
    "3.1.2.6 quotbal: an open quote": (rfc4475.QUOTBAL, "To", 400, True),
    "3.1.2.7 ltgtruri: Request-URI in angle brackets": (rfc4475.LTGTRURI, "Request-URI", 400, True),
    "3.1.2.8 lwsruri: a space in the Request-URI": (rfc4475.LWSRURI, "start line", 400, True),
    "3.1.2.9 lwsstart: several spaces in the request line": (rfc4475.LWSSTART, "start line", 400, True),
    "3.1.2.10 trws: spaces at the end of the request line": (rfc4475.TRWS, "start line", 400, True),
    "3.1.2.11 escruri: escaped headers in the Request-URI": (rfc4475.ESCRURI, "Request-URI", 400, True),
    "3.1.2.13 regbadct: a URI with headers but no brackets": (rfc4475.REGBADCT, "Contact", 400, True),
    "3.1.2.16 badvers: an unknown version": (rfc4475.BADVERS, "SIP-Version", 505, True),
    "3.1.2.17 mismatch01: another method in CSeq": (rfc4475.MISMATCH01, "CSeq", 400, True),
    "3.1.2.18 mismatch02: the same, of an unknown method": (rfc4475.MISMATCH02, "CSeq", 400, True),
    "3.1.2.19 bigcode: an overlarge response code": (rfc4475.BIGCODE, "start line", 400, False),
    "3.3.1 insuf: From, To and Call-ID are missing": (rfc4475.INSUF, "From", 400, False),
    "3.3.8 multi01: several values where one belongs": (rfc4475.MULTI01, "From", 400, True),
    "3.3.9 mcl01: several Content-Lengths": (rfc4475.MCL01, "Content-Length", 400, True),
}


@pytest.mark.parametrize(("data", "field", "status", "is_answerable"), REFUSED.values(), ids=REFUSED)
def test_refused(data, field, status, is_answerable):
    with pytest.raises(MalformedMessageError) as caught:
        validate(parse_datagram(data))
    error = caught.value
    assert (error.field, error.status) == (field, status)
    assert (error.request is not None) == is_answerable
    if is_answerable:
        answer = make_response(error.request, error.status, error.reason, to_tag="t")
        parsed = parse_datagram(answer.render())
        assert isinstance(parsed, Response)
        assert parsed.status == status
        assert parsed.headers.get("CSeq") == error.request.headers.get("CSeq")


def test_every_message_has_its_row():
    rows = [row[0] for row in (*ACCEPTED.values(), *REFUSED.values())]
    messages = [value for name, value in vars(rfc4475).items() if name.isupper() and name[0] != "_"]
    assert len(rows) == len(messages) == 49
    assert all(message in rows for message in messages)


def test_scalar02_beside_its_cseq():
    """Overlong seconds are as good as the longest; Max-Forwards has an end at 255."""
    data = rfc4475.SCALAR02.replace(b"36893488147419103232", b"1")
    message = parse_datagram(data)
    assert message.expires == 2**32 - 1
    assert parse_seconds(message.contacts[0].param("expires"), "Contact") == 2**32 - 1
    with pytest.raises(MalformedMessageError, match="Max-Forwards"):
        validate(message)


def test_esc02_is_not_the_method_it_would_unescape_to():
    assert parse_datagram(rfc4475.ESC02).method != "REGISTER"


def test_escnull_is_not_cut_at_the_null():
    assert parse_uri("sip:%00@h") != parse_uri("sip:%00%00@h")


def test_dblreq_on_a_stream_is_two_requests():
    """RFC 4475 §3.1.1.8: what a datagram drops, a stream takes as the next message."""
    messages = list(StreamParser().feed(rfc4475.DBLREQ))
    assert [message.method for message in messages] == ["REGISTER", "INVITE"]
