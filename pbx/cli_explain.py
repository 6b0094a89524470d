"""The command `pbx explain`: what would become of a call."""

import json
from datetime import UTC, datetime

import click

from pbx.app.client import ServerGoneError, ask
from pbx.app.command import NoOfficeError, command, office_in, opened
from pbx.config import Config
from pbx.store.store import has_database


@click.command()
@click.argument("caller", metavar="FROM")
@click.argument("dialled", metavar="TO")
@click.option("--at", default="", metavar="TIME", help="At another time than now, of the office's zone.")
@command
def explain(config: Config, as_json: bool, caller: str, dialled: str, at: str) -> None:
    """Say what would happen if FROM called TO, and why; nobody is called.

    FROM is the key of an extension, the SIP user of a phone, the name of a gateway, a number outside or
    "anonymous". TO is what is dialled: a key, a code, a number; from outside it is a number of the office, or
    a key.
    """
    from pbx.app.explain import as_lines  # noqa: PLC0415  # loads the numbers of all countries

    try:
        answer = ask(config.server.data, "explain", caller=caller, dialled=dialled, at=at)
    except ServerGoneError:
        answer = _of_database(config, caller, dialled, at)
    if as_json:
        click.echo(json.dumps(answer))
        return
    for line in as_lines(answer):
        click.echo(line)


def _of_database(config: Config, caller: str, dialled: str, at: str) -> dict[str, object]:
    from pbx.app.explain import OF_DATABASE, explanation, read_moment, stored_world  # noqa: PLC0415

    if not has_database(config.database.url):
        raise NoOfficeError
    with opened(config) as store:
        office = office_in(store)
        moment = read_moment(at, office) if at else datetime.now(UTC)
        return explanation(office, stored_world(store, office, moment), caller, dialled, OF_DATABASE)
