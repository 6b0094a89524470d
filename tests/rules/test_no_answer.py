"""Product §2, step 6."""

from dataclasses import replace

import pytest

from pbx.office.outbound_rule import OutboundRule
from pbx.office.usage_limit import UsageLimit
from pbx.rules.decision import Outside, Reject, Ring, Shown, TakeMessage
from pbx.rules.facts import Caller
from pbx.rules.no_answer import decide_no_answer
from tests.rules.world import (
    FAR,
    OURS,
    OUTSIDE,
    VIETNAM,
    WORLD,
    CallerId,
    NoAnswer,
    Number,
    ext,
    office,
)


def outcome(decision):
    match decision:
        case Ring():
            return [*decision.devices, *(leg.number for leg in decision.outside)]
        case Reject():
            return "noted" if decision.is_noted else decision.status
        case TakeMessage():
            return f"voicemail of {decision.key}"


def called(action, *, to=FAR, **settings):
    return ext("100", no_answer=NoAnswer(action, forward_to=to), **settings)


QUIET = {"dnd": True}
CASES = {
    "voicemail": (office(called("voicemail")), 480, "voicemail of 100"),
    "voicemail when busy": (office(called("voicemail")), 486, "voicemail of 100"),
    "voicemail under do not disturb": (office(called("voicemail", dnd=True)), 486, "voicemail of 100"),
    "notify": (office(called("notify")), 480, "noted"),
    "notify under do not disturb": (office(called("notify", dnd=True)), 486, "noted"),
    "hang up": (office(called("hangup")), 480, 480),
    "hang up when busy": (office(called("hangup")), 486, 486),
    "hang up under do not disturb": (office(called("hangup", dnd=True)), 486, 486),
    "hang up at a gateway, which ignores do not disturb": (
        office(called("hangup", dnd=True, gateway="warehouse")),
        480,
        480,
    ),
    "forward": (office(called("forward")), 480, [FAR]),
    "forward when busy": (office(called("forward")), 486, [FAR]),
    "forward under do not disturb becomes busy": (office(called("forward", dnd=True)), 486, 486),
    "forward of a gateway": (office(called("forward", dnd=True, gateway="warehouse")), 480, [FAR]),
    "forward without an outbound rule": (office(called("forward", outbound_rule="")), 480, 480),
    "forward to a country that is not listed": (
        office(called("forward"), rules=(OutboundRule("standard", ("carrier",)),)),
        480,
        480,
    ),
    "forward with nothing left": (
        office(called("forward", usage_limit=UsageLimit("minutes"))),
        480,
        480,
    ),
    "forward to a country with a passcode": (office(called("forward", to=VIETNAM)), 480, 480),
    "forward to the caller": (office(called("forward", to=OUTSIDE.number)), 480, 480),
    "forward to a number of the office": (
        office(called("forward", to=OURS), numbers=(Number(OURS, "extension:101"),)),
        480,
        ["101"],
    ),
    "forward back to itself": (
        office(called("forward", to=OURS), numbers=(Number(OURS, "extension:100"),)),
        480,
        480,
    ),
    "a call centre": (office(called("voicemail", type="call_centre")), 486, 486),
    "nobody has the key any more": (office(), 480, None),
}


@pytest.mark.parametrize(("case", "row"), CASES.items(), ids=CASES)
def test_actions(case, row):
    place, status, expected = row
    key = "100" if expected is not None else "199"
    decision = decide_no_answer(place, WORLD, OUTSIDE, key, status, "nobody answers")
    assert outcome(decision) == (expected or 480)
    assert "nobody answers" in (*decision.because, decision.why)[0]


@pytest.mark.parametrize("action", ["voicemail", "notify", "hangup", "forward"])
def test_in_a_line_with_a_next_step_none_of_them_counts(action):
    decision = decide_no_answer(office(called(action)), WORLD, OUTSIDE, "100", 486, "busy", has_next=True)
    assert (outcome(decision), decision.why) == (486, "busy; the line goes on with its next step")


def test_a_forward_is_the_end_and_the_extension_pays():
    decision = decide_no_answer(office(called("forward")), WORLD, OUTSIDE, "100", 480, "nobody answers")
    leg = Outside(FAR, "100", Shown(OURS), ("carrier", "backup"), rule="standard")
    assert (decision.outside, decision.key, decision.no_answer_s) == ((leg,), "", None)
    place = office(called("forward", caller_id=CallerId(forwarded="caller")))
    (leg,) = decide_no_answer(place, WORLD, OUTSIDE, "100", 480, "nobody answers").outside
    assert leg.shown == Shown(OURS, original=OUTSIDE.number)


@pytest.mark.parametrize(("status", "state"), [(486, "busy"), (480, None)])
def test_who_was_busy_is_recorded_as_busy(status, state):
    assert decide_no_answer(office(called("hangup")), WORLD, OUTSIDE, "100", status, "x").state == state


REASONS = {
    "voicemail": (
        called("voicemail"),
        ["nobody answers", "no-answer action of 100 is voicemail", "voicemail of 100"],
    ),
    "notify": (
        called("notify"),
        ["nobody answers", "no-answer action of 100 is notify: the missed call is noted and mailed"],
    ),
    "hang up": (called("hangup"), ["nobody answers", "no-answer action of 100 is hangup: the call ends"]),
    "forward under do not disturb": (
        called("forward", dnd=True),
        [
            "nobody answers",
            "no-answer action of 100 is forward",
            "do not disturb of 100 is on, so nobody is forwarded",
        ],
    ),
    "forward to nobody": (
        replace(called("forward"), outbound_rule=""),
        [
            "nobody answers",
            "no-answer action of 100 is forward",
            "100 has no outbound rule: it calls nobody outside",
            "the call ends",
        ],
    ),
    "a call centre": (
        called("voicemail", type="call_centre"),
        ["nobody answers; 100 is a call centre's, which has no no-answer action"],
    ),
}


@pytest.mark.parametrize(("extension", "sentences"), REASONS.values(), ids=REASONS)
def test_reasons(extension, sentences):
    decision = decide_no_answer(office(extension), WORLD, Caller(), "100", 480, "nobody answers")
    assert [*decision.because, decision.why] == sentences
