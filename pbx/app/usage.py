"""What calls cost, between the exchange, the database and the mailer."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from pbx.call.effects import ChargeUsage, OpenUsage, UsageReached
from pbx.call.usage_ledger import UsageLedger
from pbx.mail.facts import Extension
from pbx.mail.facts import UsageReached as Letter
from pbx.mail.outbox import Mailer
from pbx.office.snapshot import Office
from pbx.office.usage_limit import UsageLimit
from pbx.rules.facts import Used
from pbx.store.store import Store
from pbx.store.usage import ChargedLeg, OpenLeg, Usage
from pbx.store.writer import Writer

log: Final = Logger()


class UsageDesk:
    """Keeps what the ledger says, tells it what was kept, and mails.

    Args:
        ledger, month: of the exchange; `month` gives the one that calls begin in now.
        step: runs a step of the exchange.
    """

    def __init__(
        self,
        reactor: Any,
        store: Store,
        writer: Writer,
        mailer: Mailer,
        office: Callable[[], Office],
        ledger: UsageLedger,
        month: Callable[[], str],
        step: Callable[..., None],
    ) -> None:
        self._reactor, self._writer, self._mailer, self._office = reactor, writer, mailer, office
        self._ledger, self._month, self._step = ledger, month, step
        self._usage = Usage(store)

    def load(self) -> None:
        """At start, before calls are taken: charge what the last run left, then read the month's totals.

        Raises:
            StoreError: the database fails.
        """
        for leg in self._usage.settle():
            log.warn(
                "call {call} was cut off by the end of the last run: {seconds} s are charged to {key}",
                call=leg.call_id,
                seconds=round(leg.seconds),
                key=leg.key,
            )
        month = self._month()
        charged, adjusted = self._usage.charged(month), self._usage.adjusted(month)
        self._ledger.load(month, charged, adjusted, self._usage.notes(month))

    def reload(self) -> "Deferred[Any]":
        """A command has reset or topped up: the next decision knows, and calls that are up end later."""
        month = self._month()
        pool = self._reactor.getThreadPool()
        read: Deferred[Any] = deferToThreadPool(self._reactor, pool, self._usage.adjusted, month)

        def adjust(adjusted: Mapping[str, Used], now: float) -> tuple[()]:
            self._ledger.adjust(month, adjusted, now)
            return ()

        def take(adjusted: Mapping[str, Used]) -> dict[str, str]:
            self._step(adjust, adjusted)
            return {"month": month}

        return read.addCallback(take)

    # --- what the exchange asks ----------------------------------------------------------------------------

    def open(self, effect: OpenUsage) -> None:
        """A leg that is paid for is up."""
        rate = effect.rate
        self._writer.write_usage(
            OpenLeg(
                effect.leg,
                effect.call,
                effect.key,
                effect.month,
                effect.number,
                str(rate.per_minute),
                str(rate.connection),
                rate.increment,
                self._wall(effect.at),
                effect.at,
            )
        )

    def charge(self, effect: ChargeUsage) -> None:
        """It is over."""
        charge = effect.charge
        self._writer.write_usage(
            ChargedLeg(
                charge.leg,
                charge.leg.partition(".")[0],
                charge.key,
                charge.month,
                charge.number,
                self._wall(charge.answered_at),
                charge.seconds,
                str(charge.amount),
            )
        )

    def reached(self, effect: UsageReached) -> None:
        """So much of a limit is used: mailed once a month, across restarts."""
        reached = effect.reached
        pool = self._reactor.getThreadPool()
        noted: Deferred[bool] = deferToThreadPool(
            self._reactor, pool, self._usage.note, reached.key, reached.month, reached.percent, time.time()
        )

        def mail(is_new: bool) -> None:
            extension = self._office().extension(reached.key)
            if not is_new or extension is None:
                return
            recipients = recipients_of(self._office(), reached.key)
            used, limit = in_words(reached.used, reached.limit)
            log.info(
                "{key} has used {percent} % of its limit: {used} of {limit}",
                key=reached.key,
                percent=reached.percent,
                used=used,
                limit=limit,
            )
            whose = Extension(extension.key, extension.label)
            self._mailer.send(Letter(whose, datetime.now(UTC), reached.percent, used, limit), recipients)

        noted.addCallback(mail)
        noted.addErrback(lambda failure: log.failure("a reached limit is not mailed", failure))

    def _wall(self, at: float) -> float:
        """Seconds since 1970 of a moment of the reactor's clock, not long ago."""
        return time.time() - (float(self._reactor.seconds()) - at)


def recipients_of(office: Office, key: str) -> list[str]:
    """Who is told about an extension's limit: its assignee, and the owner and the admins of the office."""
    extension = office.extension(key)
    assignee = extension.assignee if extension is not None else ""
    return list(dict.fromkeys([*([assignee] if assignee else []), *office.staff]))


def in_words(used: Used, limit: UsageLimit) -> tuple[str, str]:
    """What is used and what may be, for people: ("12.50", "50.00") or ("241 min", "300 min")."""
    if limit.kind == "minutes":
        return f"{used.seconds / 60:.0f} min", f"{limit.minutes} min"
    return f"{used.amount:.2f}", f"{limit.amount:.2f}"
