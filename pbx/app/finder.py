"""Finds the servers of trunks and gateways for the exchange: DNS (RFC 3263), and our own end of each way."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from pbx.call.carrier import Resolve
from pbx.net.resolve import DnsClient, Resolver, UnresolvedError
from pbx.net.transports import Transports
from pbx.sip.flow import Flow
from pbx.sip.uri import SipUri, parse_uri

log: Final = Logger()

Answer = Callable[[int, Sequence[Flow], str], None]


class Finder:
    """Answers each `Resolve` with flows, or with why there are none.

    Args:
        reactor: Twisted's.
        transports: knows what can be reached, and from which address; listens before the first question.
        below: a random integer in [0, n), for the weights of SRV records.
        answer: gets the number of the question, the flows, and "" or the reason.
    """

    def __init__(
        self, reactor: Any, transports: "Transports[Any]", below: Callable[[int], int], answer: Answer
    ) -> None:
        self._reactor, self._transports, self._below, self._answer = reactor, transports, below, answer
        self._resolver: Resolver | None = None

    def find(self, effect: Resolve) -> None:
        """Begin to look; the reactor goes on meanwhile."""
        looking = Deferred.fromCoroutine(self._find(effect))
        looking.addErrback(
            lambda failure: log.failure("{uri} could not be looked up", failure, uri=effect.uri)
        )

    async def _find(self, effect: Resolve) -> None:
        uri = parse_uri(effect.uri)
        assert isinstance(uri, SipUri)  # the office takes no other
        if self._resolver is None:
            dns = DnsClient(self._reactor)
            self._resolver = Resolver(dns, self._reactor, self._below, self._transports.reach)
        try:
            targets = await self._resolver.resolve(uri)
        except UnresolvedError as error:
            self._answer(effect.number, (), str(error))
            return
        flows = self._transports.flows_to(targets)
        self._answer(effect.number, flows, "" if flows else f"{uri.host}: there is no route to its address")
