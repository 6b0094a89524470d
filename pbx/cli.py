"""The commands of product §9. They parse arguments, call store, office and the running server, and print."""

import json
import sys
import time
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import click

from pbx.app.client import ask
from pbx.app.command import NoOfficeError, command, load_office, opened, settings_in, tell_server
from pbx.app.command_line import CommandLine
from pbx.app.messages import notes_on_mailboxes
from pbx.app.pending import pending_settings
from pbx.app.uploads import Uploads
from pbx.cli_backup import backup, restore
from pbx.cli_caller_id import caller_id
from pbx.cli_calls import calls
from pbx.cli_explain import explain
from pbx.cli_usage import usage
from pbx.config import Config, read_text
from pbx.entropy import SystemEntropy
from pbx.errors import PbxError
from pbx.office.effect import not_yet_in_effect
from pbx.office.plan import plan
from pbx.office.settings import Settings
from pbx.office.snapshot import Office
from pbx.office.toml import OfficeFile, export_office, parse_office
from pbx.office.values import Email, NotAllowedError
from pbx.store.caller_ids import CallerIds
from pbx.store.outbox import Outbox
from pbx.store.passwords import Passwords
from pbx.store.records import Records, Wanted
from pbx.store.store import Store
from pbx.store.voicemail import Voicemail

SHORTEST_PASSWORD: Final = 10


@click.group(cls=CommandLine, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pbx")
@click.option("--config", "config_path", default=None, help="pbx.toml; also after the command.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; also after the command.")
def main(config_path: str | None, as_json: bool) -> None:  # the commands read both: app/command
    """The telephone system of a small office."""


@main.command()
@click.option("--verbose", is_flag=True, help="Log more.")
@command
def serve(config: Config, as_json: bool, verbose: bool) -> None:
    """Run the server."""
    from pbx.app.run import run  # noqa: PLC0415  # installs the reactor

    sys.exit(run(config, verbose, as_json))


@main.command()
@click.argument("file", type=click.Path())
@click.option("--dry-run", is_flag=True, help="Show the plan and stop.")
@click.option(
    "--replay",
    "days",
    type=click.IntRange(1, 366),
    metavar="DAYS",
    help="With --dry-run: show which calls of the last DAYS would be routed differently.",
)
@command
def apply(config: Config, as_json: bool, file: str, dry_run: bool, days: int | None) -> None:
    """Make the office equal to FILE."""
    if days is not None and not dry_run:
        raise PbxError("--replay goes with --dry-run; nothing was changed")
    text = read_text(file)
    uploads = Uploads(config.server.data, Path(file).absolute().parent)
    with opened(config) as store:
        before, revision = store.load()
        wanted = _parse(text, file, config, before, uploads, CallerIds(store).approved())
        changes = plan(before or Office(realm=config.server.domain), wanted.office)
        notes = (*wanted.notes, *notes_on_mailboxes(Voicemail(store), before, wanted.office))
        answer = {
            "added": changes.added,
            "changed": changes.changed,
            "removed": changes.removed,
            "applied": False,
            "server": "",
            "passwords": {},
            "notes": notes,
        }
        if not as_json:
            click.echo("\n".join([str(changes), *(f"note: {note}" for note in notes)]))
        if dry_run:
            _end_dry_run(store, before, wanted.office, days, answer if as_json else None)
            return
        uploads.keep()
        is_changed = before != wanted.office
        if is_changed:
            store.save(wanted.office, expected=revision)
    news = tell_server(config) if is_changed else ""
    if as_json:
        done = {"applied": is_changed, "server": news, "passwords": dict(wanted.generated)}
        click.echo(json.dumps(answer | done))
        return
    for username, password in wanted.generated.items():
        click.echo(f"password of {username}: {password}   (shown this once)")
    if is_changed:
        click.echo(f"applied; {news}")


def _end_dry_run(
    store: Store, before: Office | None, after: Office, days: int | None, answer: Mapping[str, Any] | None
) -> None:
    """Print what there is to print besides the plan: in words, or `answer` as JSON."""
    if days is not None:
        from pbx.app.replay import DAY_S, Replay, as_lines, write_json  # noqa: PLC0415  # numbers, as above

        replay = Replay(before or Office(), after, CallerIds(store).approved())
        rows = Records(store).read(Wanted(since=time.time() - days * DAY_S))
        if answer is not None:
            write_json(replay, rows, answer, sys.stdout)
            return
        for line in as_lines(replay, rows, days):
            click.echo(line)
    click.echo("dry run: nothing was written" if answer is None else json.dumps(answer))


@main.command()
@command
def export(config: Config, as_json: bool) -> None:
    """Print the office as office.toml."""
    text = export_office(load_office(config))
    click.echo(json.dumps({"office": text}) if as_json else text, nl=as_json)


@main.command()
@click.argument("file", type=click.Path(), required=False)
@command
def check(config: Config, as_json: bool, file: str | None) -> None:
    """Check pbx.toml, and FILE or the office in the database; nothing is changed."""
    notes: tuple[str, ...] = ()
    office: Office | None = None
    if file is not None:
        uploads = Uploads(config.server.data, Path(file).absolute().parent)
        parsed = _parse(read_text(file), file, config, None, uploads)
        office, notes = parsed.office, parsed.notes
    else:
        try:
            office = load_office(config)
        except NoOfficeError as error:
            notes = (str(error),)
    settings, keys = pending_settings(config), not_yet_in_effect(office) if office is not None else []
    if as_json:
        answer = {"ok": True, "notes": notes, "not_yet_in_effect": {"pbx.toml": settings, "office": keys}}
        click.echo(json.dumps(answer))
        return
    click.echo("pbx.toml: no mistakes")
    if office is not None:
        click.echo(f"{file or 'the office in the database'}: no mistakes")
    for note in notes:
        click.echo(f"note: {note}")
    for title, pending in (("pbx.toml", settings), ("the office", keys)):
        if pending:
            click.echo(f"stored, not yet in effect, in {title}:")
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
@click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input, as without a terminal."
)
@command
def passwd(config: Config, as_json: bool, member: str, password_stdin: bool) -> None:
    """Set the portal password of MEMBER (an email address)."""
    with opened(config, make=False) as store:
        office, _ = store.load()
        if office is None or office.member(member) is None:
            raise PbxError(f"no member has the email address {member}")
        if password_stdin or not sys.stdin.isatty():
            password = sys.stdin.readline().rstrip("\r\n")
        else:
            password = click.prompt("New password", hide_input=True, confirmation_prompt=True, err=True)
        if len(password) < SHORTEST_PASSWORD:
            raise PbxError(f"a password has at least {SHORTEST_PASSWORD} characters; nothing was changed")
        store.set_password(member.lower(), Passwords().hash(password))
    click.echo(json.dumps({"member": member.lower()}) if as_json else f"password of {member.lower()} set")


@main.group()
def voicemail() -> None:
    """List, export and delete voice messages."""


@voicemail.command("list")
@click.argument("mailbox", required=False)
@command
def list_messages(config: Config, as_json: bool, mailbox: str | None) -> None:
    """Show the messages of MAILBOX (an extension's key), or of all."""
    from pbx.app.messages import as_lines, as_rows, messages_of  # noqa: PLC0415  # as below

    with opened(config, make=False) as store:
        office, _ = store.load()
        kept = Voicemail(store)
        messages = kept.messages() if mailbox is None else messages_of(kept, office, mailbox)
    if as_json:
        click.echo(json.dumps(as_rows(messages, config.server.data)))
        return
    for line in as_lines(messages, office.settings.timezone if office is not None else "UTC"):
        click.echo(line)


@voicemail.command("export")
@click.argument("message_id", metavar="ID")
@click.argument("file", type=click.Path(path_type=Path))
@command
def export_message(config: Config, as_json: bool, message_id: str, file: Path) -> None:
    """Copy the sound of message ID to FILE (WAV), or into the folder FILE."""
    from pbx.app.messages import copy_message, find_message  # noqa: PLC0415

    with opened(config, make=False) as store:
        written = copy_message(config.server.data, find_message(Voicemail(store), message_id), file)
    click.echo(json.dumps({"id": message_id, "file": str(written)}) if as_json else f"written: {written}")


@voicemail.command("delete")
@click.argument("message_ids", metavar="ID...", nargs=-1, required=True)
@command
def delete_messages(config: Config, as_json: bool, message_ids: tuple[str, ...]) -> None:
    """Delete messages for good; the lamps of a running server follow."""
    from pbx.app.messages import find_message  # noqa: PLC0415
    from pbx.store.desk import delete_message  # noqa: PLC0415

    with opened(config, make=False) as store:
        kept = Voicemail(store)
        for message in [find_message(kept, each) for each in message_ids]:  # all, before one is deleted
            delete_message(config.server.data, kept, message)
    news = tell_server(config, "voicemail", "the lamps follow", "no server runs here")
    if as_json:
        click.echo(json.dumps({"deleted": message_ids, "server": news}))
    else:
        click.echo(f"deleted: {', '.join(message_ids)}; {news}")


for each in (calls, usage, caller_id, explain, backup, restore):
    main.add_command(each)


@main.command()
@command
def doctor(config: Config, as_json: bool) -> None:
    """Say what is wrong with addresses, ports, certificate, trunks, mail and limits, in words."""
    from pbx.app.doctor import examine  # noqa: PLC0415  # loads the network's parts

    findings = examine(config)
    if as_json:
        click.echo(json.dumps([{"ok": f.ok, "what": f.what, "says": f.says} for f in findings]))
    else:
        for finding in findings:
            click.echo(f"{'ok   ' if finding.ok else 'WRONG'} {finding.what}: {finding.says}")
    if not all(finding.ok for finding in findings):
        sys.exit(1)


@main.group(invoke_without_command=True)
@click.option("--config", "config_path", default=None, help="pbx.toml; all defaults without one.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def mail(context: click.Context, config_path: str | None, as_json: bool) -> None:
    """Show the mail that waits, was refused or sent last."""
    if context.invoked_subcommand is None:
        context.invoke(list_, config_path=config_path, as_json=as_json)


@mail.command("list")
@command
def list_(config: Config, as_json: bool) -> None:
    """The same as `pbx mail`."""
    from pbx.app.mail import describe_mail, list_mail  # noqa: PLC0415  # loads the network's parts

    with opened(config, make=False) as store:
        listed, settings = list_mail(Outbox(store)), settings_in(store)
    if as_json:
        click.echo(json.dumps({"server": bool(config.mail.server), **listed}))
    else:
        zone = ZoneInfo(settings.timezone)
        click.echo("\n".join(describe_mail(listed, bool(config.mail.server), zone)))


@mail.command()
@click.argument("address")
@command
def test(config: Config, as_json: bool, address: str) -> None:
    """Send a test mail to ADDRESS now, and show the server's answer."""
    from pbx.app.mail import send_test  # noqa: PLC0415  # installs the reactor

    try:
        recipient = Email().read(address)
    except NotAllowedError as error:
        raise PbxError(f"{address!r} is not {error.allowed}") from None
    try:
        settings = load_office(config).settings
    except NoOfficeError:
        settings = Settings()
    says = send_test(config, recipient, settings)
    click.echo(json.dumps({"recipient": recipient, "says": says}) if as_json else says)


@mail.command()
@click.argument("ids", nargs=-1)
@command
def retry(config: Config, as_json: bool, ids: tuple[str, ...]) -> None:
    """Try waiting and refused mail again at once: all, or those of the IDS."""
    with opened(config, make=False) as store:
        count = Outbox(store).retry(time.time(), ids)
    news = tell_server(config, "mail", "are being tried", "will be tried when the server runs")
    click.echo(json.dumps({"mails": count}) if as_json else f"{count} mails {news}")


@mail.command()
@click.argument("ids", nargs=-1)
@command
def forget(config: Config, as_json: bool, ids: tuple[str, ...]) -> None:
    """Delete refused mail: all, or that of the IDS."""
    with opened(config, make=False) as store:
        count = Outbox(store).forget(ids)
    click.echo(json.dumps({"mails": count}) if as_json else f"{count} mails deleted")


def _parse(
    text: str,
    name: str,
    config: Config,
    existing: Office | None,
    uploads: Uploads,
    approved: Mapping[str, Set[str]] | None = None,
) -> OfficeFile:
    return parse_office(
        text,
        name,
        realm=config.server.domain,
        hasher=Passwords(),
        entropy=SystemEntropy(),
        existing=existing,
        take_sound=uploads.take,
        approved=approved,
    )
