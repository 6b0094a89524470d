"""Asks the DNS where servers are, for a command that has no reactor running."""

from collections.abc import Mapping, Sequence
from typing import Any

from twisted.internet import defer
from twisted.internet import reactor as _reactor

from pbx.entropy import SystemEntropy
from pbx.net.resolve import DnsClient, Resolver, UnresolvedError
from pbx.sip.uri import SipUri, parse_uri


def look_up_all(uris: Sequence[str]) -> Mapping[str, str]:
    """Why each cannot be found, "" = it can. Runs the reactor, which can be done once in a process."""
    reactor: Any = _reactor
    resolver = Resolver(DnsClient(reactor), reactor, SystemEntropy().below)
    found: dict[str, str] = {}

    async def look_up(uri: str) -> None:
        parsed = parse_uri(uri)
        assert isinstance(parsed, SipUri)  # office.toml takes no other
        try:
            await resolver.resolve(parsed)
        except UnresolvedError as error:
            found[uri] = str(error)
        else:
            found[uri] = ""

    def start() -> None:
        all_done = defer.DeferredList([defer.Deferred.fromCoroutine(look_up(uri)) for uri in uris])
        all_done.addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(start)
    reactor.run()
    return found
