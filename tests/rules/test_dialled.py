"""Product §3 and the codes of §5, step by step, and the steps that meet."""

from dataclasses import replace
from decimal import Decimal

import pytest

from pbx.office.blocked import Blocked
from pbx.office.country import country_of
from pbx.office.device import Device
from pbx.office.outbound_rule import AllowedCountry, DialPlanRow, OutboundRule
from pbx.office.settings import Settings
from pbx.office.usage_limit import UsageLimit
from pbx.rules.decision import AskPasscode, AskPin, Outside, Reject, Ring, Serve, Shown
from pbx.rules.dialled import decide_dialled
from pbx.rules.facts import Caller, Used
from pbx.rules.outbound import decide_outside
from tests.rules.world import (
    FAR,
    OURS,
    OURS_TOO,
    OUTSIDE,
    STANDARD,
    VIETNAM,
    WORLD,
    CallerId,
    FakeWorld,
    Forward,
    Group,
    Number,
    ext,
    inside,
    office,
)


def outcome(decision):
    """As these tables write it: the phones and numbers that ring, who is refused how, what is served."""
    match decision:
        case Ring():
            return [*decision.devices, *(leg.number for leg in decision.outside)]
        case Reject():
            return (decision.status, decision.announcement)
        case Serve():
            return f"{decision.service} {decision.argument}".strip()
        case AskPasscode():
            return f"passcode of {decision.key}"
        case AskPin():
            return f"PIN for {decision.dialled}"


LOCAL = replace(STANDARD, dial_plan=(DialPlanRow("3689", 8, 0, "65"),))
SPENT = ext("100", usage_limit=UsageLimit("minutes"))
CODED = ext("100", passcode_hash="hash")
REFUSES = Settings(country="SG", passcode_missing="refuse")
BARE = office(ext("100", outbound_rule=""))
TO_VIETNAM = office(CODED)
NO_WAY = office(rules=(replace(STANDARD, trunks=()),))
NOT_ALLOWED, NOT_LISTED = (403, "call-not-allowed"), (403, "call-country-not-allowed")
UNKNOWN = (404, "")

CASES = {
    # emergency
    "an emergency number": (office(), "995", ["995"]),
    "emergency without an outbound rule": (BARE, "995", ["995"]),
    "emergency with nothing left": (office(SPENT), "995", ["995"]),
    "emergency in an office without countries": (office(rules=(OutboundRule("standard"),)), "112", ["112"]),
    "emergency by who is on the block list": (office(blocked=Blocked(("100",))), "995", ["995"]),
    "emergency at a hot desk where nobody is logged in": (
        office(ext("100", hot_desking=True)),
        "995",
        ["995"],
    ),
    "emergency with the code that hides": (office(), "*67995", ["995"]),
    "emergency with a separator": (office(), "9-95", ["995"]),
    "emergency before the dial plan": (
        office(rules=(replace(STANDARD, dial_plan=(DialPlanRow(prepend="65"),)),)),
        "995",
        ["995"],
    ),
    "emergency in an office without trunks": (
        office(rules=(OutboundRule("standard"),), trunks=()),
        "995",
        (404, ""),
    ),
    # internal keys and codes
    "an extension": (office(), "101", ["101"]),
    "a group": (office(groups=(Group("600", members=("101", "102")),)), "600", ["101", "102"]),
    "a room": (office(), "700", "room 700"),
    "an internal key without an outbound rule": (BARE, "101", ["101"]),
    "an internal key with nothing left": (office(SPENT), "101", ["101"]),
    "a key before the dial plan": (
        office(rules=(replace(STANDARD, dial_plan=(DialPlanRow(prepend="65"),)),)),
        "101",
        ["101"],
    ),
    "hidden, to an extension": (office(), "*67101", ["101"]),
    "own mailbox": (office(), "*97", "own mailbox"),
    "any mailbox": (office(), "*98", "any mailbox"),
    "do not disturb on": (office(), "*78", "do not disturb on"),
    "do not disturb off": (office(), "*79", "do not disturb off"),
    "forwarding on": (office(), "*7231112222", "forward on 31112222"),
    "forwarding on, to a number with plus": (office(), "*72+6531112222", "forward on +6531112222"),
    "forwarding on needs a number": (office(), "*72", (404, "")),
    "forwarding off": (office(), "*73", "forward off"),
    "pick up": (office(), "**101", "pick up 101"),
    "pick up in group": (office(), "*8", "pick up in group"),
    "park": (office(), "*85", "park"),
    "fetch": (office(), "*8671", "fetch 71"),
    "echo test": (office(), "*43", "echo test"),
    "say keys": (office(), "*44", "say keys"),
    "codes without an outbound rule": (BARE, "*97", "own mailbox"),
    "no code": (office(), "*55", (404, "")),
    "the code that hides, alone": (office(), "*67", (404, "")),
    # hot-desk codes
    "log in by 00": (office(ext("100", hot_desking=True)), "00", "hot desk"),
    "log in by 00#": (office(ext("100", hot_desking=True)), "00#", "hot desk"),
    "log in by *11": (office(ext("100", hot_desking=True)), "*11", "hot desk"),
    "log out by *12": (office(ext("100", hot_desking=True)), "*12", "hot desk logout"),
    "nobody logs in where there is no hot desking": (office(), "00", (403, "hotdesk-not-here")),
    "nor out": (office(), "*12", (403, "hotdesk-not-here")),
    "00 exactly: with more it is a number": (office(), "006531112222", [FAR]),
    # dial plan
    "by a row": (office(rules=(LOCAL,)), "31112222", [FAR]),
    "national": (office(), "31112222", [FAR]),
    "with plus": (office(), FAR, [FAR]),
    "with 00": (office(), "006531112222", [FAR]),
    "impossible": (office(), "123456789012345678", NOT_ALLOWED),
    "impossible by a row": (
        office(rules=(replace(STANDARD, dial_plan=(DialPlanRow(remove=20),)),)),
        "31112222",
        NOT_ALLOWED,
    ),
    "no key and no number": (office(), "199", UNKNOWN),
    "no key, and no outbound rule": (BARE, "199", UNKNOWN),
    "a name": (office(), "ann", NOT_ALLOWED),
    "nothing": (office(), "", NOT_ALLOWED),
    "no country of the office": (office(settings=Settings()), "31112222", NOT_ALLOWED),
    "without an outbound rule": (BARE, FAR, NOT_ALLOWED),
    # country
    "a country that is not listed": (office(), "+12025550123", NOT_LISTED),
    "a country that shares the code of one": (
        office(rules=(replace(STANDARD, countries=(AllowedCountry("US"),)),)),
        "+14165550123",
        NOT_LISTED,
    ),
    "a satellite": (office(), "+881612345678", NOT_ALLOWED),
    "a premium number in a listed country": (office(), "19001234567", NOT_ALLOWED),
    "a satellite that is listed": (
        office(rules=(replace(STANDARD, countries=(AllowedCountry("+8816"),)),)),
        "+881612345678",
        ["+881612345678"],
    ),
    # usage limit
    "nothing left": (office(SPENT), FAR, (403, "call-limit-reached")),
    "country before usage limit": (office(SPENT), "+12025550123", NOT_LISTED),
    "nothing left in a call centre": (office(replace(SPENT, type="call_centre")), FAR, [FAR]),
    # passcode
    "a passcode is asked for": (TO_VIETNAM, VIETNAM, "passcode of 100"),
    "not in a country without one": (TO_VIETNAM, FAR, [FAR]),
    "no passcode: connect": (office(), VIETNAM, [VIETNAM]),
    "no passcode: refuse": (office(settings=REFUSES), VIETNAM, NOT_ALLOWED),
    "no passcode needed: refuse is not meant": (office(settings=REFUSES), FAR, [FAR]),
    "usage limit before passcode": (
        office(replace(SPENT, passcode_hash="hash")),
        VIETNAM,
        (403, "call-limit-reached"),
    ),
    # trunks
    "without a trunk": (NO_WAY, FAR, (503, "call-try-later")),
    "nobody is asked for a passcode in vain": (
        office(CODED, rules=(replace(STANDARD, trunks=()),)),
        VIETNAM,
        (503, "call-try-later"),
    ),
    # our own numbers
    "our own number stays inside": (office(numbers=(Number(OURS, "extension:101"),)), "60001000", ["101"]),
    "also without an outbound rule": (
        office(ext("100", outbound_rule=""), numbers=(Number(OURS, "extension:101"),)),
        OURS,
        ["101"],
    ),
    "our own number, and do not disturb": (
        office(ext("101", dnd=True), numbers=(Number(OURS, "extension:101"),)),
        OURS,
        (486, ""),
    ),
    # what is called and its own settings
    "an extension that forwards outside": (office(ext("101", forward=Forward(True, FAR))), "101", [FAR]),
    "do not disturb": (office(ext("101", dnd=True)), "101", (486, "")),
}


@pytest.mark.parametrize(("place", "dialled", "expected"), CASES.values(), ids=CASES)
def test_steps_and_their_meetings(place, dialled, expected):
    assert outcome(decide_dialled(place, WORLD, inside("100"), dialled)) == expected


def test_a_locked_passcode_is_not_asked_for():
    world = FakeWorld(locked=frozenset({"passcode 100"}))
    assert outcome(decide_dialled(TO_VIETNAM, world, inside("100"), VIETNAM)) == (403, "passcode-locked")
    assert outcome(decide_dialled(TO_VIETNAM, world, inside("100"), FAR)) == [FAR]
    other = FakeWorld(locked=frozenset({"passcode 101"}))
    assert outcome(decide_dialled(TO_VIETNAM, other, inside("100"), VIETNAM)) == "passcode of 100"


def test_the_passcode_opens_the_way_that_was_decided():
    asked = decide_dialled(TO_VIETNAM, WORLD, inside("100"), VIETNAM)
    assert (asked.hash, outcome(asked.then)) == ("hash", [VIETNAM])
    plain = decide_dialled(office(), WORLD, inside("100"), VIETNAM)
    assert asked.then.outside == plain.outside


def test_an_outside_call_is_paid_by_who_dials_over_the_trunks_of_his_rule():
    (leg,) = decide_dialled(office(), WORLD, inside("100"), "31112222").outside
    assert leg == Outside(FAR, "100", Shown(OURS), ("carrier", "backup"), rule="standard")


def test_a_caller_who_hides_is_hidden_for_this_call():
    (leg,) = decide_dialled(office(), WORLD, inside("100"), "*6731112222").outside
    assert leg.shown == Shown(OURS, is_hidden=True)
    (leg,) = decide_dialled(office(), WORLD, inside("100", is_private=True), "31112222").outside
    assert leg.shown.is_hidden


# --- emergency ----------------------------------------------------------------------------------------------


def test_an_emergency_call_tries_the_trunks_of_its_rule_and_then_all_others():
    place = office(rules=(replace(STANDARD, trunks=("backup",)),))
    (leg,) = decide_dialled(place, WORLD, inside("100", is_private=True), "995").outside
    assert leg == Outside(
        "995", "", Shown(OURS), ("backup", "carrier", "third"), rule="standard", is_emergency=True
    )
    (leg,) = decide_dialled(BARE, WORLD, inside("100"), "995").outside
    assert (leg.trunks, leg.rule) == (("carrier", "backup", "third"), "")


OWN = CallerId("fixed", OURS_TOO)


def test_an_emergency_call_shows_the_number_of_the_phone_not_of_who_is_logged_in():
    desk = ext("200", hot_desking=True, caller_id=OWN)
    place = office(desk, ext("100", assignee="ann@acme.example"))
    world = FakeWorld(logins={"200": "ann@acme.example"})
    caller = Caller("100", "200", member="ann@acme.example")
    (leg,) = decide_dialled(place, world, caller, "995").outside
    assert (leg.shown, leg.payer) == (Shown(OURS_TOO), "")
    (leg,) = decide_dialled(place, world, caller, FAR).outside
    assert (leg.shown, leg.payer) == (Shown(OURS), "100")


def test_an_emergency_call_shows_the_same_number_each_time():
    mode = CallerId("random", "", (OURS_TOO, OURS))
    place = office(ext("100", caller_id=mode))
    shown = {
        decide_dialled(place, FakeWorld(chance=each / 10), inside("100"), "995").outside[0].shown
        for each in range(10)
    }
    assert shown == {Shown(OURS_TOO)}


# --- gateways -----------------------------------------------------------------------------------------------

MAPPED = ext("101", gateway="warehouse", outbound_rule="", passcode_hash="hash")
BEHIND = Caller(gateway="warehouse")
GATEWAYS = {
    "an internal key": (office(MAPPED), "102", ["102"]),
    "outside, by the gateway's own rule": (office(MAPPED), FAR, [FAR]),
    "an extension is mapped: its passcode": (office(MAPPED), VIETNAM, "passcode of 101"),
    "its limit": (
        office(replace(MAPPED, usage_limit=UsageLimit("minutes"))),
        FAR,
        (403, "call-limit-reached"),
    ),
    "no extension is mapped": (office(), FAR, [FAR]),
    "no extension is mapped: no passcode": (office(settings=REFUSES), VIETNAM, NOT_ALLOWED),
    "a gateway without a rule": (office(ext("101", gateway="warehouse"), gateways=()), FAR, NOT_ALLOWED),
    "emergency": (office(MAPPED), "995", ["995"]),
    "its own extension": (office(MAPPED), "101", (482, "")),
    "no hot desk": (office(MAPPED), "*11", (403, "hotdesk-not-here")),
}


@pytest.mark.parametrize(("place", "dialled", "expected"), GATEWAYS.values(), ids=GATEWAYS)
def test_what_comes_from_a_gateway(place, dialled, expected):
    assert outcome(decide_dialled(place, WORLD, BEHIND, dialled)) == expected


def test_a_gateway_acts_for_the_first_extension_that_is_mapped_to_it():
    place = office(MAPPED, ext("102", gateway="warehouse"))
    assert decide_dialled(place, WORLD, BEHIND, FAR).outside[0].payer == "101"
    assert decide_dialled(office(), WORLD, BEHIND, FAR).outside[0].payer == ""


# --- hot desks (§4) -----------------------------------------------------------------------------------------

DESK = Device("ip_phone", "200")
HOT = office(ext("200", hot_desking=True), ext("100", passcode_hash="hash", assignee="ann@acme.example"))
LOGIN_NEEDED = (403, "call-login-needed")
LOGGED_OUT = {
    "a login code": ("*11", "hot desk"),
    "a key of the list": ("101", ["101"]),
    "a key that is not on it": ("102", LOGIN_NEEDED),
    "a room": ("700", LOGIN_NEEDED),
    "a code": ("*97", LOGIN_NEEDED),
    "pick up": ("**101", LOGIN_NEEDED),
    "no code": ("*55", LOGIN_NEEDED),
    "a number asks for a PIN": ("31112222", "PIN for 31112222"),
    "with plus": (FAR, f"PIN for {FAR}"),
    "with 00": ("006531112222", "PIN for 006531112222"),
    "hidden": ("*6731112222", "PIN for *6731112222"),
    "what is nothing": ("ann", LOGIN_NEEDED),
    "emergency": ("995", ["995"]),
}


@pytest.mark.parametrize(("dialled", "expected"), LOGGED_OUT.values(), ids=LOGGED_OUT)
def test_a_hot_desk_where_nobody_is_logged_in(dialled, expected):
    caller = Caller("200", "200")
    place = replace(HOT, settings=replace(HOT.settings, hot_desk_keys=("101",)))
    assert outcome(decide_dialled(place, WORLD, caller, dialled)) == expected


def test_who_has_given_his_pin_is_asked_for_nothing_else():
    caller = Caller("100", "200", member="ann@acme.example")
    assert outcome(decide_dialled(HOT, WORLD, caller, "31112222")) == [FAR]
    assert outcome(decide_dialled(HOT, WORLD, caller, "102")) == ["102"]
    assert outcome(decide_dialled(HOT, WORLD, caller, VIETNAM)) == "passcode of 100"
    assert outcome(decide_dialled(HOT, WORLD, caller, "00")) == "hot desk"


# --- reasons ------------------------------------------------------------------------------------------------

COUNTED = ext("100", usage_limit=UsageLimit("amount", Decimal(50)), passcode_hash="hash", caller_id=OWN)
REASONS = {
    "all the way": (
        office(COUNTED, rules=(LOCAL,)),
        "31112222",
        [
            'row 1 of the dial plan of outbound rule "standard" makes +6531112222 of 31112222',
            '+6531112222 is in SG, which outbound rule "standard" allows',
            "usage limit of 100: 12.50 of 50.00 used this month; a call to +6531112222 costs nothing (rate)",
            "+6560001001 is shown: caller ID of 100 (fixed)",
            '+6531112222 is called over carrier, then backup (outbound rule "standard")',
        ],
    ),
    "a passcode": (
        office(CODED),
        VIETNAM,
        [
            "+84938812345 is international",
            '+84938812345 is in VN, which outbound rule "standard" allows',
            "VN asks for a passcode: that of 100 is asked for",
            "+6560001000 is shown: the office's first number",
            "100 is asked for its passcode, then +84938812345 is called over carrier, then backup"
            ' (outbound rule "standard")',
        ],
    ),
    "no passcode": (
        office(settings=REFUSES),
        VIETNAM,
        [
            "+84938812345 is international",
            '+84938812345 is in VN, which outbound rule "standard" allows',
            'VN asks for a passcode, 100 has none, and office.passcode_missing is "refuse"',
        ],
    ),
    "nothing left": (
        office(replace(COUNTED, usage_limit=UsageLimit("amount", Decimal(5)))),
        FAR,
        [
            "+6531112222 is international",
            '+6531112222 is in SG, which outbound rule "standard" allows',
            "usage limit of 100: 12.50 of 5.00 used this month; nothing is left for a call to +6531112222",
        ],
    ),
    "emergency": (
        office(),
        "*67995",
        [
            "+6560001000 is shown: the office's first number",
            "995 is an emergency number (office.emergency):"
            " it is called over carrier, then backup, then third",
        ],
    ),
    "no key": (office(), "199", ["nobody has the key 199, and 199 is no number of SG (office.country)"]),
    "our own": (
        office(numbers=(Number(OURS, "extension:101"),)),
        "60001000",
        [
            "60001000 is a number of SG (office.country): +6560001000",
            "+6560001000 is the office's own: the call stays inside",
            "+6560001000 goes to extension 101",
            "the phones of 101 ring: 101",
        ],
    ),
    "a satellite": (
        office(),
        "+881612345678",
        [
            "+881612345678 is international",
            '+881612345678 is in no country, and outbound rule "standard" does not list its first digits',
        ],
    ),
}


@pytest.mark.parametrize(("place", "dialled", "sentences"), REASONS.values(), ids=REASONS)
def test_reasons(place, dialled, sentences):
    world = FakeWorld(spent={"100": Used(Decimal("12.50"))})
    decision = decide_dialled(place, world, inside("100"), dialled)
    assert [*decision.because, decision.why] == sentences


# --- legs that nobody dials ---------------------------------------------------------------------------------

CAUSED = {
    "a number": (office(), FAR, [FAR]),
    "without an outbound rule": (BARE, FAR, 403),
    "a country that is not listed": (office(), "+12025550123", 403),
    "nothing left": (office(SPENT), FAR, 403),
    "a country with a passcode": (TO_VIETNAM, VIETNAM, 403),
    "a country with a passcode, and none is needed": (office(), VIETNAM, 403),
    "without a trunk": (NO_WAY, FAR, 503),
    "a number of the office": (office(), OURS, 403),
}


@pytest.mark.parametrize(("place", "number", "expected"), CAUSED.values(), ids=CAUSED)
def test_a_leg_that_an_extension_causes(place, number, expected):
    leg = decide_outside(place, WORLD, "100", number, OUTSIDE, cause="transfer")
    assert (leg.status if isinstance(leg, Reject) else [leg.number]) == expected
    if isinstance(leg, Outside):
        assert (leg.payer, leg.trunks) == ("100", ("carrier", "backup"))


def test_nobody_causes_a_leg():
    assert decide_outside(office(), WORLD, "199", FAR, None, cause="transfer").status == 403


def test_a_passcode_that_nobody_can_be_asked_for():
    refused = decide_outside(TO_VIETNAM, WORLD, "100", VIETNAM, None, cause="transfer")
    assert refused.why == "VN asks for a passcode, which nobody can be asked for: no transfer goes there"
    assert country_of(VIETNAM) == "VN"
