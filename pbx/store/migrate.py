"""Brings a database to the newest schema. Apart, because Alembic takes half a second and 8 MB to load."""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import Connection

from pbx.errors import StoreError

MIGRATIONS: Final = Path(__file__).parent / "migrations"


def migrate(connection: Connection, to: str = "head") -> None:
    """Carry out what is due.

    Args:
        to: the version to stop at, "0003"; the newest.

    Raises:
        StoreError: a later version of this program made the database.
    """
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, to)
    except CommandError as error:
        where = connection.engine.url.set(query={}).render_as_string()  # a password may stand in the query
        raise StoreError(f"database {where}: made by another version of this program ({error})") from error
