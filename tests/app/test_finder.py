"""A carrier's server is found, or it is said why not; the exchange gets an answer in either case."""

import pytest
from twisted.internet.task import Clock

from pbx.app.finder import Finder
from pbx.call.carrier import Resolve
from pbx.net.locate import Reach
from pbx.sip.flow import Flow

US = ("192.0.2.1", 5060)


class Transports:
    """Reaches everything but 203.0.113.0/24, over UDP and TCP of IPv4."""

    reach = Reach(("UDP", "TCP"), ipv6=False)

    def flows_to(self, targets):
        return [
            Flow(each.transport, each.peer, US) for each in targets if not each.address.startswith("203.")
        ]


CASES = {
    "an address": ("sip:198.51.100.1:5070", [Flow("UDP", ("198.51.100.1", 5070), US)], ""),
    "over TCP": ("sip:198.51.100.1;transport=tcp", [Flow("TCP", ("198.51.100.1", 5060), US)], ""),
    "no route": ("sip:203.0.113.1", [], "203.0.113.1: there is no route to its address"),
    "nothing that we listen on": (
        "sips:198.51.100.1",
        (),
        "198.51.100.1: it has no address that we can reach",
    ),
}


@pytest.mark.parametrize(("uri", "flows", "why"), CASES.values(), ids=CASES)
def test_what_the_exchange_is_told(uri, flows, why):
    answers = []
    finder = Finder(Clock(), Transports(), lambda limit: 0, lambda *answer: answers.append(answer))
    finder.find(Resolve(7, uri))
    assert answers == [(7, flows, why)]
