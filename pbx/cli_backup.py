"""The commands `pbx backup` and `pbx restore`."""

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from pbx.app.command import command
from pbx.config import Config


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@command
def backup(config: Config, as_json: bool, file: Path) -> None:
    """Write the office, records, messages and certificates to FILE; the server may run."""
    from pbx.app.archive import back_up  # noqa: PLC0415  # loads Alembic

    held = back_up(config, file, datetime.now(UTC))
    _tell(as_json, "written", file, held.rows, held.files)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@command
def restore(config: Config, as_json: bool, file: Path) -> None:
    """Replace all state by that of FILE, which `pbx backup` wrote; the server must not run."""
    from pbx.app.archive import restore as bring_back  # noqa: PLC0415  # as above

    held = bring_back(config, file)
    _tell(as_json, "restored from", file, held.rows, held.files)


def _tell(as_json: bool, done: str, file: Path, rows: int, files: int) -> None:
    if as_json:
        click.echo(json.dumps({"file": str(file), "rows": rows, "files": files}))
    else:
        click.echo(f"{done} {file}: {rows} rows, {files} files")
