"""All rows of a database as text, one JSON object a line, and back into a database of either kind."""

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Final

from sqlalchemy import Connection, MetaData, Table, delete, func, insert, select, text

from pbx.store.migrate import migrate
from pbx.store.schema import metadata

BATCH: Final = 1000
VERSION_TABLE: Final = "alembic_version"


def version_of(connection: Connection) -> str:
    """The version of the schema, such as "0005"."""
    return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one())


def tables() -> tuple[str, ...]:
    """Of which a dump consists."""
    return tuple(table.name for table in metadata.sorted_tables)


def dump_table(connection: Connection, name: str) -> Iterator[str]:
    """Its rows, a line each, in ASCII: what strangers call themselves need be no UTF-8."""
    for row in (
        connection.execution_options(yield_per=BATCH).execute(select(metadata.tables[name])).mappings()
    ):
        yield json.dumps(dict(row)) + "\n"


def freeze(connection: Connection) -> None:
    """Let all that this transaction reads be of one moment; to be called before it reads."""
    if connection.dialect.name == "postgresql":  # SQLite's always are
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")


def refill(connection: Connection, version: str, dumped: Mapping[str, Iterable[str]]) -> None:
    """Replace all that a database holds, in one transaction.

    Args:
        version: of the schema that the dump was made with; the tables are brought to the newest afterwards.
        dumped: the lines of each table.

    Raises:
        StoreError: a later version of this program made the dump.
    """
    _reflect(connection).drop_all(connection)
    migrate(connection, version)
    found = _reflect(connection)
    for table in found.sorted_tables:
        if table.name != VERSION_TABLE:
            _fill(connection, table, dumped.get(table.name, ()))
    migrate(connection)


def _reflect(connection: Connection) -> MetaData:
    found = MetaData()
    found.reflect(connection)
    return found


def _fill(connection: Connection, table: Table, lines: Iterable[str]) -> None:
    connection.execute(delete(table))  # what the migrations put there
    rows = (json.loads(line) for line in lines)
    while batch := list(islice(rows, BATCH)):
        connection.execute(insert(table), batch)
    if connection.dialect.name == "postgresql" and "id" in table.c and table.c["id"].type.python_type is int:
        sequence = func.pg_get_serial_sequence(table.name, "id")  # NULL where the column has none
        highest = select(func.max(table.c["id"])).scalar_subquery()
        connection.execute(select(func.setval(sequence, highest)))
