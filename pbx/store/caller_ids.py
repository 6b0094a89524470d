"""Requests for caller IDs, which an administrator approves or rejects: the table `caller_id_request`."""

from dataclasses import asdict, dataclass, replace
from typing import Final, Literal

from sqlalchemy import insert, select, update

from pbx.errors import StoreError
from pbx.store.schema import caller_id_request as table
from pbx.store.schema import revision
from pbx.store.store import Store, fit

State = Literal["pending", "approved", "rejected"]
OPEN: Final = ("pending", "approved")


class DecidedError(StoreError):
    """There is nothing to decide any more."""


@dataclass(frozen=True, slots=True)
class Request:
    """An extension (its key) wants to be shown as `number`, in E.164. Times are seconds since 1970.

    Attributes:
        decided_at, decided_by: None and "" while it is pending; the email of a member.
    """

    id: str
    extension: str
    number: str
    state: State
    requested_at: float
    decided_at: float | None = None
    decided_by: str = ""


class CallerIds:
    """Each method is one transaction; StoreError from each."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self) -> list[Request]:
        """Every request, the oldest first."""
        with self._store.reads() as connection:
            rows = connection.execute(select(table).order_by(table.c.requested_at, table.c.id))
            return [Request(**row._mapping) for row in rows]

    def approved(self) -> dict[str, frozenset[str]]:
        """The numbers that extensions may show beside the office's own, by key."""
        found: dict[str, frozenset[str]] = {}
        for request in self.all():
            if request.state == "approved":
                found[request.extension] = found.get(request.extension, frozenset()) | {request.number}
        return found

    def add(self, request: Request) -> Request:
        """Keep a new request; where the same is pending or approved already, that one is returned."""
        is_same = (table.c.extension == request.extension) & (table.c.number == request.number)
        with self._store.writes() as connection:
            row = connection.execute(select(table).where(is_same, table.c.state.in_(OPEN))).first()
            if row is not None:
                return Request(**row._mapping)
            connection.execute(insert(table), fit(table, asdict(request)))
            return request

    def decide(self, request_id: str, state: Literal["approved", "rejected"], by: str, now: float) -> Request:
        """Approve or reject a request. What is approved may be rejected later; what is rejected stays so.

        Raises:
            DecidedError: there is no such request, or it is decided so already.
        """
        with self._store.writes() as connection:
            row = connection.execute(select(table).where(table.c.id == request_id)).one_or_none()
            if row is None:
                raise DecidedError(f"there is no request {request_id}; nothing was changed")
            if row.state not in OPEN or row.state == state:
                raise DecidedError(f"request {request_id} is {row.state} already; nothing was changed")
            change = update(table).where(table.c.id == request_id)
            connection.execute(change.values(state=state, decided_at=now, decided_by=by))
            # A running server that looks at the revision notices.
            connection.execute(update(revision).values(number=revision.c.number + 1))
            return replace(Request(**row._mapping), state=state, decided_at=now, decided_by=by)
