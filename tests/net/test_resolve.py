"""The DNS as a table: what is remembered, for how long, and what a failure does."""

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.names import dns
from twisted.names.error import DNSNameError, DNSServerError

from pbx.net.locate import Naptr, Query, Reach, Srv, Target
from pbx.net.resolve import DnsClient, DnsError, Resolver, UnresolvedError
from pbx.sip.uri import parse_uri

SRV = Query("SRV", "_sip._udp.a.example")
A = Query("A", "host.example")


class Zone:
    """Answers out of a table; an exception in it is raised, and `None` never answers."""

    def __init__(self, table):
        self.table, self.asked = table, []

    async def ask(self, query):
        self.asked.append(query)
        found = self.table.get(query, ([], 60.0))
        if found is None:
            await Deferred()
        if isinstance(found, Exception):
            raise found
        return found


def make(table):
    clock, zone = Clock(), Zone(table)
    return Resolver(zone, clock, lambda _n: 0, Reach(ipv6=False)), zone, clock


def run(resolver, uri="sip:a.example;transport=udp"):
    return Deferred.fromCoroutine(resolver.resolve(parse_uri(uri)))


def result(deferred):
    found = []
    deferred.addBoth(found.append)
    if not found:
        return None
    return found[0].value if hasattr(found[0], "value") else found[0]


TABLE = {SRV: ([Srv(0, 0, 5070, "host.example")], 30.0), A: (["192.0.2.1"], 100.0)}
FOUND = [Target("UDP", "192.0.2.1", 5070, "a.example")]


def test_answers_are_remembered_each_for_its_own_time():
    resolver, zone, clock = make(TABLE)
    assert result(run(resolver)) == FOUND
    assert result(run(resolver)) == FOUND
    assert zone.asked == [SRV, A]
    clock.advance(30)
    assert result(run(resolver)) == FOUND
    assert zone.asked == [SRV, A, SRV]
    clock.advance(70)
    run(resolver)
    assert zone.asked[3:] == [SRV, A]


def test_no_answer_is_believed_longer_than_an_hour():
    resolver, zone, clock = make({SRV: TABLE[SRV], A: (["192.0.2.1"], 1e9)})
    run(resolver)
    clock.advance(3600)
    run(resolver)
    assert zone.asked.count(A) == 2


def test_a_failed_question_counts_as_none_and_is_asked_again_soon():
    resolver, zone, clock = make({SRV: DnsError("timeout"), Query("A", "a.example"): (["192.0.2.9"], 60.0)})
    assert result(run(resolver)) == [Target("UDP", "192.0.2.9", 5060, "a.example")]
    run(resolver)
    assert zone.asked.count(SRV) == 1
    clock.advance(3)
    zone.table = TABLE
    assert result(run(resolver)) == FOUND


FAILURES = {
    "the name does not exist": ({}, "it has no address that we can reach"),
    "the servers do not answer": (
        {
            SRV: DnsError("the DNS does not answer"),
            Query("A", "a.example"): DnsError("the DNS does not answer"),
        },
        "the DNS does not answer",
    ),
}


@pytest.mark.parametrize(("table", "why"), FAILURES.values(), ids=FAILURES)
def test_nothing_to_try_is_an_error_in_words(table, why):
    failure = result(run(make(table)[0]))
    assert isinstance(failure, UnresolvedError)
    assert (failure.host, failure.why) == ("a.example", why)


def test_a_lookup_ends_whatever_the_servers_do():
    resolver, _, clock = make({SRV: None})
    looking = run(resolver)
    clock.advance(11.9)
    assert not looking.called
    clock.advance(0.1)
    assert isinstance(result(looking), UnresolvedError)
    assert clock.getDelayedCalls() == []


def test_memory_stays_bounded():
    resolver, _, _ = make({})
    for number in range(1500):
        result(run(resolver, f"sip:h{number}.example;transport=udp"))
    assert len(resolver._known) <= 2048


# DnsClient over a resolver that the test stands for


class Lookups:
    def __init__(self, table):
        self.table = table

    def _find(self, kind, name):
        found = self.table.get((kind, name), [])
        if isinstance(found, Exception):
            raise found
        done = Deferred()
        done.callback((found, [], []))
        return done

    def lookupAddress(self, name):  # noqa: N802
        return self._find("A", name)

    def lookupIPV6Address(self, name):  # noqa: N802
        return self._find("AAAA", name)

    def lookupService(self, name):  # noqa: N802
        return self._find("SRV", name)

    def lookupNamingAuthorityPointer(self, name):  # noqa: N802
        return self._find("NAPTR", name)


def header(name, kind, payload, ttl=77):
    return dns.RRHeader(name, kind, ttl=ttl, payload=payload)


def ask(table, kind, name, hosts=None, tmp_path=None):
    if hosts is not None:
        (tmp_path / "hosts").write_text(hosts)
    dns_client = DnsClient(
        Clock(), [("127.0.0.1", 1)], (tmp_path or __import__("pathlib").Path("/")) / "hosts"
    )
    dns_client._resolver = Lookups(table)
    return result(Deferred.fromCoroutine(dns_client.ask(Query(kind, name))))


RECORDS = {
    "A": (("A", dns.A, dns.Record_A("192.0.2.1")), ["192.0.2.1"]),
    "AAAA": (("AAAA", dns.AAAA, dns.Record_AAAA("2001:db8::1")), ["2001:db8::1"]),
    "SRV": (("SRV", dns.SRV, dns.Record_SRV(1, 2, 5060, b"h.example")), [Srv(1, 2, 5060, "h.example")]),
    "NAPTR": (
        ("NAPTR", dns.NAPTR, dns.Record_NAPTR(1, 2, b"s", b"SIP+D2U", b"", b"_sip._udp.x.example")),
        [Naptr(1, 2, "s", "SIP+D2U", "_sip._udp.x.example")],
    ),
}


@pytest.mark.parametrize(("record", "read"), RECORDS.values(), ids=RECORDS)
def test_records_are_read(record, read):
    kind, number, payload = record
    assert ask({(kind, "x.example"): [header("x.example", number, payload)]}, kind, "x.example") == (
        read,
        77.0,
    )


def test_aliases_are_followed_in_one_answer_and_over_several():
    alias = header("a.example", dns.CNAME, dns.Record_CNAME(b"b.example"), 10)
    address = header("b.example", dns.A, dns.Record_A("192.0.2.1"), 50)
    assert ask({("A", "a.example"): [alias, address]}, "A", "a.example") == (["192.0.2.1"], 10.0)
    assert ask({("A", "a.example"): [alias], ("A", "b.example"): [address]}, "A", "a.example")[0] == [
        "192.0.2.1"
    ]


def test_a_circle_of_aliases_ends():
    alias = header("a.example", dns.CNAME, dns.Record_CNAME(b"a.example"))
    assert isinstance(ask({("A", "a.example"): [alias]}, "A", "a.example"), DnsError)


def test_no_such_name_is_an_empty_answer_and_a_failing_server_an_error():
    assert ask({("A", "x.example"): DNSNameError()}, "A", "x.example")[0] == []
    assert isinstance(ask({("A", "x.example"): DNSServerError()}, "A", "x.example"), DnsError)
    assert isinstance(ask({("A", "x.example"): TimeoutError()}, "A", "x.example"), DnsError)


@pytest.mark.parametrize("name", ["", "a..b", "a" * 64 + ".example", "a." * 130 + "b", "bü.example"])
def test_what_is_no_name_is_not_asked(name):
    assert isinstance(ask({}, "A", name), DnsError)


def test_the_hosts_file_comes_first(tmp_path):
    hosts = "# 192.0.2.8 pbx\n192.0.2.9 other Gateway.Office gateway\n2001:db8::9 gateway.office\n"
    table = {("A", "gateway.office"): [header("gateway.office", dns.A, dns.Record_A("192.0.2.1"))]}
    assert ask(table, "A", "gateway.office", hosts, tmp_path)[0] == ["192.0.2.9"]
    assert ask(table, "AAAA", "gateway.office", hosts, tmp_path)[0] == ["2001:db8::9"]
    assert ask(table, "A", "pbx", hosts, tmp_path)[0] == []
