"""The outbox: mail that waits, is being sent, was sent or was refused. One row for each recipient."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, and_, case, delete, func, insert, or_, select, update

from pbx.store.schema import outbox_mail as table
from pbx.store.store import Store

STATES: Final = ("waiting", "sending", "sent", "refused")
MOST_WAITING: Final = 10_000
MOST_ENDED: Final = 10_000  # of sent ones, and of refused ones
SET_BACK_S: Final = 86400.0  # what is due later than any wait was put off by a clock that was wrong
KEEP_SENT_S: Final = 30 * 86400.0
KEEP_REFUSED_S: Final = 365 * 86400.0


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """Mail to one recipient. Times are seconds since 1970; `words` are the server's at the last attempt."""

    id: str
    created_at: float
    since: float
    recipient: str
    subject: str
    body: Mapping[str, Any]
    state: str
    attempts: int
    doubts: int
    next_at: float
    changed_at: float
    words: str


class Outbox:
    """The table of mail. Every method is one transaction, in the thread of who calls.

    Raises:
        StoreError: from every method, as from those of Store.
    """

    def __init__(self, store: Store, most_waiting: int = MOST_WAITING) -> None:
        self._store, self._most_waiting = store, most_waiting

    # --- what the sender needs -----------------------------------------------------------------------------

    def add(self, rows: Iterable[OutboxRow]) -> int:
        """Keep new mail; what is there already is left alone, so that trying twice is safe.

        Returns:
            How many of the oldest that waited are refused from now on, since too many wait.
        """
        new = {row.id: row for row in rows}
        if not new:
            return 0
        with self._store.writes() as connection:
            there = set(connection.scalars(select(table.c.id).where(table.c.id.in_(tuple(new)))))
            wanted = [_values(row) for row in new.values() if row.id not in there]
            if wanted:
                connection.execute(insert(table), wanted)
            now = max(row.created_at for row in new.values())
            return self._refuse_surplus(connection, now)

    def due(self, now: float, limit: int, without: Collection[str] = ()) -> list[OutboxRow]:
        """What is to be tried now, the longest due first; `without` are ids that somebody has in hand."""
        query = (
            select(table)
            .where(
                table.c.state == "waiting", or_(table.c.next_at <= now, table.c.next_at > now + SET_BACK_S)
            )
            .order_by(table.c.next_at, table.c.created_at, table.c.id)
            .limit(limit)
        )
        if without:
            query = query.where(table.c.id.not_in(tuple(without)))
        with self._store.reads() as connection:
            return [OutboxRow(**each) for each in connection.execute(query).mappings()]

    def claim(self, id_: str, now: float) -> bool:
        """Before the last byte goes out: from here on nobody knows whether the message has arrived.

        Returns:
            False when it does not wait any more: it must not be sent.
        """
        with self._store.writes() as connection:
            change = (
                update(table)
                .where(table.c.id == id_, table.c.state == "waiting")
                .values(state="sending", changed_at=now)
            )
            return bool(connection.execute(change).rowcount)

    def finish(
        self, id_: str, state: str, attempts: int, doubts: int, next_at: float, words: str, now: float
    ) -> None:
        """What became of an attempt. The body of what was sent is not kept; who called whom is in it."""
        values: dict[str, Any] = {
            "state": state,
            "attempts": attempts,
            "doubts": doubts,
            "next_at": next_at,
            "words": words,
            "changed_at": now,
        }
        if state == "sent":
            values["body"] = {}
        with self._store.writes() as connection:
            connection.execute(update(table).where(table.c.id == id_).values(**values))

    def delay(self, now: float, next_at: float, give_up_before: float, words: str) -> int:
        """The server takes nothing at all: put off what is due, and refuse what waits since long.

        Args:
            give_up_before: what has been tried since before this time is refused.

        Returns:
            How many were refused.
        """
        is_due = and_(table.c.state == "waiting", table.c.next_at <= now)
        counted = {"attempts": table.c.attempts + 1, "changed_at": now}
        with self._store.writes() as connection:
            given_up = connection.execute(
                update(table)
                .where(is_due, table.c.since < give_up_before)
                .values(state="refused", words=f"given up after two days: {words}", **counted)
            ).rowcount
            connection.execute(update(table).where(is_due).values(next_at=next_at, words=words, **counted))
            return given_up

    def recover(self, now: float, most_doubts: int) -> int:
        """At start: what was being sent when the last process died (docs/decisions/mail.md).

        It may have arrived. It waits again, unless that was so too often. Returns how many there were.
        """
        doubts = table.c.doubts + 1
        says = "the server or this machine went down while it was being sent: it may arrive twice"
        change = (
            update(table)
            .where(table.c.state == "sending")
            .values(
                state=case((doubts >= most_doubts, "refused"), else_="waiting"),
                attempts=table.c.attempts + 1,
                doubts=doubts,
                next_at=now,
                changed_at=now,
                words=says,
            )
        )
        with self._store.writes() as connection:
            return connection.execute(change).rowcount

    def attachments(self) -> set[str]:
        """The files that go along with what is not sent yet, or may be tried again."""
        query = select(table.c.body).where(table.c.state != "sent")
        with self._store.reads() as connection:
            return {str(body.get("attachment") or "") for body in connection.scalars(query)} - {""}

    def tidy(self, now: float) -> None:
        """Forget what ended long ago, and the oldest where there is very much."""
        with self._store.writes() as connection:
            for state, keep_s in (("sent", KEEP_SENT_S), ("refused", KEEP_REFUSED_S)):
                is_it = table.c.state == state
                connection.execute(delete(table).where(is_it, table.c.changed_at < now - keep_s))
                newest = select(table.c.changed_at).where(is_it).order_by(table.c.changed_at.desc())
                last = connection.scalar(newest.offset(MOST_ENDED).limit(1))
                if last is not None:
                    connection.execute(delete(table).where(is_it, table.c.changed_at <= last))

    # --- what people ask -----------------------------------------------------------------------------------

    def counts(self) -> dict[str, int]:
        """How many there are of each state."""
        query = select(table.c.state, func.count()).group_by(table.c.state)
        with self._store.reads() as connection:
            found = {state: count for state, count in connection.execute(query)}  # noqa: C416  # Rows
        return {state: found.get(state, 0) for state in STATES}

    def rows(self, states: Sequence[str], limit: int) -> list[OutboxRow]:
        """Mail of these states, the newest first."""
        query = select(table).where(table.c.state.in_(states))
        query = query.order_by(table.c.created_at.desc(), table.c.id).limit(limit)
        with self._store.reads() as connection:
            return [OutboxRow(**each) for each in connection.execute(query).mappings()]

    def retry(self, now: float, ids: Collection[str] = ()) -> int:
        """Try refused and waiting mail again, at once and for two more days.

        Args:
            ids: of which; all when there are none.

        Returns:
            How many.
        """
        change = update(table).where(table.c.state.in_(("waiting", "refused")))
        if ids:
            change = change.where(table.c.id.in_(tuple(ids)))
        with self._store.writes() as connection:
            values = {"state": "waiting", "since": now, "next_at": now, "changed_at": now}
            return connection.execute(change.values(attempts=0, doubts=0, **values)).rowcount

    def forget(self, ids: Collection[str] = ()) -> int:
        """Delete refused mail; all of it when there are no ids. Returns how many."""
        change = delete(table).where(table.c.state == "refused")
        if ids:
            change = change.where(table.c.id.in_(tuple(ids)))
        with self._store.writes() as connection:
            return connection.execute(change).rowcount

    # --- inside --------------------------------------------------------------------------------------------

    def _refuse_surplus(self, connection: Connection, now: float) -> int:
        waits = table.c.state == "waiting"
        count = connection.scalar(select(func.count()).select_from(table).where(waits)) or 0
        if count <= self._most_waiting:
            return 0
        oldest = select(table.c.id).where(waits).order_by(table.c.created_at, table.c.id)
        surplus = connection.scalars(oldest.limit(count - self._most_waiting)).all()
        words = f"{self._most_waiting} newer ones wait, which are all that can"
        change = update(table).where(table.c.id.in_(surplus))
        connection.execute(change.values(state="refused", words=words, changed_at=now))
        return len(surplus)


def _values(row: OutboxRow) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in OutboxRow.__slots__}
    return {**values, "subject": row.subject[:255], "recipient": row.recipient[:254], "body": dict(row.body)}
