"""What is charged to extensions survives everything, once."""

from dataclasses import replace
from decimal import Decimal

import pytest

from pbx.rules.facts import Used
from pbx.store.usage import ChargedLeg, OpenLeg, Usage

MONTH = "2026-11"
OPEN = OpenLeg("call.B1", "call", "100", MONTH, "+8490", "0.120000", "0.05", 60, 1000.0, 5000.0)
CHARGED = ChargedLeg("call.B1", "call", "100", MONTH, "+8490", 1000.0, 61.0, "0.29")


@pytest.fixture
def usage(store):
    return Usage(store)


def test_a_charge_is_counted_once_however_often_it_is_written(usage):
    usage.write([OPEN], 5000.0)
    for _ in range(3):
        usage.write([CHARGED], 5061.0)
    assert usage.usage(MONTH) == {"100": Used(Decimal("0.29"), 61.0)}
    assert usage.settle() == []


def test_who_begins_and_ends_within_a_batch_is_charged_once(usage):
    usage.write([OPEN, CHARGED, replace(OPEN, leg="other")], 5061.0)
    assert usage.usage(MONTH) == {"100": Used(Decimal("0.29"), 61.0)}
    assert [each.leg for each in usage.settle()] == ["other"]


CRASHES = {
    "before the first sign of life": (None, 0.0, "0.05"),
    "after some": (5061.2, 61.2, "0.29"),
    "a machine that was started anew counts from zero": (3.0, 0.0, "0.05"),
}


@pytest.mark.parametrize(("alive_s", "seconds", "amount"), CRASHES.values(), ids=CRASHES)
def test_a_crash_in_mid_call_charges_up_to_the_last_sign_of_life(usage, alive_s, seconds, amount):
    usage.beat(99_999.0)  # of an earlier run
    usage.write([OPEN], 5000.0)
    if alive_s is not None:
        usage.beat(alive_s)
    [settled] = usage.settle()
    assert (settled.leg, settled.seconds, Decimal(settled.amount)) == ("call.B1", seconds, Decimal(amount))
    assert usage.settle() == []
    assert usage.usage(MONTH) == {"100": Used(Decimal(amount), seconds)}


def test_a_leg_that_was_charged_already_is_not_settled_again(usage, store):
    usage.write([CHARGED], 5061.0)
    usage.write([OPEN], 5062.0)  # a doubtful batch, tried again in part
    assert usage.settle() == []
    assert usage.usage(MONTH) == {"100": Used(Decimal("0.29"), 61.0)}


def test_totals_are_exact_and_of_one_month(usage):
    tenth = replace(CHARGED, amount="0.1", seconds=1.5)
    usage.write([replace(tenth, leg=f"leg {number}") for number in range(10)], 0.0)
    usage.write([replace(tenth, leg="december", month="2026-12", key="101")], 0.0)
    assert usage.usage(MONTH) == {"100": Used(Decimal("1.0"), 15.0)}
    assert usage.usage("2026-12") == {"101": Used(Decimal("0.1"), 1.5)}
    assert usage.usage("2027-01") == {}


def test_a_reset_begins_the_month_anew_and_a_top_up_stays(usage):
    usage.write([CHARGED], 0.0)
    usage.top_up("100", MONTH, 1.0, Used(Decimal("10.00"), 0.0))
    assert usage.usage(MONTH) == {"100": Used(Decimal("-9.71"), 61.0)}
    assert usage.reset("100", MONTH, 2.0) == Used(Decimal("0.29"), 61.0)
    assert usage.usage(MONTH) == {"100": Used(Decimal("-10.00"), 0.0)}
    assert usage.reset("100", MONTH, 3.0) == Used(Decimal(0), 0.0)
    usage.write([replace(CHARGED, leg="next")], 0.0)
    assert usage.usage(MONTH) == {"100": Used(Decimal("-9.71"), 61.0)}
    assert usage.adjusted(MONTH, "topup") == {"100": Used(Decimal("-10.00"), 0.0)}


def test_a_threshold_is_noted_once_until_an_admin_changes_something(usage):
    assert usage.note("100", MONTH, 80, 1.0)
    assert not usage.note("100", MONTH, 80, 2.0)
    assert usage.note("100", "2026-12", 80, 2.0)
    assert usage.note("101", MONTH, 80, 2.0)
    assert sorted(usage.notes(MONTH)) == [("100", 80), ("101", 80)]
    usage.reset("100", MONTH, 3.0)
    assert usage.notes(MONTH) == [("101", 80)]
    assert usage.note("100", MONTH, 80, 4.0)


def test_charges_are_forgotten_after_their_time(usage):
    usage.write([CHARGED, replace(CHARGED, leg="new", started_at=2000.0)], 0.0)
    assert usage.tidy(before=1500.0) == 1
    assert usage.tidy(before=1500.0) == 0
    assert usage.usage(MONTH) == {"100": Used(Decimal("0.29"), 61.0)}
