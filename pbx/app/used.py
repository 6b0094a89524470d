"""Usage limits for people: what extensions have used of a month, and what admins change."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation

from pbx.app.printable import printable
from pbx.errors import PbxError
from pbx.office.extension import Extension
from pbx.office.snapshot import Office
from pbx.office.usage_limit import UsageLimit
from pbx.office.values import Amount, NotAllowedError
from pbx.rules.facts import Used
from pbx.rules.usage import limit_of, month_of
from pbx.store.usage import Usage

NOTHING = Used()


@dataclass(frozen=True, slots=True)
class Standing:
    """One extension in one month; `used` without calls in progress, `extra` is topped up."""

    key: str
    label: str
    limit: UsageLimit
    used: Used
    extra: Used

    @property
    def left(self) -> Decimal | float | None:
        """Money, or seconds; None: there is no limit."""
        if self.limit.kind == "amount":
            return max(Decimal(0), self.limit.amount + self.extra.amount - self.used.amount)
        if self.limit.kind == "minutes":
            return max(0.0, 60 * self.limit.minutes + self.extra.seconds - self.used.seconds)
        return None


def this_month(office: Office, now: datetime) -> str:
    return month_of(now, office.settings.timezone)


def standings(office: Office, usage: Usage, month: str) -> list[Standing]:
    """Every extension that has a limit or has used something, in the order of the office."""
    charged = usage.charged(month)
    resets, topups = usage.adjusted(month, "reset"), usage.adjusted(month, "topup")
    found = []
    for extension in office.extensions:
        key, limit = extension.key, limit_of(extension)
        spent, reset, topup = (totals.get(key, NOTHING) for totals in (charged, resets, topups))
        used = Used(spent.amount + reset.amount, spent.seconds + reset.seconds)
        extra = Used(abs(topup.amount), abs(topup.seconds))
        if limit.kind != "none" or used != NOTHING:
            found.append(Standing(key, extension.label, limit, used, extra))
    return found


def as_row(standing: Standing) -> dict[str, object]:
    """For JSON: amounts are decimals as text."""
    limit, left = standing.limit, standing.left
    return {
        "key": standing.key,
        "label": standing.label,
        "kind": limit.kind,
        "limit": {"amount": str(limit.amount), "minutes": limit.minutes}.get(limit.kind),
        "used_amount": str(standing.used.amount),
        "used_seconds": standing.used.seconds,
        "topped_up": {"amount": str(standing.extra.amount), "minutes": standing.extra.seconds / 60}.get(
            limit.kind
        ),
        "left": str(left) if isinstance(left, Decimal) else left,
    }


def as_lines(listed: Iterable[Standing], month: str) -> Iterator[str]:
    """A table."""
    rows = list(listed)
    yield f"{month}, calls in progress not included"
    if not rows:
        yield "no extension has a usage limit or has used anything"
        return
    yield f"{'KEY':<6} {'LIMIT':>12} {'TOP-UP':>12} {'USED':>12} {'LEFT':>12}  LABEL"
    for each in rows:
        kind, left = each.limit.kind, each.left
        if kind == "minutes":
            assert isinstance(left, float)
            cells = [
                f"{each.limit.minutes} min",
                _minutes(each.extra),
                _minutes(each.used),
                f"{left / 60:.1f} min",
            ]
        elif kind == "amount":
            cells = [
                _money(each.limit.amount),
                _money(each.extra.amount),
                _money(each.used.amount),
                _money(left),
            ]
        else:
            cells = ["none", "", f"{_money(each.used.amount)}", ""]
        yield f"{each.key:<6} {' '.join(f'{cell:>12}' for cell in cells)}  {printable(each.label)}".rstrip()


def limited(office: Office, key: str) -> Extension:
    """An extension that has a limit.

    Raises:
        PbxError: there is none of this key, or it has no limit.
    """
    extension = office.extension(key)
    if extension is None:
        raise PbxError(f"there is no extension {key}")
    if limit_of(extension).kind == "none":
        raise PbxError(f"extension {key} has no usage limit")
    return extension


def read_top_up(limit: UsageLimit, amount: str | None, minutes: int | None) -> Used:
    """What an admin adds to the limit of this month.

    Raises:
        PbxError: it is not what the limit counts, or no sum of money.
    """
    if (amount is None) == (minutes is None):
        raise PbxError("give either --amount or --minutes")
    if limit.kind == "minutes":
        if minutes is None:
            raise PbxError("the limit is by minutes: give --minutes")
        return Used(seconds=60.0 * minutes)
    if amount is None:
        raise PbxError("the limit is by amount: give --amount")
    try:
        more = Amount().read(Decimal(amount))
    except (InvalidOperation, NotAllowedError):
        more = Decimal(0)
    if not more:
        raise PbxError(f"{amount!r} is no amount: allowed is a number above 0, such as 10.00")
    return Used(amount=more)


def _money(amount: object) -> str:
    return f"{amount:.2f}"


def _minutes(used: Used) -> str:
    return f"{used.seconds / 60:.1f} min"
