"""What outside calls cost and what is left of a usage limit: decimal arithmetic (product §3)."""

from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Final
from zoneinfo import ZoneInfo

from pbx.office.extension import Extension
from pbx.office.rate import Rate
from pbx.office.snapshot import Office
from pbx.office.usage_limit import UsageLimit
from pbx.rules.facts import Used

FINEST: Final = Decimal("0.000001")
FREE: Final = Rate("+")
NO_LIMIT: Final = UsageLimit()


def month_of(when: datetime, timezone: str) -> str:
    """The month that a call counts in, "2026-11": the one in which it began, where the office is.

    Args:
        when: aware; the beginning of the call.
        timezone: IANA name, of office.timezone.
    """
    return when.astimezone(ZoneInfo(timezone)).strftime("%Y-%m")


def rate_of(office: Office, number: str) -> Rate:
    """The rate of the longest prefix of an E.164 number; without one a call costs nothing."""
    return office.rate(number) or FREE


def begun(rate: Rate, seconds: float) -> int:
    """How many increments have begun after so much talk, to the millisecond: none after no time."""
    return -(-max(0, round(seconds * 1000)) // (rate.increment * 1000))


def price_of(rate: Rate, increments: int) -> Decimal:
    """What so many increments cost, with the connection fee."""
    talk = rate.per_minute * rate.increment * increments / 60
    return (rate.connection + talk).quantize(FINEST, ROUND_HALF_UP)


def price(rate: Rate, seconds: float) -> Decimal:
    """What an answered call costs; one that is not answered costs nothing."""
    return price_of(rate, begun(rate, seconds))


def limit_of(extension: Extension) -> UsageLimit:
    """The limit of an extension; only a normal one has any."""
    return extension.usage_limit if extension.type == "normal" else NO_LIMIT


def left_s(office: Office, extension: Extension, number: str, used: Used) -> float | None:
    """How long an extension may still talk with a number.

    Returns:
        Seconds, for an amount whole increments that can be paid; 0.0 = nothing is left; None = no limit.
    """
    limit = limit_of(extension)
    if limit.kind == "none":
        return None
    if limit.kind == "minutes":
        return max(0.0, limit.minutes * 60 - used.seconds)
    rest = limit.amount - used.amount
    rate = rate_of(office, number)
    rest -= rate.connection
    if rest < 0 or limit.amount <= used.amount:
        return 0.0
    if not rate.per_minute:
        return None
    return float(rest * 60 // (rate.per_minute * rate.increment) * rate.increment)


def describe(limit: UsageLimit, used: Used) -> str:
    """How much of a limit is used, in words; "" without one."""
    if limit.kind == "amount":
        return f"{used.amount:.2f} of {limit.amount:.2f} used this month"
    if limit.kind == "minutes":
        return f"{used.seconds / 60:.1f} of {limit.minutes} minutes used this month"
    return ""


def duration(seconds: float) -> str:
    """A time in words: "45 s", "12 min", "12 min 30 s"."""
    minutes, rest = divmod(int(seconds), 60)
    if not minutes:
        return f"{rest} s"
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"
