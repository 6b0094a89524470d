from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.office.rate import Rate
from pbx.office.snapshot import Office
from pbx.office.usage_limit import UsageLimit
from pbx.rules.facts import Used
from pbx.rules.usage import FREE, describe, left_s, month_of, price, rate_of
from tests.rules.world import ext

MONTHS = {
    "the office is ahead of UTC": (datetime(2026, 10, 31, 16, tzinfo=UTC), "Asia/Singapore", "2026-11"),
    "and before its midnight": (datetime(2026, 10, 31, 15, 59, 59, tzinfo=UTC), "Asia/Singapore", "2026-10"),
    "behind UTC": (datetime(2026, 11, 1, 4, 59, tzinfo=UTC), "America/Chicago", "2026-10"),
    "behind UTC, in summer": (datetime(2026, 7, 1, 4, 59, tzinfo=UTC), "America/Chicago", "2026-06"),
    "summer time moves the border by an hour": (
        datetime(2026, 7, 1, 5, 0, tzinfo=UTC),
        "America/Chicago",
        "2026-07",
    ),
    "winter time does not": (datetime(2026, 12, 1, 5, 0, tzinfo=UTC), "America/Chicago", "2026-11"),
    "a year": (datetime(2026, 12, 31, 23, tzinfo=UTC), "Europe/Berlin", "2027-01"),
}


@pytest.mark.parametrize(("when", "zone", "month"), MONTHS.values(), ids=MONTHS)
def test_the_month_that_a_call_counts_in(when, zone, month):
    assert month_of(when, zone) == month


VIETNAM, MOBILES = Rate("+84", Decimal("0.12")), Rate("+8493", Decimal("0.30"), Decimal("0.05"), 30)
RATES = Office(rates=(VIETNAM, MOBILES))


@pytest.mark.parametrize(
    ("number", "rate"),
    [("+84938812345", MOBILES), ("+84241234567", VIETNAM), ("+6561234567", FREE), ("", FREE)],
)
def test_the_longest_prefix_has_the_rate(number, rate):
    assert rate_of(RATES, number) is rate


PRICES = {
    "a begun minute is a minute": (VIETNAM, 1.0, "0.12"),
    "exactly a minute": (VIETNAM, 60.0, "0.12"),
    "a little more": (VIETNAM, 60.01, "0.24"),
    "half a millisecond is nothing": (VIETNAM, 60.0004, "0.12"),
    "no talk costs the connection": (MOBILES, 0.0, "0.05"),
    "half minutes and a connection": (MOBILES, 45.0, "0.35"),
    "nothing": (FREE, 3600.0, "0"),
    "a clock that went back": (MOBILES, -5.0, "0.05"),
    "a third of a cent is rounded to millionths": (
        Rate("+1", Decimal("0.01"), increment=20),
        1.0,
        "0.003333",
    ),
}


@pytest.mark.parametrize(("rate", "seconds", "amount"), PRICES.values(), ids=PRICES)
def test_prices(rate, seconds, amount):
    assert price(rate, seconds) == Decimal(amount)


def limited(kind="none", amount="0", minutes=0, **more):
    return ext("100", usage_limit=UsageLimit(kind, Decimal(amount), minutes), **more)


LEFT = {
    "no limit": (limited(), Used(), None),
    "minutes": (limited("minutes", minutes=10), Used(seconds=30.5), 569.5),
    "no minutes": (limited("minutes", minutes=10), Used(seconds=700), 0.0),
    "a limit of no minutes": (limited("minutes"), Used(), 0.0),
    "whole increments that can be paid": (limited("amount", "1.00"), Used(), 8 * 60.0),
    "what is used counts": (limited("amount", "1.00"), Used(Decimal("0.50")), 4 * 60.0),
    "less than one increment is nothing": (limited("amount", "1.00"), Used(Decimal("0.90")), 0.0),
    "nothing": (limited("amount", "1.00"), Used(Decimal("1.00")), 0.0),
    "more than all": (limited("amount", "1.00"), Used(Decimal("1.20")), 0.0),
    "a call centre has no limit": (limited("amount", "1.00", type="call_centre"), Used(Decimal("9")), None),
}


@pytest.mark.parametrize(("extension", "used", "left"), LEFT.values(), ids=LEFT)
def test_what_is_left(extension, used, left):
    assert left_s(RATES, extension, "+84241234567", used) == left


def test_a_connection_fee_is_paid_out_of_what_is_left():
    extension = limited("amount", "0.20")
    assert left_s(RATES, extension, "+84938812345", Used()) == 30.0
    assert left_s(RATES, extension, "+84938812345", Used(Decimal("0.16"))) == 0.0


def test_a_call_that_costs_nothing_lasts_until_nothing_is_left_at_all():
    extension = limited("amount", "0.20")
    assert left_s(RATES, extension, "+6561234567", Used()) is None
    assert left_s(RATES, extension, "+6561234567", Used(Decimal("0.20"))) == 0.0


TEN = UsageLimit("amount", Decimal(10))


def test_in_words():
    assert describe(TEN, Used(Decimal("2.50"))) == "2.50 of 10.00 used this month"
    assert (
        describe(UsageLimit("minutes", minutes=300), Used(seconds=90)) == "1.5 of 300 minutes used this month"
    )
    assert describe(UsageLimit(), Used()) == ""


amounts = st.integers(0, 10**15).map(lambda units: Decimal(units) / 10**6)
rates = st.builds(Rate, st.just("+"), amounts, amounts, st.integers(1, 3600))


@given(rate=rates, seconds=st.floats(-10, 10**6), limit=amounts, used=amounts)
def test_money_is_never_negative_and_what_is_left_can_be_paid(rate, seconds, limit, used):
    assert price(rate, seconds) >= 0
    office = Office(rates=(rate,))
    extension = ext("100", usage_limit=UsageLimit("amount", limit))
    left = left_s(office, extension, "+6561234567", Used(used))
    assert left is None or left >= 0
    if left is not None and 0 < left < 10**9:
        assert used + price(rate, left) <= limit + Decimal("0.000001")
        assert used + price(rate, left + rate.increment) >= limit  # equal where a price is rounded down
