import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.sip import fields
from pbx.sip.fields import (
    CSeq,
    Event,
    NameAddr,
    RAck,
    Replaces,
    SessionExpires,
    Via,
    parse_cseq,
    parse_event,
    parse_name_addr,
    parse_name_addrs,
    parse_number,
    parse_q,
    parse_rack,
    parse_replaces,
    parse_seconds,
    parse_session_expires,
    parse_via,
)
from pbx.sip.grammar import MalformedMessageError
from pbx.sip.uri import OpaqueUri, SipUri

ALICE = SipUri("sip", "alice", "h")

NAME_ADDRS = {
    "bare": ("sip:alice@h", NameAddr("", ALICE)),
    "bare: its parameters are the header's": ("sip:alice@h;tag=1", NameAddr("", ALICE, {"tag": "1"})),
    "in brackets": ("<sip:alice@h>", NameAddr("", ALICE)),
    "in brackets: the URI's parameters stay its own": (
        "<sip:alice@h;lr>;tag=1",
        NameAddr("", SipUri("sip", "alice", "h", params={"lr": None}), {"tag": "1"}),
    ),
    "tokens": ("Alice B <sip:alice@h>", NameAddr("Alice B", ALICE)),
    "quoted": (r'"A \"B\" \\" <sip:alice@h>', NameAddr('A "B" \\', ALICE)),
    "quoted, no space": ('"A"<sip:alice@h>', NameAddr("A", ALICE)),
    "empty quotes": ('"" <sip:alice@h>', NameAddr("", ALICE)),
    "UTF-8": ('"Zoë" <sip:alice@h>', NameAddr("Zoë", ALICE)),
    "a comma and an angle bracket in quotes": ('"a,<b>" <sip:alice@h>', NameAddr("a,<b>", ALICE)),
    "another scheme": ("<tel:+1555>;x", NameAddr("", OpaqueUri("tel", "+1555"), {"x": None})),
    "white space everywhere": ("  Al <  sip:alice@h > ; tag = 1 ", NameAddr("Al", ALICE, {"tag": "1"})),
}


@pytest.mark.parametrize(("text", "value"), NAME_ADDRS.values(), ids=NAME_ADDRS)
def test_name_addr(text, value):
    assert parse_name_addr(text) == value
    assert parse_name_addr(value.render()) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        "<>",
        "Alice",
        "sip:a@h?Subject=x",
        '"Alice <sip:a@h>',
        'Alice" <sip:a@h>',
        "<sip:a@h",
        "sip:a@h>",
        "<sip:a@h>;;",
        "<sip:a@h> tag=1",
        "<sip:a@h>, <sip:b@h>",
        "<<sip:a@h>>",
        "<sip:a b@h>",
        "sip:a@h tag",
    ],
)
def test_no_name_addr(text):
    with pytest.raises(MalformedMessageError) as caught:
        parse_name_addr(text, "To")
    assert caught.value.field == "To"


def test_a_list_of_them_over_lines():
    values = parse_name_addrs(["<sip:a@h>;q=1, sip:b@h", '"c, d" <sip:c@h>'], "Contact")
    assert [value.uri.user for value in values] == ["a", "b", "c"]


def test_parameters_of_a_name_addr():
    value = parse_name_addr('<sip:a@h>;+sip.instance="<urn:uuid:1>";ob;expires=60')
    assert value.param("+sip.instance") == "<urn:uuid:1>"
    assert (value.param("ob"), value.param("expires"), value.param("q")) == ("", "60", None)
    assert value.tag is None


DISPLAYS = st.text(st.characters(exclude_characters="\r\n\0"), max_size=20)


@given(display=DISPLAYS)
def test_any_display_name_comes_back(display):
    value = parse_name_addr(NameAddr(display, ALICE).render())
    assert value.display == display
    assert value.uri == ALICE


def test_a_display_name_cannot_break_the_line():
    assert NameAddr("a\r\nVia: x", ALICE).render() == '"a Via: x" <sip:alice@h>'


VIAS = {
    "plain": ("SIP/2.0/UDP h", Via("UDP", "h")),
    "port and parameters": (
        "SIP/2.0/TLS 192.0.2.1:5061;branch=z9hG4bK1;rport",
        Via("TLS", "192.0.2.1", 5061, {"branch": "z9hG4bK1", "rport": None}),
    ),
    "IPv6": ("SIP/2.0/TCP [::1]:5060;branch=b", Via("TCP", "::1", 5060, {"branch": "b"})),
    "lower case": ("sip/2.0/udp h", Via("UDP", "h")),
    "white space": ("SIP / 2.0 /\tUDP  h : 5060 ; branch = b ", Via("UDP", "h", 5060, {"branch": "b"})),
}


@pytest.mark.parametrize(("text", "via"), VIAS.values(), ids=VIAS)
def test_via(text, via):
    assert parse_via(text) == via
    assert parse_via(via.render()) == via


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SIP/2.0/UDP",
        "SIP/2.0 h",
        "UDP h",
        "SIP/2.0/UDPh",
        "SIP/2.0/UDP h:",
        "SIP/2.0/UDP h:99999",
        "SIP/2.0/UDP h:٣",
        "SIP/2.0/UDP h, SIP/2.0/UDP i",
        "SIP/2.0/UDP h;;",
        "SIP/2.0/UDP ::1",
        "SIP/2.0/UDP [h]",
        "SIP/2.0/UDP h i",
    ],
)
def test_no_via(text):
    with pytest.raises(MalformedMessageError, match="Bad Via"):
        parse_via(text)


ROUND_TRIPS = {
    "CSeq": (parse_cseq, "4711 INVITE", CSeq(4711, "INVITE")),
    "CSeq at its limit": (parse_cseq, "2147483647 BYE", CSeq(2**31 - 1, "BYE")),
    "RAck": (parse_rack, "776656 1 INVITE", RAck(776656, 1, "INVITE")),
    "Session-Expires": (parse_session_expires, "1800", SessionExpires(1800)),
    "Session-Expires with refresher": (
        parse_session_expires,
        "90;refresher=uas",
        SessionExpires(90, "uas"),
    ),
    "Replaces": (parse_replaces, "1@h;to-tag=2;from-tag=3", Replaces("1@h", "2", "3")),
    "Replaces, early only": (
        parse_replaces,
        "1@h;to-tag=2;from-tag=3;early-only",
        Replaces("1@h", "2", "3", is_early_only=True),
    ),
    "Event": (parse_event, "dialog", Event("dialog")),
    "Event with id": (parse_event, "refer;id=93809824", Event("refer", "93809824")),
    "Event with parameters": (parse_event, "dialog;sla;id=1", Event("dialog", "1", {"sla": None})),
}


@pytest.mark.parametrize(("parse", "text", "value"), ROUND_TRIPS.values(), ids=ROUND_TRIPS)
def test_round_trip(parse, text, value):
    assert parse(text) == value
    assert value.render() == text


def test_leniency():
    assert parse_cseq("0009  INVITE") == CSeq(9, "INVITE")
    assert parse_session_expires("90 ; Refresher=UAC") == SessionExpires(90, "uac")
    assert parse_replaces(" 1@h ; from-tag=3 ; to-tag=2") == Replaces("1@h", "2", "3")


REFUSED = {
    "CSeq without method": (parse_cseq, "1"),
    "CSeq without number": (parse_cseq, "INVITE"),
    "CSeq over 2**31 - 1": (parse_cseq, "2147483648 INVITE"),
    "CSeq endless": (parse_cseq, "9" * 5000 + " INVITE"),
    "CSeq with an endless method": (parse_cseq, "1 " + "A" * 5000),
    "CSeq with endless blanks": (parse_cseq, "1" + " " * 5000 + "INVITE"),
    "CSeq negative": (parse_cseq, "-1 INVITE"),
    "CSeq with other digits": (parse_cseq, "٣ INVITE"),
    "CSeq with more": (parse_cseq, "1 INVITE x"),
    "RAck too short": (parse_rack, "1 INVITE"),
    "RAck too large": (parse_rack, f"{2**32} 1 INVITE"),
    "Session-Expires without number": (parse_session_expires, ";refresher=uas"),
    "Session-Expires with another refresher": (parse_session_expires, "90;refresher=me"),
    "Replaces without tags": (parse_replaces, "1@h"),
    "Replaces without a from-tag": (parse_replaces, "1@h;to-tag=1"),
    "Replaces without Call-ID": (parse_replaces, ";to-tag=1;from-tag=2"),
    "Event of nothing": (parse_event, ""),
    "Event with a broken parameter": (parse_event, "dialog;;"),
    "number of nothing": (lambda text: parse_number(text, "RSeq"), ""),
    "number with a sign": (lambda text: parse_number(text, "RSeq"), "+1"),
    "number over its limit": (lambda text: parse_number(text, "Max-Forwards", 255), "256"),
    "seconds of nothing": (lambda text: parse_seconds(text, "Expires"), ""),
    "seconds negative": (lambda text: parse_seconds(text, "Expires"), "-1"),
    "q over 1": (parse_q, "1.1"),
    "q of words": (parse_q, "high"),
    "q not a number": (parse_q, "nan"),
}


@pytest.mark.parametrize(("parse", "text"), REFUSED.values(), ids=REFUSED)
def test_refused(parse, text):
    with pytest.raises(MalformedMessageError):
        parse(text)


def test_seconds_are_clamped():
    assert parse_seconds("3600", "Expires") == 3600
    assert parse_seconds("3600 ;x", "Retry-After") == 3600
    assert parse_seconds("18 (in a meeting; back soon);duration=5", "Retry-After") == 18
    assert parse_seconds(str(2**32), "Expires") == 2**32 - 1
    assert parse_seconds("9" * 5000, "Expires") == 2**32 - 1


@pytest.mark.parametrize(
    ("text", "q"), [("0", 0), ("1", 1), ("0.5", 0.5), ("1.000", 1), ("0.", 0), (".7", 0.7)]
)
def test_q(text, q):
    assert parse_q(text) == q


PARSERS = [getattr(fields, name) for name in dir(fields) if name.startswith("parse_")]
ONE_TEXT = [
    parse
    for parse in PARSERS
    if parse.__name__ not in ("parse_name_addrs", "parse_number", "parse_seconds", "parse_valued")
    and parse.__name__ not in ("parse_params", "parse_uri", "parse_ipv6")
]


@given(text=st.text() | st.text('sip:@h<>"\\;,=/ \t.019aA[]%*'))
def test_any_text_is_read_or_refused(text):
    for parse in ONE_TEXT:
        try:
            parse(text)
        except MalformedMessageError:
            continue
