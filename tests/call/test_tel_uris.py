"""tel: URIs (RFC 3966) where a SIP URI could stand: in what phones, gateways and carriers dial."""

from dataclasses import replace

import pytest

from pbx.office.gateway import Gateway
from pbx.office.incoming import Incoming
from tests.call.test_outside_calls import CARRIER, OURS, OUTSIDE, SECOND, Carrier, change, make_office, start
from tests.call.world import DOMAIN, Phone, hang_up


def dial(phone: Phone, uri: str) -> None:
    body, call_id = phone.sdp(), f"tel-{phone.tag}"
    phone.sent_invite = phone.send_authenticated(lambda: phone.request("INVITE", uri, body, call_id=call_id))
    phone.dialog = {"call_id": call_id, "invite_seq": str(phone.sent_invite.cseq.number)}


OUTSIDE_URIS = {
    "a global number": f"tel:{OUTSIDE}",
    "separators are for people": "tel:+65-(3123).4567",
    "a local number in the country of the office": "tel:3123-4567;phone-context=+65",
    "a local number among those of the office": "tel:31234567;phone-context=+65-6000",
    "a local number at our domain": f"tel:31234567;phone-context={DOMAIN}",
    "a local number that lacks its context": "tel:31234567",
    "other parameters": f"tel:{OUTSIDE};isub=1;ext=12",
}


@pytest.mark.parametrize("uri", OUTSIDE_URIS.values(), ids=OUTSIDE_URIS)
def test_a_phone_dials_a_number_by_its_tel_uri(uri):
    world, carrier, _, (ann,) = start(make_office(), "100")
    dial(ann, uri)
    assert carrier.last("INVITE").uri == f"sip:{OUTSIDE}@{CARRIER}"
    carrier.answer()
    ann.ack()
    hang_up(world, ann, carrier)


@pytest.mark.parametrize("uri", ["tel:101", f"tel:101;phone-context={DOMAIN}", "tel:101;phone-context=+65"])
def test_a_phone_dials_an_extension_by_its_tel_uri(uri):
    world, _, _, (ann, bob) = start(make_office(), "100", "101")
    dial(ann, uri)
    bob.answer()
    ann.ack()
    hang_up(world, ann, bob)


def test_who_dials_by_a_tel_uri_may_give_up():
    world, _, _, (ann, bob) = start(make_office(), "100", "101")
    dial(ann, "tel:101")
    bob.ring()
    ann.cancel()
    assert ann.statuses("CANCEL") == [200]
    assert ann.statuses()[-1] == 487
    bob.respond(bob.last("CANCEL"), 200)
    bob.respond(bob.last("INVITE"), 487)
    world.assert_nothing_left()


@pytest.mark.parametrize(
    ("uri", "status"),
    [
        ("tel:101;phone-context=elsewhere.example", 404),
        ("tel:0912345678;phone-context=+84", 404),
        ("mailto:101@pbx.local", 416),
    ],
)
def test_what_cannot_be_dialled_from_here(uri, status):
    world, _, _, (ann,) = start(make_office(), "100")
    ann.send(ann.request("INVITE", uri, ann.sdp()))
    assert ann.statuses()[-1] == status
    world.assert_nothing_left()


def test_nobody_registers_at_a_tel_uri():
    _, _, _, (ann,) = start(make_office(), "100")
    ann.send_authenticated(lambda: ann.request("REGISTER", "tel:100"))
    assert ann.statuses("REGISTER")[-1] == 416


@pytest.mark.parametrize("context", ["", ";phone-context=+65", ";phone-context=+44"])
def test_a_call_for_help_by_a_tel_uri(context):
    world, carrier, _, (ann,) = start(make_office(), "100")
    dial(ann, f"tel:999{context}")
    assert carrier.last("INVITE").uri == f"sip:999@{CARRIER}"
    carrier.answer()
    ann.ack()
    hang_up(world, ann, carrier)


@pytest.mark.parametrize("uri", [f"tel:{OURS}", "tel:60001000;phone-context=+65"])
def test_a_carrier_calls_a_number_of_ours_by_its_tel_uri(uri):
    world, carrier, _, (ann,) = start(make_office(), "100")
    invite = carrier.request("INVITE", uri, carrier.sdp(), call_id="in")
    invite.headers.set("From", "<tel:31-234-567;phone-context=+65>;tag=1")
    carrier.dialog = {"call_id": "in", "invite_seq": str(invite.cseq.number)}
    carrier.sent_invite = invite
    carrier.send(invite)
    assert OUTSIDE in ann.last("INVITE").headers.get("From")
    ann.answer()
    carrier.ack()
    hang_up(world, ann, carrier)


def test_a_gateway_dials_by_a_tel_uri():
    office = replace(make_office(), gateways=(Gateway("warehouse", f"sip:{SECOND}"),), trunks=())
    office = change(office, "100", incoming=Incoming(gateway="warehouse"))
    world, _, gateway, (bob,) = start(office, "101")
    assert isinstance(gateway, Carrier)
    invite = gateway.request("INVITE", "tel:101;phone-context=+65", gateway.sdp(), call_id="in")
    gateway.dialog = {"call_id": "in", "invite_seq": str(invite.cseq.number)}
    gateway.sent_invite = invite
    gateway.send(invite)
    bob.answer()
    gateway.ack()
    hang_up(world, bob, gateway)


def test_a_transfer_to_a_tel_uri():
    _, carrier, _, (ann, bob) = start(make_office(), "100", "101")
    ann.invite("101")
    bob.answer()
    ann.ack()
    bob.send(bob.in_dialog("REFER", Refer_To="<tel:3123-4567;phone-context=+65>"))
    assert bob.statuses("REFER")[-1] == 202
    assert carrier.last("INVITE").uri == f"sip:{OUTSIDE}@{CARRIER}"


def test_a_transfer_to_a_tel_uri_of_elsewhere_or_of_another_scheme():
    world, _, _, (ann, bob) = start(make_office(), "100", "101")
    ann.invite("101")
    bob.answer()
    ann.ack()
    bob.send(bob.in_dialog("REFER", Refer_To="<tel:101;phone-context=elsewhere.example>"))
    bob.send(bob.in_dialog("REFER", Refer_To="<mailto:ann@pbx.local>"))
    assert bob.statuses("REFER") == [404, 416]
    hang_up(world, ann, bob)


def test_a_302_to_a_tel_uri():
    _, carrier, _, (ann, bob) = start(make_office(), "100", "101")
    ann.invite("101")
    bob.respond(bob.last("INVITE"), 302, Contact=f"<tel:{OUTSIDE}>")
    assert carrier.last("INVITE").uri == f"sip:{OUTSIDE}@{CARRIER}"
