"""What would become of a call: who calls, each decision, and what it leads to."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.office.member import Member
from pbx.office.outbound_rule import AllowedCountry, OutboundRule
from pbx.office.rate import Rate
from pbx.office.trunk import Trunk
from pbx.office.usage_limit import UsageLimit
from pbx.rules.decision import Reject
from pbx.rules.facts import Caller, Used
from pbx.rules.foresee import NobodyError, decide, foresee, read_caller
from pbx.rules.still_world import StillWorld
from tests.rules.world import (
    FAR,
    MOBILE,
    OURS,
    VIETNAM,
    VIP,
    WORLD,
    CallerId,
    Forward,
    Group,
    NoAnswer,
    Number,
    ext,
    office,
)

NOW = WORLD.now
STILL = StillWorld(NOW)
MAIL = NoAnswer("voicemail", timeout=20)
ANN, BOB = "ann@acme.example", "bob@acme.example"
DESK = office(
    ext("100", hot_desking=True, assignee=""),
    ext("101", assignee=ANN),
    members=(Member(ANN, "Ann", "owner", mobile=MOBILE), Member(BOB, "Bob")),
)


def told(place, caller, dialled, world=STILL):
    """All of it, in lines."""
    who, words = read_caller(place, world, caller)
    steps = foresee(place, world, who, decide(place, world, who, dialled))
    lines = [words]
    for step in steps:
        lines += [f"[{step.when}]"] if step.when else []
        lines += [*step.decided, *(f"-> {each}" for each in step.happens)]
    return lines


CASES = {
    "nobody answers: voicemail": (
        office(ext("101", no_answer=MAIL)),
        "100",
        "101",
        STILL,
        [
            "phone 100 of 100 (Phone 100)",
            "the phones of 101 ring: 101",
            "-> phone 101 rings for 20 s",
            "[if nobody answers within 20 s]",
            "nobody answered in time",
            "no-answer action of 101 is voicemail",
            "voicemail of 101",
            "-> the caller is greeted and may leave a message for 101",
        ],
    ),
    "do not disturb: the no-answer action at once, and the reason once": (
        office(ext("101", dnd=True, no_answer=NoAnswer("notify"))),
        "100",
        "101",
        STILL,
        [
            "phone 100 of 100 (Phone 100)",
            "do not disturb of 101 is on",
            "[at once]",
            "no-answer action of 101 is notify: the missed call is noted and mailed",
            "-> the caller is refused: 480 Temporarily Unavailable",
            "-> the missed call is mailed",
        ],
    ),
    "a VIP from outside": (
        office(
            ext("100", forward=Forward(True, "", ("101", "102"), (VIP,)), mobile=True, no_answer=MAIL),
            numbers=(Number(OURS, "extension:100"),),
        ),
        VIP,
        OURS,
        STILL,
        [
            f"{VIP}, outside",
            f"{OURS} goes to extension 100",
            f"forwarding of 100 is on, and {VIP} is on its VIP list",
            "the phones of 100 ring: 100, 100-mobile",
            "-> phones 100, 100-mobile ring for 20 s",
            "[if nobody answers within 20 s]",
            "nobody answered in time",
            "no-answer action of 100 is voicemail",
            "voicemail of 100",
            "-> the caller is greeted and may leave a message for 100",
        ],
    ),
    "a group in turn, and then nothing": (
        office(groups=(Group("600", "", ("101", "102"), "round_robin", 15),)),
        "+6561112222",
        "600",
        StillWorld(NOW, turns={"600": 1}),
        [
            "+6561112222, outside",
            "the phones of 102 ring: 102",
            "group 600 (round_robin): 102, then 101, each for 15 s",
            "-> phone 102 rings for 15 s",
            "[if nobody answers within 15 s]",
            "the phones of 101 ring: 101",
            "-> phone 101 rings for 15 s",
            "[if nobody answers within 15 s]",
            "-> the caller is refused: 480 Temporarily Unavailable",
        ],
    ),
    "a passcode, a limit, and who is shown by each trunk": (
        office(
            ext(
                "100",
                passcode_hash="x",
                usage_limit=UsageLimit("amount", Decimal(10)),
                caller_id=CallerId("fixed", OURS),
            ),
            rates=(Rate("+84", Decimal("0.12")),),
        ),
        "100",
        VIETNAM,
        StillWorld(NOW, usage={"100": Used(Decimal("9.40"))}),
        [
            "phone 100 of 100 (Phone 100)",
            f"{VIETNAM} is international",
            f'{VIETNAM} is in VN, which outbound rule "standard" allows',
            f"usage limit of 100: 9.40 of 10.00 used this month; a call to {VIETNAM} may last 5 min",
            "VN asks for a passcode: that of 100 is asked for",
            f"{OURS} is shown: caller ID of 100 (fixed)",
            f"100 is asked for its passcode, then {VIETNAM} is called over carrier, then backup "
            '(outbound rule "standard")',
            "-> the caller is answered and asked for the passcode of 100; if it is right:",
            f'-> {VIETNAM} is called over trunk "carrier" (shown: {OURS}) or else trunk "backup" '
            f"(shown: {OURS}), paid by 100",
            "[if nobody answers]",
            "-> the caller is refused: 480 Temporarily Unavailable",
        ],
    ),
    "forwarded outside: the caller is shown by the trunk that takes foreign numbers": (
        office(
            ext(
                "101",
                forward=Forward(True, FAR),
                caller_id=CallerId("fixed", OURS, forwarded="caller"),
                no_answer=NoAnswer("hangup", timeout=10),
            ),
            trunks=(Trunk("carrier", "sip:a", foreign_caller_id=True), Trunk("backup", "sip:b")),
        ),
        "+6561112222",
        "101",
        STILL,
        [
            "+6561112222, outside",
            f'{FAR} is in SG, which outbound rule "standard" allows',
            'caller_id.forwarded of 101 is "caller": +6561112222 is shown where the trunk allows it',
            f'101 pays for {FAR}, over carrier, then backup (outbound rule "standard")',
            f"{FAR} rings",
            f"forwarding of 101 is on: {FAR} rings",
            f'-> {FAR} is called for 10 s over trunk "carrier" (shown: +6561112222) or else trunk "backup" '
            f"(shown: {OURS}), paid by 101",
            "[if nobody answers within 10 s]",
            "nobody answered in time",
            "no-answer action of 101 is hangup: the call ends",
            "-> the caller is refused: 480 Temporarily Unavailable",
        ],
    ),
    "a country that is not listed": (
        office(),
        "100",
        "+441632960000",
        STILL,
        [
            "phone 100 of 100 (Phone 100)",
            "+441632960000 is international",
            '+441632960000 is in GB, which outbound rule "standard" does not list',
            "-> the caller hears the announcement call-country-not-allowed",
            "-> the caller is refused: 403 Forbidden",
        ],
    ),
    "a code": (
        office(),
        "100",
        "*43",
        STILL,
        ["phone 100 of 100 (Phone 100)", "*43 is the code for: echo test", "-> the PBX answers: echo test"],
    ),
    "an emergency": (
        office(),
        "100",
        "999",
        STILL,
        [
            "phone 100 of 100 (Phone 100)",
            f"{OURS} is shown: the office's first number",
            "999 is an emergency number (office.emergency): "
            "it is called over carrier, then backup, then third",
            f'-> 999 is called over trunk "carrier" (shown: {OURS}) or else trunk "backup" (shown: {OURS}) '
            f'or else trunk "third" (shown: {OURS})',
            "-> owner and administrators are mailed",
            "[if nobody answers]",
            "-> the caller is refused: 480 Temporarily Unavailable",
        ],
    ),
    "a gateway's extension": (
        office(ext("101", gateway="warehouse", no_answer=NoAnswer("hangup", timeout=10))),
        "anonymous",
        "101",
        STILL,
        [
            "a caller outside who withholds his number",
            '101 is mapped to gateway "warehouse": the call goes there',
            '-> gateway "warehouse" is called for 10 s: 101 (shown: nobody)',
            "[if nobody answers within 10 s]",
            "nobody answered in time",
            "no-answer action of 101 is hangup: the call ends",
            "-> the caller is refused: 480 Temporarily Unavailable",
        ],
    ),
    "a loop is refused, whatever the no-answer settings are": (
        office(ext("101", gateway="warehouse", no_answer=MAIL)),
        "warehouse",
        "101",
        STILL,
        [
            'gateway "warehouse", for the first extension mapped to it, 101 (Phone 101)',
            '101 is mapped to gateway "warehouse", from which the call comes',
            "-> the caller is refused: 482 Loop Detected",
        ],
    ),
    "a hot desk where nobody is logged in": (
        DESK,
        "100",
        FAR,
        STILL,
        [
            "phone 100 of 100 (Phone 100), a hot desk where nobody is logged in",
            "nobody is logged in at 100 (hot_desking of 100)",
            f"{FAR} asks for a PIN, for this one call",
            f"-> the caller is answered and asked for a PIN; as its member he calls {FAR}",
        ],
    ),
    "a hot desk where a member is logged in": (
        DESK,
        "100",
        "102",
        StillWorld(NOW, logins={"100": ANN}, registered=frozenset()),
        [
            f"phone 100 of 100 (Phone 100), a hot desk where {ANN} is logged in: the call is that of "
            "101 (Phone 101)",
            "no phone of 102 that rings is registered",
            "[at once]",
            "no-answer action of 102 is voicemail",
            "voicemail of 102",
            "-> the caller is greeted and may leave a message for 102",
        ],
    ),
    "no number of the office": (
        office(),
        "+6561112222",
        "+6569999999",
        STILL,
        [
            "+6561112222, outside",
            "+6569999999 is no number of the office",
            "-> the caller is refused: 404 Not Found",
        ],
    ),
    "an extension without a phone": (
        office(ext("104", devices=())),
        "104",
        "700",
        STILL,
        [
            "104 (Phone 104) has no phone; if it had one",
            "700 is a conference room",
            "-> the PBX answers: room 700",
        ],
    ),
}


@pytest.mark.parametrize(("place", "caller", "dialled", "world", "expected"), CASES.values(), ids=CASES)
def test_told(place, caller, dialled, world, expected):
    assert told(place, caller, dialled, world) == expected


CALLERS = {
    "an extension calls from the phone of its key": ("100", Caller("100", "100", name="Phone 100")),
    "or from the phone that is named": ("100-mobile", Caller("100", "100-mobile", name="Phone 100")),
    "a national number": ("6111 2222", Caller(number="+6561112222", trunk="carrier")),
    "nobody's number": ("anonymous", Caller(trunk="carrier", is_private=True)),
    "a gateway without an extension": ("warehouse", Caller(gateway="warehouse")),
}


@pytest.mark.parametrize(("text", "expected"), CALLERS.values(), ids=CALLERS)
def test_callers(text, expected):
    assert read_caller(office(), STILL, text)[0] == expected


def test_an_extension_calls_from_a_phone_that_is_there():
    place = office(ext("104", devices=(replace_phone("a"), replace_phone("b"))))
    assert read_caller(place, StillWorld(NOW, frozenset(("b",))), "104")[0].device == "b"
    assert read_caller(place, StillWorld(NOW, frozenset()), "104")[0].device == "a"


def replace_phone(name):
    return replace(office().extensions[0].devices[0], username=name)


@pytest.mark.parametrize("text", ["", "nobody", "104", "+", "12"])
def test_nobody(text):
    with pytest.raises(NobodyError, match="is nobody who could call: allowed are the key of an extension"):
        read_caller(office(), STILL, text)


KEYS = ["100", "101", "102", "103"]
ACTIONS = ["voicemail", "notify", "hangup", "forward"]


@st.composite
def offices(draw):
    """Any forwardings, gateways, groups and no-answer settings."""

    def one(key):
        forward = Forward(
            draw(st.booleans()),
            draw(st.sampled_from(["", FAR, OURS])),
            tuple(draw(st.lists(st.sampled_from(KEYS), unique=True))),
            tuple(draw(st.lists(st.sampled_from([VIP, *KEYS]), unique=True))),
        )
        action = draw(st.sampled_from(ACTIONS))
        return ext(
            key,
            forward=forward,
            dnd=draw(st.booleans()),
            gateway=draw(st.sampled_from(["", "", "warehouse"])),
            hot_desking=draw(st.booleans()),
            type=draw(st.sampled_from(["normal", "call_centre"])),
            no_answer=NoAnswer(action, forward_to=FAR if action == "forward" else ""),
            passcode_hash=draw(st.sampled_from(["", "x"])),
        )

    rule = OutboundRule("standard", ("carrier",), countries=(AllowedCountry("SG", draw(st.booleans())),))
    strategy = draw(st.sampled_from(["all", "sequence", "round_robin", "longest_idle"]))
    members = tuple(draw(st.lists(st.sampled_from(KEYS), unique=True)))
    return office(
        *map(one, KEYS),
        rules=(rule,),
        groups=(Group("600", "", members, strategy, 15),),
        numbers=(Number(OURS, draw(st.sampled_from(["extension:100", "group:600", "room:700", ""]))),),
    )


@given(
    offices(),
    st.sampled_from([*KEYS, "100", FAR, VIP, "anonymous", "warehouse"]),
    st.sampled_from([*KEYS, "600", "700", OURS, FAR, VIETNAM, "999", "*43", "*67" + FAR, "00", "12"]),
    st.sets(st.sampled_from(KEYS)),
)
def test_any_call_ends_in_a_few_steps_and_each_says_why(place, caller, dialled, registered):
    world = StillWorld(NOW, frozenset(registered))
    who, _ = read_caller(place, world, caller)
    decision = decide(place, world, who, dialled)
    steps = foresee(place, world, who, decision)
    assert len(steps) <= 2 + len(KEYS)
    assert steps[0].decided
    assert all(step.when for step in steps[1:])
    assert steps[-1].happens
    is_followed = isinstance(decision, Reject) and decision.key and decision.status != 482
    assert bool(steps[0].happens) == (not is_followed)
