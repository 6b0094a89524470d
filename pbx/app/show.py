"""`pbx status` for people."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pbx.app.printable import printable


def show_status(status: dict[str, Any]) -> None:
    """Print the answer of the status command."""
    console = Console(markup=False, emoji=False)  # strangers choose what they are called
    console.print(f"up {_time(status['up_s'])}, listening on {', '.join(status['listening'])}")
    for row in status.get("refusing", ()):
        console.print(
            _text(f"turning calls away for {row['since_s']} s: {row['why']}; {row['refused']} so far")
        )
    refused = [f"{count} by {cause}" for cause, count in status.get("refused", {}).items() if count]
    if refused:
        console.print(f"turned away since the start: {', '.join(refused)}")
    phones = Table(title=f"{len(status['registrations'])} registrations", title_justify="left")
    for column in ("extension", "device", "address", "over", "round trip", "expires", "phone"):
        phones.add_column(column, overflow="fold")
    for row in status["registrations"]:
        trip = "no answer" if row["reachable"] is False else ""
        if row["round_trip_ms"] is not None:
            trip = f"{row['round_trip_ms']} ms"
        phones.add_row(
            row["extension"],
            row["device"],
            row["address"],
            row["transport"],
            trip,
            f"{row['expires_s']} s",
            _text(row["user_agent"]),
        )
    console.print(phones)
    if status.get("trunks"):
        console.print(_trunks(status["trunks"]))
        for row in status["trunks"]:
            if row["error"]:
                console.print(_text(f"{row['kind']} {row['name']}: {row['error']}"))
    calls = Table(title=f"{len(status['calls'])} calls", title_justify="left")
    for column in ("id", "caller", "callee", "state", "since", "audio"):
        calls.add_column(column, overflow="fold")
    for row in status["calls"]:
        since = _time(row["since_s"])
        calls.add_row(
            row["id"],
            _text(row["caller"]),
            _text(row["callee"]),
            row["state"],
            since,
            row.get("audio", ""),
        )
    console.print(calls)


def _trunks(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title="trunks and gateways", title_justify="left")
    for column in ("name", "kind", "address", "state", "since", "expires", "calls"):
        table.add_column(column, overflow="fold")
    for row in rows:
        expires = "" if row["expires_s"] is None else f"{row['expires_s']} s"
        words = (row["name"], row["kind"], row["address"] or row["server"], row["state"])
        table.add_row(*words, _time(row["since_s"]), expires, str(row["calls"]))
    return table


def _text(written: str) -> Text:
    """What a phone wrote: no escape sequences."""
    return Text(printable(written))


def _time(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
