from dataclasses import replace

import pytest

from pbx.office.outbound_rule import DialPlanRow, OutboundRule
from pbx.office.usage_limit import UsageLimit
from pbx.rules.decision import Reject
from pbx.rules.redirect import decide_redirect
from tests.rules.world import (
    FAR,
    OURS,
    OUTSIDE,
    STANDARD,
    VIETNAM,
    WORLD,
    Forward,
    Group,
    NoAnswer,
    Number,
    ext,
    inside,
    office,
)


def outcome(decision):
    if isinstance(decision, Reject):
        return decision.status
    return [*decision.devices, *(leg.number for leg in decision.outside)]


LOCAL = replace(STANDARD, dial_plan=(DialPlanRow("3689", 8, 0, "65"),))
CASES = {
    "to an extension": (office(), "101", ["101"]),
    "to an extension that forwards: forwards do not chain": (
        office(ext("101", forward=Forward(True, FAR))),
        "101",
        ["101"],
    ),
    "to an extension with do not disturb": (office(ext("101", dnd=True)), "101", 486),
    "to itself": (office(), "100", 480),
    "to a group": (office(groups=(Group("600", members=("101", "102")),)), "600", ["101", "102"]),
    "to a room": (office(), "700", 480),
    "to a number": (office(), FAR, [FAR]),
    "to a national number": (office(), "31112222", [FAR]),
    "to a number by the dial plan": (office(rules=(LOCAL,)), "31112222", [FAR]),
    "to a number of the office": (office(numbers=(Number(OURS, "extension:102"),)), OURS, ["102"]),
    "to the caller": (office(), OUTSIDE.number, 486),
    "to an emergency number": (office(), "995", 480),
    "to a code": (office(), "*97", 480),
    "to a name": (office(), "ann", 480),
    "to nothing": (office(), "", 480),
    "without an outbound rule": (office(ext("100", outbound_rule="")), FAR, 403),
    "to a country that is not listed": (office(rules=(OutboundRule("standard", ("carrier",)),)), FAR, 403),
    "to a country with a passcode": (office(), VIETNAM, 403),
    "with nothing left": (office(ext("100", usage_limit=UsageLimit("minutes"))), FAR, 403),
}


@pytest.mark.parametrize(("place", "target", "expected"), CASES.values(), ids=CASES)
def test_where_a_phone_sends_a_call(place, target, expected):
    decision = decide_redirect(place, WORLD, OUTSIDE, "100", target)
    assert outcome(decision) == expected
    assert decision.because[0] == f"a phone of 100 sends the call on to {target}"


def test_not_to_the_caller_inside():
    assert outcome(decide_redirect(office(), WORLD, inside("101"), "100", "101")) == 486


def test_what_is_forwarded_already_is_not_sent_on():
    decision = decide_redirect(office(), WORLD, OUTSIDE, "100", "101", is_forwarded=True)
    assert (decision.status, decision.why) == (480, "it is forwarded already, and forwards do not chain")


def test_nobody_sends_nothing():
    assert outcome(decide_redirect(office(), WORLD, OUTSIDE, "199", "101")) == 480


@pytest.mark.parametrize(("kind", "key", "seconds"), [("normal", "100", 42.0), ("call_centre", "", None)])
def test_the_no_answer_action_of_the_extension_follows(kind, key, seconds):
    place = office(ext("100", type=kind, no_answer=NoAnswer(timeout=42)))
    decision = decide_redirect(place, WORLD, OUTSIDE, "100", FAR)
    assert (decision.key, decision.no_answer_s, decision.outside[0].payer) == (key, seconds, "100")


def test_who_is_sent_on_sees_the_extension_that_sends():
    decision = decide_redirect(office(), WORLD, OUTSIDE, "100", "101")
    assert (decision.devices, decision.shown_to("101")) == (("101",), "100")
