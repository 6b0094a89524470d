"""What talk costs."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.call.tariff import price
from pbx.office.rate import Rate

MINUTES = Rate("+84", Decimal("0.12"), Decimal(0), 60)
SECONDS = Rate("+84", Decimal("0.10"), Decimal("0.05"), 1)

CASES = {
    "a second is a minute": (MINUTES, 1.0, "0.12"),
    "a full minute is one": (MINUTES, 60.0, "0.12"),
    "a little less than a millisecond more is none": (MINUTES, 60.0004, "0.12"),
    "a millisecond more is the next": (MINUTES, 60.001, "0.24"),
    "no talk is no increment": (MINUTES, 0.0, "0"),
    "no talk costs the connection": (SECONDS, 0.0, "0.05"),
    "by the second, half up at six decimals": (SECONDS, 1.0, "0.051667"),
    "thirds do not add up to an error": (SECONDS, 3.0, "0.055"),
    "an hour": (SECONDS, 3600.0, "6.05"),
}


@pytest.mark.parametrize(("rate", "seconds", "expected"), CASES.values(), ids=CASES)
def test_price(rate, seconds, expected):
    assert price(rate, seconds) == Decimal(expected)


def rates():
    money = st.decimals(0, 5, places=6)
    return st.builds(Rate, st.just("+1"), money, money, st.integers(1, 3600))


@given(rates(), st.floats(0, 1e6), st.floats(0, 1e6))
def test_more_talk_is_never_cheaper(rate, a, b):
    assert Decimal(0) <= price(rate, min(a, b)) <= price(rate, max(a, b))
