"""What outside calls cost while they last, and when they have to end (product §3, usage limit).

Pure: `now` is monotonic seconds; a month is "2026-11", the one in the office's zone in which a call began.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from math import inf
from typing import Final

from pbx.deadlines import Deadlines
from pbx.immutable import immutable
from pbx.office.rate import Rate
from pbx.office.usage_limit import UsageLimit
from pbx.rules.facts import Used
from pbx.rules.usage import begun, price, price_of

WARN_S: Final = 60.0  # before the end
FINEST_S: Final = 0.0005  # of the millisecond to which talk is counted
PERCENTS: Final = (80, 100)  # of the limit, that are mailed about
NOTHING: Final = Used()
NO_LIMIT: Final = UsageLimit()


@immutable
class Warn:
    """The leg will be cut within WARN_S: whoever talks hears a tone."""

    leg: str


@immutable
class Cut:
    """The limit is reached: the leg has to end now."""

    leg: str


@immutable
class Reached:
    """So many percent of a month's limit are used, for the first time."""

    key: str
    month: str
    percent: int
    used: Used
    limit: UsageLimit


@immutable
class Charge:
    """What one leg cost in the end; `answered_at` is monotonic."""

    leg: str
    key: str
    month: str
    number: str
    answered_at: float
    seconds: float
    amount: Decimal


Event = Warn | Cut | Reached


@dataclass(slots=True)
class _Leg:
    name: str
    number: str
    rate: Rate
    answered_at: float
    is_warned: bool = False
    stopped_at: float = inf  # it was cut: nothing counts after that

    def seconds(self, now: float) -> float:
        return max(0.0, round(min(now, self.stopped_at) - self.answered_at, 3))

    def cost(self, now: float) -> Decimal:
        """An increment costs from its beginning on; the first begins when the leg is answered."""
        return price_of(self.rate, self._begun(now))

    def paid_until(self, now: float) -> float:
        """The end of the increment that has begun."""
        return self.answered_at + self._begun(now) * self.rate.increment

    def _begun(self, now: float) -> int:
        return max(1, begun(self.rate, self.seconds(now)))


@dataclass(slots=True)
class _Account:
    """One extension in one month."""

    key: str
    month: str
    charged: Used = NOTHING
    adjusted: Used = NOTHING  # resets and top-ups, below zero
    limit: UsageLimit = NO_LIMIT
    legs: dict[str, _Leg] = field(default_factory=dict)
    noted: set[int] = field(default_factory=set)
    cut_at: float | None = None

    def settled(self) -> Used:
        return _sum(self.charged, self.adjusted)

    def used(self, now: float) -> Used:
        settled = self.settled()
        amount = sum((leg.cost(now) for leg in self.legs.values()), settled.amount)
        return Used(amount, settled.seconds + sum(leg.seconds(now) for leg in self.legs.values()))

    def live(self) -> list[_Leg]:
        return [leg for leg in self.legs.values() if leg.stopped_at == inf]


class UsageLedger:
    """The usage of all extensions: what is charged, and the legs that are up.

    `deadlines` says when `expire` wants to be called.

    Args:
        limit_of: the limit of an extension as it is now, by its key; None: there is no such extension.
    """

    def __init__(self, limit_of: Callable[[str], UsageLimit | None]) -> None:
        self.deadlines: Deadlines[tuple[str, str, str]] = Deadlines()
        self._limit_of = limit_of
        self._accounts: dict[tuple[str, str], _Account] = {}
        self._by_leg: dict[str, _Account] = {}

    # --- what is kept in the database ----------------------------------------------------------------------

    def load(
        self,
        month: str,
        charged: Mapping[str, Used],
        adjusted: Mapping[str, Used],
        noted: Iterable[tuple[str, int]] = (),
    ) -> None:
        """At start: what the extensions have used of a month; `noted` are key and percent mailed about."""
        for key, used in charged.items():
            self._account(key, month).charged = used
        for key, used in adjusted.items():
            self._account(key, month).adjusted = used
        for key, percent in noted:
            self._account(key, month).noted.add(percent)

    def adjust(self, month: str, adjusted: Mapping[str, Used], now: float) -> None:
        """Admins have reset or topped up: these are all adjustments of the month now.

        Where one has changed, what was mailed about may be mailed about anew.
        """
        for account in self._accounts.values():
            if account.month == month and account.key not in adjusted and account.adjusted != NOTHING:
                self._take_adjustment(account, NOTHING)
        for key, used in adjusted.items():
            account = self._account(key, month)
            if account.adjusted != used:
                self._take_adjustment(account, used)
        self.refresh(now)

    def refresh(self, now: float) -> None:
        """Limits may have changed: look anew at who has to end when."""
        for account in tuple(self._accounts.values()):
            self._arm(account, now)

    # --- legs ----------------------------------------------------------------------------------------------

    def open(self, leg: str, key: str, month: str, number: str, rate: Rate, now: float) -> None:
        """A leg that `key` pays for is answered; `expire` may have news of its account at once."""
        self._forget_months_before(month)
        account = self._account(key, month)
        account.legs[leg] = _Leg(leg, number, rate, now)
        self._by_leg[leg] = account
        self._arm(account, now)

    def close(self, leg: str, now: float) -> tuple[Charge, list[Reached]] | None:
        """A leg is over; None: it is not one that is counted, or it has been closed."""
        account = self._by_leg.pop(leg, None)
        if account is None:
            return None
        gone = account.legs.pop(leg)
        seconds = gone.seconds(now)
        amount = price(gone.rate, seconds)
        account.charged = _sum(account.charged, Used(amount, seconds))
        charge = Charge(leg, account.key, account.month, gone.number, gone.answered_at, seconds, amount)
        reached = self._reached(account, now)
        self._arm(account, now)
        return charge, reached

    def is_open(self, leg: str) -> bool:
        return leg in self._by_leg

    def used(self, key: str, month: str, now: float) -> Used:
        """What an extension has used of a month, calls in progress included; below zero after a top-up."""
        account = self._accounts.get((key, month))
        return NOTHING if account is None else account.used(now)

    def cut_at(self, leg: str) -> float | None:
        """When a leg has to end, together with all of its account; None: never, or it is not counted."""
        account = self._by_leg.get(leg)
        return account.cut_at if account is not None else None

    def expire(self, now: float) -> list[Event]:
        """What is due: tones, ends, and what is to be mailed."""
        events: list[Event] = []
        for what, key, month in self.deadlines.pop_due(now):
            account = self._accounts[key, month]
            if what == "cut":
                events += self._cut(account, now)
            elif what == "warn":
                legs = [leg for leg in account.live() if not leg.is_warned]
                for leg in legs:
                    leg.is_warned = True
                events += [Warn(leg.name) for leg in legs]
            else:
                events += self._note(account, int(what), now)
            self._arm(account, now)
        return events

    # --- inside --------------------------------------------------------------------------------------------

    def _cut(self, account: _Account, now: float) -> list[Event]:
        moment = now if account.cut_at is None else account.cut_at
        legs = account.live()
        for leg in legs:
            leg.stopped_at = max(moment, leg.answered_at)
        return [*(Cut(leg.name) for leg in legs), *self._note(account, 100, now)]

    def _reached(self, account: _Account, now: float) -> list[Reached]:
        limit = self._limit(account)
        most = _most(limit)
        if most is None:
            return []
        due = [p for p in PERCENTS if _measure(account.used(now), limit.kind) >= most * p / 100]
        return [each for percent in due[-1:] for each in self._note(account, percent, now)]

    def _note(self, account: _Account, percent: int, now: float) -> list[Reached]:
        if percent in account.noted:
            return []
        account.noted |= {each for each in PERCENTS if each <= percent}
        return [Reached(account.key, account.month, percent, account.used(now), self._limit(account))]

    def _arm(self, account: _Account, now: float) -> None:
        """Find out when the account's legs have to be warned and cut."""
        name = (account.key, account.month)
        limit = self._limit(account)
        most = _most(limit)
        cut = warn = note = None
        if most is not None and account.live():
            cut = _holds_until(account, most, limit.kind, now)
            if 80 not in account.noted:
                note = _holds_until(account, most * 80 / 100, limit.kind, now)
        if cut is not None:
            warn = cut - WARN_S
            if warn > now + 1.0:  # the end was put off: warn once more
                for leg in account.legs.values():
                    leg.is_warned = False
            warn = max(warn, now) if any(not leg.is_warned for leg in account.live()) else None
            if cut <= now:
                warn = None  # no time for a tone
        account.cut_at = cut
        for what, when in (("cut", cut), ("warn", warn), ("80", note)):
            self.deadlines.set((what, *name), when)

    def _limit(self, account: _Account) -> UsageLimit:
        """As it is now; of an extension that is gone as it was, for its calls still have to end."""
        limit = self._limit_of(account.key)
        if limit is not None:
            account.limit = limit
        return account.limit

    def _take_adjustment(self, account: _Account, adjusted: Used) -> None:
        account.adjusted = adjusted
        account.noted.clear()

    def _account(self, key: str, month: str) -> _Account:
        return self._accounts.setdefault((key, month), _Account(key, month))

    def _forget_months_before(self, month: str) -> None:
        """But for the last one: a call that began in it may cause another leg."""
        last = _month_before(month)
        old = [name for name, each in self._accounts.items() if each.month < last and not each.legs]
        for name in old:
            del self._accounts[name]


def _holds_until(account: _Account, most: Decimal, kind: str, now: float) -> float | None:
    """The last moment, `now` or later, at which the account has used no more than `most`; None: for ever.

    By amount that is the end of the last increment for all that is left: the next would be too much.
    """
    used = account.used(now)
    if _measure(used, kind) > most:
        return now
    legs = account.live()
    if kind == "minutes":
        return now + float(most - _measure(used, kind)) / len(legs)
    legs = [leg for leg in legs if leg.rate.per_minute]
    if not legs:
        return None
    # A price is never ahead of the straight line through it, or behind it, by more than an increment.
    step = float(sum(leg.rate.per_minute * leg.rate.increment for leg in legs)) / 60
    slope = float(sum(leg.rate.per_minute for leg in legs)) / 60
    rest = float(most - used.amount)
    low, high = max(now, now + (rest - step) / slope - 1.0), now + (rest + step) / slope + 1.0
    while high - low > FINEST_S:
        middle = (low + high) / 2
        if middle in (low, high):  # further apart than floats can tell, in a thousand years
            break
        low, high = (middle, high) if account.used(middle).amount <= most else (low, middle)
    return max(now, min(leg.paid_until(low) for leg in legs))


def _most(limit: UsageLimit) -> Decimal | None:
    """Of what the limit counts: money or seconds."""
    if limit.kind == "none":
        return None
    return limit.amount if limit.kind == "amount" else Decimal(60 * limit.minutes)


def _measure(used: Used, kind: str) -> Decimal:
    return used.amount if kind == "amount" else Decimal(used.seconds)


def _month_before(month: str) -> str:
    year, number = int(month[:4]), int(month[5:])
    return f"{year}-{number - 1:02}" if number > 1 else f"{year - 1}-12"


def _sum(a: Used, b: Used) -> Used:
    return Used(a.amount + b.amount, a.seconds + b.seconds)
