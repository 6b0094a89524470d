"""The commands `pbx caller-id`."""

import json
from collections.abc import Callable
from typing import Literal

import click

from pbx.app.command import command, office_in, opened, settings_in, tell_server
from pbx.config import Config
from pbx.office.snapshot import Office
from pbx.store.caller_ids import CallerIds, Request
from pbx.store.store import Store


@click.group("caller-id")
def caller_id() -> None:
    """Requests of extensions to be shown as numbers that are not the office's."""


@caller_id.command("list")
@command
def list_requests(config: Config, as_json: bool) -> None:
    """Show all requests."""
    from pbx.app.caller_ids import as_lines, as_rows  # noqa: PLC0415  # as below

    with opened(config, make=False) as store:
        requests, zone = CallerIds(store).all(), settings_in(store).timezone
    if as_json:
        click.echo(json.dumps(as_rows(requests)))
        return
    for line in as_lines(requests, zone):
        click.echo(line)


@caller_id.command()
@click.argument("key")
@click.argument("number")
@click.option("--by", default="", metavar="MEMBER", help="Who asks.")
@command
def request(config: Config, as_json: bool, key: str, number: str, by: str) -> None:
    """Ask that extension KEY may show NUMBER; owner and admins are mailed."""
    from pbx.app.caller_ids import ask_for  # noqa: PLC0415

    def change(store: Store, office: Office) -> Request:
        return ask_for(store, office, config.mail, key, number, by)

    _change_request(config, as_json, change)


@caller_id.command()
@click.argument("request_id", metavar="ID")
@click.option("--by", default="", metavar="MEMBER", help="Who decides: owner or admin.")
@command
def approve(config: Config, as_json: bool, request_id: str, by: str) -> None:
    """Let the extension show the number, from the next call on."""
    _decide_request(config, as_json, request_id, "approved", by)


@caller_id.command()
@click.argument("request_id", metavar="ID")
@click.option("--by", default="", metavar="MEMBER", help="Who decides: owner or admin.")
@command
def reject(config: Config, as_json: bool, request_id: str, by: str) -> None:
    """Do not let it; what was approved is taken back."""
    _decide_request(config, as_json, request_id, "rejected", by)


def _decide_request(
    config: Config, as_json: bool, request_id: str, state: Literal["approved", "rejected"], by: str
) -> None:
    from pbx.app.caller_ids import decide  # noqa: PLC0415

    _change_request(
        config, as_json, lambda store, office: decide(store, office, config.mail, request_id, state, by)
    )


def _change_request(config: Config, as_json: bool, change: Callable[[Store, Office], Request]) -> None:
    from pbx.app.caller_ids import as_rows  # noqa: PLC0415

    with opened(config, make=False) as store:
        done = change(store, office_in(store))
    news = "owner and admins decide" if done.state == "pending" else tell_server(config)
    if as_json:
        click.echo(json.dumps({**as_rows([done])[0], "server": news}))
    else:
        click.echo(f"request {done.id}: {done.number} for {done.extension} is {done.state}; {news}")
