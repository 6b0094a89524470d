"""Product §2, step by step, and the steps that meet."""

from dataclasses import replace

import pytest

from pbx.office.blocked import Blocked
from pbx.office.line import Line
from pbx.office.outbound_rule import AllowedCountry, OutboundRule
from pbx.office.settings import Settings
from pbx.office.usage_limit import UsageLimit
from pbx.rules.decision import Reject, Ring, Serve, Shown, TakeMessage
from pbx.rules.facts import Caller, Used
from pbx.rules.inbound import decide_inbound, decide_number
from tests.rules.world import (
    FAR,
    FAR_TOO,
    MOBILE,
    OURS,
    OURS_TOO,
    OUTSIDE,
    VIETNAM,
    VIP,
    VIP_CALLER,
    WORLD,
    CallerId,
    FakeWorld,
    Forward,
    Group,
    NoAnswer,
    Number,
    ext,
    inside,
    numbers_of,
    office,
)

TO_OTHERS = Forward(True, "", ("101", "102", "103"), (VIP, "+6569876543"))
BOTH = Forward(True, FAR, ("101",))
QUIET = ext("100", dnd=True)
MAPPED = ext("100", gateway="warehouse")
NOBODY_OUTSIDE = OutboundRule("standard", ("carrier",))


def outcome(decision):
    """A decision as these tables write it: who rings, or with what status who is refused."""
    if isinstance(decision, Ring):
        legs = [leg.gateway or leg.number for leg in decision.outside]
        return [*decision.devices, *legs]
    if isinstance(decision, Reject):
        return decision.status
    return decision


WORKED = {
    "forwarding is off: the phones ring": (
        replace(TO_OTHERS, enabled=False),
        VIP_CALLER,
        ["100", "100-mobile"],
    ),
    "off, anybody calls": (replace(TO_OTHERS, enabled=False), OUTSIDE, ["100", "100-mobile"]),
    "on, the first VIP calls": (TO_OTHERS, VIP_CALLER, ["100", "100-mobile"]),
    "on, the second VIP calls": (TO_OTHERS, Caller(number="+6569876543"), ["100", "100-mobile"]),
    "on, anybody else calls": (TO_OTHERS, OUTSIDE, ["101", "102", "103"]),
    "on, a caller without a number": (TO_OTHERS, Caller(trunk="carrier"), ["101", "102", "103"]),
    "a VIP as his carrier writes him": (TO_OTHERS, Caller(number="6531234567"), ["100", "100-mobile"]),
    "a VIP as a national number": (TO_OTHERS, Caller(number="31234567"), ["100", "100-mobile"]),
    "a VIP who is listed nationally": (
        replace(TO_OTHERS, vip=("31234567",)),
        VIP_CALLER,
        ["100", "100-mobile"],
    ),
    "a VIP who is listed with 00": (
        replace(TO_OTHERS, vip=("006531234567",)),
        Caller(number="31234567"),
        ["100", "100-mobile"],
    ),
    "a key on the VIP list is nobody outside": (
        replace(TO_OTHERS, vip=("102",)),
        Caller(number="102"),
        ["101", "102", "103"],
    ),
    "a VIP with 00": (TO_OTHERS, Caller(number="006531234567"), ["100", "100-mobile"]),
}


@pytest.mark.parametrize(("forward", "caller", "rings"), WORKED.values(), ids=WORKED)
def test_the_worked_example(forward, caller, rings):
    place = office(ext("100", mobile=True, forward=forward))
    assert outcome(decide_inbound(place, WORLD, caller, "100")) == rings


CASES = {
    # 1: block list
    "a blocked caller is refused": (office(blocked=Blocked((OUTSIDE.number,))), OUTSIDE, 603),
    "as he is written nationally": (office(blocked=Blocked(("61112222",))), OUTSIDE, 603),
    "without plus": (office(blocked=Blocked(("6561112222",))), OUTSIDE, 603),
    "by his first digits": (office(blocked=Blocked(("+6561*",))), OUTSIDE, 603),
    "by his first digits, nationally": (office(blocked=Blocked(("611*",))), OUTSIDE, 603),
    "by his first digits, with 00": (office(blocked=Blocked(("00656*",))), OUTSIDE, 603),
    "national first digits mean no other country": (
        office(blocked=Blocked(("61*",))),
        Caller(number="+61412345678"),
        ["100", "100-mobile"],
    ),
    "another number is not blocked": (
        office(blocked=Blocked(("+65611122",))),
        OUTSIDE,
        ["100", "100-mobile"],
    ),
    "an extension by its key": (office(blocked=Blocked(("105", "101"))), inside("101"), 603),
    "an extension not by first digits": (
        office(blocked=Blocked(("1*",))),
        inside("101"),
        ["100", "100-mobile"],
    ),
    "a number is not blocked by a key": (office(blocked=Blocked(("101",))), OUTSIDE, ["100", "100-mobile"]),
    "a caller without number is on no list": (
        office(blocked=Blocked(("+6561*",))),
        Caller(trunk="carrier"),
        ["100", "100-mobile"],
    ),
    "a number that cannot be read is listed as it is": (
        office(blocked=Blocked(("12*",))),
        Caller(number="12"),
        603,
    ),
    # 1 meets the others
    "blocked and VIP": (office(ext("100", forward=TO_OTHERS), blocked=Blocked((VIP,))), VIP_CALLER, 603),
    "blocked and mapped to a gateway": (office(MAPPED, blocked=Blocked(("+65*",))), OUTSIDE, 603),
    "blocked and do not disturb": (office(QUIET, blocked=Blocked(("+65*",))), OUTSIDE, 603),
    # 2: gateway
    "a mapped extension's calls go to its gateway": (office(MAPPED), OUTSIDE, ["warehouse"]),
    "gateway and do not disturb": (office(ext("100", gateway="warehouse", dnd=True)), OUTSIDE, ["warehouse"]),
    "gateway and forwarding": (office(ext("100", gateway="warehouse", forward=BOTH)), OUTSIDE, ["warehouse"]),
    "gateway and a VIP": (
        office(ext("100", gateway="warehouse", forward=TO_OTHERS)),
        VIP_CALLER,
        ["warehouse"],
    ),
    "a call does not go back to its gateway": (office(MAPPED), Caller("100", gateway="warehouse"), 482),
    # 3: do not disturb
    "do not disturb": (office(QUIET), OUTSIDE, 486),
    "do not disturb and forwarding": (office(ext("100", dnd=True, forward=BOTH)), OUTSIDE, 486),
    "do not disturb and a VIP": (office(ext("100", dnd=True, forward=TO_OTHERS)), VIP_CALLER, 486),
    "do not disturb, from inside": (office(QUIET), inside("101"), 486),
    # 4: forwarding
    "the number and all extensions ring together": (office(ext("100", forward=BOTH)), OUTSIDE, ["101", FAR]),
    "an extension is a VIP by its key": (
        office(ext("100", forward=Forward(True, FAR, (), ("101",)))),
        inside("101"),
        ["100"],
    ),
    "forwards do not chain": (
        office(ext("100", forward=Forward(True, "", ("101",))), ext("101", forward=Forward(True, FAR))),
        OUTSIDE,
        ["101"],
    ),
    "two that forward to each other": (
        office(
            ext("100", forward=Forward(True, "", ("101",))), ext("101", forward=Forward(True, "", ("100",)))
        ),
        OUTSIDE,
        ["101"],
    ),
    "do not disturb of a target counts": (
        office(ext("100", forward=Forward(True, FAR, ("101",))), ext("101", dnd=True)),
        OUTSIDE,
        [FAR],
    ),
    "a target that is mapped to a gateway": (
        office(ext("100", forward=Forward(True, "", ("101",))), ext("101", gateway="warehouse")),
        OUTSIDE,
        ["warehouse"],
    ),
    "ring ticks of a target count": (
        office(ext("100", forward=Forward(True, FAR, ("101",))), ext("101", ring=False)),
        OUTSIDE,
        [FAR],
    ),
    "all targets are busy": (
        office(ext("100", forward=Forward(True, "", ("101",))), ext("101", dnd=True)),
        OUTSIDE,
        486,
    ),
    "an extension does not forward to itself": (
        office(ext("100", forward=Forward(True, FAR, ("100",)))),
        OUTSIDE,
        [FAR],
    ),
    "nor to the caller": (office(ext("100", forward=Forward(True, FAR, ("101",)))), inside("101"), [FAR]),
    "nor to the caller's number": (
        office(ext("100", forward=Forward(True, FAR, ("101",)))),
        Caller(number=FAR),
        ["101"],
    ),
    "nobody is left": (office(ext("100", forward=Forward(True, FAR))), Caller(number=FAR), 486),
    "a number of the office is its extension": (
        office(ext("100", forward=Forward(True, OURS)), numbers=(Number(OURS, "extension:102"),)),
        OUTSIDE,
        ["102"],
    ),
    "a number that comes back to the same extension": (
        office(ext("100", forward=Forward(True, OURS)), numbers=(Number(OURS, "extension:100"),)),
        OUTSIDE,
        480,
    ),
    "a number of the office that is no extension's": (
        office(ext("100", forward=Forward(True, OURS)), numbers=(Number(OURS, "voicemail:102"),)),
        OUTSIDE,
        480,
    ),
    # 4: the forwarding extension's rule, whitelist and limit
    "without an outbound rule nobody outside rings": (
        office(ext("100", forward=BOTH, outbound_rule="")),
        OUTSIDE,
        ["101"],
    ),
    "a country that is not listed does not ring": (
        office(ext("100", forward=BOTH), rules=(NOBODY_OUTSIDE,)),
        OUTSIDE,
        ["101"],
    ),
    "a country with a passcode does not ring": (
        office(ext("100", forward=Forward(True, VIETNAM, ("101",)), passcode_hash="x")),
        OUTSIDE,
        ["101"],
    ),
    "without a trunk nobody outside rings": (
        office(ext("100", forward=BOTH), rules=(OutboundRule("standard", (), (), (AllowedCountry("SG"),)),)),
        OUTSIDE,
        ["101"],
    ),
    "a limit that is used up": (
        office(ext("100", forward=BOTH, usage_limit=UsageLimit("minutes"))),
        OUTSIDE,
        ["101"],
    ),
    "the caller's limit does not count": (
        office(ext("100", forward=BOTH), ext("102", usage_limit=UsageLimit("minutes"))),
        inside("102"),
        ["101", FAR],
    ),
    "only the number, and it may not": (
        office(ext("100", forward=Forward(True, FAR), outbound_rule="")),
        OUTSIDE,
        480,
    ),
    # 5: phones
    "all phones ring together": (office(), OUTSIDE, ["100", "100-mobile"]),
    "a phone without a tick does not ring": (
        office(ext("100", ring=False, mobile=True)),
        OUTSIDE,
        ["100-mobile"],
    ),
    "the caller's own phone does not ring": (office(), inside("100"), ["100-mobile"]),
    "it has no other": (office(), inside("101"), None),
    "no phone has a tick": (office(ext("100", ring=False)), OUTSIDE, 480),
    # none
    "nobody has the key": (office(), OUTSIDE, 404),
    "a conference room": (office(), OUTSIDE, Serve("room", "700", "700 is a conference room")),
}
KEYS = {
    "it has no other": ("101", 486),
    "nobody has the key": ("199", 404),
    "a conference room": ("700", None),
}


@pytest.mark.parametrize(("case", "row"), CASES.items(), ids=CASES)
def test_steps_and_their_meetings(case, row):
    place, caller, expected = row
    key, other = KEYS.get(case, ("100", None))
    assert outcome(decide_inbound(place, WORLD, caller, key)) == (other or expected)


ABSENT = {
    "one phone is away": (FakeWorld(frozenset({"100"})), ["100-mobile"]),
    "all are away": (FakeWorld(frozenset({"100", "100-mobile"})), 480),
    "one call more is taken": (FakeWorld(busy={"100": 1}), ["100", "100-mobile"]),
    "call waiting is full": (FakeWorld(busy={"100": 2}), 486),
}


@pytest.mark.parametrize(("world", "expected"), ABSENT.values(), ids=ABSENT)
def test_who_is_there(world, expected):
    assert outcome(decide_inbound(office(), world, OUTSIDE, "100")) == expected


MEETINGS = {
    "gateway, and call waiting is full": (MAPPED, OUTSIDE, {"100": 9}, ["warehouse"]),
    "forwarding, and call waiting is full": (ext("100", forward=BOTH), OUTSIDE, {"100": 9}, ["101", FAR]),
    "a target whose call waiting is full": (ext("100", forward=BOTH), OUTSIDE, {"101": 2}, [FAR]),
    "a VIP, and call waiting is full": (ext("100", forward=TO_OTHERS), VIP_CALLER, {"100": 2}, 486),
    "do not disturb, and call waiting is full": (QUIET, OUTSIDE, {"100": 2}, 486),
}


@pytest.mark.parametrize(("extension", "caller", "busy", "expected"), MEETINGS.values(), ids=MEETINGS)
def test_call_waiting_meets_the_others(extension, caller, busy, expected):
    assert outcome(decide_inbound(office(extension), FakeWorld(busy=busy), caller, "100")) == expected


AWAY = {
    "a target is away": (ext("100", forward=BOTH), {"101"}, OUTSIDE, [FAR]),
    "all targets are away": (ext("100", forward=Forward(True, "", ("101",))), {"101"}, OUTSIDE, 480),
    "the own phones are away, and the targets are not": (
        ext("100", forward=BOTH),
        {"100"},
        OUTSIDE,
        ["101", FAR],
    ),
    "a VIP, and nobody is there": (ext("100", forward=TO_OTHERS), {"100"}, VIP_CALLER, 480),
    "mapped, and nobody is there": (MAPPED, {"100"}, OUTSIDE, ["warehouse"]),
    "do not disturb, and nobody is there": (QUIET, {"100"}, OUTSIDE, 486),
}


@pytest.mark.parametrize(("extension", "unregistered", "caller", "expected"), AWAY.values(), ids=AWAY)
def test_who_is_away_meets_the_others(extension, unregistered, caller, expected):
    world = FakeWorld(frozenset(unregistered))
    assert outcome(decide_inbound(office(extension), world, caller, "100")) == expected


@pytest.mark.parametrize(
    "extension", [ext("100"), ext("100", forward=BOTH), MAPPED], ids=["phones", "forwarding", "gateway"]
)
def test_the_no_answer_timer_is_that_of_the_extension_that_was_called(extension):
    extension = replace(extension, no_answer=NoAnswer(timeout=42))
    for has_next in (False, True):
        decision = decide_inbound(office(extension), WORLD, OUTSIDE, "100", has_next=has_next)
        assert (decision.key, decision.no_answer_s) == (("", None) if has_next else ("100", 42.0))


@pytest.mark.parametrize("extension", [QUIET, ext("100", ring=False)], ids=["do not disturb", "nobody there"])
def test_no_answer_at_once(extension):
    assert decide_inbound(office(extension), WORLD, OUTSIDE, "100").key == "100"
    assert decide_inbound(office(extension), WORLD, OUTSIDE, "100", has_next=True).key == ""


@pytest.mark.parametrize(
    "extension", [ext("100", type="call_centre"), ext("100", type="call_centre", dnd=True)]
)
def test_a_call_centre_has_no_no_answer_settings(extension):
    assert decide_inbound(office(extension), WORLD, OUTSIDE, "100").key == ""


def test_a_blocked_call_is_recorded_as_that():
    decision = decide_inbound(office(blocked=Blocked(("+65*",))), WORLD, OUTSIDE, "100")
    assert (decision.state, decision.key) == ("blocked", "")


@pytest.mark.parametrize("key", ["600", "700"])
def test_the_block_list_is_for_groups_and_rooms_too(key):
    place = office(groups=(Group("600", members=("101",)),), blocked=Blocked(("+65*",)))
    assert outcome(decide_inbound(place, WORLD, OUTSIDE, key)) == 603


# --- what a forwarded leg is --------------------------------------------------------------------------------


def test_the_forwarding_extension_pays_by_its_own_rule():
    other = OutboundRule("other", ("third",), countries=(AllowedCountry("SG"),))
    place = office(
        ext("100", forward=Forward(True, FAR), outbound_rule="other"),
        rules=(NOBODY_OUTSIDE, other),
    )
    (leg,) = decide_inbound(place, WORLD, inside("102"), "100").outside
    assert (leg.payer, leg.rule, leg.trunks, leg.shown) == ("100", "other", ("third",), Shown(OURS))


@pytest.mark.parametrize(("forwarded", "shown_key"), [("extension", "100"), ("caller", "")])
def test_whom_the_phones_that_are_forwarded_to_see(forwarded, shown_key):
    place = office(ext("100", forward=BOTH, caller_id=CallerId(forwarded=forwarded)))
    decision = decide_inbound(place, WORLD, OUTSIDE, "100")
    assert decision.devices
    assert {decision.shown_to(phone) for phone in decision.devices} == {shown_key}


def test_a_gateway_is_told_who_calls_and_whom():
    (leg,) = decide_inbound(office(MAPPED), WORLD, replace(OUTSIDE, name="Bob"), "100").outside
    assert (leg.number, leg.payer, leg.trunks) == ("100", "", ())
    assert leg.shown == Shown(name="Bob", original=OUTSIDE.number)


def test_a_gateway_is_told_the_key_and_label_of_who_calls_from_inside():
    (leg,) = decide_inbound(office(MAPPED), WORLD, replace(inside("101"), name="Ann"), "100").outside
    assert leg.shown == Shown(name="Ann", original="101")


def test_a_phone_rings_once_however_often_it_is_a_target():
    place = office(
        ext("100", forward=Forward(True, OURS, ("102",))), numbers=(Number(OURS, "extension:102"),)
    )
    assert outcome(decide_inbound(place, WORLD, OUTSIDE, "100")) == ["102"]


# --- reasons ------------------------------------------------------------------------------------------------

LIMITED = ext("100", forward=BOTH, usage_limit=UsageLimit("minutes", minutes=5))
REASONS = {
    "a VIP": (
        office(ext("100", mobile=True, forward=TO_OTHERS)),
        VIP_CALLER,
        [
            "forwarding of 100 is on, and +6531234567 is on its VIP list",
            "the phones of 100 ring: 100, 100-mobile",
        ],
    ),
    "a VIP inside": (
        office(ext("100", forward=replace(TO_OTHERS, vip=("101",)))),
        inside("101"),
        ["forwarding of 100 is on, and 101 is on its VIP list", "the phones of 100 ring: 100"],
    ),
    "forwarding": (
        office(LIMITED, ext("101", forward=BOTH)),
        OUTSIDE,
        [
            "forwarding of 101 is on, and ignored: forwards do not chain",
            "the phones of 101 ring: 101",
            'FAR is in SG, which outbound rule "standard" allows',
            "usage limit of 100: 1.0 of 5 minutes used this month; a call to FAR may last 4 min",
            "+6560001000 is shown: the office's first number",
            '100 pays for FAR, over carrier, then backup (outbound rule "standard")',
            "FAR rings",
            "forwarding of 100 is on: 101 and FAR ring together",
        ],
    ),
    "a target that may not be": (
        office(ext("100", forward=BOTH), ext("101", dnd=True), rules=(NOBODY_OUTSIDE,)),
        OUTSIDE,
        [
            "101 does not ring: do not disturb of 101 is on",
            'FAR does not ring: FAR is in SG, which outbound rule "standard" does not list',
            "forwarding of 100 is on, and nobody rings",
        ],
    ),
    "a gateway": (office(MAPPED), OUTSIDE, ['100 is mapped to gateway "warehouse": the call goes there']),
    "do not disturb": (office(QUIET), OUTSIDE, ["do not disturb of 100 is on"]),
    "the block list": (
        office(blocked=Blocked(("611*",))),
        OUTSIDE,
        ["the caller is on the block list: 611* (blocked.numbers)"],
    ),
}


@pytest.mark.parametrize(("place", "caller", "sentences"), REASONS.values(), ids=REASONS)
def test_reasons(place, caller, sentences):
    decision = decide_inbound(place, FakeWorld(spent={"100": Used(seconds=60.0)}), caller, "100")
    assert [*decision.because, decision.why] == [each.replace("FAR", FAR) for each in sentences]


# --- numbers ------------------------------------------------------------------------------------------------

GROUP = Group("600", members=("101", "102"))
DESTINATIONS = {
    "an extension": ("extension:100", ["100", "100-mobile"]),
    "a group": ("group:600", ["101", "102"]),
    "a room": ("room:700", "room"),
    "a mailbox": ("voicemail:100", "message"),
    "a line, which is not in effect yet": ("line:main", 480),
    "nowhere": ("", 480),
}


@pytest.mark.parametrize(("destination", "expected"), DESTINATIONS.values(), ids=DESTINATIONS)
def test_where_a_number_goes(destination, expected):
    place = office(numbers=(Number(OURS, destination),), groups=(GROUP,), lines=(Line("main", ()),))
    decision = decide_number(place, WORLD, OUTSIDE, OURS)
    names = {Serve: "room", TakeMessage: "message"}
    assert names.get(type(decision), outcome(decision)) == expected
    if destination and "line" not in destination:
        assert decision.because[0] == f"{OURS} goes to {destination.replace(':', ' ')}"
    blocked = replace(place, blocked=Blocked(("+65*",)))
    assert outcome(decide_number(blocked, WORLD, OUTSIDE, OURS)) == 603


@pytest.mark.parametrize("written", [OURS, "6560001000", "60001000", "006560001000"])
def test_a_number_is_found_however_the_carrier_writes_it(written):
    place = office(numbers=(Number(OURS, "extension:101"),))
    assert outcome(decide_number(place, WORLD, OUTSIDE, written)) == ["101"]


@pytest.mark.parametrize("written", ["+6569999999", "", "ann", OURS_TOO])
def test_a_number_that_is_not_ours(written):
    assert outcome(decide_number(office(numbers=(OURS,)), WORLD, OUTSIDE, written)) == 404


def test_a_number_and_the_settings_of_its_extension():
    place = office(QUIET, numbers=(Number(OURS, "extension:100"),))
    decision = decide_number(place, WORLD, OUTSIDE, OURS)
    assert (decision.status, decision.key) == (486, "100")


def test_without_a_country_of_the_office_numbers_are_international():
    place = office(ext("100", forward=TO_OTHERS), settings=Settings())
    assert outcome(decide_inbound(place, WORLD, Caller(number="31234567"), "100")) == ["101", "102", "103"]
    assert outcome(decide_inbound(place, WORLD, Caller(number="6531234567"), "100")) == ["100"]


def test_forwarding_to_an_outside_number_alone():
    place = office(ext("100", forward=Forward(True, FAR_TOO)))
    assert numbers_of(decide_inbound(place, WORLD, Caller(number=MOBILE), "100")) == [FAR_TOO]
