"""The commands `pbx calls`: what calls there were, and what became of them."""

import json
import sys
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import click

from pbx.app.command import command, opened_up_to_date, settings_in
from pbx.config import Config
from pbx.errors import PbxError
from pbx.store.records import Records, Wanted
from pbx.store.traces import Traces

STATES: Final = ("answered", "unanswered", "busy", "cancelled", "blocked", "failed")
KINDS: Final = ("internal", "inbound", "outbound")


@click.group(invoke_without_command=True)
@click.option("--from", "since", metavar="TIME", help="Since this day or time, of the office's zone.")
@click.option("--to", "until", metavar="TIME", help="Until the end of this day, or until this time.")
@click.option("--caller", default="", metavar="NUMBER", help="Of a number or extension.")
@click.option("--callee", default="", metavar="NUMBER", help="To a number or extension, or what was dialled.")
@click.option("--extension", default="", metavar="KEY", help="In which it took part, or which it paid for.")
@click.option("--trunk", default="", metavar="NAME", help="By a trunk or gateway.")
@click.option("--state", type=click.Choice(STATES), default=None, help="That ended so.")
@click.option("--kind", type=click.Choice(KINDS), default=None, help="Of this kind.")
@click.option("--limit", type=click.IntRange(0), default=50, metavar="N", help="The newest N; 0 = all [50].")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@command
def calls(
    config: Config,
    as_json: bool,
    since: str | None,
    until: str | None,
    caller: str,
    callee: str,
    extension: str,
    trunk: str,
    state: str | None,
    kind: str | None,
    limit: int,
    as_csv: bool,
) -> None:
    """Show the calls of the last year, the newest first."""
    if click.get_current_context().invoked_subcommand is not None:
        return
    from pbx.app.calls import (  # noqa: PLC0415  # loads the numbers of all countries
        as_lines,
        parse_callee,
        parse_moment,
        parse_party,
        write_csv,
        write_json,
    )

    with opened_up_to_date(config) as store:
        settings = settings_in(store)
        zone = ZoneInfo(settings.timezone)
        wanted = Wanted(
            since=None if since is None else parse_moment(since, zone, is_end=False),
            until=None if until is None else parse_moment(until, zone, is_end=True),
            caller=parse_party(caller, settings.country),
            callees=parse_callee(callee, settings.country),
            extension=extension,
            trunk=trunk,
            state=state or "",
            kind=kind or "",
        )
        rows = Records(store).read(wanted, limit or None)
        if as_json:
            write_json(rows, zone, sys.stdout)
        elif as_csv:
            write_csv(rows, zone, sys.stdout)
        else:
            for line in as_lines(rows, zone):
                click.echo(line)


@calls.command()
@click.argument("call_id", metavar="ID")
@click.option("--ladder", is_flag=True, help="Draw its SIP messages, if its extension has debug on.")
@click.option(
    "--pcap", type=click.Path(path_type=Path), default=None, help="Write them to a new capture file."
)
@command
def show(config: Config, as_json: bool, call_id: str, ladder: bool, pcap: Path | None) -> None:
    """Show all of one call: decisions, legs, how it was heard. The beginning of its ID is enough."""
    from pbx.app.calls import as_json as as_document  # noqa: PLC0415
    from pbx.app.calls import describe  # noqa: PLC0415

    with opened_up_to_date(config) as store:
        zone = ZoneInfo(settings_in(store).timezone)
        row = Records(store).find(call_id)
        messages = Traces(store).read(row["id"])
    if pcap is not None or ladder:
        _show_trace(messages, as_json, pcap, f"call {row['id']}")
    elif as_json:
        click.echo(json.dumps({**as_document(row, zone), "traced": len(messages)}))
    else:
        for line in describe(row, zone, len(messages)):
            click.echo(line)


@calls.command()
@click.argument("key")
@click.option(
    "--pcap", type=click.Path(path_type=Path), default=None, help="Write them to a new capture file."
)
@command
def registrations(config: Config, as_json: bool, key: str, pcap: Path | None) -> None:
    """Draw the REGISTERs of the last 24 hours of the phones of extension KEY, if it has debug on."""
    with opened_up_to_date(config) as store:
        messages = Traces(store).read(f"register {key}")
    _show_trace(messages, as_json, pcap, f"registrations of {key}")


def _show_trace(messages: list[dict[str, Any]], as_json: bool, pcap: Path | None, what: str) -> None:
    from pbx.app.ladder import draw  # noqa: PLC0415

    if not messages:
        raise PbxError(
            f"{what}: no SIP messages are kept; they are for 24 hours, of extensions with debug = true"
        )
    if pcap is not None:
        _write_pcap(messages, pcap)
        said = f"written: {pcap} ({len(messages)} messages)"
        click.echo(json.dumps({"file": str(pcap), "messages": len(messages)}) if as_json else said)
    elif as_json:
        click.echo(json.dumps(messages))
    else:
        for line in draw(messages):
            click.echo(line)


def _write_pcap(messages: list[dict[str, Any]], target: Path) -> None:
    from pbx.app.pcap import make_pcap  # noqa: PLC0415

    try:
        with target.open("xb") as file:
            file.writelines(make_pcap(messages))
    except FileExistsError:
        raise PbxError(f"{target} is there already; nothing was written") from None
    except OSError as error:
        raise PbxError(f"{target}: {error.strerror}") from error
