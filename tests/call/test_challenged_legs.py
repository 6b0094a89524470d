"""A leg to a carrier that wants credentials: for the INVITE and for what follows, never in a loop."""

import pytest

from pbx.call.attempt import Attempt
from pbx.call.leg import CALLING, OVER, UP, Leg
from pbx.call.leg_media import LegMedia
from pbx.call.outside import make_invite
from pbx.call.party import Party
from pbx.call.trunks import GIVE_UP_S
from pbx.office.trunk import Trunk
from pbx.rules.decision import Outside, Shown
from pbx.sdp.content import hold, make_content
from pbx.sip.credentials import Credentials
from pbx.sip.digest import Accepted, Authenticator, make_ha1
from pbx.sip.fields import parse_rack
from pbx.sip.flow import Flow
from pbx.sip.message import make_response
from tests.call.world import SERVER, Phone, World, make_office

TRUNK = Trunk("carrier", "sip:198.51.100.1:5070", "acme", "secret")
OUTSIDE = Outside("+6531234567", "100", Shown("+6560001000", "Ann"))
REALM = "carrier.example"
HEADERS = {401: ("WWW-Authenticate", "Authorization"), 407: ("Proxy-Authenticate", "Proxy-Authorization")}


class Carrier(Phone):
    """The far end; it challenges by hand."""

    def __init__(self, world, host="198.51.100.1", port=5070):
        super().__init__(world, "carrier", port, host)
        world.phones[self.address] = self
        self.authenticator = Authenticator(REALM, bytes(range(32)))

    def challenge(self, request, status=407, *, stale=False):
        values = self.authenticator.challenge(self.world.now, stale)
        response = make_response(request, status, to_tag=self.tag)
        for value in values:
            response.headers.add(HEADERS[status][0], value)
        self.send(response)

    def admits(self, request, status=407):
        values = request.headers.get_all(HEADERS[status][1])
        known = {"acme": make_ha1("acme", REALM, "secret")}
        outcome = self.authenticator.check(request.method, values, known.get, self.world.now, request.uri)
        return isinstance(outcome, Accepted)


class Call:
    """Writes down what its leg reports."""

    def __init__(self):
        self.events = []

    def __getattr__(self, name):
        if not name.startswith("leg_"):
            raise AttributeError(name)
        return lambda _leg, *details: self.events.append((name.removeprefix("leg_"), *details))

    @property
    def names(self):
        return [event[0] for event in self.events]


@pytest.fixture
def world():
    return World(make_office("100"))


def call_out(world, carriers, *, credentials=True, give_up_s=GIVE_UP_S, ways=()):
    """A leg to the carriers, the first of them called now."""
    exchange, call = world.exchange, Call()
    exchange.stack.now = world.now
    media = LegMedia(
        exchange.endpoints,
        "c",
        "c.b1",
        bind=SERVER[0],
        shown=SERVER[0],
        policy="off",
        source=carriers[0].address[0],
    )
    leg = Leg(exchange.stack, call, "b1", Party("+6531234567"), media)
    leg.credentials = Credentials("acme", "secret") if credentials else None
    leg.contact_user = "acme"
    invite = make_invite(TRUNK, OUTSIDE, "pbx.local", exchange.entropy)
    flows = ways or [Flow("UDP", each.address, SERVER) for each in carriers]
    leg.invite(Attempt(invite, flows[0], False, make_content((8, 0)), False, flows[1:], give_up_s))
    world.perform(exchange._take())
    return leg, call


def act(world, step, *arguments, **options):
    world.exchange.stack.now = world.now
    step(*arguments, **options)
    world.perform(world.exchange._take())


@pytest.mark.parametrize("status", [401, 407])
def test_a_challenged_invite_is_sent_again_and_the_dialog_counts_on(world, status):
    carrier = Carrier(world)
    leg, call = call_out(world, [carrier])
    first = carrier.last("INVITE")
    carrier.ring(100)
    carrier.challenge(first, status)
    ack, second = carrier.all("ACK")[0], carrier.last("INVITE")
    assert (ack.cseq.number, ack.via.branch) == (first.cseq.number, first.via.branch)
    assert second.cseq.number == first.cseq.number + 1
    assert second.via.branch != first.via.branch
    assert (second.call_id, second.from_.tag, second.to.tag) == (first.call_id, first.from_.tag, None)
    assert second.body == first.body
    assert second.contacts[0].uri.user == "acme"
    assert carrier.admits(second, status)
    assert call.events == []  # nobody has to know

    carrier.answer()
    assert leg.state == UP
    ack = carrier.last("ACK")
    assert ack.cseq.number == second.cseq.number
    name = HEADERS[status][1]
    assert ack.headers.get_all(name) == second.headers.get_all(name)  # RFC 3261 §22.1

    act(world, leg.end)
    bye = carrier.last("BYE")
    assert bye.cseq.number == second.cseq.number + 1
    assert carrier.admits(bye, status)  # at once, by the nonce that is known
    carrier.challenge(bye, status)
    again = carrier.last("BYE")
    assert again.cseq.number == bye.cseq.number + 1
    assert carrier.admits(again, status)
    carrier.respond(again, 200)
    assert leg.state == OVER
    world.assert_nothing_left()


def test_a_refused_password_is_the_answer(world):
    carrier = Carrier(world)
    leg, call = call_out(world, [carrier])
    for _ in range(2):
        carrier.challenge(carrier.last("INVITE"))
    assert len(carrier.all("INVITE")) == 2
    assert call.names == ["refused"]
    assert call.events[0][1].status == 407
    assert leg.state == OVER
    world.assert_nothing_left()


def test_without_credentials_a_challenge_is_the_answer(world):
    carrier = Carrier(world)
    _, call = call_out(world, [carrier], credentials=False)
    carrier.challenge(carrier.last("INVITE"), 401)
    assert len(carrier.all("INVITE")) == 1
    assert call.events[0][1].status == 401


def test_cancel_means_the_second_invite(world):
    carrier = Carrier(world)
    leg, call = call_out(world, [carrier])
    carrier.challenge(carrier.last("INVITE"))
    second = carrier.last("INVITE")
    carrier.ring(180)
    act(world, leg.cancel)
    cancel = carrier.last("CANCEL")
    assert (cancel.via.branch, cancel.cseq.number) == (second.via.branch, second.cseq.number)
    carrier.respond(cancel, 200)
    carrier.respond(second, 487)
    assert leg.state == OVER
    assert call.names == ["progressed"]
    world.assert_nothing_left()


def test_a_call_that_was_given_up_answers_no_challenge(world):
    carrier = Carrier(world)
    leg, _ = call_out(world, [carrier])
    act(world, leg.cancel)
    carrier.challenge(carrier.last("INVITE"))
    assert len(carrier.all("INVITE")) == 1
    assert leg.state == OVER
    world.assert_nothing_left()


def test_a_call_that_was_given_up_is_tried_nowhere_else(world):
    carrier, other = Carrier(world), Carrier(world, "198.51.100.2")
    leg, _ = call_out(world, [carrier, other])
    carrier.ring(180)
    act(world, leg.cancel)
    carrier.respond(carrier.last("INVITE"), 503)
    assert not other.received
    assert leg.state == OVER


def test_reinvite_update_and_refer_are_answered_too(world):
    carrier = Carrier(world)
    leg, call = call_out(world, [carrier])
    carrier.answer()
    opening = carrier.last("INVITE").cseq.number
    results = []
    act(world, leg.reoffer, hold(make_content((8, 0))), lambda status, content: results.append(status))
    first = carrier.last("INVITE")
    carrier.challenge(first, 401)
    second = carrier.last("INVITE")
    assert (first.cseq.number, second.cseq.number) == (opening + 1, opening + 2)
    assert carrier.admits(second, 401)
    carrier.respond(second, 200, carrier.sdp(2, "recvonly"))
    assert carrier.last("ACK").cseq.number == second.cseq.number
    assert carrier.last("ACK").headers.get("Authorization")
    assert results == [200]

    answers = []
    act(world, lambda: leg.send(leg.make_request("REFER", (("Refer-To", "<sip:1@h>"),)), answers.append))
    refer = carrier.last("REFER")
    assert refer.cseq.number == second.cseq.number + 1
    carrier.challenge(refer, 401)
    assert carrier.last("REFER").cseq.number == refer.cseq.number + 1
    carrier.respond(carrier.last("REFER"), 202)
    assert [each.status for each in answers] == [202]
    act(world, leg.end)
    assert carrier.last("BYE").cseq.number == refer.cseq.number + 2
    assert call.names == ["answered"]


def test_prack_is_answered_too(world):
    carrier = Carrier(world)
    _, call = call_out(world, [carrier])
    carrier.challenge(carrier.last("INVITE"))
    invite = carrier.last("INVITE")
    carrier.ring(183, carrier.sdp(), Require="100rel", RSeq="1")
    prack = carrier.last("PRACK")
    assert parse_rack(prack.headers.get("RAck")).cseq == invite.cseq.number
    carrier.challenge(prack, stale=True)
    again = carrier.last("PRACK")
    assert again.cseq.number == prack.cseq.number + 1
    assert carrier.admits(again)
    carrier.respond(again, 200)
    assert call.names == ["progressed"]


def test_session_interval_too_small_after_a_challenge(world):
    carrier = Carrier(world)
    leg, _ = call_out(world, [carrier])
    carrier.challenge(carrier.last("INVITE"))
    second = carrier.last("INVITE")
    carrier.respond(second, 422, Min_SE="7200")
    third = carrier.last("INVITE")
    assert third.cseq.number == second.cseq.number + 1
    assert third.headers.get("Session-Expires").startswith("7200")
    assert len(third.headers.get_all("Proxy-Authorization")) == 1
    assert carrier.admits(third)
    assert leg.state == CALLING


def test_silence_is_a_408_soon_and_then_the_next_server_is_tried(world):
    silent, other = Carrier(world), Carrier(world, "198.51.100.2")
    _, call = call_out(world, [silent, other])
    world.wait(GIVE_UP_S - 0.1)
    assert not other.received
    world.wait(0.2)
    assert len(other.all("INVITE")) == 1
    world.wait(GIVE_UP_S)
    assert [(event[0], event[1].status) for event in call.events] == [("refused", 408)]
    world.assert_nothing_left()


def test_who_has_said_something_may_take_his_time(world):
    carrier = Carrier(world)
    leg, call = call_out(world, [carrier])
    carrier.ring(100)
    world.wait(60.0)
    assert leg.state == CALLING
    assert call.events == []


def test_the_next_server_challenges_and_hears_where_we_are(world):
    busy, other = Carrier(world), Carrier(world, "198.51.100.2")
    leg, _ = call_out(world, [busy, other])
    busy.respond(busy.last("INVITE"), 503)
    other.challenge(other.last("INVITE"))
    invites = other.all("INVITE")
    assert len(invites) == 2
    assert other.admits(invites[1])
    other.answer()
    assert leg.state == UP
    act(world, leg.end)
    assert other.last("BYE")


def test_the_contact_follows_the_way(world):
    """The next server is reached by TCP, from another address of ours."""
    busy, other = Carrier(world), Carrier(world, "198.51.100.2")
    other.takes_tcp = True
    ways = [Flow("UDP", busy.address, SERVER), Flow("TCP", other.address, ("192.0.2.44", 5060))]
    world.exchange.stack._own_address = lambda flow: flow.local
    call_out(world, [busy, other], ways=ways)
    assert busy.last("INVITE").headers.get("Contact") == "<sip:acme@192.0.2.1:5060>"
    busy.respond(busy.last("INVITE"), 503)
    assert other.last("INVITE").headers.get("Contact") == "<sip:acme@192.0.2.44:5060;transport=tcp>"
