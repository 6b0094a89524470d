from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pbx.sip.grammar import MalformedMessageError
from pbx.sip.uri import OpaqueUri, SipUri, host_of, parse_uri, user_of

PARSED = {
    "host only": ("sip:pbx.local", SipUri("sip", None, "pbx.local")),
    "user, host, port": ("sip:101@pbx.local:5070", SipUri("sip", "101", "pbx.local", 5070)),
    "sips, in any case": ("SIPS:a@h", SipUri("sips", "a", "h")),
    "password": ("sip:alice:secretword@h", SipUri("sip", "alice", "h", password="secretword")),
    "empty password": ("sip:alice:@h", SipUri("sip", "alice", "h", password="")),
    "a user that phones dial: * and #": ("sip:*98#@h", SipUri("sip", "*98#", "h")),
    "parameters": (
        "sip:a@h;Transport=TCP;lr;x=%31",
        SipUri("sip", "a", "h", params={"transport": "TCP", "lr": None, "x": "1"}),
    ),
    "headers": (
        "sip:a@h?Replaces=1%40h%3Bto-tag%3D2&Subject=",
        SipUri("sip", "a", "h", headers={"Replaces": "1@h;to-tag=2", "Subject": ""}),
    ),
    "parameters and headers": (
        "sip:h;method=REGISTER?to=alice%40h",
        SipUri("sip", None, "h", params={"method": "REGISTER"}, headers={"to": "alice@h"}),
    ),
    "a semicolon and a colon of the user": (
        "sip:alice;day=tuesday:x@h",
        SipUri("sip", "alice;day=tuesday", "h", password="x"),
    ),
    "escapes": ("sip:%61%20b@h", SipUri("sip", "a b", "h")),
    "escaped UTF-8": ("sip:%C3%A9@h", SipUri("sip", "é", "h")),
    "IPv6": ("sip:a@[2001:db8::1]:5060", SipUri("sip", "a", "2001:db8::1", 5060)),
    "an underscore in the host": ("sip:a@my_host", SipUri("sip", "a", "my_host")),
}


@pytest.mark.parametrize(("text", "uri"), PARSED.values(), ids=PARSED)
def test_parsed(text, uri):
    parsed = parse_uri(text)
    assert isinstance(parsed, SipUri)
    assert (parsed.scheme, parsed.user, parsed.password) == (uri.scheme, uri.user, uri.password)
    assert (parsed.host, parsed.port) == (uri.host, uri.port)
    assert dict(parsed.params) == dict(uri.params)
    assert dict(parsed.headers) == dict(uri.headers)
    assert parsed.render() == text
    assert parse_uri(uri.render()) == parsed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sip:",
        "sip:@h",
        "sip:a@",
        "sip:a@b@h",
        "sip:a b@h",
        "sip:a@h:",
        "sip:a@h:65536",
        "sip:a@h:-1",
        "sip:a@h:٣",
        "sip:a@h;",
        "sip:a@h;;lr",
        "sip:a@h;=1",
        "sip:a@h;x=1;X=2",
        "sip:a@h?",
        "sip:a@h?x",
        "sip:a@h?=x",
        "sip:%zz@h",
        "sip:%4@h",
        "sip:a@h;x=%",
        "<sip:a@h>",
        'sip:"a"@h',
        "sip:a@h>",
        "sip:ä.example",
        "ſip:a@h",
        "101@h",
        "101",
        ":x",
        "1a:x",
        "tel:",
        "tel:1 2",
    ],
)
def test_refused(text):
    with pytest.raises(MalformedMessageError) as caught:
        parse_uri(text, "Contact")
    assert caught.value.field == "Contact"


def test_other_schemes_are_carried():
    uri = parse_uri("TEL:+1-555;phone-context=x")
    assert uri == OpaqueUri("tel", "+1-555;phone-context=x")
    assert str(uri) == "tel:+1-555;phone-context=x"


NAMED = {
    "sip:ann@h": ("ann", "h"),
    "sip:h": ("", "h"),
    "tel:+65-(6000).1000": ("+6560001000", ""),
    "tel:7042;phone-context=example.com": ("7042", "example.com"),
    "tel:863-1234;ext=1;Phone-Context=+1-914-555": ("8631234", "+1914555"),
    "tel:*21%23;phone-context=+65": ("*21#", "+65"),
    "tel:100": ("100", ""),
    "urn:service:sos": ("", ""),
}


@pytest.mark.parametrize(("text", "expected"), NAMED.items(), ids=NAMED)
def test_whom_it_names_and_where(text, expected):
    uri = parse_uri(text)
    assert (user_of(uri), host_of(uri)) == expected


# RFC 3261 §19.1.4 has most of these.
EQUAL = [
    ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtlanTa.CoM;Transport=tcp"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
    ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;newparam=5"),
    (
        "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
        "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
    ),
    (
        "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
        "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
    ),
    ("sip:h?Subject=a", "sip:h?subject=a"),
]
UNEQUAL = [
    ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
    ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
    ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
    ("sip:a@h", "sips:a@h"),
    ("sip:a@h", "sip:a:x@h"),
    ("sip:a@h", "sip:h"),
    ("sip:a@h;maddr=x", "sip:a@h"),
    ("sip:a@h;user=phone", "sip:a@h"),
    ("sip:a@h;ttl=1", "sip:a@h"),
]


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_equal(one, other):
    assert parse_uri(one) == parse_uri(other)
    assert hash(parse_uri(one)) == hash(parse_uri(other))


@pytest.mark.parametrize(("one", "other"), UNEQUAL)
def test_unequal(one, other):
    assert parse_uri(one) != parse_uri(other)
    assert parse_uri(one) != OpaqueUri("sip", one[4:])


def test_a_replaced_uri_is_rendered_anew():
    uri = parse_uri("sip:%61@h;lr")
    assert replace(uri, port=5062).render() == "sip:a@h:5062;lr"
    assert replace(uri, user="a@b").render() == "sip:a%40b@h;lr"
    assert uri.render() == "sip:%61@h;lr"


def test_a_uri_cannot_be_changed():
    uri = parse_uri("sip:a@h;lr")
    with pytest.raises(FrozenInstanceError):
        uri.user = "b"
    with pytest.raises(TypeError):
        uri.params["lr"] = "1"


def test_what_is_asked_most():
    uri = parse_uri("sips:a@h;transport=tls;lr")
    assert (uri.is_secure, uri.transport) == (True, "TLS")
    assert (parse_uri("sip:h").is_secure, parse_uri("sip:h").transport) == (False, None)


TEXT = st.characters(exclude_categories=["Cs"])
NAMES = st.text("abcxyz019-._", min_size=1, max_size=8)


@given(
    user=st.none() | st.text(TEXT, min_size=1),
    password=st.none() | st.text(TEXT, max_size=8),
    host=st.sampled_from(["h", "pbx.local", "192.0.2.1", "::1", "2001:db8::9:1"]),
    port=st.none() | st.integers(0, 65535),
    params=st.dictionaries(NAMES, st.none() | st.text(TEXT, min_size=1, max_size=8), max_size=3),
    headers=st.dictionaries(NAMES, st.text(TEXT, max_size=8), max_size=3),
)
@example(user="a@b:c;d?e&f", password=":@", host="h", port=None, params={"x": ";=?"}, headers={"y": "&="})
@example(user='\0 <>"%\r\n\udcff', password=None, host="h", port=None, params={}, headers={})
def test_any_uri_comes_back(user, password, host, port, params, headers):
    uri = SipUri("sip", user, host, port, params, headers, password if user is not None else None)
    text = uri.render()
    assert not set(text) & set('\r\n <>"')
    assert parse_uri(text) == uri


@given(text=st.text() | st.text('sip:@[];?&=%0aA.<>" ').map("sip:".__add__))
def test_any_text_is_read_or_refused(text):
    try:
        uri = parse_uri(text)
    except MalformedMessageError:
        return
    assert uri.render().lower() == text.lower()
