"""What is kept of recorded calls: a row for each, written when it begins."""

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Row, delete, insert, select

from pbx.store.schema import recording
from pbx.store.store import Store, fit

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Recording:
    """One recorded call.

    Attributes:
        call_id: of the call's record; extension: the key of the one whose setting had it recorded.
        started_at, keep_until: seconds since 1970 (UTC); None = kept for ever.
        seconds: its length; None while it is being recorded.
        path: of the finished file, relative to the data folder.
    """

    id: str
    call_id: str
    extension: str
    started_at: float
    seconds: float | None
    path: str
    keep_until: float | None


def keep_until(started_at: float, days: int) -> float | None:
    """When a recording of now is deleted, after `[office] recording_days`; 0 days = never."""
    return started_at + days * DAY_S if days else None


class Recordings:
    """The table `recording`. Each method is one transaction; StoreError from each."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, made: Recording) -> None:
        """Add a recording, or replace it: done twice, it does no harm."""
        row = fit(recording, asdict(made))
        with self._store.writes() as connection:
            connection.execute(delete(recording).where(recording.c.id == row["id"]))
            connection.execute(insert(recording), row)

    def find(self, recording_id: str) -> Recording | None:
        with self._store.reads() as connection:
            row = connection.execute(select(recording).where(recording.c.id == recording_id)).one_or_none()
            return None if row is None else _recording(row)

    def all(self) -> list[Recording]:
        """All of them, the oldest first, those that are being made too."""
        with self._store.reads() as connection:
            order = (recording.c.started_at, recording.c.id)
            return [_recording(row) for row in connection.execute(select(recording).order_by(*order))]

    def due(self, wall: float) -> list[Recording]:
        """The finished ones whose time is over at `wall`."""
        is_due = recording.c.keep_until.is_not(None) & (recording.c.keep_until <= wall)
        query = select(recording).where(is_due & recording.c.seconds.is_not(None))
        with self._store.reads() as connection:
            return [_recording(row) for row in connection.execute(query.order_by(recording.c.started_at))]

    def forget(self, recording_id: str) -> None:
        """Remove the row of a recording. Its file must be gone, or the next start takes it in again."""
        with self._store.writes() as connection:
            connection.execute(delete(recording).where(recording.c.id == recording_id))


def _recording(row: "Row[Any]") -> Recording:
    return Recording(**row._mapping)
