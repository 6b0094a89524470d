import pytest

from pbx.rules.decision import Reject
from pbx.rules.inbound import decide_inbound
from tests.rules.world import (
    FAR,
    OUTSIDE,
    VIP,
    VIP_CALLER,
    WORLD,
    FakeWorld,
    Forward,
    Group,
    ext,
    inside,
    office,
)


def rings(decision):
    """Who rings, turn by turn."""
    if isinstance(decision, Reject):
        return decision.status
    return [
        [*each.devices, *(leg.gateway or leg.number for leg in each.outside)]
        for each in (decision, *decision.after)
    ]


THREE = ("100", "101", "102")
ALL = Group("600", "Sales", THREE, "all", 25)
IN_ORDER, IN_TURN, IDLE = (
    Group("600", "Sales", THREE, each, 25) for each in ("sequence", "round_robin", "longest_idle")
)
BOTH = ["100", "100-mobile"]
FORWARDS = ext("101", forward=Forward(True, FAR, ("103",), (VIP,)))

CASES = {
    "all": (ALL, office, WORLD, OUTSIDE, [[*BOTH, "101", "102"]]),
    "sequence": (IN_ORDER, office, WORLD, OUTSIDE, [BOTH, ["101"], ["102"]]),
    "round robin, the first call": (IN_TURN, office, WORLD, OUTSIDE, [BOTH, ["101"], ["102"]]),
    "round robin, the next": (
        IN_TURN,
        office,
        FakeWorld(turns={"600": 1}),
        OUTSIDE,
        [["101"], ["102"], BOTH],
    ),
    "round robin, once around": (
        IN_TURN,
        office,
        FakeWorld(turns={"600": 5}),
        OUTSIDE,
        [["102"], BOTH, ["101"]],
    ),
    "longest idle: who had no call comes first": (
        IDLE,
        office,
        FakeWorld(idle={"100": 9.0, "102": 3.0}),
        OUTSIDE,
        [["101"], ["102"], BOTH],
    ),
    "longest idle: alike, as written": (IDLE, office, WORLD, OUTSIDE, [BOTH, ["101"], ["102"]]),
    "who is away is left out": (IN_ORDER, office, FakeWorld(frozenset({"101"})), OUTSIDE, [BOTH, ["102"]]),
    "who is busy is left out": (IN_ORDER, office, FakeWorld(busy={"101": 2}), OUTSIDE, [BOTH, ["102"]]),
    "who has one call takes another": (
        ALL,
        office,
        FakeWorld(busy={"101": 1}),
        OUTSIDE,
        [[*BOTH, "101", "102"]],
    ),
    "do not disturb": (
        IN_ORDER,
        lambda **g: office(ext("101", dnd=True), **g),
        WORLD,
        OUTSIDE,
        [BOTH, ["102"]],
    ),
    "do not disturb, all": (
        ALL,
        lambda **g: office(ext("101", dnd=True), **g),
        WORLD,
        OUTSIDE,
        [[*BOTH, "102"]],
    ),
    "do not disturb of the one whose turn it is": (
        IN_TURN,
        lambda **g: office(ext("101", dnd=True), **g),
        FakeWorld(turns={"600": 1}),
        OUTSIDE,
        [["102"], BOTH],
    ),
    "a member who forwards": (
        IN_ORDER,
        lambda **g: office(FORWARDS, **g),
        WORLD,
        OUTSIDE,
        [BOTH, ["103", FAR], ["102"]],
    ),
    "a member who forwards, all": (
        ALL,
        lambda **g: office(FORWARDS, **g),
        WORLD,
        OUTSIDE,
        [[*BOTH, "103", "102", FAR]],
    ),
    "a VIP of a member": (
        IN_ORDER,
        lambda **g: office(FORWARDS, **g),
        WORLD,
        VIP_CALLER,
        [BOTH, ["101"], ["102"]],
    ),
    "a member who forwards to another, all": (
        ALL,
        lambda **g: office(ext("101", forward=Forward(True, "", ("102",))), **g),
        WORLD,
        OUTSIDE,
        [[*BOTH, "102"]],
    ),
    "a member at a gateway": (
        IN_ORDER,
        lambda **g: office(ext("101", gateway="warehouse"), **g),
        WORLD,
        OUTSIDE,
        [BOTH, ["warehouse"], ["102"]],
    ),
    "who calls does not ring": (IN_ORDER, office, WORLD, inside("100"), [["101"], ["102"]]),
    "nobody is there": (ALL, office, FakeWorld(frozenset({*BOTH, "101", "102"})), OUTSIDE, 480),
    "nobody is there, in order": (
        IN_ORDER,
        office,
        FakeWorld(frozenset({*BOTH, "101", "102"})),
        OUTSIDE,
        480,
    ),
    "all are busy": (IN_ORDER, office, FakeWorld(busy={"100": 2, "101": 2, "102": 2}), OUTSIDE, 486),
    "a group of nobody": (Group("600", members=(), strategy="round_robin"), office, WORLD, OUTSIDE, 480),
}


@pytest.mark.parametrize(("group", "place", "world", "caller", "expected"), CASES.values(), ids=CASES)
def test_strategies(group, place, world, caller, expected):
    assert rings(decide_inbound(place(groups=(group,)), world, caller, "600")) == expected


@pytest.mark.parametrize("group", [ALL, IN_ORDER], ids=["all", "sequence"])
def test_each_turn_has_the_groups_time_and_no_members_no_answer_settings(group):
    decision = decide_inbound(office(groups=(group,)), WORLD, OUTSIDE, "600")
    for turn in (decision, *decision.after):
        assert (turn.no_answer_s, turn.key, turn.group) == (25.0, "", "600")
        assert not any(each.after for each in decision.after)


def test_reasons():
    place = office(ext("101", dnd=True), groups=(IN_ORDER,))
    decision = decide_inbound(place, WORLD, OUTSIDE, "600")
    assert [*decision.because, decision.why] == [
        "101 does not ring: do not disturb of 101 is on",
        "the phones of 100 ring: 100, 100-mobile",
        "group 600 (sequence): 100, then 102, each for 25 s",
    ]
    assert [each.why for each in decision.after] == ["the phones of 102 ring: 102"]
    decision = decide_inbound(office(groups=(ALL,)), WORLD, OUTSIDE, "600")
    assert decision.why == "group 600 (all): 100, 101 and 102 ring together"


def test_a_member_pays_for_his_own_forwarding():
    decision = decide_inbound(office(FORWARDS, groups=(ALL,)), WORLD, OUTSIDE, "600")
    assert [leg.payer for leg in decision.outside] == ["101"]


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        (("101", "102"), {"103": "101", "102": ""}),
        (("101", "103"), {"103": ""}),
        (("103", "101"), {"103": ""}),
    ],
    ids=["who is forwarded to sees the member", "who is a member, too, the caller", "in any order"],
)
def test_whom_the_phones_of_a_forwarding_member_see(members, expected):
    forwards = ext("101", forward=Forward(True, extensions=("103",)))
    group = Group("600", "Sales", members)
    decision = decide_inbound(office(forwards, ext("103"), groups=(group,)), WORLD, OUTSIDE, "600")
    assert {phone: decision.shown_to(phone) for phone in decision.devices} == expected
