"""The database: SQLite by default, PostgreSQL on request. Synchronous; never called from the reactor's thread
once calls are taken, but by `writer` and by commands."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, get_args, get_origin, get_type_hints

from alembic import command
from alembic.config import Config as AlembicConfig
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection, Engine, create_engine, delete, event, insert, select, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from pbx.errors import StoreError
from pbx.office.snapshot import Office
from pbx.store.schema import binding, call_record, member_password, office_item, revision

MIGRATIONS: Final = Path(__file__).parent / "migrations"
ROWS: Final = frozenset(
    each.name for each in fields(Office) if get_origin(get_type_hints(Office)[each.name]) is tuple
)


class Store:
    """One database. Every method is one transaction.

    Raises:
        StoreError: from every method, when the database fails; the message says what it said.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()

    # --- the office ----------------------------------------------------------------------------------------

    def load(self) -> tuple[Office | None, int]:
        """The office and its revision; None and 0 in a new database."""
        with _failures(), self._engine.connect() as connection:
            number = connection.scalar(select(revision.c.number))
            if number is None:
                return None, 0
            rows = connection.execute(
                select(office_item).order_by(office_item.c.kind, office_item.c.position)
            )
            found: dict[str, list[Any]] = {}
            for row in rows:
                found.setdefault(row.kind, []).append(_adapter(row.kind).validate_json(row.body))
        values: dict[str, Any] = {
            kind: tuple(rows) if kind in ROWS else rows[0] for kind, rows in found.items()
        }
        return Office(**values), number

    def save(self, office: Office, expected: int | None = None) -> int:
        """Replace the office; returns the new revision.

        Args:
            expected: the revision that the change is based on; when the office has changed since, nothing is
                written.

        Raises:
            StoreError: somebody else has changed the office meanwhile.
        """
        rows = [
            {"kind": kind, "position": position, "body": _adapter(kind).dump_json(value).decode()}
            for kind, values in _parts(office)
            for position, value in enumerate(values)
        ]
        with _failures(), self._engine.begin() as connection:
            number = connection.scalar(select(revision.c.number).with_for_update()) or 0
            if expected is not None and number != expected:
                raise StoreError(
                    "the office was changed by somebody else meanwhile; nothing was written, try again"
                )
            connection.execute(delete(office_item))
            connection.execute(insert(office_item), rows)
            if number:
                connection.execute(update(revision).values(number=number + 1))
            else:
                connection.execute(insert(revision).values(id=1, number=1))
            emails = [member.email for member in office.members]
            connection.execute(delete(member_password).where(member_password.c.email.not_in(emails)))
            return number + 1

    def revision(self) -> int:
        """The number of the last change."""
        with _failures(), self._engine.connect() as connection:
            return connection.scalar(select(revision.c.number)) or 0

    # --- what else is kept ---------------------------------------------------------------------------------

    def load_bindings(self) -> list[dict[str, Any]]:
        """Every saved binding, in the order of saving."""
        with _failures(), self._engine.connect() as connection:
            order = (binding.c.username, binding.c.position)
            return [dict(row.body) for row in connection.execute(select(binding.c.body).order_by(*order))]

    def save_bindings(self, bindings: Mapping[str, Iterable[Mapping[str, Any]]]) -> None:
        """Replace the bindings of these devices."""
        rows = [
            {"username": username, "position": position, "body": dict(body)}
            for username, bodies in bindings.items()
            for position, body in enumerate(bodies)
        ]
        with _failures(), self._engine.begin() as connection:
            connection.execute(delete(binding).where(binding.c.username.in_(tuple(bindings))))
            if rows:
                connection.execute(insert(binding), rows)

    def add_records(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Add rows of finished calls."""
        rows = [dict(record) for record in records]
        if rows:
            with _failures(), self._engine.begin() as connection:
                connection.execute(insert(call_record), rows)

    def set_password(self, email: str, hashed: str) -> None:
        """Set a member's portal password."""
        with _failures(), self._engine.begin() as connection:
            connection.execute(delete(member_password).where(member_password.c.email == email))
            connection.execute(insert(member_password).values(email=email, hash=hashed))

    def password(self, email: str) -> str | None:
        """The hash of a member's portal password."""
        with _failures(), self._engine.connect() as connection:
            return connection.scalar(select(member_password.c.hash).where(member_password.c.email == email))


def open_store(url: str) -> Store:
    """Open the database, making or migrating its tables.

    Raises:
        StoreError: it cannot be opened.
    """
    with _failures():
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite" and parsed.database not in (None, "", ":memory:"):
            Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(parsed)
        if engine.dialect.name == "sqlite":
            event.listen(engine, "connect", _tune_sqlite)
        with engine.begin() as connection:
            _migrate(connection)
    return Store(engine)


def _migrate(connection: Connection) -> None:
    config = AlembicConfig()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _tune_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA busy_timeout=5000")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _parts(office: Office) -> Iterable[tuple[str, tuple[Any, ...]]]:
    for each in fields(Office):
        if not each.init:
            continue
        value = getattr(office, each.name)
        yield each.name, value if isinstance(value, tuple) else (value,)


@lru_cache
def _adapter(kind: str) -> TypeAdapter[Any]:
    """Reads and writes one row of a field of Office."""
    hint = get_type_hints(Office)[kind]
    arguments = get_args(hint)
    return TypeAdapter(arguments[0] if arguments else hint)


class _failures:  # noqa: N801  # reads as a word where it is used
    """Turns what the database throws into a StoreError."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, (SQLAlchemyError, ValidationError, OSError)):
            first = str(error).strip().splitlines()[0]
            raise StoreError(f"database: {first}") from error
