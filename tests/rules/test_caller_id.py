from dataclasses import replace

import pytest

from pbx.office.outbound_rule import CallerIdPlanRow
from pbx.rules.caller_id import choose, may_show, present_passed_on
from pbx.rules.decision import Shown
from pbx.rules.facts import Caller
from tests.rules.world import (
    FAR,
    MOBILE,
    OURS,
    OURS_TOO,
    OUTSIDE,
    STANDARD,
    VIETNAM,
    WORLD,
    CallerId,
    FakeWorld,
    ext,
    inside,
    office,
)

THIRD, FOREIGN, REQUESTED = "+6560001002", "+12025550123", "+6588887777"
PLANNED = replace(
    STANDARD,
    caller_id_plan=(
        CallerIdPlanRow("VN", OURS_TOO),
        CallerIdPlanRow("VN", THIRD, "9388"),
        CallerIdPlanRow("TH", FOREIGN),
    ),
)
ANN = {"assignee": "ann@acme.example"}
ALL = (OURS, OURS_TOO, THIRD)


def shown_by(caller_id, number=FAR, world=WORLD, numbers=ALL, **settings):
    place = office(ext("100", caller_id=caller_id, **settings), numbers=numbers, rules=(PLANNED,))
    return choose(place, world, place.extension("100"), PLANNED, number)[0]


CASES = {
    "fixed": ((CallerId("fixed", OURS_TOO),), {}, OURS_TOO),
    "fixed: none": ((CallerId(),), {}, OURS),
    "fixed: the member's mobile": ((CallerId("fixed", MOBILE),), ANN, MOBILE),
    "fixed: the mobile of somebody else": ((CallerId("fixed", MOBILE),), {}, OURS),
    "fixed: a number of nobody here": ((CallerId("fixed", FOREIGN),), {}, OURS),
    "assigned: one of the list": ((CallerId("assigned", OURS_TOO, (OURS, OURS_TOO)),), {}, OURS_TOO),
    "assigned: not of the list": ((CallerId("assigned", OURS, (OURS_TOO,)),), {}, OURS_TOO),
    "assigned: nothing is assigned": ((CallerId("assigned"),), {}, OURS),
    "assigned: foreign ones are left out": ((CallerId("assigned", "", (FOREIGN, THIRD)),), {}, THIRD),
    "random: of the assigned": (
        (CallerId("random", "", (OURS, THIRD)), FAR, FakeWorld(chance=0.5)),
        {},
        THIRD,
    ),
    "random: of all numbers": ((CallerId("random"), FAR, FakeWorld(chance=0.4)), {}, OURS_TOO),
    "random: foreign ones are left out": (
        (CallerId("random", "", (FOREIGN, THIRD)), FAR, FakeWorld(chance=0.0)),
        {},
        THIRD,
    ),
    "the plan by country": ((CallerId("fixed", OURS), "+84241234567"), {}, OURS_TOO),
    "the plan by its longest prefix": ((CallerId("fixed", OURS), VIETNAM), {}, THIRD),
    "the plan is for its country alone": ((CallerId("fixed", OURS), FAR), {}, OURS),
    "a foreign number in the plan is not shown": (
        (CallerId("fixed", OURS_TOO), "+66812345678"),
        {},
        OURS_TOO,
    ),
    "plan before random": ((CallerId("random"), VIETNAM, FakeWorld(chance=0.9)), {}, THIRD),
    "an approved request": (
        (CallerId("fixed", REQUESTED), FAR, FakeWorld(approved={"100": frozenset({REQUESTED})})),
        {},
        REQUESTED,
    ),
    "an approved request of another extension": (
        (CallerId("fixed", REQUESTED), FAR, FakeWorld(approved={"101": frozenset({REQUESTED})})),
        {},
        OURS,
    ),
    "an office without numbers": ((CallerId(), FAR, WORLD, ()), {}, ""),
}


@pytest.mark.parametrize(("arguments", "settings", "number"), CASES.values(), ids=CASES)
def test_the_number_that_is_shown(arguments, settings, number):
    assert shown_by(*arguments, **settings) == number


def test_random_is_another_one_each_time():
    assert {shown_by(CallerId("random"), FAR, FakeWorld(chance=each / 100)) for each in range(100)} == set(
        ALL
    )


def test_nobody_shows_nothing():
    assert not may_show(office(), WORLD, None, "")
    assert not may_show(office(), WORLD, None, MOBILE)
    assert may_show(office(), WORLD, None, OURS)


PASSED_ON = {
    "extension": ("extension", OUTSIDE, Shown(OURS_TOO)),
    "extension, and the caller hides": ("extension", replace(OUTSIDE, is_private=True), Shown(OURS_TOO)),
    "caller: a number outside": ("caller", OUTSIDE, Shown(OURS_TOO, original="+6561112222")),
    "caller: as his carrier writes him": (
        "caller",
        Caller(number="61112222"),
        Shown(OURS_TOO, original="+6561112222"),
    ),
    "caller: an extension shows its own": ("caller", inside("102"), Shown(THIRD)),
    "caller: an extension that hides": (
        "caller",
        inside("102", is_private=True),
        Shown(THIRD, is_hidden=True),
    ),
    "caller: he hides": ("caller", replace(OUTSIDE, is_private=True), Shown(OURS_TOO, is_hidden=True)),
    "caller: he has no number": ("caller", Caller(trunk="carrier"), Shown(OURS_TOO, is_hidden=True)),
    "caller: his number cannot be read": ("caller", Caller(number="12"), Shown(OURS_TOO)),
    "nobody": ("caller", None, Shown(OURS_TOO)),
}


@pytest.mark.parametrize(("forwarded", "original", "shown"), PASSED_ON.values(), ids=PASSED_ON)
def test_a_call_that_is_passed_on(forwarded, original, shown):
    place = office(
        ext("100", caller_id=CallerId("fixed", OURS_TOO, (), forwarded)),
        ext("102", caller_id=CallerId("fixed", THIRD)),
        numbers=ALL,
    )
    extension = place.extension("100")
    assert present_passed_on(place, WORLD, extension, STANDARD, FAR, original)[0] == shown
