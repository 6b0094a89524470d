"""The database: SQLite by default, PostgreSQL on request. Synchronous; never called from the reactor's thread
once calls are taken, but by `writer` and by commands."""

import os
import sqlite3
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    URL,
    BindParameter,
    Connection,
    Engine,
    String,
    Table,
    bindparam,
    create_engine,
    delete,
    event,
    func,
    insert,
    inspect,
    select,
    text,
    true,
    update,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    DisconnectionError,
    IntegrityError,
    SQLAlchemyError,
    StatementError,
)

from pbx.errors import StoreError
from pbx.office.snapshot import Office
from pbx.store.office_rows import ROWS, read_row, write_rows
from pbx.store.schema import (
    binding,
    caller_id_request,
    hot_desk_login,
    member_password,
    office_item,
    revision,
)

VERSIONS: Final = Path(__file__).parent / "migrations" / "versions"
MIGRATION_LOCK: Final = 0x70627831  # of PostgreSQL's advisory locks; any number that nobody else takes
BUSY_MS: Final = 5000
# Written once, and executed for many: an IN for each batch leaves cyclic garbage.
_USERNAME: Final[BindParameter[str]] = bindparam("of_device")
_FORGET_BINDINGS: Final = delete(binding).where(binding.c.username == _USERNAME)
POSTGRESQL: Final = {
    # A database that is gone is an error within seconds, not a thread that waits for ever.
    "connect_timeout": "5",
    "tcp_user_timeout": "10000",
    "options": "-c statement_timeout=30000 -c lock_timeout=10000",
}


class ConflictError(StoreError):
    """Somebody else was faster; nothing was written."""


class UnusableError(StoreError):
    """The database works, and will never take this value, or gave back one that is not ours."""


class Store:
    """One database. Every method is one transaction.

    Raises:
        StoreError: from every method, when the database fails; the message is one line and says what it said.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writing = engine.execution_options(writing=True)
        self._read: dict[tuple[str, str], Any] = {}  # what the rows of the last office say

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()

    # --- the office ----------------------------------------------------------------------------------------

    def load(self) -> tuple[Office | None, int]:
        """The office and its revision; None and 0 in a new database.

        A row that is as it was last time is not read anew: in a server it would take the interpreter from the
        calls, and its values would make work for the cyclic collector.
        """
        # One statement, so that revision and rows are of the same moment in every database.
        query = (
            select(office_item.c.kind, office_item.c.body, revision.c.number)
            .select_from(office_item.join(revision, true()))
            .order_by(office_item.c.kind, office_item.c.position)
        )
        found: dict[str, list[Any]] = {}
        known, read = self._read, dict[tuple[str, str], Any]()
        with self.reads() as connection:
            rows = connection.execute(query).all()
            for kind, body, _ in rows:
                value = known.get((kind, body))
                if value is None:
                    value = read_row(kind, body)
                read[kind, body] = value
                found.setdefault(kind, []).append(value)
        self._read = read
        if not found:
            return None, 0
        values: dict[str, Any] = {
            kind: tuple(of_kind) if kind in ROWS else of_kind[0] for kind, of_kind in found.items()
        }
        return Office(**values), rows[0].number

    def save(self, office: Office, expected: int | None = None) -> int:
        """Replace the office; returns the new revision.

        What belongs to members, devices and extensions that are no more goes too: portal passwords,
        registrations, logins at hot-desk phones, requests for caller IDs.

        Args:
            expected: the revision that the change is based on; when the office has changed since, nothing is
                written.

        Raises:
            ConflictError: somebody else has changed the office meanwhile.
        """
        rows = list(write_rows(office))
        emails = {member.email for member in office.members}
        usernames = {device.username for extension in office.extensions for device in extension.devices}
        with self.writes() as connection:
            number: int = connection.scalar(select(revision.c.number).with_for_update()) or 0
            if expected is not None and number != expected:
                raise ConflictError(
                    "the office was changed by somebody else meanwhile; nothing was written, try again"
                )
            connection.execute(delete(office_item))
            connection.execute(insert(office_item), rows)
            _forget(connection, member_password.c.email, emails)
            _forget(connection, binding.c.username, usernames)
            _forget(connection, hot_desk_login.c.device, usernames)
            _forget(connection, hot_desk_login.c.member, emails)
            _forget(connection, caller_id_request.c.extension, {each.key for each in office.extensions})
            connection.execute(update(revision).values(number=number + 1))
            return number + 1

    def revision(self) -> int:
        """The number of the last change."""
        with self.reads() as connection:
            return connection.scalar(select(revision.c.number)) or 0

    # --- what else is kept ---------------------------------------------------------------------------------

    def load_bindings(self) -> list[dict[str, Any]]:
        """Every saved binding, in the order of saving."""
        with self.reads() as connection:
            order = (binding.c.username, binding.c.position)
            return [dict(row.body) for row in connection.execute(select(binding.c.body).order_by(*order))]

    def save_bindings(self, bindings: Mapping[str, Iterable[Mapping[str, Any]]]) -> None:
        """Replace the bindings of these devices."""
        rows = [
            {"username": username, "position": position, "body": dict(body)}
            for username, bodies in bindings.items()
            for position, body in enumerate(bodies)
        ]
        with self.writes() as connection:
            if bindings:
                connection.execute(_FORGET_BINDINGS, [{_USERNAME.key: username} for username in bindings])
            if rows:
                connection.execute(insert(binding), rows)

    def set_password(self, email: str, hashed: str) -> None:
        """Set a member's portal password."""
        with self.writes() as connection:
            connection.execute(delete(member_password).where(member_password.c.email == email))
            connection.execute(insert(member_password).values(email=email, hash=hashed))

    def password(self, email: str) -> str | None:
        """The hash of a member's portal password."""
        with self.reads() as connection:
            return connection.scalar(select(member_password.c.hash).where(member_password.c.email == email))

    # --- transactions --------------------------------------------------------------------------------------
    @contextmanager
    def reads(self) -> Iterator[Connection]:
        """A transaction that only reads, for the other repositories of this database."""
        with _failures(self._engine.url), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writes(self) -> Iterator[Connection]:
        """A transaction that writes, all of it or nothing; the same."""
        with _failures(self._engine.url), self._writing.begin() as connection:
            yield connection


def open_store(url: str, make: bool = True) -> Store:
    """Open the database, making or migrating its tables.

    Args:
        url: as in [database] of pbx.toml.
        make: make a database of SQLite where there is none.

    Raises:
        StoreError: it cannot be opened.
    """
    with _failures(None):
        parsed = make_url(url)
    with _failures(parsed):
        is_sqlite = parsed.get_backend_name() == "sqlite"
        if is_sqlite:
            _make_private(Path(str(parsed.database)), make)
        options: Any = {} if is_sqlite else {k: v for k, v in POSTGRESQL.items() if k not in parsed.query}
        # Parameters hold password hashes: they belong into no message.
        engine = create_engine(
            parsed, hide_parameters=True, pool_pre_ping=not is_sqlite, connect_args=options
        )
        if is_sqlite:
            event.listen(engine, "connect", _tune_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            _watch_file(engine, Path(str(parsed.database)))
        with engine.execution_options(writing=True).begin() as connection:
            if (
                connection.dialect.name == "postgresql"
            ):  # two first starts at once; SQLite has one writer anyway
                connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
            if not _is_current(connection):
                from pbx.store.migrate import migrate  # noqa: PLC0415  # half a second, and 8 MB from then on

                migrate(connection)
    return Store(engine)


def has_database(url: str) -> bool:
    """False when there is surely none: SQLite's file is not there."""
    with _failures(None):
        parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return True
    try:
        return Path(str(parsed.database)).exists()
    except OSError:  # opening it says why
        return True


def _make_private(path: Path, make: bool) -> None:
    """The file of a database, which only its owner can read; SQLite gives its other files the same mode."""
    if str(path) == ":memory:":
        raise StoreError("a database in memory ends with the program; give the path of a file")
    if not make and not path.exists():
        raise StoreError(f"there is no database {path} yet: `pbx serve` or `pbx apply` makes it")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):  # of a device, all programs would lose it
            raise StoreError(f"{path} is no file: a database needs the path of one")
        if status.st_uid == os.geteuid() and status.st_mode & 0o077:
            os.fchmod(handle, 0o600)
    finally:
        os.close(handle)


def _is_current(connection: Connection) -> bool:
    """Whether no migration is due, found out without Alembic."""
    newest = max(path.name for path in VERSIONS.glob("v*.py"))
    if not inspect(connection).has_table("alembic_version"):
        return False
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
    return [f"v{version}" for version in found] == [newest.partition("_")[0]]


def _tune_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver's own idea of when to BEGIN leaves reads outside
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_MS}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


def _watch_file(engine: Engine, path: Path) -> None:
    """Leave a file that was removed or replaced: what is written to it is written for nobody."""

    def look() -> tuple[int, int] | None:
        try:
            status = path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def insist(*_: Any) -> None:
        if look() is None:  # SQLite would make a new one, with nothing in it
            raise sqlite3.OperationalError("its file is gone")

    def note(_connection: Any, record: Any) -> None:
        record.info["file"] = look()

    def compare(_connection: Any, record: Any, _proxy: Any) -> None:
        if look() != record.info["file"]:
            raise DisconnectionError  # the pool connects again

    event.listen(engine, "do_connect", insist)
    event.listen(engine, "connect", note)
    event.listen(engine, "checkout", compare)


def _begin_sqlite(connection: Connection) -> None:
    """Who will write takes the lock before it reads: a transaction cannot get it later on (SQLITE_BUSY)."""
    writing = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _forget(connection: Connection, column: Any, kept: set[str]) -> None:
    """Delete the rows of a table whose key is not among `kept`."""
    gone = [key for key in connection.scalars(select(column).distinct()) if key not in kept]
    if gone:
        connection.execute(delete(column.table).where(column.in_(gone)))


def fit(table: Table, record: Mapping[str, Any]) -> dict[str, Any]:
    """The texts of a row of `table` as every database takes them; they come from strangers."""
    row = dict(record)
    names, lengths = _texts_of(table)
    texts = [str(row[name]) for name in names]
    joined = "".join(texts)
    if not joined.isascii() or "\0" in joined:
        texts = [text.encode("utf-8", "replace").decode().replace("\0", "\ufffd") for text in texts]
    row.update(zip(names, [text[:length] for text, length in zip(texts, lengths, strict=True)], strict=True))
    return row


@cache
def _texts_of(table: Table) -> tuple[tuple[str, ...], tuple[int | None, ...]]:
    """The columns of a table that hold text, and how much of it."""
    found = [(column.name, column.type.length) for column in table.c if isinstance(column.type, String)]
    return tuple([name for name, _ in found]), tuple([length for _, length in found])


@contextmanager
def _failures(url: URL | None) -> Iterator[None]:
    """Turns what the database throws into a StoreError of one line, without the database's password.

    It may stand in the query, too.
    """
    try:
        yield
    except (SQLAlchemyError, ValueError, TypeError, OSError) as error:
        is_row = isinstance(error, (IntegrityError, DataError, ValueError, TypeError)) or (
            isinstance(error, StatementError) and not isinstance(error, DBAPIError)
        )
        where = "" if url is None else f" {url.set(query={}).render_as_string()}"
        kind = UnusableError if is_row else StoreError
        raise kind(f"database{where}: {_plain(error)}") from error


def _plain(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    said = str(error.orig if isinstance(error, StatementError) and error.orig is not None else error)
    return next((line.strip() for line in said.splitlines() if line.strip()), type(error).__name__)
