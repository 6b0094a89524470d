import pytest

from pbx.rules.dialled import decide_dialled
from pbx.rules.explain import explain
from pbx.rules.inbound import decide_inbound, decide_number
from pbx.rules.no_answer import decide_no_answer
from tests.rules.world import (
    FAR,
    OURS,
    OUTSIDE,
    VIETNAM,
    VIP,
    VIP_CALLER,
    WORLD,
    CallerId,
    Forward,
    Group,
    NoAnswer,
    Number,
    ext,
    inside,
    office,
)

BEHIND = office(
    ext("100", mobile=True, forward=Forward(True, FAR, ("101",), (VIP,))),
    ext("102", hot_desking=True, gateway=""),
    ext("103", gateway="warehouse", no_answer=NoAnswer("forward", forward_to=FAR)),
    ext("104", dnd=True, no_answer=NoAnswer("notify")),
    ext("105", passcode_hash="hash", caller_id=CallerId(forwarded="caller"), forward=Forward(True, FAR)),
    groups=(Group("600", members=("100", "101"), strategy="sequence", ring_seconds=15),),
    numbers=(Number(OURS, "voicemail:100"),),
)


def call(key, caller=OUTSIDE):
    return decide_inbound(BEHIND, WORLD, caller, key)


def dialled(text, caller="101"):
    return decide_dialled(BEHIND, WORLD, inside(caller), text)


CASES = {
    "a VIP": (
        call("100", VIP_CALLER),
        [
            "forwarding of 100 is on, and +6531234567 is on its VIP list",
            "the phones of 100 ring: 100, 100-mobile",
            "now 100, 100-mobile for 20 s",
            "nobody answers: the no-answer settings of 100: voicemail",
        ],
    ),
    "a forwarded call": (
        call("100"),
        [
            f"now 101, {FAR} over carrier or backup (shown: {OURS}, paid by 100) for 20 s",
            "nobody answers: the no-answer settings of 100: voicemail",
        ],
    ),
    "a forwarded call that shows its caller": (
        call("105"),
        [f"now {FAR} over carrier or backup (shown: {OUTSIDE.number} or {OURS}, paid by 105) for 20 s"],
    ),
    "a gateway": (
        call("103"),
        [
            'now gateway "warehouse" for 20 s',
            f"nobody answers: the no-answer settings of 103: the call is forwarded to {FAR}",
        ],
    ),
    "do not disturb": (
        call("104"),
        [
            "do not disturb of 104 is on",
            "at once: the no-answer settings of 104: the missed call is noted and mailed",
        ],
    ),
    "a group": (call("600"), ["then 101 for 15 s", "nobody answers: the call ends"]),
    "nobody": (
        call("199"),
        ["nobody has the key 199", "the caller gets 404 Not Found"],
    ),
    "a room": (call("700"), ["700 is a conference room", "the PBX answers: room 700"]),
    "outside": (
        dialled(FAR),
        [
            f"now {FAR} over carrier or backup (shown: {OURS}, paid by 101) for as long as it may",
            "nobody answers: the call ends",
        ],
    ),
    "hidden": (
        dialled(f"*67{FAR}"),
        [
            "*67 hides the caller",
            f"now {FAR} over carrier or backup (shown: hidden, paid by 101) for as long as it may",
        ],
    ),
    "a passcode": (
        dialled(VIETNAM, "105"),
        ["the caller is answered and asked for the passcode of 105; then"],
    ),
    "a PIN": (
        dialled(FAR, "102"),
        [f"the caller is answered and asked for his PIN; then {FAR} is dialled for him"],
    ),
    "a message": (
        decide_number(BEHIND, WORLD, OUTSIDE, OURS),
        [
            f"{OURS} goes to voicemail 100",
            "voicemail of 100",
            "the caller is greeted and may leave a message for 100",
        ],
    ),
    "a missed call": (
        decide_no_answer(BEHIND, WORLD, OUTSIDE, "104", 486, "busy"),
        ["the caller gets 480 Temporarily Unavailable", "the missed call is mailed"],
    ),
}


@pytest.mark.parametrize(("decision", "sentences"), CASES.values(), ids=CASES)
def test_a_decision_in_words(decision, sentences):
    told = explain(decision, BEHIND)
    assert [each for each in told if each in sentences] == sentences
    assert told[: len(decision.because) + 1] == [*decision.because, decision.why]


def test_without_the_office_the_action_is_not_told():
    assert explain(call("100"))[-1] == "nobody answers: the no-answer settings of 100"
