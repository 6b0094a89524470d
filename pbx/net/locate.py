"""Where a SIP URI leads: which DNS questions to ask, and the order of what they give (RFC 3263 §4). Pure.

`locate` is a generator: it yields rounds of questions and is sent their answers, so it can be run against a
table as well as against the DNS.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, Literal, NamedTuple

from pbx.sip.uri import SipUri

DEFAULT_PORT: Final = {"UDP": 5060, "TCP": 5060, "TLS": 5061}
MAX_TARGETS: Final = 24  # what a hostile zone can make us try

# RFC 3263 §4.1: what a NAPTR service, and the name of an SRV record, say about the transport.
NAPTR_SERVICES: Final = {"SIP+D2U": "UDP", "SIP+D2T": "TCP", "SIPS+D2T": "TLS"}
SRV_PREFIX: Final = {"UDP": "_sip._udp.", "TCP": "_sip._tcp.", "TLS": "_sips._tcp."}


class Target(NamedTuple):
    """One place to try."""

    transport: str  # "UDP", "TCP" or "TLS"
    address: str  # a literal, IPv6 without brackets
    port: int
    name: str  # the host that was asked for: a TLS server has to prove to be it (RFC 5922 §4)

    @property
    def peer(self) -> tuple[str, int]:
        return self.address, self.port


class Naptr(NamedTuple):
    """A record by which a domain names its services (RFC 3403 §4.1)."""

    order: int
    preference: int
    flags: str
    service: str
    replacement: str


class Srv(NamedTuple):
    """A record by which a service names its hosts (RFC 2782)."""

    priority: int
    weight: int
    port: int
    target: str


class Query(NamedTuple):
    """One question to the DNS."""

    kind: Literal["NAPTR", "SRV", "A", "AAAA"]
    name: str


Record = Naptr | Srv | str  # an address is its literal
Answers = Sequence[Sequence[Record]]  # one for each question of the round
Steps = Generator[tuple[Query, ...], Answers, list[Target]]


@dataclass(frozen=True, slots=True)
class Reach:
    """What we can send over: transports, the preferred first, and families of addresses."""

    transports: tuple[str, ...] = ("UDP", "TCP", "TLS")
    ipv4: bool = True
    ipv6: bool = True


def find_literal(uri: SipUri) -> Target | None:
    """The target of a URI that needs no DNS, because its host is an address, or None."""
    host = _host(uri)
    transport = _explicit_transport(uri) or _default_transport(uri)
    if not is_literal(host) or transport not in DEFAULT_PORT:
        return None
    return Target(transport, str(ip_address(host)), uri.port or DEFAULT_PORT[transport], host)


def locate(uri: SipUri, reach: Reach, below: Callable[[int], int]) -> Steps:
    """Ask what is needed to find where `uri` leads.

    Args:
        uri: of the next hop; its maddr parameter counts before its host.
        reach: what we can send over; nothing else is returned.
        below: a random integer in [0, n), for the weights of RFC 2782.

    Yields:
        Rounds of questions; each wants the records found, [] for none, in the same order.

    Returns:
        Targets, the best first: to be tried one after the other (§4.3).
    """
    if (literal := find_literal(uri)) is not None:
        return [literal] if literal.transport in reach.transports else []
    host = _host(uri)
    explicit = _explicit_transport(uri)
    transport = explicit or _default_transport(uri)
    if uri.port is not None:
        # §4.2: a port says that no SRV record is wanted.
        places = [(transport, host, uri.port)]
    elif explicit is not None:
        places = yield from _ask_services(
            [(explicit, SRV_PREFIX.get(explicit, "") + host)], host, reach, below
        )
    else:
        (naptrs,) = yield (Query("NAPTR", host),)
        services = choose_services(naptrs, reach, is_secure=uri.is_secure)
        if not services:
            # The default first: without any SRV record it is what remains.
            possible = (transport,) if uri.is_secure else (transport, "TCP")
            services = [(each, SRV_PREFIX[each] + host) for each in possible]
        places = yield from _ask_services(services, host, reach, below)
    return (yield from _ask_addresses(places, host, reach))


def choose_services(records: Iterable[Record], reach: Reach, *, is_secure: bool) -> list[tuple[str, str]]:
    """(transport, name of its SRV records) of the NAPTR records that are of use, in the domain's order."""
    usable = []
    for record in records:
        if not isinstance(record, Naptr) or record.flags.upper() != "S":
            continue
        transport = NAPTR_SERVICES.get(record.service.upper())
        if transport in reach.transports and (transport == "TLS" or not is_secure):
            usable.append((record.order, record.preference, transport, record.replacement))
    return [(transport, name) for _, _, transport, name in sorted(usable, key=lambda each: each[:2])]


def order_srv(records: Iterable[Record], below: Callable[[int], int]) -> list[Srv]:
    """SRV records as they are to be tried: by priority, then by chance in proportion to weight (RFC 2782)."""
    waiting = sorted(
        record for record in records if isinstance(record, Srv)
    )  # weight 0 first in its priority
    ordered: list[Srv] = []
    while waiting:
        alike = [each for each in waiting if each.priority == waiting[0].priority]
        drawn = below(sum(each.weight for each in alike) + 1)
        for each in alike:
            drawn -= each.weight
            if drawn <= 0:
                break
        ordered.append(each)
        waiting.remove(each)
    return [each for each in ordered if each.target.rstrip(".")]  # "." says: this service is not offered


def is_literal(host: str) -> bool:
    """Whether `host` is an IP address (IPv6 without brackets)."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


Places = list[tuple[str, str, int]]  # transport, host, port


def _ask_services(
    services: Sequence[tuple[str, str]], host: str, reach: Reach, below: Callable[[int], int]
) -> Generator[tuple[Query, ...], Answers, Places]:
    """§4.2: the hosts of the SRV records; without any record, `host` itself at the transport's port."""
    services = [(transport, name) for transport, name in services if transport in reach.transports]
    if not services:
        return []
    answers = yield tuple(Query("SRV", name) for _, name in services)
    if not any(answers):
        return [(services[0][0], host, DEFAULT_PORT[services[0][0]])]
    return [
        (transport, record.target.rstrip("."), record.port)
        for (transport, _), records in zip(services, answers, strict=True)
        for record in order_srv(records, below)
    ]


def _ask_addresses(places: Places, name: str, reach: Reach) -> Steps:
    places = [place for place in places if place[0] in reach.transports][:MAX_TARGETS]
    kinds: list[Literal["A", "AAAA"]] = []
    if reach.ipv4:
        kinds.append("A")
    if reach.ipv6:
        kinds.append("AAAA")
    hosts = dict.fromkeys(host for _, host, _ in places if not is_literal(host))
    queries = tuple(Query(kind, host) for host in hosts for kind in kinds)
    answers = (yield queries) if queries else ()
    found: dict[str, list[str]] = {}
    for query, records in zip(queries, answers, strict=True):
        found.setdefault(query.name, []).extend(record for record in records if isinstance(record, str))
    targets = (
        Target(transport, address, port, name)
        for transport, host, port in places
        for address in ([host] if is_literal(host) else found.get(host, ()))
    )
    return list(dict.fromkeys(targets))[:MAX_TARGETS]


def _host(uri: SipUri) -> str:
    """§4: the maddr parameter is where to go, when there is one."""
    return (uri.params.get("maddr") or uri.host).strip("[]").rstrip(".").lower()


def _explicit_transport(uri: SipUri) -> str | None:
    """The transport that the URI demands; over TLS for sips, whatever stream it names (RFC 3261 §26.2.2)."""
    if uri.transport is None:
        return None
    return "TLS" if uri.is_secure else uri.transport


def _default_transport(uri: SipUri) -> str:
    return "TLS" if uri.is_secure else "UDP"
