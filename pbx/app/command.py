"""What commands have in common: their options, how they fail, the database, the running server."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from pbx.app.client import ServerGoneError, ask
from pbx.app.report import report_error
from pbx.config import Config, load_config
from pbx.errors import PbxError
from pbx.office.settings import Settings
from pbx.office.snapshot import Office
from pbx.store.store import Store, has_database, open_store

DEFAULT_CONFIG: Final = "pbx.toml"

F = TypeVar("F", bound=Callable[..., Any])


def command(function: F) -> F:
    """Adds --config and --json, and turns errors into one clear message and exit code 2."""

    @click.option("--config", "config_path", default=None, help="pbx.toml; all defaults without one.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    @wraps(function)
    def wrapped(*args: Any, config_path: str | None, as_json: bool, **kwargs: Any) -> Any:
        group = click.get_current_context().parent
        while group is not None:  # `pbx --config x mail --json test` has them there
            config_path = config_path or group.params.get("config_path")
            as_json, group = as_json or bool(group.params.get("as_json")), group.parent
        try:
            return function(*args, config=_config(config_path), as_json=as_json, **kwargs)
        except PbxError as error:
            report_error(error, as_json)
            sys.exit(2)

    return wrapped  # type: ignore[return-value]  # the decorated function takes the options too


def _config(path: str | None) -> Config:
    if path is None and not Path(DEFAULT_CONFIG).exists():
        return load_config(None)
    return load_config(path or DEFAULT_CONFIG)


class NoOfficeError(PbxError):
    """Nothing has been applied yet."""

    def __init__(self) -> None:
        super().__init__("the database holds no office yet: `pbx apply office.toml` or `pbx serve` makes one")


@contextmanager
def opened(config: Config, make: bool = True) -> Iterator[Store]:
    """The database, for as long as a command needs it; `make` makes one where there is none."""
    store = open_store(config.database.url, make)
    try:
        yield store
    finally:
        store.close()


def load_office(config: Config) -> Office:
    """The office in the database.

    Raises:
        NoOfficeError: there is none.
    """
    if not has_database(config.database.url):
        raise NoOfficeError
    with opened(config) as store:
        return office_in(store)


def office_in(store: Store) -> Office:
    """The office in a database.

    Raises:
        NoOfficeError: there is none.
    """
    office, _ = store.load()
    if office is None:
        raise NoOfficeError
    return office


def settings_in(store: Store) -> Settings:
    """The office's settings, or the usual ones where there is no office yet."""
    office, _ = store.load()
    return office.settings if office is not None else Settings()


@contextmanager
def opened_up_to_date(config: Config) -> Iterator[Store]:
    """The database with all that a running server knows of calls until now."""
    try:
        if not ask(config.server.data, "flush"):
            click.echo("the running server cannot write: its newest calls are missing here", err=True)
    except ServerGoneError:
        pass  # one that ended has written all
    except PbxError as error:
        click.echo(f"the newest calls may be missing here: {error}", err=True)
    with opened(config, make=False) as store:
        yield store


def tell_server(
    config: Config,
    name: str = "reload",
    acted: str = "in force from the next call on",
    gone: str = "no server answers here; one that runs notices within seconds",
) -> str:
    """Have a running server act on a change at once; what became of that, in words.

    Args:
        name: of the command that it gets.
        acted, gone: what to say when it did, and when there is none.
    """
    try:
        ask(config.server.data, name)
    except ServerGoneError:
        return gone
    except PbxError as error:
        return f"but the running server said: {error}"
    return acted
