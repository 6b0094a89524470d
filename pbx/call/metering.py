"""The legs that an extension pays for are counted, and end when its usage limit is reached (product §3)."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

from pbx.call.effects import ChargeUsage, OpenUsage, UsageReached
from pbx.call.leg import Leg
from pbx.call.usage_ledger import NO_LIMIT, Reached, UsageLedger, Warn
from pbx.errors import PbxError
from pbx.office.snapshot import Office
from pbx.office.usage_limit import UsageLimit
from pbx.rules.facts import Used
from pbx.rules.usage import month_of, price_of, rate_of


class MeteringHost(Protocol):
    """The exchange."""

    office: Office

    @property
    def calls(self) -> Mapping[str, Any]: ...
    def order(self, order: Any) -> None: ...
    def hurt(self, what: str, error: PbxError) -> None: ...
    def time(self) -> float: ...


class Metering:
    """Opens and closes the accounts of legs.

    Args:
        calendar: tells the time, in UTC.
    """

    def __init__(self, host: MeteringHost, calendar: Callable[[], datetime]) -> None:
        self.ledger = UsageLedger(self._limit_of)
        self._host, self._calendar = host, calendar
        self._legs: dict[str, Leg] = {}

    def month(self, began_s: float = 0.0) -> str:
        """Of a call that began so many seconds ago."""
        began = self._calendar() - timedelta(seconds=began_s)
        return month_of(began, self._host.office.settings.timezone)

    def used(self, key: str, began_s: float = 0.0) -> Used:
        """What an extension has used of the month in which a call began, so many seconds ago."""
        return self.ledger.used(key, self.month(began_s), self._host.time())

    def bound(self, key: str, began_s: float = 0.0) -> Used:
        """The same, with the least that the numbers cost which ring for it now.

        Else many calls at once would each find the same money, and all be answered.
        """
        used = self.used(key, began_s)
        limit = self._limit_of(key)
        if limit is None or limit.kind != "amount":
            return used  # time is shared by the millisecond, and costs nothing before it has passed
        ringing = (
            leg.outside.number
            for call in self._host.calls.values()
            for leg in call.legs
            if leg.outside is not None and leg.is_calling
        )
        rates = [rate_of(self._host.office, each.number) for each in ringing if each.payer == key]
        return Used(sum((price_of(rate, 1) for rate in rates), used.amount), used.seconds)

    def answered(self, call_id: str, leg: Leg, began_s: float) -> None:
        """A number outside has answered; it counts in the month in which its call began, `began_s` ago."""
        outside = leg.outside.number if leg.outside is not None else None
        if outside is None or not outside.payer or outside.is_emergency:
            return
        now, number = self._host.time(), outside.number
        leg.account = f"{call_id}.{leg.name}"
        self._legs[leg.account] = leg
        rate = rate_of(self._host.office, number)
        month = self.month(began_s)
        self.ledger.open(leg.account, outside.payer, month, number, rate, now)
        self._host.order(OpenUsage(leg.account, call_id, outside.payer, month, number, rate, now))

    def ended(self, leg: Leg) -> str:
        """A leg is over; what it cost, "" = nothing was counted."""
        account, leg.account = leg.account, ""
        closed = self.ledger.close(account, self._host.time()) if account else None
        if closed is None:
            return ""
        del self._legs[account]
        charge, reached = closed
        self._host.order(ChargeUsage(charge))
        self._tell(reached)
        return str(charge.amount)

    def expire(self, now: float) -> None:
        """Warn, cut, and tell who has reached its limit."""
        for event in self.ledger.expire(now):
            if isinstance(event, Reached):
                self._tell([event])
                continue
            leg = self._legs.get(event.leg)
            if leg is None:  # the call of another one that was cut had both
                continue
            call: Any = leg.user  # a Call
            try:
                if isinstance(event, Warn):
                    call.warn_of_end(leg)
                else:
                    call.cut(leg)
            except PbxError as error:
                leg.broke(error)

    def _tell(self, reached: list[Reached]) -> None:
        for each in reached:
            self._host.order(UsageReached(each))

    def _limit_of(self, key: str) -> UsageLimit | None:
        extension = self._host.office.extension(key)
        if extension is None:
            return None
        return extension.usage_limit if extension.type == "normal" else NO_LIMIT
