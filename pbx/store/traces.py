"""SIP messages of calls that are traced, without credentials, for a day."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqlalchemy import delete, insert, select

from pbx.store.schema import trace
from pbx.store.store import Store, fit

KEEP_S: Final = 86_400.0
BATCH: Final = 500


class Traces:
    """The table `trace`. Each method is one transaction; StoreError from each."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add messages, in their order."""
        with self._store.writes() as connection:
            connection.execute(insert(trace), [fit(trace, row) for row in rows])

    def read(self, subject: str) -> list[dict[str, Any]]:
        """The messages of a call, by its id, in their order."""
        query = select(trace).where(trace.c.subject == subject).order_by(trace.c.at, trace.c.id)
        with self._store.reads() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def tidy(self, before: float) -> int:
        """Forget messages older than this, up to a batch; returns how many."""
        old = select(trace.c.id).where(trace.c.at < before).order_by(trace.c.at).limit(BATCH)
        with self._store.writes() as connection:
            ids = connection.scalars(old).all()
            if ids:
                connection.execute(delete(trace).where(trace.c.id.in_(ids)))
            return len(ids)
