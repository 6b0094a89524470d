"""What extensions have used of their limits: charges, legs that are up, and what admins change.

A leg is charged once: its row in `usage_open` goes in the transaction in which its charge comes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Final, Literal

from sqlalchemy import BindParameter, Connection, Row, Select, bindparam, delete, insert, select, update

from pbx.office.rate import Rate
from pbx.rules.facts import Used
from pbx.rules.usage import price
from pbx.store.schema import usage_adjustment, usage_alive, usage_charge, usage_note, usage_open
from pbx.store.store import Store, fit

BATCH: Final = 500  # rows that are deleted at once
# Written once, and executed for many: an IN for each batch leaves cyclic garbage.
_LEG: Final[BindParameter[str]] = bindparam("old_leg")
_FORGET: Final = {table: delete(table).where(table.c.leg == _LEG) for table in (usage_charge, usage_open)}


@dataclass(frozen=True, slots=True)
class OpenLeg:
    """A leg that is up; `started_at` is seconds since 1970, `answered_s` monotonic, amounts are decimals."""

    leg: str
    call_id: str
    key: str
    month: str
    number: str
    per_minute: str
    connection: str
    increment: int
    started_at: float
    answered_s: float

    @property
    def rate(self) -> Rate:
        return Rate("+", Decimal(self.per_minute), Decimal(self.connection), self.increment)


@dataclass(frozen=True, slots=True)
class ChargedLeg:
    """A leg that is over."""

    leg: str
    call_id: str
    key: str
    month: str
    number: str
    started_at: float
    seconds: float
    amount: str


class Usage:
    """The tables `usage_*`. Each method is one transaction; StoreError from each."""

    def __init__(self, store: Store) -> None:
        self._store = store

    # --- the running server --------------------------------------------------------------------------------

    def write(self, changes: Sequence[OpenLeg | ChargedLeg], alive_s: float) -> None:
        """Keep what has begun and ended, in order; done twice, it does no harm.

        Args:
            alive_s: now, monotonic: the sign of life that belongs to the legs that begin.
        """
        charged = {change.leg: change for change in changes if isinstance(change, ChargedLeg)}
        opened = {
            change.leg: change
            for change in changes
            if isinstance(change, OpenLeg) and change.leg not in charged
        }
        with self._store.writes() as connection:
            for table, rows in ((usage_charge, charged), (usage_open, opened)):
                if rows:
                    connection.execute(_FORGET[table], [{_LEG.key: leg} for leg in rows])
                    connection.execute(insert(table), [fit(table, asdict(row)) for row in rows.values()])
            if charged:
                connection.execute(_FORGET[usage_open], [{_LEG.key: leg} for leg in charged])
            _beat(connection, alive_s)

    def beat(self, alive_s: float) -> None:
        """A sign of life, while legs are up."""
        with self._store.writes() as connection:
            _beat(connection, alive_s)

    def settle(self) -> list[ChargedLeg]:
        """At start: charge the legs that were up when the last run died, up to its last sign of life."""
        with self._store.writes() as connection:
            alive_s = connection.scalar(select(usage_alive.c.alive_s)) or 0.0
            rows = [OpenLeg(**row) for row in connection.execute(select(usage_open)).mappings()]
            there = set(
                connection.scalars(
                    select(usage_charge.c.leg).where(usage_charge.c.leg.in_([r.leg for r in rows]))
                )
            )
            settled = [_charge(row, alive_s) for row in rows if row.leg not in there]
            if settled:
                connection.execute(insert(usage_charge), [asdict(each) for each in settled])
            connection.execute(delete(usage_open))
            return settled

    def note(self, key: str, month: str, percent: int, at: float) -> bool:
        """Remember that a threshold was mailed about; False: it was before."""
        row = {"key": key, "month": month, "percent": percent}
        with self._store.writes() as connection:
            if connection.execute(select(usage_note).filter_by(**row)).first() is not None:
                return False
            connection.execute(insert(usage_note), {**row, "at": at})
            return True

    def notes(self, month: str) -> list[tuple[str, int]]:
        """Key and percent of all that was mailed about."""
        query = select(usage_note.c.key, usage_note.c.percent).where(usage_note.c.month == month)
        with self._store.reads() as connection:
            return [(row.key, row.percent) for row in connection.execute(query)]

    # --- totals --------------------------------------------------------------------------------------------

    def charged(self, month: str) -> dict[str, Used]:
        """What the finished legs of a month cost, by extension."""
        columns = (usage_charge.c.key, usage_charge.c.amount, usage_charge.c.seconds)
        with self._store.reads() as connection:
            return _totals(connection.execute(select(*columns).where(usage_charge.c.month == month)))

    def adjusted(self, month: str, kind: Literal["reset", "topup"] | None = None) -> dict[str, Used]:
        """What admins have changed in a month, by extension: all below zero."""
        columns = (usage_adjustment.c.key, usage_adjustment.c.amount, usage_adjustment.c.seconds)
        query = select(*columns).where(usage_adjustment.c.month == month)
        if kind is not None:
            query = query.where(usage_adjustment.c.kind == kind)
        with self._store.reads() as connection:
            return _totals(connection.execute(query))

    def usage(self, month: str) -> dict[str, Used]:
        """What extensions have used of a month, without calls in progress; below zero after a top-up."""
        charged, adjusted = self.charged(month), self.adjusted(month)
        return {
            key: _sum(charged.get(key, Used()), adjusted.get(key, Used()))
            for key in charged.keys() | adjusted.keys()
        }

    # --- admins --------------------------------------------------------------------------------------------

    def reset(self, key: str, month: str, at: float) -> Used:
        """Let an extension begin its month anew; gives what it had used. A top-up of the month stays."""
        with self._store.writes() as connection:
            kept = (usage_charge.c.amount, usage_charge.c.seconds)
            used = _total(connection, select(*kept).filter_by(key=key, month=month))
            kept = (usage_adjustment.c.amount, usage_adjustment.c.seconds)
            resets = select(*kept).filter_by(key=key, month=month, kind="reset")
            used = _sum(used, _total(connection, resets))
            _adjust(connection, key, month, at, "reset", Used(-used.amount, -used.seconds))
            return used

    def top_up(self, key: str, month: str, at: float, more: Used) -> None:
        """Let an extension use so much more in this month."""
        with self._store.writes() as connection:
            _adjust(connection, key, month, at, "topup", Used(-more.amount, -more.seconds))

    def tidy(self, before: float) -> int:
        """Forget charges older than this, up to a batch; returns how many."""
        old = select(usage_charge.c.leg).where(usage_charge.c.started_at < before).limit(BATCH)
        with self._store.writes() as connection:
            legs = connection.scalars(old).all()
            if legs:
                connection.execute(delete(usage_charge).where(usage_charge.c.leg.in_(legs)))
            return len(legs)


def _beat(connection: Connection, alive_s: float) -> None:
    connection.execute(update(usage_alive).values(alive_s=alive_s))


def _charge(row: OpenLeg, alive_s: float) -> ChargedLeg:
    seconds = round(max(0.0, alive_s - row.answered_s), 3)
    amount = str(price(row.rate, seconds))
    return ChargedLeg(row.leg, row.call_id, row.key, row.month, row.number, row.started_at, seconds, amount)


def _adjust(connection: Connection, key: str, month: str, at: float, kind: str, by: Used) -> None:
    row = {
        "key": key,
        "month": month,
        "at": at,
        "kind": kind,
        "seconds": by.seconds,
        "amount": str(by.amount),
    }
    connection.execute(insert(usage_adjustment), row)
    connection.execute(delete(usage_note).where(usage_note.c.key == key, usage_note.c.month == month))


def _total(connection: Connection, query: Select[Any]) -> Used:
    total = Used()
    for row in connection.execute(query):
        total = _sum(total, Used(Decimal(row.amount), row.seconds))
    return total


def _totals(rows: "Iterable[Row[Any]]") -> dict[str, Used]:
    totals: dict[str, Used] = {}
    for row in rows:
        totals[row.key] = _sum(totals.get(row.key, Used()), Used(Decimal(row.amount), row.seconds))
    return totals


def _sum(a: Used, b: Used) -> Used:
    return Used(a.amount + b.amount, a.seconds + b.seconds)
