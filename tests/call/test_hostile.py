"""What strangers and hostile phones send: no step may fail, and nothing may be left behind."""

import pytest

from pbx.media.orders import SetRemote
from pbx.sip.flow import Flow
from pbx.sip.message import make_response
from pbx.sip.parser import parse_datagram
from pbx.sip.transaction.types import Send
from tests.call.world import SERVER, World, make_office

STRANGER = Flow("UDP", ("192.0.2.66", 5066), SERVER)


@pytest.fixture
def world():
    return World(make_office("100", "101", "102"))


@pytest.mark.parametrize(
    "via",
    [
        "nonsense",
        "SIP/2.0/UDP host;;",
        "SIP/2.0/UDP [::1",
        "SIP/2.0/UDP host:99999;branch=z9hG4bK1",
        'SIP/2.0/UDP host;branch=z9hG4bK1;rport, SIP/2.0/UDP "next',
    ],
)
def test_a_via_that_cannot_be_read_is_answered_where_it_came_from(world, via):
    data = (
        f"OPTIONS sip:pbx.local SIP/2.0\r\nVia: {via}\r\nMax-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\n"
        "To: <sip:pbx.local>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
    effects = world.exchange.receive(data.encode(), STRANGER, world.now)
    (sent,) = [effect for effect in effects if isinstance(effect, Send)]
    assert sent.flow == STRANGER
    assert parse_datagram(sent.data).status == 400


@pytest.mark.parametrize("more", [', SIP/2.0/UDP "next', "\r\nVia: SIP/2.0/UDP <next"])
def test_a_response_with_vias_that_cannot_be_told_apart_is_dropped(world, more):
    ann, bob = world.phone("100"), world.phone("101")
    ann.invite("101")
    ok = make_response(bob.last("INVITE"), 200, to_tag="x").render()
    at = ok.index(b"\r\nFrom:")
    world.perform(world.exchange.receive(ok[:at] + more.encode() + ok[at:], bob.flow, world.now))
    assert ann.statuses() == [100]


def stranger_request(method: str, uri: str, number: int, to_tag: str = "", user: str = "x") -> bytes:
    """A request without credentials."""
    return (
        f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.66:5066;branch=z9hG4bKs{number};rport\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:{user}@pbx.local>;tag=s{number}\r\nTo: <{uri}>{to_tag}\r\n"
        f"Call-ID: s{number}\r\nCSeq: 1 {method}\r\nContact: <sip:x@192.0.2.66:5066>\r\n"
        "Content-Length: 0\r\n\r\n"
    ).encode()


@pytest.mark.parametrize(
    ("method", "uri", "to_tag", "status"),
    [
        ("INVITE", "sip:101@pbx.local", "", 401),
        ("REGISTER", "sip:pbx.local", "", 401),
        ("MESSAGE", "sip:101@pbx.local", "", 401),
        ("INVITE", "sip:101@elsewhere.example", "", 404),
        ("INVITE", "sip:101@pbx.local", ";tag=guess", 481),
        ("INVITE", "tel:101", "", 401),
        ("INVITE", "urn:service:sos", "", 416),
        ("BYE", "sip:101@pbx.local", ";tag=guess", 481),
    ],
)
def test_a_stranger_is_refused_once_and_nothing_is_kept(world, method, uri, to_tag, status):
    """RFC 3261 §26.3.2.4: no state for whoever has not shown who he is, and no repetition at a victim."""
    effects = []
    for number in range(3):
        effects += world.exchange.receive(stranger_request(method, uri, number, to_tag), STRANGER, world.now)
    sent = [parse_datagram(effect.data).status for effect in effects if isinstance(effect, Send)]
    assert sent == [status] * 3
    assert len(world.exchange.stack.layer) == 0
    again = world.exchange.receive(stranger_request(method, uri, 0, to_tag), STRANGER, world.now)
    assert [parse_datagram(e.data).status for e in again if isinstance(e, Send)] == [status]


@pytest.mark.parametrize("contact", ["", "*"])
def test_an_invite_without_a_contact_is_refused(world, contact):
    """RFC 3261 §8.1.1.8: without one nothing could be sent inside the dialog, not even its BYE."""
    ann, bob = world.phone("100"), world.phone("101")
    make = ann.request

    def without(method, *args, **kwargs):
        request = make(method, *args, **kwargs)
        request.headers.remove("Contact")
        if contact:
            request.headers.set("Contact", contact)
        return request

    ann.request = without
    ann.invite("101")
    assert ann.statuses() == [400]
    assert "INVITE" not in bob.summary()
    world.assert_nothing_left()


@pytest.mark.parametrize(("hops", "left"), [("1", 0), ("2", 1), ("255", 69)])
def test_hops_run_out_even_through_this_server(world, hops, left):
    """RFC 3261 §16.6 step 3: a call that comes back through somebody else must end some time."""
    ann, bob = world.phone("100"), world.phone("101")
    ann.invite("101", Max_Forwards=hops)
    assert bob.last("INVITE").max_forwards == left


def test_a_phone_that_answers_without_the_offer_it_owes_keeps_no_call(world):
    """RFC 3261 §13.2.1: the 2xx to an INVITE without an offer has to carry one."""
    ann, bob = world.phone("100"), world.phone("101")
    ann.invite("101", body="")
    bob.respond(bob.last("INVITE"), 200)
    assert ann.statuses() == [100, 488]
    assert bob.summary()[-2:] == ["ACK", "BYE"]
    bob.ok("BYE")
    world.assert_nothing_left()


@pytest.mark.parametrize("host", ["192.0.2.9", "10.1.1.1"])
def test_the_relay_is_told_where_phones_signal_from(world, host):
    """A stranger must not get the audio by being the first to send something."""
    ann, bob = world.phone("100"), world.phone("101")
    ann.invite("101", body=ann.sdp().replace("192.0.2.9", host))
    bob.answer()
    ann.ack()
    told = {order.endpoint.split(".")[1]: order for order in world.orders if isinstance(order, SetRemote)}
    assert {told[leg].signalling for leg in ("A", "B1")} == {"192.0.2.9"}


ENDLESS = "9" * 5000  # digits: more than Python makes a number of


@pytest.mark.parametrize("name", ["Min-SE", "Session-Expires", "Expires", "Timestamp"])
def test_an_endless_number_in_an_invite_fails_no_step(world, name):
    ann, bob = world.phone("100"), world.phone("101")
    ann.invite("101", **{name.replace("-", "_"): ENDLESS})
    bob.ring(486)
    assert ann.statuses()[-1] == 486
    world.assert_nothing_left()


@pytest.mark.parametrize(
    ("status", "name"), [(183, "RSeq"), (422, "Min-SE"), (486, "Retry-After"), (200, "Session-Expires")]
)
def test_an_endless_number_in_an_answer_fails_no_step(world, status, name):
    ann, bob = world.phone("100"), world.phone("101")
    ann.invite("101")
    headers = {name: ENDLESS} | ({"Require": "100rel"} if name == "RSeq" else {})
    bob.ring(status, bob.sdp() if status < 300 else "", **headers)
    assert "PRACK" not in bob.summary()
    if status in (183, 422):  # after a 422 it is called again
        bob.ring(486)
    elif status == 200:
        ann.ack()
        ann.bye()
        bob.ok("BYE")
    assert ann.statuses()[-1] >= 200
    world.assert_nothing_left()
