"""Runs `locate` against the DNS, and remembers what it said for as long as it said."""

from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any, Final, Protocol

from twisted.internet import defer
from twisted.logger import Logger
from twisted.names import client, dns
from twisted.names.error import DNSNameError, DomainError, ResolverError
from twisted.names.hosts import searchFileForAll
from twisted.python.filepath import FilePath

from pbx.errors import PbxError
from pbx.net.driver import Scheduler
from pbx.net.locate import Naptr, Query, Reach, Record, Srv, Target, is_literal, locate
from pbx.sip.uri import SipUri

REMEMBERED: Final = 2048
LONGEST_TTL_S: Final = 3600.0
NOTHING_TTL_S: Final = 60.0  # how long "there is none" is believed, unless the zone says shorter
FAILURE_TTL_S: Final = 3.0  # a server that does not answer is not asked again at once
WHOLE_S: Final = 12.0  # for all rounds of one lookup
CNAMES: Final = 8

Answer = tuple[Sequence[Record], float]  # and for how many seconds it holds

log: Final = Logger()


class UnresolvedError(PbxError):
    """A host leads nowhere: no such name, no address that we can reach, or the DNS does not answer."""

    def __init__(self, host: str, why: str) -> None:
        super().__init__(f"{host}: {why}")
        self.host, self.why = host, why


class DnsError(PbxError):
    """A question got no answer."""


class Dns(Protocol):
    """Answers single questions."""

    def ask(self, query: Query) -> Awaitable[Answer]:
        """Raises: DnsError."""
        ...


class Resolver:
    """Finds where URIs lead.

    Args:
        dns: is asked what is not remembered.
        clock: seconds and callLater, as a reactor has them.
        below: a random integer in [0, n).
        reach: what we can send over.
    """

    def __init__(
        self, dns: Dns, clock: Scheduler, below: Callable[[int], int], reach: Reach | None = None
    ) -> None:
        self._dns, self._clock, self._below = dns, clock, below
        self._reach = reach or Reach()
        self._known: dict[Query, tuple[float, Sequence[Record] | DnsError]] = {}

    async def resolve(self, uri: SipUri) -> list[Target]:
        """Where to send a request for `uri`, the best first; the others for when it fails (RFC 3263 §4.3).

        Raises:
            UnresolvedError: nothing to try.
        """
        looking = defer.Deferred.fromCoroutine(self._look(uri))
        clock: Any = self._clock  # addTimeout wants zope's IReactorTime
        try:
            return await looking.addTimeout(WHOLE_S, clock)
        except defer.TimeoutError as error:
            raise UnresolvedError(uri.host, "the DNS does not answer") from error

    async def _look(self, uri: SipUri) -> list[Target]:
        failures: list[str] = []
        steps = locate(uri, self._reach, self._below)
        try:
            queries = next(steps)
            while True:
                queries = steps.send(await self._ask_all(queries, failures))
        except StopIteration as done:
            targets: list[Target] = done.value
        if not targets:
            raise UnresolvedError(
                uri.host, failures[-1] if failures else "it has no address that we can reach"
            )
        return targets

    async def _ask_all(self, queries: Sequence[Query], failures: list[str]) -> list[Sequence[Record]]:
        """One round; a question that fails counts as one without records, for the others may be enough."""
        asked = [defer.Deferred.fromCoroutine(self._ask(query)) for query in queries]  # all begin now
        answers: list[Sequence[Record]] = []
        for each in asked:
            answer = await each
            if isinstance(answer, DnsError):
                failures.append(str(answer))
                answers.append(())
            else:
                answers.append(answer)
        return answers

    async def _ask(self, query: Query) -> Sequence[Record] | DnsError:
        now = self._clock.seconds()
        known = self._known.get(query)
        if known is not None and known[0] > now:
            return known[1]
        outcome: Sequence[Record] | DnsError
        try:
            outcome, ttl_s = await self._dns.ask(query)
        except DnsError as error:
            outcome, ttl_s = error, FAILURE_TTL_S
            log.info("{kind} of {name}: {why}", kind=query.kind, name=query.name, why=str(error))
        if len(self._known) >= REMEMBERED:
            self._known = {key: value for key, value in self._known.items() if value[0] > now}
            if len(self._known) >= REMEMBERED:
                self._known.clear()
        self._known[query] = (self._clock.seconds() + min(ttl_s, LONGEST_TTL_S), outcome)
        return outcome


class DnsClient:
    """Asks the hosts file, then the name servers.

    Args:
        reactor: Twisted's.
        servers: addresses and ports; None for those of resolv.conf.
        hosts: a file as hosts(5) describes it.
    """

    def __init__(
        self,
        reactor: Any,
        servers: Sequence[tuple[str, int]] | None = None,
        hosts: Path = Path("/etc/hosts"),
    ) -> None:
        resolv = None if servers else "/etc/resolv.conf"
        self._resolver: Any = client.Resolver(  # type: ignore[no-untyped-call]  # Twisted's
            resolv, list(servers or ()), timeout=(1, 2), reactor=reactor
        )
        self._hosts = hosts

    async def ask(self, query: Query) -> Answer:
        """Raises: DnsError."""
        name = query.name
        if not all(0 < len(label) < 64 for label in name.split(".")) or len(name) > 253 or not name.isascii():
            raise DnsError(f"{name} is no name")
        if local := self._find_host(query):
            return local, NOTHING_TTL_S
        for _ in range(CNAMES):
            headers = await self._lookup(query.kind, name)
            found = [record for header in headers if (record := _read(header, query.kind)) is not None]
            if found:
                return found, float(min(header.ttl for header in headers))
            alias = [header for header in headers if header.type == dns.CNAME]
            if not alias:
                return [], NOTHING_TTL_S
            name = str(alias[-1].payload.name)
        raise DnsError(f"{query.name} is an alias of an alias, and so on")

    def _find_host(self, query: Query) -> list[Record]:
        if query.kind not in ("A", "AAAA"):
            return []
        found = searchFileForAll(FilePath(str(self._hosts)), query.name.encode())  # type: ignore[no-untyped-call]  # Twisted's
        return [each for each in found if is_literal(each) and (":" in each) == (query.kind == "AAAA")]

    async def _lookup(self, kind: str, name: str) -> list[Any]:
        ask = {
            "NAPTR": self._resolver.lookupNamingAuthorityPointer,
            "SRV": self._resolver.lookupService,
            "A": self._resolver.lookupAddress,
            "AAAA": self._resolver.lookupIPV6Address,
        }[kind]
        try:
            answers, _, _ = await ask(name)
        except DNSNameError:
            return []
        except defer.TimeoutError as error:
            raise DnsError("the DNS does not answer") from error
        except (DomainError, ResolverError, OSError, ValueError) as error:
            raise DnsError(f"the DNS failed ({type(error).__name__})") from error
        return list(answers)


def _read(header: Any, kind: str) -> Record | None:
    payload = header.payload
    if header.type != _TYPES[kind]:
        return None
    if kind == "A":
        return str(payload.dottedQuad())
    if kind == "AAAA":
        return str(IPv6Address(payload.address))
    if kind == "SRV":
        return Srv(payload.priority, payload.weight, payload.port, str(payload.target))
    return Naptr(
        payload.order,
        payload.preference,
        payload.flags.string.decode("ascii", "replace"),
        payload.service.string.decode("ascii", "replace"),
        str(payload.replacement),
    )


_TYPES: Final = {"A": dns.A, "AAAA": dns.AAAA, "SRV": dns.SRV, "NAPTR": dns.NAPTR}
