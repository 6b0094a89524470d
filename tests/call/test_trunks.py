"""Trunks in the exchange: registration, health, failover, changes of the office, legs that are challenged."""

from dataclasses import replace

import pytest

from pbx.call.carrier import ASK_S, FIRST_ASK_S, QUIET_S
from pbx.office.gateway import Gateway
from pbx.office.outbound_rule import OutboundRule
from pbx.office.trunk import Trunk
from pbx.sip.digest import Accepted, Authenticator, make_ha1
from pbx.sip.flow import Flow
from pbx.sip.message import Request, make_response
from pbx.sip.parser import parse_datagram
from tests.call.world import SERVER, World, make_office
from tests.support.messages import make_invite

TRUNK = Trunk("carrier", "sip:198.51.100.1:5070", "acme", "secret")
BY_ADDRESS = Trunk("plain", "sip:198.51.100.2", register=False)
GATEWAY = Gateway("warehouse", "sip:198.51.100.3")
REALM = "carrier.example"


class Carrier:
    """A registrar that wants the password; `status` instead of what it would answer, None: it is silent."""

    takes_tcp = True

    def __init__(self, world, to, password="secret"):
        self.world, self.password = world, password
        self.flow = Flow(*world_flow(to))
        self.received, self.nonces = [], []
        self.status = {"OPTIONS": 200}
        self.headers = {}
        self.most_s = 3600
        self.authenticator = Authenticator(REALM, bytes(range(32)))
        self.bindings = {}
        world.phones[self.flow.peer] = self

    def take(self, data, flow):
        message = parse_datagram(data)
        self.received.append(message)
        if not isinstance(message, Request) or message.method == "ACK":
            return
        status = self.status.get(message.method, 200)
        if status is None:
            return
        if status == 200 and message.method in ("REGISTER", "INVITE", "BYE") and not self.admits(message):
            response = make_response(message, 401, to_tag="carrier")
            for value in self.authenticator.challenge(self.world.now):
                response.headers.add("WWW-Authenticate", value)
        else:
            response = make_response(message, status, to_tag="carrier")
            for name, value in self.headers.items():
                response.headers.add(name, value)
            if status == 200 and message.method == "REGISTER":
                for contact in message.contacts:
                    granted = min(int(contact.param("expires")), self.most_s)
                    self.bindings[contact.uri.render()] = granted
                    response.headers.add("Contact", f"<{contact.uri}>;expires={granted}")
        self.world.receive(response, self.flow)

    def admits(self, message):
        values = message.headers.get_all("Authorization")
        known = {"acme": make_ha1("acme", REALM, self.password)}
        outcome = self.authenticator.check(message.method, values, known.get, self.world.now, message.uri)
        return isinstance(outcome, Accepted)

    def all(self, method):
        return [each for each in self.received if isinstance(each, Request) and each.method == method]


def world_flow(to):
    host, _, port = to.server.removeprefix("sip:").partition(":")
    return "UDP", (host, int(port or 5060)), SERVER


def make_world(*trunks, gateways=(), **options):
    return World(replace(make_office("100"), trunks=trunks, gateways=gateways), **options)


def begin(world):
    world.perform(world.exchange.start(world.now))
    world.wait(0.1)


def row(world, name="carrier"):
    world.exchange.stack.now = world.now
    return next(each for each in world.exchange.trunks.status({}) if each["name"] == name)


def swap(world, **changes):
    office = replace(world.exchange.office, **changes)
    world.perform(world.exchange.swap_office(office, world.now))


def test_a_trunk_registers_refreshes_and_leaves():
    world = make_world(TRUNK)
    carrier = Carrier(world, TRUNK)
    begin(world)
    first, second = carrier.all("REGISTER")
    assert first.uri == "sip:198.51.100.1:5070"
    assert first.headers.get("To") == "<sip:acme@198.51.100.1>"
    assert first.headers.get("Contact") == "<sip:acme@192.0.2.1:5060>;expires=600"
    assert second.cseq.number == first.cseq.number + 1
    assert (second.call_id, second.from_.tag) == (first.call_id, first.from_.tag)
    assert second.via.branch != first.via.branch
    assert row(world)["state"] == "registered"
    assert 599 <= row(world)["expires_s"] <= 600

    world.wait(545.0)
    assert len(carrier.all("REGISTER")) == 4  # the nonce was too old by then, and the next one was asked for
    assert carrier.all("REGISTER")[2].headers.get("Authorization")
    assert [each.cseq.number - first.cseq.number for each in carrier.all("REGISTER")] == [0, 1, 2, 3]

    world.perform(world.exchange.stop(world.now))
    assert world.exchange.is_quiet
    assert carrier.bindings == {"sip:acme@192.0.2.1:5060": 0}
    world.assert_nothing_left()


def test_another_address_of_our_own_is_registered_soon():
    world = make_world(TRUNK)
    carrier = Carrier(world, TRUNK)
    begin(world)
    world.move_server(("192.0.2.2", 5060))
    world.wait(61.0)
    assert carrier.bindings == {"sip:acme@192.0.2.1:5060": 0, "sip:acme@192.0.2.2:5060": 600}
    assert row(world)["expires_s"] > 530
    world.wait(600.0)
    assert len(carrier.all("REGISTER")[-1].contacts) == 1
    world.move_server(("192.0.2.3", 5060))  # and it is stopped before it has registered that one
    world.perform(world.exchange.stop(world.now))
    assert not any(carrier.bindings.values())


@pytest.mark.parametrize("most_s", [0, 5])
def test_a_carrier_that_keeps_no_binding_is_asked_ever_more_seldom(most_s):
    world = make_world(TRUNK)
    carrier = Carrier(world, TRUNK)
    carrier.most_s = most_s
    begin(world)
    world.wait(100.0)
    assert len(carrier.all("REGISTER")) <= 8  # after 15 to 30 s, then after 30 to 60; each is challenged
    assert row(world)["state"] == "unregistered"
    assert row(world)["error"] == f"REGISTER was answered by 200 OK for {most_s} s only"
    carrier.most_s = 3600
    world.wait(200.0)
    assert (row(world)["state"], row(world)["error"]) == ("registered", "")


def test_a_wrong_password_is_not_tried_again_and_again():
    world = make_world(TRUNK)
    carrier = Carrier(world, TRUNK, password="another")
    begin(world)
    assert len(carrier.all("REGISTER")) == 2
    assert row(world)["state"] == "refused"
    assert "401" in row(world)["error"]
    world.wait(290.0)
    assert len(carrier.all("REGISTER")) == 2
    assert any("refused" in note for note in world.notes)
    swap(world, trunks=(replace(TRUNK, password="another"),))
    world.wait(0.1)
    assert row(world)["state"] == "registered"
    assert row(world)["error"] == ""


def test_a_silent_registrar_is_down_and_comes_back():
    world = make_world(TRUNK)
    carrier = Carrier(world, TRUNK)
    carrier.status = {"OPTIONS": None, "REGISTER": None}
    begin(world)
    world.wait(60.0)
    assert row(world)["state"] == "down"
    assert row(world)["error"].startswith("no answer to ")
    carrier.status = {"OPTIONS": 200}
    world.wait(70.0)
    assert row(world)["state"] == "registered"


def test_the_next_server_of_the_dns_takes_over():
    ways = [Flow("UDP", ("198.51.100.1", 5070), SERVER), Flow("UDP", ("198.51.100.9", 5060), SERVER)]
    world = make_world(TRUNK, find=lambda uri: ways)
    first = Carrier(world, TRUNK)
    second = Carrier(world, replace(TRUNK, server="sip:198.51.100.9"))
    first.status = {"REGISTER": 503, "OPTIONS": 503}
    begin(world)
    assert row(world)["state"] == "registered"
    assert world.exchange.trunks.flows("carrier", "trunk") == [ways[1], ways[0]]
    # It dies: the other one answers OPTIONS, and so it is there that we register.
    second.status = {"REGISTER": None, "OPTIONS": None}
    first.status = {"OPTIONS": 200}
    world.wait(FIRST_ASK_S + 15)
    assert world.exchange.trunks.flows("carrier", "trunk")[0] == ways[0]
    assert first.bindings
    assert row(world)["state"] == "registered"


def test_another_address_of_ours_is_registered_at_once():
    ways = [Flow("UDP", ("198.51.100.1", 5070), SERVER)]
    world = make_world(TRUNK, find=lambda uri: list(ways))
    carrier = Carrier(world, TRUNK)
    begin(world)
    here = ("192.0.2.77", 5060)
    world.move_server(here)
    ways[0] = ways[0]._replace(local=here)
    world.wait(61.0)
    assert set(carrier.bindings) == {"sip:acme@192.0.2.1:5060", "sip:acme@192.0.2.77:5060"}


def test_a_name_that_leads_nowhere_is_said_and_looked_up_again():
    answers = ["carrier.example: no such name"]
    world = make_world(replace(TRUNK, server="sip:carrier.example"), find=lambda uri: answers[-1])
    begin(world)
    assert row(world)["state"] == "down"
    assert row(world)["error"] == "carrier.example: no such name"
    assert not world.exchange.trunks.flows("carrier", "trunk")
    carrier = Carrier(world, TRUNK)
    answers.append([carrier.flow])
    world.wait(61.0)
    assert row(world)["state"] == "registered"
    # A DNS that fails later takes nothing away.
    answers.append("carrier.example: the DNS does not answer")
    world.wait(61.0)
    assert world.exchange.trunks.flows("carrier", "trunk") == [carrier.flow]
    assert row(world)["state"] == "registered"


def test_a_lost_connection_registers_anew():
    to = replace(TRUNK, server="sip:198.51.100.1:5070;transport=tcp")
    world = make_world(to)
    carrier = Carrier(world, TRUNK)
    carrier.flow = carrier.flow._replace(transport="TCP")
    begin(world)
    assert carrier.all("REGISTER")[0].contacts[0].uri.transport == "TCP"
    assert world.exchange.keeps(carrier.flow)
    world.wait(100.0)
    before = len(carrier.all("REGISTER"))
    world.perform(world.exchange.flow_lost(carrier.flow, "closed by the peer", world.now))
    world.wait(2.0)
    assert len(carrier.all("REGISTER")) > before
    assert row(world)["state"] == "registered"


# --- health ------------------------------------------------------------------------------------------------

HEALTH = {
    "it answers": (200, "reachable", ""),
    "any answer is one": (404, "reachable", ""),
    "a challenge too": (401, "reachable", ""),
    "but not this": (503, "down", "OPTIONS was answered by 503 Service Unavailable"),
    "silence": (None, "down", "no answer to OPTIONS"),
}


@pytest.mark.parametrize(("status", "state", "error"), HEALTH.values(), ids=HEALTH)
@pytest.mark.parametrize("to", [BY_ADDRESS, GATEWAY], ids=["trunk", "gateway"])
def test_options_tell_whether_a_server_is_there(to, status, state, error):
    world = make_world(BY_ADDRESS) if to is BY_ADDRESS else make_world(gateways=(GATEWAY,))
    carrier = Carrier(world, to)
    carrier.status["OPTIONS"] = status
    begin(world)
    assert row(world, to.name)["state"] == "unknown"
    world.wait(FIRST_ASK_S + 11)
    assert (row(world, to.name)["state"], row(world, to.name)["error"]) == (state, error)
    assert len({each.via.branch for each in carrier.all("OPTIONS")}) == 1
    carrier.status["OPTIONS"] = 200
    world.wait(ASK_S * 1.2)
    assert (row(world, to.name)["state"], row(world, to.name)["error"]) == ("reachable", "")


def test_a_server_that_never_answers_options_is_up_as_long_as_it_is_heard():
    world = make_world(TRUNK)
    carrier = Carrier(world, TRUNK)
    carrier.status["OPTIONS"] = None
    begin(world)
    world.wait(QUIET_S - 10)
    assert carrier.all("OPTIONS")
    assert row(world)["state"] == "registered"


def test_an_unreachable_server_says_why():
    to = replace(BY_ADDRESS, server="sip:198.51.100.2;transport=tcp")
    world = make_world(to)
    begin(world)
    world.wait(FIRST_ASK_S)
    flow = world.exchange.trunks.flows("plain", "trunk")[0]
    world.perform(world.exchange.flow_lost(flow, "connection refused", world.now))
    assert row(world, "plain")["state"] == "down"
    assert row(world, "plain")["error"] == "it cannot be reached: connection refused"


# --- for calls ---------------------------------------------------------------------------------------------


def test_a_trunk_that_is_down_is_skipped_while_another_is_up():
    world = make_world(TRUNK, BY_ADDRESS)
    first, second = Carrier(world, TRUNK), Carrier(world, BY_ADDRESS)
    begin(world)
    names = ["carrier", "plain"]
    usable = world.exchange.trunks.usable
    assert usable([*names, "gone"]) == names
    first.status = {"OPTIONS": None, "REGISTER": None}
    world.wait(FIRST_ASK_S + ASK_S + 30)
    first_state = row(world)["state"]
    assert first_state == "registered"  # it was heard a moment ago
    world.wait(QUIET_S)
    assert row(world)["state"] == "down"
    assert usable(names) == ["plain"]
    second.status["OPTIONS"] = None
    world.wait(ASK_S * 1.2 + 15)
    assert usable(names) == names
    assert usable(["gone"]) == []


def test_what_a_call_learns_counts():
    world = make_world(BY_ADDRESS)
    Carrier(world, BY_ADDRESS)
    begin(world)
    trunks, invite = world.exchange.trunks, make_invite()
    trunks.answered("plain", make_response(invite, 408), "trunk")
    assert (row(world, "plain")["state"], row(world, "plain")["error"]) == ("down", "no answer to INVITE")
    trunks.answered("plain", make_response(invite, 486), "trunk")
    assert (row(world, "plain")["state"], row(world, "plain")["error"]) == ("reachable", "")
    trunks.answered("nobody", make_response(invite, 486), "trunk")


def test_the_call_limit():
    world = make_world(replace(TRUNK, max_calls=2), BY_ADDRESS)
    is_full = world.exchange.trunks.is_full
    assert [is_full("carrier", calls) for calls in (0, 1, 2, 3)] == [False, False, True, True]
    assert not is_full("plain", 1000)
    assert not is_full("gone", 1000)


def test_credentials_are_there_where_there_is_an_account():
    trunks = make_world(TRUNK, BY_ADDRESS).exchange.trunks
    assert trunks.credentials("carrier", "trunk").username == "acme"
    assert trunks.credentials("carrier", "trunk") is not trunks.credentials("carrier", "trunk")
    assert trunks.credentials("plain", "trunk") is None
    assert trunks.credentials("carrier", "gateway") is None


def test_a_request_from_a_trunk_is_a_sign_of_life():
    world = make_world(BY_ADDRESS, gateways=(GATEWAY,))
    request = make_invite(from_="<sip:+6531234567@h>;tag=1")
    recognise = world.exchange.trunks.recognise
    assert recognise(request, Flow("UDP", ("198.51.100.2", 5060), SERVER)).name == "plain"
    assert row(world, "plain")["state"] == "reachable"
    assert recognise(request, Flow("UDP", ("198.51.100.3", 5060), SERVER)).is_gateway
    assert recognise(request, Flow("UDP", ("198.51.100.4", 5060), SERVER)) is None


def test_an_address_where_a_phone_is_registered_is_the_phones():
    world = make_world(BY_ADDRESS)
    request = make_invite(from_="<sip:+6531234567@h>;tag=1")
    flow = Flow("UDP", ("198.51.100.2", 40000), SERVER)
    assert world.exchange.trunks.recognise(request, flow).name == "plain"
    world.phone("100", 5100, host="198.51.100.2")
    assert world.exchange.trunks.recognise(request, flow) is None
    there = flow._replace(peer=("198.51.100.2", 5060))
    assert world.exchange.trunks.recognise(request, there).name == "plain"


# --- changes of the office ---------------------------------------------------------------------------------


def test_a_trunk_comes_and_goes_with_the_office():
    world = make_world()
    carrier = Carrier(world, TRUNK)
    begin(world)
    swap(world, trunks=(TRUNK,))
    world.wait(0.1)
    assert row(world)["state"] == "registered"
    swap(world, trunks=())
    world.wait(0.1)
    assert list(carrier.bindings.values()) == [0]
    assert world.exchange.trunks.status({}) == []
    assert world.exchange.trunks.is_quiet
    world.assert_nothing_left()


def test_what_does_not_touch_the_account_disturbs_nothing():
    world = make_world(TRUNK)
    carrier = Carrier(world, TRUNK)
    begin(world)
    count = len(carrier.received)
    changed = replace(TRUNK, addresses=("203.0.113.0/24",), max_calls=1, codecs=("G722",))
    swap(world, trunks=(changed,), outbound_rules=(OutboundRule("standard", trunks=("carrier",)),))
    world.wait(0.1)
    assert len(carrier.received) == count
    assert world.exchange.trunks.is_full("carrier", 1)
    flow = Flow("UDP", ("203.0.113.5", 5060), SERVER)
    assert world.exchange.trunks.recognise(make_invite(from_="<sip:1@h>;tag=1"), flow).to is changed


def test_a_changed_trunk_leaves_before_it_registers_anew():
    world = make_world(TRUNK)
    carrier = Carrier(world, TRUNK)
    begin(world)
    before = len(carrier.all("REGISTER"))
    swap(world, trunks=(replace(TRUNK, server="sip:198.51.100.1:5070;transport=udp"),))
    world.wait(0.1)
    expires = [int(each.headers.get("Expires")) for each in carrier.all("REGISTER")[before:]]
    assert expires == sorted(expires)
    assert set(expires) == {0, 600}
    assert carrier.bindings["sip:acme@192.0.2.1:5060"] == 600


def test_a_trunk_that_is_gone_and_silent_holds_nothing_up():
    world = make_world(TRUNK)
    carrier = Carrier(world, TRUNK)
    begin(world)
    carrier.status["REGISTER"] = None
    swap(world, trunks=())
    assert not world.exchange.is_quiet
    world.wait(11.0)
    assert world.exchange.is_quiet
    world.assert_nothing_left()
