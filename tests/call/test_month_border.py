"""A usage limit at the border of a month: a call counts in the month in which it began (product §3)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pbx.call.effects import ChargeUsage, OpenUsage
from pbx.office.no_answer import NoAnswer
from pbx.office.outbound_rule import AllowedCountry, OutboundRule
from pbx.office.usage_limit import UsageLimit
from pbx.rules.facts import Used
from tests.call.test_outside_calls import OURS, Carrier, change, make_office, start
from tests.call.voices import endpoint_of
from tests.call.world import DOMAIN, Phone, World

BEFORE = datetime(2026, 11, 30, 15, 59, 58, tzinfo=UTC)  # in Singapore it is two seconds to December
TARGET = "+6531112222"
AFTER = datetime(2026, 11, 30, 16, 0, 2, tzinfo=UTC)
SPENT, HALF = Used(seconds=600.0), Used(seconds=570.0)


def begin(november: Used, december: Used, **changes: object) -> tuple[World, Carrier, Carrier, list[Phone]]:
    """Extension 100 has ten minutes a month; a call from outside comes to it in November."""
    rule = OutboundRule("standard", ("second",), countries=(AllowedCountry("SG"),))
    office = replace(make_office(), outbound_rules=(rule,))
    office = change(office, "100", usage_limit=UsageLimit("minutes", minutes=10), **changes)
    world, carrier, second, phones = start(office, "100", "101")
    world.at = BEFORE
    for month, used in (("2026-11", november), ("2026-12", december)):
        world.exchange.metering.ledger.load(month, {"100": used}, {})
    carrier.call(OURS)
    return world, carrier, second, phones


def turn_of_the_month(world: World) -> None:
    world.wait(4.0)
    world.at = AFTER


def by_refer(world: World, carrier: Carrier, ann: Phone) -> None:
    ann.answer()
    carrier.ack()
    turn_of_the_month(world)
    ann.send(ann.in_dialog("REFER", Refer_To=f"<sip:{TARGET}@{DOMAIN}>"))


def by_keys(world: World, carrier: Carrier, ann: Phone) -> None:
    ann.answer()
    carrier.ack()
    turn_of_the_month(world)
    world.press("##231112222#", endpoint_of(world, ann))


def by_302(world: World, carrier: Carrier, ann: Phone) -> None:
    turn_of_the_month(world)
    ann.respond(ann.last("INVITE"), 302, Contact=f"<sip:{TARGET}@{DOMAIN}>")


def as_nobody_answers(world: World, carrier: Carrier, ann: Phone) -> None:
    turn_of_the_month(world)
    world.wait(2.0)


Way = Callable[[World, Carrier, Phone], None]
WAYS: dict[str, Way] = {
    "a transfer": by_refer,
    "a transfer by keys": by_keys,
    "a phone that sends it on": by_302,
    "a forward, as nobody answers": as_nobody_answers,
}
FORWARD = NoAnswer("forward", forward_to=TARGET, timeout=5)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_what_a_call_of_november_causes_in_december_is_paid_by_november(way: Way):
    world, carrier, second, (ann, _) = begin(HALF, SPENT, no_answer=FORWARD)
    way(world, carrier, ann)
    assert second.all("INVITE")
    second.answer()
    opened = [each for each in world.orders if isinstance(each, OpenUsage)]
    assert [(each.key, each.month) for each in opened] == [("100", "2026-11")]
    world.wait(31.0)
    assert second.all("BYE")
    (charge,) = [each.charge for each in world.orders if isinstance(each, ChargeUsage)]
    assert (charge.month, charge.seconds) == ("2026-11", 30.0)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_nothing_is_left_of_november(way: Way):
    world, carrier, second, (ann, _) = begin(SPENT, Used(), no_answer=FORWARD)
    way(world, carrier, ann)
    assert not second.all("INVITE")


def test_a_passcode_that_is_given_in_december():
    rule = OutboundRule("standard", ("second",), countries=(AllowedCountry("SG", passcode=True),))
    office = change(make_office(), "100", usage_limit=UsageLimit("minutes", minutes=10), passcode_hash="hash")
    world, _, second, (ann,) = start(replace(office, outbound_rules=(rule,)), "100")
    world.at = BEFORE
    for month, used in (("2026-11", HALF), ("2026-12", SPENT)):
        world.exchange.metering.ledger.load(month, {"100": used}, {})
    ann.invite("31234567")
    ann.ack()
    turn_of_the_month(world)
    world.press("4321#")
    assert second.all("INVITE")


def test_a_call_that_begins_in_december():
    world, carrier, second, (ann, bob) = begin(SPENT, HALF)
    ann.respond(ann.last("INVITE"), 486)
    assert carrier.statuses()[-1] == 486
    turn_of_the_month(world)
    ann.invite("31234567")
    second.answer()
    ann.ack()
    (opened,) = [each for each in world.orders if isinstance(each, OpenUsage)]
    assert (opened.key, opened.month) == ("100", "2026-12")
    assert not bob.all("INVITE")
