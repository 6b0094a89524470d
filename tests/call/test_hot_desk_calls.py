"""What a hot-desk phone does in calls: nobody, a member, or a PIN for one call (product §4)."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from pbx.call.effects import EmergencyDialled
from pbx.call.questions import CheckSecret, FindMember, FoundMember
from pbx.office.caller_id import CallerId
from pbx.office.device import Device
from pbx.office.member import Member
from pbx.office.number import Number
from pbx.office.outbound_rule import AllowedCountry, OutboundRule
from pbx.office.settings import Settings
from tests.call.test_outside_calls import CARRIER, OUTSIDE, Carrier, make_office, start
from tests.call.world import Phone, World, hang_up, make_extension

ANN = "ann@acme.example"
AT = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
HERS, LOBBY = "+6560001005", "+6560001006"


def answers(about: Any) -> Any:
    match about:
        case FindMember(pin="7781"):
            return FoundMember(ANN, AT)
        case FindMember():
            return None
        case CheckSecret(code=code):
            return code == "4321"
    return True


def begin(*usernames: str, **settings: Any) -> tuple[World, Carrier, list[Phone]]:
    """100 is Ann's, with a passcode; 200 is a hot desk with its own number."""
    base = make_office()
    ann = replace(base.extensions[0], assignee=ANN, caller_id=CallerId(number=HERS), passcode_hash="hash")
    desk = replace(make_extension("200", ("200",)), hot_desking=True, outbound_rule="standard")
    desk = replace(desk, caller_id=CallerId(number=LOBBY))
    office = replace(
        base,
        settings=replace(base.settings, **settings),
        members=(Member(ANN, "Ann"),),
        extensions=(ann, *base.extensions[1:], desk),
        numbers=(Number(HERS), Number(LOBBY), *base.numbers),
        outbound_rules=(
            OutboundRule(
                "standard", ("carrier",), (), (AllowedCountry("SG"), AllowedCountry("VN", passcode=True))
            ),
        ),
    )
    world, carrier, _, phones = start(office, *usernames)
    world.answer = answers
    return world, carrier, phones


def log_in(world: World, desk: Phone) -> None:
    desk.invite("*11")
    desk.ack()
    world.press("7781#")
    world.finish()
    desk.ok("BYE")
    assert world.exchange.logins.member_at("200") == ANN


def refused(world: World, phone: Phone) -> list[Any]:
    """The words before a 403."""
    world.finish()  # the information tone
    heard = world.heard()
    world.finish()
    assert phone.statuses()[-1] == 403
    return heard


def test_nobody_logged_in_calls_nobody_but_from_a_list():
    world, _, (desk, bob, cy) = begin("200", "101", "102", hot_desk_keys=("102",))
    desk.invite("101")
    assert refused(world, desk) == ["call-login-needed"]
    assert not bob.all("INVITE")
    desk.invite("102")
    cy.answer()
    desk.ack()
    hang_up(world, desk, cy)


def test_a_phone_with_a_member_calls_as_his_extension():
    world, carrier, (desk, bob) = begin("200", "101")
    log_in(world, desk)
    desk.invite("101")
    assert "sip:100@" in bob.last("INVITE").headers.get("From")
    bob.answer()
    desk.ack()
    desk.bye()
    bob.ok("BYE")
    desk.invite("31234567")
    assert HERS in carrier.last("INVITE").headers.get("From")
    carrier.answer()
    desk.ack()
    hang_up(world, desk, carrier)
    inside, outside = world.records[-2:]
    for record in (inside, outside):
        assert (record.caller, record.caller_device, record.member) == ("100", "200", ANN)
    assert outside.legs[-1].payer == "100"


def test_calls_of_a_member_ring_where_he_is_and_at_his_own_phones():
    world, _, (own, desk, bob) = begin("100", "200", "101")
    bob.invite("100")
    bob.cancel()
    assert (len(own.all("INVITE")), len(desk.all("INVITE"))) == (1, 0)
    own.respond(own.last("INVITE"), 487)
    log_in(world, desk)
    bob.invite("100")
    assert (len(own.all("INVITE")), len(desk.all("INVITE"))) == (2, 1)
    desk.answer()
    own.respond(own.last("INVITE"), 487)
    bob.ack()
    hang_up(world, bob, desk)


def test_a_call_goes_on_when_its_member_logs_out():
    world, _, (desk, bob) = begin("200", "101")
    log_in(world, desk)
    desk.invite("101")
    bob.answer()
    desk.ack()
    office = replace(world.exchange.office, members=())
    world.perform(world.exchange.swap_office(office, world.now))
    assert world.exchange.logins.all == ()
    assert not bob.all("BYE")
    hang_up(world, desk, bob)
    assert world.records[-1].member == ANN


def test_a_pin_opens_the_way_outside_for_one_call():
    world, carrier, (desk,) = begin("200")
    desk.invite("31234567")
    desk.ack()
    assert world.heard() == ["hotdesk-enter-pin"]
    world.press("7781#")
    invite = carrier.last("INVITE")
    assert invite.uri == f"sip:{OUTSIDE}@{CARRIER}"
    assert HERS in invite.headers.get("From")
    carrier.answer()
    desk.ok("INVITE", desk.sdp(2))
    hang_up(world, desk, carrier)
    record = world.records[-1]
    assert (record.caller, record.caller_name, record.member) == ("100", "Phone 100", ANN)
    assert record.legs[-1].payer == "100"
    assert world.exchange.logins.all == ()


def test_without_a_pin_nobody_is_called():
    world, carrier, (desk,) = begin("200")
    desk.invite("31234567")
    desk.ack()
    for _ in range(3):
        world.press("0000#")
        assert world.heard() == ["hotdesk-wrong-pin"]
        world.finish()
    assert desk.last("BYE")
    desk.ok("BYE")
    world.assert_nothing_left()
    assert not carrier.all("INVITE")
    assert world.records[-1].state != "answered"


@pytest.mark.parametrize("is_logged_in", [False, True], ids=["nobody is logged in", "a member is"])
def test_an_emergency_call_shows_the_phones_own_number_and_staff_hear_of_it(is_logged_in: bool):
    world, carrier, (desk,) = begin("200")
    if is_logged_in:
        log_in(world, desk)
    desk.invite("999")
    assert LOBBY in carrier.last("INVITE").headers.get("From")
    assert world.emergencies == [EmergencyDialled("200", "200", "999", LOBBY)]


def test_the_passcode_of_the_member_counts_at_the_desk():
    world, carrier, (desk,) = begin("200")
    log_in(world, desk)
    desk.invite("+84938812345")
    desk.ack()
    assert world.heard() == ["passcode-enter"]
    world.press("4321#")
    assert world.questions[-1].subject == "passcode 100"
    assert carrier.last("INVITE").uri == f"sip:+84938812345@{CARRIER}"


def test_a_locked_passcode_is_refused_before_it_is_asked_for():
    world, _, (own,) = begin("100")
    for _ in range(5):
        world.exchange.locks.begin("passcode 100", world.now)
    own.invite("+84938812345")
    assert refused(world, own) == ["passcode-locked"]
    world.wait(15 * 60.0)
    own.invite("+84938812345")
    own.ack()
    assert world.heard() == ["passcode-enter"]


def test_a_code_at_a_desk_changes_the_members_extension():
    world, _, (desk,) = begin("200")
    log_in(world, desk)
    desk.invite("*78")
    desk.ack()
    assert world.questions[-1].key == "100"


def test_a_second_phone_of_the_desks_extension_is_a_desk_of_its_own():
    world, _, (desk,) = begin("200")
    extension = world.exchange.office.extension("200")
    more = replace(extension, devices=(*extension.devices, Device("mobile", "200m")))
    office = world.exchange.office
    rows = tuple(more if each.key == "200" else each for each in office.extensions)
    world.perform(world.exchange.swap_office(replace(office, extensions=rows), world.now))
    log_in(world, desk)
    assert world.exchange.logins.member_at("200m") == ""


def test_settings_are_those_of_the_office():
    assert Settings().hot_desk_logout == "never"
    assert Settings().hot_desk_keys == ()
