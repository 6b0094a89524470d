import pytest

from pbx.rules.decision import Reject
from pbx.rules.dialled import decide_dialled
from pbx.rules.explain import decided, happens
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


ASKED = f'{VIETNAM} is called over trunk "carrier" (shown: {OURS}) or else trunk "backup" (shown: {OURS})'
CASES = {
    "phones": (call("100", VIP_CALLER), ["phones 100, 100-mobile ring for 20 s"]),
    "a forwarded call": (
        call("100"),
        [
            "phone 101 rings for 20 s",
            f'{FAR} is called for 20 s over trunk "carrier" (shown: {OURS}) or else trunk "backup" '
            f"(shown: {OURS}), paid by 100",
        ],
    ),
    "a forwarded call that shows its caller, where no trunk takes foreign numbers": (
        call("105"),
        [
            f'{FAR} is called for 20 s over trunk "carrier" (shown: {OURS}) or else trunk "backup" '
            f"(shown: {OURS}), paid by 105"
        ],
    ),
    "a gateway": (
        call("103"),
        [f'gateway "warehouse" is called for 20 s: 103 (shown: {OUTSIDE.number})'],
    ),
    "the first of a group, who forwards": (
        call("600"),
        [
            "phone 101 rings for 15 s",
            f'{FAR} is called for 15 s over trunk "carrier" (shown: {OURS}) or else trunk "backup" '
            f"(shown: {OURS}), paid by 100",
        ],
    ),
    "nobody": (call("199"), ["the caller is refused: 404 Not Found"]),
    "a room": (call("700"), ["the PBX answers: room 700"]),
    "outside, without an end": (
        dialled(FAR),
        [
            f'{FAR} is called over trunk "carrier" (shown: {OURS}) or else trunk "backup" (shown: {OURS}), '
            "paid by 101"
        ],
    ),
    "hidden": (
        dialled(f"*67{FAR}"),
        [
            f'{FAR} is called over trunk "carrier" (shown: nobody) or else trunk "backup" (shown: nobody), '
            "paid by 101"
        ],
    ),
    "a passcode": (
        dialled(VIETNAM, "105"),
        [
            "the caller is answered and asked for the passcode of 105; if it is right:",
            f"{ASKED}, paid by 105",
        ],
    ),
    "a PIN": (
        dialled(FAR, "102"),
        [f"the caller is answered and asked for a PIN; as its member he calls {FAR}"],
    ),
    "a message": (
        decide_number(BEHIND, WORLD, OUTSIDE, OURS),
        ["the caller is greeted and may leave a message for 100"],
    ),
    "a missed call": (
        decide_no_answer(BEHIND, WORLD, OUTSIDE, "104", 486, "busy"),
        ["the caller is refused: 480 Temporarily Unavailable", "the missed call is mailed"],
    ),
    "an announcement": (
        dialled("+441632960000"),
        [
            "the caller hears the announcement call-country-not-allowed",
            "the caller is refused: 403 Forbidden",
        ],
    ),
}


@pytest.mark.parametrize(("decision", "sentences"), CASES.values(), ids=CASES)
def test_what_happens(decision, sentences):
    assert list(happens(decision, BEHIND)) == sentences


def test_reasons_are_in_order_and_none_is_said_twice_in_a_row():
    decision = decide_no_answer(BEHIND, WORLD, OUTSIDE, "104", 486, "busy")
    said = ("busy", "no-answer action of 104 is notify: the missed call is noted and mailed")
    assert decided(decision) == said
    assert decided(decision, "busy") == said[1:]
    assert decided(Reject(480, "", "busy", because=("busy", "not there", "busy"))) == (
        "busy",
        "not there",
        "busy",
    )
