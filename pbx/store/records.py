"""Call records: one row a call, its legs inside, and who took part in rows of their own to be looked for."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import BindParameter, Connection, Select, and_, bindparam, delete, insert, or_, select

from pbx.errors import PbxError
from pbx.store.schema import call_party, call_record
from pbx.store.store import Store, UnusableError, fit

KEEP_S: Final = 365 * 86_400.0
BATCH: Final = 500  # rows that are deleted at once
PAGE: Final = 500  # rows that are in memory at once
COLUMNS: Final = tuple(call_record.c)

# Written once, and executed for many: an IN of its own for each batch costs more, and leaves cyclic garbage.
_ID: Final[BindParameter[str]] = bindparam("old_id")
_ADD_CALL: Final = insert(call_record)
_ADD_PARTY: Final = insert(call_party)
_FORGET_CALL: Final = delete(call_record).where(call_record.c.id == _ID)
_FORGET_PARTIES: Final = delete(call_party).where(call_party.c.call_id == _ID)

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which calls: all that are given have to fit. Times are seconds since 1970, `until` is not included."""

    since: float | None = None
    until: float | None = None
    caller: str = ""
    callees: tuple[str, ...] = ()  # what was dialled is one of these
    extension: str = ""  # took part, or paid
    trunk: str = ""
    state: str = ""
    kind: str = ""


class Records:
    """The tables `call_record` and `call_party`. Each method is one transaction; StoreError from each."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, records: Iterable[Row]) -> None:
        """Add finished calls; one that is there already is replaced, so that trying twice is safe."""
        given = {record["id"]: record for record in records}
        if not given:
            return
        rows = [fit(call_record, record) for record in given.values()]
        old = [{_ID.key: id_} for id_ in given]
        taking_part = [
            {"party": party[:80], "started_at": row["started_at"], "call_id": row["id"]}
            for row in rows
            for party in parties(row)
        ]
        try:
            with self._store.writes() as connection:
                _insert(connection, rows, taking_part)
        except UnusableError:  # one may be there already: looking first would cost all of them twice as much
            with self._store.writes() as connection:
                connection.execute(_FORGET_CALL, old)
                connection.execute(_FORGET_PARTIES, old)
                _insert(connection, rows, taking_part)

    def find(self, call_id: str) -> dict[str, Any]:
        """The record of a call, by its id or by the beginning of it.

        Raises:
            PbxError: there is none, or more than one begins so.
        """
        # Ids are hexadecimal: as a range an index finds it, which a database does not use for every LIKE.
        key = call_record.c.id
        begins = and_(key >= call_id, key < call_id + "g", key.startswith(call_id, autoescape=True))
        with self._store.reads() as connection:
            found = connection.execute(select(*COLUMNS).where(begins).limit(2)).mappings().all()
        rows = [dict(row) for row in found]
        exact = [row for row in rows if row["id"] == call_id]
        if not rows or not call_id:
            raise PbxError(f"no call has the id {call_id!r}: `pbx calls` shows them")
        if len(rows) > 1 and not exact:
            raise PbxError(f"more than one call's id begins with {call_id!r}: give more of it")
        return (exact or rows)[0]

    def read(self, wanted: Wanted, limit: int | None = None, page: int = PAGE) -> Iterator[dict[str, Any]]:
        """Calls, the newest first, any number of them: no more than a page is in memory.

        Each page is a transaction of its own, so that who reads slowly holds up nobody.
        """
        left = limit
        last: Row | None = None
        while left is None or left > 0:
            size = page if left is None else min(page, left)
            query = _select(wanted, last).limit(size)
            with self._store.reads() as connection:
                rows = [dict(row) for row in connection.execute(query).mappings()]
            yield from rows
            if len(rows) < size:
                return
            last = rows[-1]
            left = None if left is None else left - len(rows)

    def tidy(self, before: float) -> int:
        """Forget the oldest calls before this time, up to a batch; returns how many."""
        old = select(call_record.c.id).where(call_record.c.started_at < before)
        with self._store.writes() as connection:
            ids = connection.scalars(old.order_by(call_record.c.started_at).limit(BATCH)).all()
            if ids:
                connection.execute(delete(call_party).where(call_party.c.call_id.in_(ids)))
                connection.execute(delete(call_record).where(call_record.c.id.in_(ids)))
            return len(ids)


def _insert(connection: Connection, rows: list[dict[str, Any]], taking_part: list[dict[str, Any]]) -> None:
    connection.execute(_ADD_CALL, rows)
    if taking_part:
        connection.execute(_ADD_PARTY, taking_part)


def parties(row: Row) -> set[str]:
    """Under what a call is found besides its caller: keys of extensions, "trunk" and a name."""
    body = row["body"]
    keys, trunks = {row["caller"], row["callee"], body.get("callee_key")}, set[str]()
    for leg in body.get("legs") or ():
        keys.update((leg.get("party"), leg.get("payer")))
        if trunk := leg.get("trunk"):
            trunks.add(f"trunk {trunk}")
    return trunks.union([key for key in keys if key and key.isascii() and key.isdigit()])


def _select(wanted: Wanted, after: Row | None) -> "Select[Any]":
    """A page. Who asks for the calls of one extension among a million is answered from its own rows."""
    c: Any = call_record.c
    at, call_id = c.started_at, c.id
    query = select(*COLUMNS)
    named = [
        *([wanted.extension] if wanted.extension else []),
        *([f"trunk {wanted.trunk}"] if wanted.trunk else []),
    ]
    for party in named:
        rows = call_party.alias()
        query = query.join(rows, (rows.c.call_id == c.id) & (rows.c.party == party))
        at, call_id = rows.c.started_at, rows.c.call_id
    if wanted.since is not None:
        query = query.where(at >= wanted.since)
    if wanted.until is not None:
        query = query.where(at < wanted.until)
    for name in ("caller", "state", "kind"):
        if value := getattr(wanted, name):
            query = query.where(c[name] == value)
    if wanted.callees:
        query = query.where(c.callee.in_(wanted.callees))
    if after is not None:
        last_at, last_id = after["started_at"], after["id"]
        query = query.where(at <= last_at, or_(at < last_at, call_id < last_id))
    return query.order_by(at.desc(), call_id.desc())
