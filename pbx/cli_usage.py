"""The commands `pbx usage`: what extensions have used of their limits, resets and top-ups."""

import json
import re
import time
from datetime import UTC, datetime
from typing import Final

import click

from pbx.app.command import command, office_in, opened_up_to_date, tell_server
from pbx.config import Config
from pbx.errors import PbxError
from pbx.store.usage import Usage

MONTH: Final = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


@click.group(invoke_without_command=True)
@click.option("--month", default=None, help="Another than this one, such as 2026-10.")
@command
def usage(config: Config, as_json: bool, month: str | None) -> None:
    """Show the usage limits, and what is used of them in this month."""
    if click.get_current_context().invoked_subcommand is not None:
        return
    from pbx.app.used import as_lines, as_row, standings, this_month  # noqa: PLC0415

    if month is not None and not MONTH.fullmatch(month):
        raise PbxError(f"{month!r} is no month: allowed is a year and a month, such as 2026-10")
    with opened_up_to_date(config) as store:
        office = office_in(store)
        shown = month or this_month(office, datetime.now(UTC))
        listed = standings(office, Usage(store), shown)
    if as_json:
        click.echo(json.dumps({"month": shown, "extensions": [as_row(each) for each in listed]}))
        return
    for line in as_lines(listed, shown):
        click.echo(line)


@usage.command()
@click.argument("key")
@command
def reset(config: Config, as_json: bool, key: str) -> None:
    """Let extension KEY begin this month anew; what was topped up stays."""
    from pbx.app.used import limited, this_month  # noqa: PLC0415

    with opened_up_to_date(config) as store:
        office = office_in(store)
        limited(office, key)
        month = this_month(office, datetime.now(UTC))
        used = Usage(store).reset(key, month, time.time())
    said = f"{key} had used {used.amount:.2f}, {used.seconds / 60:.1f} min; it begins {month} anew"
    _tell(config, as_json, {"key": key, "month": month, "used_amount": str(used.amount)}, said)


@usage.command()
@click.argument("key")
@click.option("--amount", default=None, help="Money, such as 10.00, of a limit by amount.")
@click.option("--minutes", type=click.IntRange(1, 1_000_000), default=None, help="Of a limit by minutes.")
@command
def topup(config: Config, as_json: bool, key: str, amount: str | None, minutes: int | None) -> None:
    """Let extension KEY use so much more in this month."""
    from pbx.app.used import limited, read_top_up, this_month  # noqa: PLC0415

    with opened_up_to_date(config) as store:
        office = office_in(store)
        more = read_top_up(limited(office, key).usage_limit, amount, minutes)
        month = this_month(office, datetime.now(UTC))
        Usage(store).top_up(key, month, time.time(), more)
    what = f"{minutes} min" if minutes is not None else f"{more.amount:.2f}"
    _tell(config, as_json, {"key": key, "month": month}, f"{key} may use {what} more in {month}")


def _tell(config: Config, as_json: bool, answer: dict[str, str], said: str) -> None:
    """Have a running server count anew."""
    acted = "the next call knows, and calls that are up"
    news = tell_server(config, "usage", acted, "no server runs here")
    click.echo(json.dumps({**answer, "server": news}) if as_json else f"{said}; {news}")
