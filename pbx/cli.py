"""The commands of product §9. They parse arguments, call store, office and the running server, and print."""

import json
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from pbx.app.client import ServerGoneError, ask
from pbx.app.doctor import examine
from pbx.config import Config, load_config, read_text
from pbx.entropy import SystemEntropy
from pbx.errors import PbxError
from pbx.office.effect import not_yet_in_effect
from pbx.office.mistakes import FileError
from pbx.office.plan import plan
from pbx.office.snapshot import Office
from pbx.office.toml import OfficeFile, export_office, parse_office
from pbx.store.passwords import Passwords
from pbx.store.store import Store, open_store

DEFAULT_CONFIG: Final = "pbx.toml"

F = TypeVar("F", bound=Callable[..., Any])


def command(function: F) -> F:
    """Adds --config and --json, and turns errors into one clear message and exit code 2."""

    @click.option("--config", "config_path", default=None, help="pbx.toml; all defaults without one.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    @wraps(function)
    def wrapped(*args: Any, config_path: str | None, as_json: bool, **kwargs: Any) -> Any:
        try:
            return function(*args, config=_config(config_path), as_json=as_json, **kwargs)
        except FileError as error:
            if as_json:
                rows = [
                    {"file": m.file, "line": m.line, "key": m.key, "found": m.found, "allowed": m.allowed}
                    for m in error.mistakes
                ]
                click.echo(json.dumps({"mistakes": rows}))
            else:
                click.echo(str(error), err=True)
            sys.exit(2)
        except PbxError as error:
            click.echo(f"pbx: {error}", err=True)
            sys.exit(2)

    return wrapped  # type: ignore[return-value]  # the decorated function takes the options too


def _config(path: str | None) -> Config:
    if path is None and not Path(DEFAULT_CONFIG).exists():
        return load_config(None)
    return load_config(path or DEFAULT_CONFIG)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pbx")
def main() -> None:
    """The telephone system of a small office."""


@main.command()
@click.option("--verbose", is_flag=True, help="Log the wire too.")
@command
def serve(config: Config, as_json: bool, verbose: bool) -> None:
    """Run the server."""
    from pbx.app.run import run  # noqa: PLC0415  # installs the reactor

    sys.exit(run(config, verbose, as_json))


@main.command()
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--dry-run", is_flag=True, help="Show the plan and stop.")
@command
def apply(config: Config, as_json: bool, file: str, dry_run: bool) -> None:
    """Make the office equal to FILE."""
    store = open_store(config.database.url)
    try:
        before, revision = store.load()
        wanted = _parse(read_text(file), file, config, before)
        changes = plan(before or Office(realm=config.server.domain), wanted.office)
        if not dry_run and (before is None or before != wanted.office):
            revision = store.save(wanted.office, expected=revision)
    finally:
        store.close()
    in_force = None if dry_run else _reload(config)
    if as_json:
        answer = {
            "added": changes.added,
            "changed": changes.changed,
            "removed": changes.removed,
            "applied": not dry_run,
            "passwords": {} if dry_run else dict(wanted.generated),
            "notes": wanted.notes,
        }
        click.echo(json.dumps(answer))
        return
    click.echo(str(changes))
    for note in wanted.notes:
        click.echo(f"note: {note}")
    if dry_run:
        click.echo("dry run: nothing was written")
        return
    for username, password in wanted.generated.items():
        click.echo(f"password of {username}: {password}   (shown this once)")
    if not changes.is_empty:
        click.echo("applied" + (", in force from the next call on" if in_force else "; no server is running"))


@main.command()
@command
def export(config: Config, as_json: bool) -> None:
    """Print the office as office.toml."""
    text = export_office(_load(config))
    click.echo(json.dumps({"office": text}) if as_json else text, nl=as_json)


@main.command()
@click.argument("file", type=click.Path(dir_okay=False), required=False)
@command
def check(config: Config, as_json: bool, file: str | None) -> None:
    """Check pbx.toml, and FILE or the office in the database; nothing is changed."""
    office = _load(config) if file is None else _parse(read_text(file), file, config, None).office
    pending = not_yet_in_effect(office)
    if as_json:
        click.echo(json.dumps({"ok": True, "not_yet_in_effect": pending}))
        return
    click.echo(f"{file or 'the office'}: no mistakes")
    if pending:
        click.echo("stored, not yet in effect:")
        for key in pending:
            click.echo(f"  {key}")


@main.command()
@command
def status(config: Config, as_json: bool) -> None:
    """Show registrations, calls and trunks of the running server."""
    answer = ask(config.server.data, "status")
    if as_json:
        click.echo(json.dumps(answer))
        return
    from pbx.app.show import show_status  # noqa: PLC0415  # rich takes its time to import

    show_status(answer)


@main.command()
@click.argument("member")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@command
def passwd(config: Config, as_json: bool, member: str, password_stdin: bool) -> None:
    """Set the portal password of MEMBER (an email address)."""
    store = open_store(config.database.url)
    try:
        office, _ = store.load()
        if office is None or office.member(member) is None:
            raise PbxError(f"no member has the email address {member}")
        if password_stdin:
            password = sys.stdin.readline().rstrip("\n")
        else:
            password = click.prompt("New password", hide_input=True, confirmation_prompt=True)
        if len(password) < MIN_PASSWORD:
            raise PbxError(f"a password has at least {MIN_PASSWORD} characters")
        store.set_password(member.lower(), Passwords().hash(password))
    finally:
        store.close()
    click.echo(json.dumps({"member": member}) if as_json else f"password of {member} set")


MIN_PASSWORD: Final = 10


@main.command()
@command
def doctor(config: Config, as_json: bool) -> None:
    """Say what is wrong with addresses, ports, certificate and database, in words."""
    findings = examine(config)
    if as_json:
        click.echo(json.dumps([{"ok": f.ok, "what": f.what, "says": f.says} for f in findings]))
    else:
        for finding in findings:
            click.echo(f"{'ok   ' if finding.ok else 'WRONG'} {finding.what}: {finding.says}")
    if not all(finding.ok for finding in findings):
        sys.exit(1)


def _parse(text: str, name: str, config: Config, existing: Office | None) -> OfficeFile:
    return parse_office(
        text, name, realm=config.server.domain, hasher=Passwords(), entropy=SystemEntropy(), existing=existing
    )


def _load(config: Config) -> Office:
    store: Store = open_store(config.database.url)
    try:
        office, _ = store.load()
    finally:
        store.close()
    if office is None:
        raise PbxError("the database holds no office yet: `pbx apply office.toml` or `pbx serve` makes one")
    return office


def _reload(config: Config) -> bool:
    """Tell a running server; False when there is none (it reads the office when it starts)."""
    try:
        ask(config.server.data, "reload")
    except ServerGoneError:
        return False
    return True
