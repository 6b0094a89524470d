"""RFC 3263 §4 as a table: what is asked, and what comes of the answers."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.net.locate import (
    Naptr,
    Query,
    Reach,
    Srv,
    Target,
    find_literal,
    locate,
    order_srv,
)
from pbx.sip.uri import parse_uri

EVERY = Reach()

# The zone of RFC 3263 §4.1's and §4.2's examples, and some that are less tidy.
ZONE = {
    Query("NAPTR", "example.com"): [
        Naptr(100, 50, "s", "SIP+D2U", "_sip._udp.example.com"),
        Naptr(50, 50, "s", "SIPS+D2T", "_sips._tcp.example.com"),
        Naptr(90, 50, "s", "SIP+D2T", "_sip._tcp.example.com"),
        Naptr(10, 50, "u", "E2U+sip", ""),
        Naptr(20, 50, "s", "SIP+D2S", "_sip._sctp.example.com"),
    ],
    Query("SRV", "_sip._tcp.example.com"): [
        Srv(0, 1, 5060, "server1.example.com"),
        Srv(1, 2, 5062, "server2.example.com"),
    ],
    Query("SRV", "_sip._udp.example.com"): [Srv(0, 1, 5070, "server1.example.com")],
    Query("SRV", "_sips._tcp.example.com"): [Srv(0, 1, 5081, "server2.example.com")],
    Query("A", "server1.example.com"): ["192.0.2.1"],
    Query("A", "server2.example.com"): ["192.0.2.2", "192.0.2.3"],
    Query("AAAA", "server2.example.com"): ["2001:db8::2"],
    Query("A", "example.com"): ["192.0.2.9"],
    Query("SRV", "_sip._udp.srv-only.example"): [Srv(0, 0, 5066, "host.example")],
    Query("SRV", "_sip._tcp.srv-only.example"): [Srv(0, 0, 5067, "host.example")],
    Query("A", "host.example"): ["192.0.2.20"],
    Query("A", "plain.example"): ["192.0.2.30"],
    Query("SRV", "_sip._udp.not-offered.example"): [Srv(0, 0, 0, ".")],
    Query("A", "not-offered.example"): ["192.0.2.40"],
    Query("NAPTR", "half.example"): [Naptr(1, 1, "S", "sip+d2t", "_sip._tcp.half.example")],
    Query("A", "half.example"): ["192.0.2.50"],
    Query("SRV", "_sip._tcp.literal.example"): [Srv(0, 0, 5068, "192.0.2.60")],
}


def find(text: str, reach: Reach = EVERY, zone=ZONE, below=lambda _limit: 0):
    """The targets, and the rounds of questions that it took."""
    asked = []
    steps = locate(parse_uri(text), reach, below)
    try:
        queries = next(steps)
        while True:
            asked.append(queries)
            queries = steps.send([zone.get(query, []) for query in queries])
    except StopIteration as done:
        return done.value, asked


CASES = {
    "an address needs no question, and is UDP": (
        "sip:100@192.0.2.7",
        EVERY,
        [Target("UDP", "192.0.2.7", 5060, "192.0.2.7")],
    ),
    "an address and sips is TLS at its port": (
        "sips:192.0.2.7",
        EVERY,
        [Target("TLS", "192.0.2.7", 5061, "192.0.2.7")],
    ),
    "an IPv6 address with a port": (
        "sip:[2001:DB8::7]:5099;transport=tcp",
        EVERY,
        [Target("TCP", "2001:db8::7", 5099, "2001:db8::7")],
    ),
    "transport=tls without a port means 5061": (
        "sip:101@127.0.0.1;transport=tls",
        EVERY,
        [Target("TLS", "127.0.0.1", 5061, "127.0.0.1")],
    ),
    "maddr is where to go": (
        "sip:100@example.com;maddr=192.0.2.8",
        EVERY,
        [Target("UDP", "192.0.2.8", 5060, "192.0.2.8")],
    ),
    "NAPTR: in the order of the domain, with all their hosts": (
        "sip:ann@example.com",
        EVERY,
        [
            Target("TLS", "192.0.2.2", 5081, "example.com"),
            Target("TLS", "192.0.2.3", 5081, "example.com"),
            Target("TLS", "2001:db8::2", 5081, "example.com"),
            Target("TCP", "192.0.2.1", 5060, "example.com"),
            Target("TCP", "192.0.2.2", 5062, "example.com"),
            Target("TCP", "192.0.2.3", 5062, "example.com"),
            Target("TCP", "2001:db8::2", 5062, "example.com"),
            Target("UDP", "192.0.2.1", 5070, "example.com"),
        ],
    ),
    "NAPTR: what we cannot speak is passed over": (
        "sip:ann@example.com",
        Reach(("UDP",), ipv6=False),
        [Target("UDP", "192.0.2.1", 5070, "example.com")],
    ),
    "sips takes only the secure service": (
        "sips:ann@example.com",
        Reach(ipv6=False),
        [Target("TLS", "192.0.2.2", 5081, "example.com"), Target("TLS", "192.0.2.3", 5081, "example.com")],
    ),
    "a named transport asks for its SRV at once": (
        "sip:ann@example.com;transport=udp",
        EVERY,
        [Target("UDP", "192.0.2.1", 5070, "example.com")],
    ),
    "sips with transport=tcp is TLS": (
        "sips:ann@example.com;transport=tcp",
        Reach(ipv4=False),
        [Target("TLS", "2001:db8::2", 5081, "example.com")],
    ),
    "a port asks for the address only, over UDP": (
        "sip:ann@example.com:5099",
        EVERY,
        [Target("UDP", "192.0.2.9", 5099, "example.com")],
    ),
    "a port and sips: the address only, over TLS": (
        "sips:ann@example.com:5099",
        EVERY,
        [Target("TLS", "192.0.2.9", 5099, "example.com")],
    ),
    "a port and a transport": (
        "sip:ann@example.com:5099;transport=tcp",
        EVERY,
        [Target("TCP", "192.0.2.9", 5099, "example.com")],
    ),
    "no NAPTR: each transport's SRV, UDP first": (
        "sip:srv-only.example",
        EVERY,
        [
            Target("UDP", "192.0.2.20", 5066, "srv-only.example"),
            Target("TCP", "192.0.2.20", 5067, "srv-only.example"),
        ],
    ),
    "neither NAPTR nor SRV: the address, over UDP": (
        "sip:Plain.Example.",
        EVERY,
        [Target("UDP", "192.0.2.30", 5060, "plain.example")],
    ),
    "neither NAPTR nor SRV, sips: the address, over TLS": (
        "sips:plain.example",
        EVERY,
        [Target("TLS", "192.0.2.30", 5061, "plain.example")],
    ),
    "NAPTR without its SRV: the address, over its transport": (
        "sip:half.example",
        EVERY,
        [Target("TCP", "192.0.2.50", 5060, "half.example")],
    ),
    "an SRV of '.' says that there is none: the address is not tried": ("sip:not-offered.example", EVERY, []),
    "an SRV that names an address (which it must not) is taken all the same": (
        "sip:literal.example;transport=tcp",
        EVERY,
        [Target("TCP", "192.0.2.60", 5068, "literal.example")],
    ),
    "a transport that we do not have": ("sip:ann@example.com;transport=sctp", EVERY, []),
    "a transport that is switched off": ("sip:192.0.2.7;transport=tcp", Reach(("UDP",)), []),
    "an unknown name": ("sip:nobody.example", EVERY, []),
}


@pytest.mark.parametrize(("uri", "reach", "targets"), CASES.values(), ids=CASES)
def test_section_4(uri, reach, targets):
    assert find(uri, reach)[0] == targets


QUESTIONS = {
    "sip:192.0.2.7": [],
    "sip:plain.example:5060": [{Query("A", "plain.example"), Query("AAAA", "plain.example")}],
    "sip:plain.example;transport=tcp": [
        {Query("SRV", "_sip._tcp.plain.example")},
        {Query("A", "plain.example"), Query("AAAA", "plain.example")},
    ],
    "sip:plain.example": [
        {Query("NAPTR", "plain.example")},
        {Query("SRV", "_sip._udp.plain.example"), Query("SRV", "_sip._tcp.plain.example")},
        {Query("A", "plain.example"), Query("AAAA", "plain.example")},
    ],
    "sips:plain.example": [
        {Query("NAPTR", "plain.example")},
        {Query("SRV", "_sips._tcp.plain.example")},
        {Query("A", "plain.example"), Query("AAAA", "plain.example")},
    ],
}


@pytest.mark.parametrize(("uri", "rounds"), QUESTIONS.items())
def test_only_what_is_needed_is_asked_each_round_at_once(uri, rounds):
    assert [set(queries) for queries in find(uri)[1]] == rounds


def test_a_hostile_zone_cannot_make_us_try_forever():
    zone = {
        Query("SRV", "_sip._udp.evil.example"): [Srv(0, n, 5060, f"h{n}.evil.example") for n in range(500)]
    }
    zone |= {Query("A", f"h{n}.evil.example"): [f"192.0.2.{m}" for m in range(250)] for n in range(500)}
    targets, asked = find("sip:evil.example;transport=udp", zone=zone)
    assert len(targets) == 24
    assert len(asked[-1]) <= 48


def test_literals_are_found_without_a_generator():
    assert find_literal(parse_uri("sip:[::1];transport=tcp")) == Target("TCP", "::1", 5060, "::1")
    assert find_literal(parse_uri("sip:example.com")) is None
    assert find_literal(parse_uri("sip:192.0.2.1;transport=ws")) is None


records = st.lists(
    st.builds(Srv, st.integers(0, 3), st.integers(0, 5), st.just(5060), st.sampled_from("abcdefgh")),
    max_size=8,
)


@given(records=records, seed=st.integers(0, 99))
def test_every_srv_record_comes_once_and_priorities_ascend(records, seed):
    ordered = order_srv(records, Random(seed).randrange)
    assert Counter(ordered) == Counter(records)
    assert [each.priority for each in ordered] == sorted(each.priority for each in records)


def test_weights_decide_how_often_a_record_is_first():
    heavy, light, none = Srv(0, 3, 1, "heavy"), Srv(0, 1, 1, "light"), Srv(0, 0, 1, "none")
    firsts = Counter(order_srv([light, none, heavy], lambda _limit, n=n: n)[0].target for n in range(5))
    assert firsts == {"heavy": 3, "light": 1, "none": 1}
