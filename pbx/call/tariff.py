"""What talk costs: a connection fee, and each increment that has begun. Decimal, in the office's currency."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from pbx.office.rate import Rate

FINEST: Final = Decimal("0.000001")


def begun(rate: Rate, seconds: float) -> int:
    """How many increments have begun after so much talk, to the millisecond: none after no time."""
    return -(-max(0, round(seconds * 1000)) // (rate.increment * 1000))


def price_of(rate: Rate, increments: int) -> Decimal:
    """What so many increments cost, connection fee included."""
    talk = rate.per_minute * rate.increment * increments / 60
    return (rate.connection + talk).quantize(FINEST, ROUND_HALF_UP)


def price(rate: Rate, seconds: float) -> Decimal:
    """What so much talk costs."""
    return price_of(rate, begun(rate, seconds))
