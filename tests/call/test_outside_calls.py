"""Calls to and from carriers: trunks, forwarding, groups, usage limits (product §2, §3)."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from pbx.call.exchange import Settings as ExchangeSettings
from pbx.media.orders import Play
from pbx.office.caller_id import CallerId
from pbx.office.gateway import Gateway
from pbx.office.group import Group
from pbx.office.incoming import Forward, Incoming
from pbx.office.member import Member
from pbx.office.no_answer import NoAnswer
from pbx.office.number import Number
from pbx.office.outbound_rule import AllowedCountry, OutboundRule
from pbx.office.rate import Rate
from pbx.office.settings import Settings
from pbx.office.snapshot import Office
from pbx.office.trunk import Trunk
from pbx.office.usage_limit import UsageLimit
from pbx.sip.flow import Flow
from tests.call.world import DOMAIN, SERVER, Phone, World, hang_up, make_extension

CARRIER = "198.51.100.1"
SECOND = "198.51.100.2"
OURS = "+6560001000"
OUTSIDE = "+6531234567"


def make_office(**changes: Any) -> Office:
    """Extensions 100 to 102, each with a phone of its key, behind two trunks."""
    extensions = tuple(
        replace(make_extension(key, (key,)), outbound_rule="standard") for key in ("100", "101", "102")
    )
    made: dict[str, Any] = {
        "settings": Settings(country="SG", timezone="Asia/Singapore", emergency=("999",)),
        "extensions": extensions,
        "numbers": (Number(OURS, "extension:100"), Number("+6560001001", "group:600")),
        "trunks": (
            Trunk("carrier", f"sip:{CARRIER}", register=False, addresses=(CARRIER,)),
            Trunk("second", f"sip:{SECOND}", register=False, addresses=(SECOND,)),
        ),
        "outbound_rules": (
            OutboundRule("standard", ("carrier", "second"), countries=(AllowedCountry("SG"),)),
        ),
        "realm": DOMAIN,
    }
    return Office(**{**made, **changes})


def change(office: Office, key: str, **changes: Any) -> Office:
    """The office with an extension changed."""
    extensions = tuple(replace(each, **changes) if each.key == key else each for each in office.extensions)
    return replace(office, extensions=extensions)


class Carrier(Phone):
    """The far side of a trunk."""

    def call(self, number: str, caller: str = OUTSIDE, **headers: str) -> None:
        """Bring a call to a number of the office."""
        self.username = caller
        body = self.sdp()
        self.count += 1
        invite = self.request("INVITE", f"sip:{number}@{DOMAIN}", body, call_id=f"in-{self.count}", **headers)
        self.dialog = {"call_id": invite.call_id, "invite_seq": str(invite.cseq.number)}
        self.sent_invite = invite
        self.send(invite)


def start(office: Office, *usernames: str) -> tuple[World, Carrier, Carrier, list[Phone]]:
    world = World(office, ExchangeSettings(DOMAIN))
    carriers = []
    for host in (CARRIER, SECOND):
        carrier = Carrier(world, "carrier", 5060, host=host)
        world.phones[carrier.address] = carrier
        carriers.append(carrier)
    world.perform(world.exchange.start(world.now))
    world.wait(0.0)
    return world, *carriers, [world.phone(name) for name in usernames]


def test_a_national_number_is_dialled_over_the_first_trunk():
    world, carrier, second, (ann,) = start(make_office(), "100")
    ann.invite("31234567")
    invite = carrier.last("INVITE")
    assert invite.uri == f"sip:{OUTSIDE}@{CARRIER}"
    assert OURS in invite.headers.get("From")
    carrier.ring()
    assert ann.statuses()[-1] == 180
    carrier.answer()
    ann.ack()
    assert not second.all("INVITE")
    hang_up(world, ann, carrier)
    record = world.records[-1]
    assert (record.kind, record.state) == ("outbound", "answered")
    assert [(leg.number, leg.trunk, leg.payer) for leg in record.legs] == [
        ("", "", ""),
        (OUTSIDE, "carrier", "100"),
    ]


@pytest.mark.parametrize("status", [408, 500, 503])
def test_the_next_trunk_is_tried_when_one_cannot_take_the_call(status):
    world, carrier, second, (ann,) = start(make_office(), "100")
    ann.invite("31234567")
    carrier.respond(carrier.last("INVITE"), status)
    assert second.last("INVITE").uri == f"sip:{OUTSIDE}@{SECOND}"
    second.answer()
    ann.ack()
    hang_up(world, ann, second)


@pytest.mark.parametrize("status", [404, 486, 603])
def test_who_was_reached_and_refuses_is_not_called_again(status):
    world, carrier, second, (ann,) = start(make_office(), "100")
    ann.invite("31234567")
    carrier.respond(carrier.last("INVITE"), status)
    assert ann.statuses()[-1] == status
    assert not second.all("INVITE")
    world.assert_nothing_left()


def test_a_trunk_that_says_nothing_is_given_up_soon():
    world, carrier, second, (ann,) = start(make_office(), "100")
    ann.invite("31234567")
    assert carrier.last("INVITE")
    world.wait(6.0)
    second.answer()
    ann.ack()
    hang_up(world, ann, second)


def test_a_country_that_is_not_listed_is_refused_after_an_announcement():
    world, carrier, _, (ann,) = start(make_office(), "100")
    ann.invite("+84912345678")
    assert ann.statuses()[-1] == 183
    world.finish()  # the information tone
    world.finish()  # the words
    assert ann.statuses()[-1] == 403
    assert not carrier.all("INVITE")
    world.assert_nothing_left()


def test_a_call_to_a_number_of_ours_rings_its_extension():
    world, carrier, _, (ann,) = start(make_office(), "100")
    carrier.call(OURS)
    invite = ann.last("INVITE")
    assert OUTSIDE in invite.headers.get("From")
    ann.ring()
    ann.answer()
    assert carrier.statuses()[-1] == 200
    assert not carrier.last(200).headers.get("P-Asserted-Identity")
    carrier.ack()
    hang_up(world, carrier, ann)
    record = world.records[-1]
    assert (record.kind, record.caller, record.number) == ("inbound", OUTSIDE, OURS)


def test_a_number_that_is_not_ours_is_not_found():
    world, carrier, _, _ = start(make_office(), "100")
    carrier.call("+6569999999")
    assert carrier.statuses()[-1] == 404
    world.assert_nothing_left()


def test_a_stranger_is_no_carrier():
    world, _, _, _ = start(make_office(), "100")
    stranger = Carrier(world, "carrier", 5060, host="203.0.113.9")
    world.phones[stranger.address] = stranger
    stranger.call(OURS)
    assert stranger.statuses()[-1] == 401
    world.assert_nothing_left()


def forwarding() -> Office:
    """The worked example: 100 forwards to 101 and 102 and to a number, except for two VIPs."""
    forward = Forward(True, "+6565551111", ("101", "102"), (OUTSIDE, "105"))
    return change(make_office(), "100", incoming=Incoming(forward=forward))


def test_forwarding_rings_the_extensions_and_the_number_together_and_the_first_wins():
    world, carrier, _, (ann, bob, cid) = start(forwarding(), "100", "101", "102")
    carrier.call(OURS, caller="+6591111111")
    assert not ann.all("INVITE")
    outgoing = carrier.last("INVITE")
    assert outgoing.uri.startswith("sip:+6565551111@")
    assert bob.last("INVITE")
    cid.ring()
    carrier.ring()
    bob.answer()
    assert "Call completed elsewhere" in cid.last("CANCEL").headers.get("Reason")
    assert carrier.last("CANCEL")
    cid.respond(cid.last("INVITE"), 487)
    carrier.respond(outgoing, 487)
    carrier.ack()
    hang_up(world, carrier, bob)


def test_a_vip_rings_the_phones_of_the_extension():
    world, carrier, _, (ann, bob, _cid) = start(forwarding(), "100", "101", "102")
    carrier.call(OURS)
    assert ann.last("INVITE")
    assert not bob.all("INVITE")
    ann.answer()
    carrier.ack()
    hang_up(world, carrier, ann)


def test_a_forwarded_call_that_is_answered_outside_is_paid_by_who_forwards():
    office = replace(forwarding(), rates=(Rate("+65", Decimal("0.60"), increment=60),))
    world, carrier, _, _ = start(office, "100")
    carrier.call(OURS, caller="+6591111111")
    inbound = carrier.dialog
    invite = carrier.last("INVITE")
    assert OURS in invite.headers.get("From")
    carrier.answer()
    outbound = carrier.dialog
    carrier.dialog = inbound
    carrier.ack()
    world.wait(61.0)
    carrier.bye()
    carrier.dialog = outbound
    carrier.ok("BYE")
    world.assert_nothing_left()
    leg = world.records[-1].legs[-1]
    assert (leg.payer, Decimal(leg.cost)) == ("100", Decimal("1.20"))


def test_a_forwarded_phone_shows_the_extension_that_forwards():
    world, carrier, _, (bob,) = start(forwarding(), "101")
    carrier.call(OURS, caller="+6591111111")
    assert "sip:100@" in bob.last("INVITE").headers.get("From")
    carrier.cancel()
    for phone in (bob, carrier):
        phone.respond(phone.last("INVITE"), 487)
    world.assert_nothing_left()


def test_a_forwarded_phone_shows_the_caller_where_that_is_wanted():
    office = change(forwarding(), "100", caller_id=CallerId(forwarded="caller"))
    world, carrier, _, (bob,) = start(office, "101")
    carrier.call(OURS, caller="+6591111111")
    assert "sip:+6591111111@" in bob.last("INVITE").headers.get("From")
    outside = carrier.last("INVITE")
    assert OURS in outside.headers.get("From")
    assert "+6591111111" in outside.headers.get("Diversion")
    carrier.cancel()
    for phone in (bob, carrier):
        phone.respond(phone.last("INVITE"), 487)
    world.assert_nothing_left()


def test_nobody_answers_and_the_call_goes_to_a_number_outside():
    office = change(make_office(), "100", no_answer=NoAnswer("forward", 10, "+6565551111"))
    world, carrier, _, (ann,) = start(office, "100")
    carrier.call(OURS, caller="+6591111111")
    ann.ring()
    world.wait(9.5)
    assert not carrier.all("INVITE")
    world.wait(0.6)
    assert ann.last("CANCEL")
    ann.respond(ann.last("INVITE"), 487)
    assert carrier.last("INVITE").uri.startswith("sip:+6565551111@")
    carrier.respond(carrier.last("INVITE"), 486)
    assert carrier.statuses()[-1] == 486
    world.assert_nothing_left()


def test_a_group_that_rings_one_after_the_other():
    group = Group("600", "Sales", ("100", "101"), "sequence", 15)
    world, carrier, _, (ann, bob) = start(replace(make_office(), groups=(group,)), "100", "101")
    carrier.call("+6560001001")
    assert ann.last("INVITE")
    assert not bob.all("INVITE")
    world.wait(15.1)
    ann.respond(ann.last("INVITE"), 487)
    bob.answer()
    carrier.ack()
    hang_up(world, carrier, bob)


def test_one_of_a_group_declines_and_the_others_go_on_ringing():
    group = Group("600", "Sales", ("100", "101"), "all", 15)
    world, carrier, _, (ann, bob) = start(replace(make_office(), groups=(group,)), "100", "101")
    carrier.call("+6560001001")
    ann.respond(ann.last("INVITE"), 603)
    assert not bob.all("CANCEL")
    bob.answer()
    carrier.ack()
    hang_up(world, carrier, bob)


def test_an_extension_with_as_many_calls_as_it_may_have_is_busy():
    office = change(make_office(), "100", call_waiting=1)
    world, carrier, _, (ann, bob) = start(office, "100", "101")
    ann.invite("101")
    bob.answer()
    ann.ack()
    carrier.call(OURS)
    assert carrier.statuses()[-1] in (480, 486)
    hang_up(world, ann, bob)


def test_an_emergency_number_is_dialled_whatever_the_rules_say():
    office = change(make_office(), "100", outbound_rule="")
    world, carrier, _, (ann,) = start(office, "100")
    ann.invite("999")
    assert carrier.last("INVITE").uri.startswith("sip:999@")
    carrier.answer()
    ann.ack()
    hang_up(world, ann, carrier)


REFUSED = {
    "a country that is not listed": (make_office(), "+84912345678", "outbound"),
    "premium, of no country": (make_office(), "+6519001234567", "outbound"),
    "too long for the office's country": (make_office(), "612345678", "outbound"),
    "no outbound rule": (change(make_office(), "100", outbound_rule=""), "31234567", "outbound"),
    "a limit that is used up": (
        change(make_office(), "100", usage_limit=UsageLimit("minutes")),
        "31234567",
        "outbound",
    ),
    "no trunk for an emergency": (make_office(trunks=(), outbound_rules=()), "999", "outbound"),
    "a key that nobody has": (make_office(), "199", "internal"),
    "a code that is none": (make_office(), "*55", "internal"),
}


@pytest.mark.parametrize(("office", "dialled", "kind"), REFUSED.values(), ids=REFUSED)
def test_a_call_that_the_rules_refuse_is_recorded_as_failed(office, dialled, kind):
    world, _, _, (ann,) = start(office, "100")
    ann.invite(dialled)
    while ann.statuses()[-1] < 300:
        world.finish()
    record = world.records[-1]
    assert (record.kind, record.state) == (kind, "failed")


ENDINGS = {
    408: "unanswered",
    480: "unanswered",
    603: "unanswered",
    486: "busy",
    600: "busy",
    404: "failed",
    403: "failed",
    484: "failed",
    500: "failed",
    604: "failed",
}


@pytest.mark.parametrize(("status", "state"), ENDINGS.items(), ids=map(str, ENDINGS))
def test_the_record_of_a_refused_number_tells_who_did_not_answer_from_what_went_wrong(status, state):
    world, carrier, second, (ann,) = start(make_office(), "100")
    ann.invite("31234567")
    for each in (carrier, second):
        if each.all("INVITE"):
            each.respond(each.last("INVITE"), status)
    assert ann.statuses()[-1] >= 300
    assert (world.records[-1].kind, world.records[-1].state) == ("outbound", state)


def limited(**limit: Any) -> Office:
    office = change(make_office(), "100", usage_limit=UsageLimit(**limit))
    return replace(office, rates=(Rate("+65", Decimal("0.60"), increment=60),))


def test_a_call_is_warned_of_and_cut_when_the_limit_is_reached():
    world, carrier, _, (ann,) = start(limited(kind="minutes", minutes=2), "100")
    ann.invite("31234567")
    carrier.answer()
    ann.ack()
    world.wait(59.0)
    plays = [each for each in world.orders if isinstance(each, Play)]
    world.wait(2.0)
    assert len([each for each in world.orders if isinstance(each, Play)]) == len(plays) + 1
    world.wait(58.0)
    assert not carrier.all("BYE")
    world.wait(2.0)
    assert carrier.last("BYE")
    assert ann.last("BYE")
    for phone in (carrier, ann):
        phone.ok("BYE")
    world.assert_nothing_left()
    ann.invite("31234567")
    world.finish()
    world.finish()
    assert ann.statuses()[-1] == 403
    world.assert_nothing_left()


def test_a_gateway_takes_all_calls_of_the_extension():
    office = replace(make_office(), gateways=(Gateway("warehouse", f"sip:{SECOND}"),))
    office = change(office, "100", incoming=Incoming(do_not_disturb=True, gateway="warehouse"))
    world, carrier, second, _ = start(office, "100")
    carrier.call(OURS)
    assert second.last("INVITE").headers.get("To").startswith("<sip:")
    second.answer()
    carrier.ack()
    hang_up(world, carrier, second)


def test_the_office_members_mobile_may_be_shown():
    office = replace(
        make_office(), members=(Member("ann@acme.example", "Ann", "owner", mobile="+6598765432"),)
    )
    office = change(office, "100", assignee="ann@acme.example", caller_id=CallerId("fixed", "+6598765432"))
    world, carrier, _, (ann,) = start(office, "100")
    ann.invite("31234567")
    assert "+6598765432" in carrier.last("INVITE").headers.get("From")
    carrier.respond(carrier.last("INVITE"), 486)
    world.assert_nothing_left()


def test_a_group_that_takes_turns():
    group = Group("600", "Sales", ("100", "101"), "round_robin", 15)
    world, carrier, _, (ann, bob) = start(replace(make_office(), groups=(group,)), "100", "101")
    for first, second in ((ann, bob), (bob, ann), (ann, bob)):
        before = len(second.all("INVITE"))
        carrier.call("+6560001001")
        first.ring()
        assert len(second.all("INVITE")) == before
        carrier.cancel()
        first.respond(first.last("INVITE"), 487)
    world.assert_nothing_left()


def test_a_target_outside_that_no_trunk_reaches_is_no_answer():
    forward = Forward(True, "+6565551111")
    office = change(make_office(), "100", incoming=Incoming(forward=forward), no_answer=NoAnswer("notify"))
    world, carrier, second, (bob,) = start(office, "101")
    bob.invite("100")
    for trunk in (carrier, second):
        trunk.respond(trunk.last("INVITE"), 503)
    assert bob.statuses()[-1] == 480
    assert [missed.key for missed in world.missed] == ["100"]
    world.assert_nothing_left()


def test_a_trunk_that_is_full_is_passed_over():
    office = make_office()
    office = replace(office, trunks=(replace(office.trunks[0], max_calls=1), office.trunks[1]))
    world, carrier, second, (ann, bob) = start(office, "100", "101")
    ann.invite("31234567")
    carrier.ring()
    bob.invite("31234567")
    second.answer()
    bob.ack()
    hung = Carrier(world, "carrier", 5061, host=CARRIER)
    world.phones[hung.address] = hung
    hung.call(OURS)
    assert hung.statuses()[-1] == 503
    bob.bye()
    second.ok("BYE")
    carrier.respond(carrier.last("INVITE"), 486)
    world.assert_nothing_left()


def test_a_gateway_of_the_same_name_fills_no_trunk():
    trunk = Trunk("carrier", f"sip:{CARRIER}", register=False, max_calls=1)
    office = make_office(trunks=(trunk,), gateways=(Gateway("carrier", f"sip:{SECOND}"),))
    office = change(office, "102", incoming=Incoming(gateway="carrier"))
    world, carrier, warehouse, (ann, bob) = start(office, "100", "101")
    ann.invite("102")
    warehouse.answer()
    ann.ack()
    bob.invite("31234567")
    carrier.answer()
    bob.ack()
    eve = Carrier(world, "carrier", 5060, host=SECOND)
    eve.tag, world.phones[eve.address] = "eve", eve
    eve.call("100")
    assert 503 not in eve.statuses()


def test_who_calls_from_outside_may_not_transfer():
    world, carrier, _, (ann,) = start(make_office(), "100")
    carrier.call(OURS)
    ann.answer()
    carrier.ack()
    carrier.send(carrier.in_dialog("REFER", Refer_To=f"<sip:0031112222@{DOMAIN}>"))
    assert carrier.statuses("REFER")[-1] == 403
    hang_up(world, carrier, ann)


def test_a_carrier_learns_of_no_extension_when_its_call_is_transferred():
    world, carrier, _, (ann, bob) = start(make_office(), "100", "101")
    carrier.call(OURS)
    ann.answer()
    carrier.ack()
    ann.send(ann.in_dialog("REFER", Refer_To=f"<sip:101@{DOMAIN}>"))
    bob.answer()
    offer = carrier.last("INVITE")
    assert offer.headers.get("P-Asserted-Identity") is None
    assert b"101@" not in offer.render()
    carrier.respond(offer, 200, carrier.sdp(2))
    for notify in ann.all("NOTIFY"):
        ann.respond(notify, 200)
    ann.bye()
    carrier.bye()
    bob.ok("BYE")
    world.assert_nothing_left()


def test_an_emergency_call_goes_over_a_trunk_that_is_full():
    office = make_office()
    office = replace(office, trunks=(replace(office.trunks[0], max_calls=1),))
    office = replace(office, outbound_rules=(replace(office.outbound_rules[0], trunks=("carrier",)),))
    world, carrier, _, (ann, bob) = start(office, "100", "101")
    ann.invite("31234567")
    carrier.ring()
    first = carrier.last("INVITE")
    bob.invite("999")
    assert carrier.last("INVITE").uri.startswith("sip:999@")
    carrier.answer()
    bob.ack()
    carrier.respond(first, 486)
    hang_up(world, bob, carrier)


@pytest.mark.parametrize(("host", "status"), [("198.51.100.77", 200), ("203.0.113.9", 403)])
def test_the_media_server_of_a_carrier_hangs_up_itself_and_a_stranger_does_not(host, status):
    world, carrier, _, (ann,) = start(make_office(), "100")
    carrier.contact = "<sip:media@198.51.100.77>"
    carrier.call(OURS)
    ann.answer()
    carrier.ack()
    ours = carrier.flow
    carrier.flow = Flow("UDP", (host, 5060), SERVER)
    world.phones[carrier.flow.peer] = carrier
    carrier.bye()
    assert carrier.statuses("BYE") == [status]
    if status == 403:
        carrier.flow = ours
        carrier.bye()
    ann.ok("BYE")
    world.assert_nothing_left()


def test_a_carrier_that_refuses_a_number_is_not_down():
    world, carrier, second, (ann,) = start(make_office(), "100")
    for _ in range(2):
        ann.invite("31234567")
        carrier.respond(carrier.last("INVITE"), 503)
        second.respond(second.last("INVITE"), 486)
    assert len(carrier.all("INVITE")) == 2
    rows = {row["name"]: row for row in world.exchange.trunks.status({})}
    assert (rows["carrier"]["state"], "503" in rows["carrier"]["error"]) == ("reachable", True)
    world.assert_nothing_left()


@pytest.mark.parametrize("caller", ["101", "*7231112222", "**101", "*6731112222", "##2", "00", "*11"])
def test_nobody_outside_is_taken_for_an_extension_or_code(caller):
    """A phone that calls back would forward the extension to him, for one."""
    world, carrier, _, (ann,) = start(make_office(), "100")
    carrier.call(OURS, caller=caller)
    assert caller not in ann.last("INVITE").headers.get("From").partition(";tag")[0]
    ann.answer()
    carrier.ack()
    hang_up(world, carrier, ann)
    assert world.records[-1].caller == "anonymous"
