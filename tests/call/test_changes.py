"""Do not disturb and forwarding by codes: what is read, what is refused, what is changed (product §5)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.call.changes import change_extension, changed, read_target
from pbx.call.dialogue import Unanswered
from pbx.call.phrases import Phrases
from pbx.call.questions import ChangeOffice, DoNotDisturb, Forward, Refused
from pbx.office import incoming
from pbx.office.extension import Extension
from pbx.office.incoming import Incoming
from pbx.office.number import Number
from pbx.office.outbound_rule import AllowedCountry, DialPlanRow, OutboundRule
from pbx.office.settings import Settings
from pbx.office.snapshot import Office
from tests.call.test_dialogues import play

RULE = OutboundRule(
    "standard",
    dial_plan=(DialPlanRow("9", 4, 1, "+6531110"),),
    countries=(AllowedCountry("SG"), AllowedCountry("VN", passcode=True)),
)
VIP = incoming.Forward(number="+6531112222", extensions=("101",), vip=("105",))
OFFICE = Office(
    settings=Settings(country="SG"),
    extensions=(
        Extension("100", outbound_rule="standard", incoming=Incoming(forward=VIP)),
        Extension("101", outbound_rule="standard"),
        Extension("102"),
    ),
    numbers=(Number("+6560001000", "extension:101"), Number("+6560001001", "group:600")),
    outbound_rules=(RULE,),
)
PHRASES = Phrases("en")

READ = {
    "a key": ("101", "101"),
    "a number of the country": ("31112222", "+6531112222"),
    "an international one": ("+84938812345", "+84938812345"),
    "by the dial plan": ("9123", "+6531110123"),
    "the office's own, which leads to an extension": ("60001000", "101"),
}
UNREAD = {
    "the office's own, which leads elsewhere": ("60001001", "+6560001001 is the office's own"),
    "nobody's key": ("199", "199 is no number of SG (office.country)"),
    "no number": ("*12", "*12 is no number"),
}


@pytest.mark.parametrize(("text", "target"), READ.values(), ids=READ)
def test_a_target_is_read_as_the_extension_dials(text, target):
    assert read_target(OFFICE, OFFICE.extensions[0], text) == target


@pytest.mark.parametrize(("text", "why"), UNREAD.values(), ids=UNREAD)
def test_what_is_no_target_is_refused(text, why):
    assert read_target(OFFICE, OFFICE.extensions[0], text) == Refused(why)


def change(what, key="100", office=OFFICE):
    return changed(office, ChangeOffice(key, what))


def test_do_not_disturb_changes_nothing_else():
    on = change(DoNotDisturb(True))
    assert on.extension("100").incoming == Incoming(do_not_disturb=True, forward=VIP)
    assert replace(on, extensions=OFFICE.extensions) == OFFICE
    assert on.extensions[1:] == OFFICE.extensions[1:]
    assert change(DoNotDisturb(False), office=on) == OFFICE


TO = {
    "a number takes the place of what was there": ("+6531113333", replace(VIP, number="+6531113333")),
    "a key too": ("102", replace(VIP, extensions=("102",))),
}


@pytest.mark.parametrize(("to", "expected"), TO.values(), ids=TO)
def test_forwarding_on_has_one_target_and_keeps_the_vip_list(to, expected):
    only = replace(expected, enabled=True, **({"extensions": ()} if to.startswith("+") else {"number": ""}))
    assert change(Forward(to)).extension("100").incoming.forward == only


def test_forwarding_off_keeps_its_targets():
    on = change(Forward("102"))
    assert change(Forward(""), office=on).extension("100").incoming.forward == replace(
        VIP, number="", extensions=("102",)
    )


REFUSED = {
    "a country with a passcode": (
        "100",
        "+84938812345",
        '"+84938812345" is not a number in a country without passcode; '
        'VN has one in outbound rule "standard"',
    ),
    "a country that is not listed": (
        *("100", "+4930123456"),
        'outbound rule "standard" does not allow +4930123456',
    ),
    "outside without an outbound rule": (
        *("102", "+6531112222"),
        "102 has no outbound rule: it calls nobody outside",
    ),
    "itself": ("100", "100", "100 would be forwarded to itself"),
    "nobody": ("100", "199", "there is no extension 199"),
    "an extension that is gone": ("199", "100", "199 is gone"),
}


@pytest.mark.parametrize(("key", "to", "why"), REFUSED.values(), ids=REFUSED)
def test_what_apply_would_refuse_and_what_could_never_ring_is_refused(key, to, why):
    assert change(Forward(to), key) == Refused(why)


def test_a_mistake_that_was_there_before_does_not_stand_in_the_way():
    """An earlier version of this program took it."""
    there = replace(VIP, number="+84938812345")
    old = replace(
        OFFICE,
        extensions=(replace(OFFICE.extensions[0], incoming=Incoming(forward=there)), *OFFICE.extensions[1:]),
    )
    assert change(DoNotDisturb(True), "101", old).extension("101").incoming.do_not_disturb


@given(
    st.sampled_from(["100", "101", "102", "199"]),
    st.sampled_from(["", "100", "101", "+6531112222", "+84938812345"]),
)
def test_a_change_is_refused_or_concerns_one_extension_alone(key, to):
    made = change(Forward(to), key)
    if not isinstance(made, Refused):
        others = [each for each in made.extensions if each.key != key]
        assert others == [each for each in OFFICE.extensions if each.key != key]
        assert made.extension(key).incoming.forward.enabled is bool(to)


SAID = {
    "it is done": (True, "dnd-on", "the office was changed"),
    "the office does not allow it": (Refused("never"), "forward-refused", "never"),
    "the database is gone": (Unanswered("gone"), "call-try-later", "the office was not changed"),
}


@pytest.mark.parametrize(("answer", "said", "result"), SAID.values(), ids=SAID)
def test_what_came_of_it_is_said(answer, said, result):
    question = ChangeOffice("100", DoNotDisturb(True))
    dialogue = change_extension(PHRASES, question, PHRASES.say("dnd-on"))
    assert play(dialogue, (question, answer), (("say", said), "")) == result
