"""Who is logged in at which hot-desk phone: the table `hot_desk_login`."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from sqlalchemy import delete, insert, select

from pbx.store.schema import hot_desk_login as table
from pbx.store.store import Store


@dataclass(frozen=True, slots=True)
class LoginRow:
    """`device` is its SIP user, `member` an email, `since` seconds since 1970."""

    device: str
    member: str
    since: float


class HotDesk:
    """Each method is one transaction; StoreError from each."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def load(self) -> list[LoginRow]:
        """Every login, the oldest first."""
        with self._store.reads() as connection:
            rows = connection.execute(select(table).order_by(table.c.since, table.c.device))
            return [LoginRow(**row._mapping) for row in rows]

    def replace(self, rows: Iterable[LoginRow]) -> None:
        """These are all."""
        with self._store.writes() as connection:
            connection.execute(delete(table))
            if values := [asdict(row) for row in rows]:
                connection.execute(insert(table), values)
