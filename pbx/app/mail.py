"""Mail of this installation: its sender for the server, and what the commands show and do."""

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from pbx.app.once import run_once
from pbx.app.printable import printable
from pbx.config import Config, MailConfig
from pbx.entropy import SystemEntropy
from pbx.errors import PbxError
from pbx.mail.client import Patience
from pbx.mail.facts import Facts, Trial
from pbx.mail.letter import write_letter
from pbx.mail.outbox import Mailer
from pbx.mail.packing import make_row, pack
from pbx.mail.post import Post
from pbx.mail.schedule import Verdict
from pbx.mail.server import parse_server
from pbx.net.tls import TrustedServers
from pbx.office.settings import Settings
from pbx.store.outbox import STATES, Outbox, OutboxRow
from pbx.store.store import Store

ATTACHMENTS: Final = "outbox"  # the folder in the data folder, of what is made for mails
SHOWN: Final = 200  # rows of each state
SHOWN_SENT: Final = 20
# Somebody sits there and waits.
IMPATIENT: Final = Patience(connect_s=10.0, reply_s=15.0, block_s=15.0, end_s=60.0, close_s=2.0)


def make_post(reactor: Any, config: MailConfig, patience: Patience | None = None) -> Post | None:
    """The way to the mail server; None where there is none.

    Raises:
        ConfigError: trusted_ca cannot be used.
    """
    if not config.server:
        return None
    trusted = TrustedServers(config.trusted_ca, "mail.trusted_ca")
    return Post(reactor, parse_server(config.server), trusted, config.token_command, patience)


def make_mailer(
    reactor: Any, config: MailConfig, store: Store, settings: Callable[[], Settings], data: Path
) -> Mailer:
    """The sender of a running server.

    Args:
        data: the data folder.

    Raises:
        ConfigError: trusted_ca cannot be used.
    """

    def office() -> tuple[str, str]:
        now = settings()
        return now.name, now.timezone

    post = make_post(reactor, config)
    outbox, entropy = Outbox(store), SystemEntropy()
    return Mailer(reactor, outbox, post, office, config.sender, entropy, time.time, folder=data / ATTACHMENTS)


def leave_mail(
    store: Store, config: MailConfig, settings: Settings, facts: Facts, recipients: Iterable[str]
) -> None:
    """Put mail into the outbox, from a command: the server sends it, when it runs."""
    entropy, now = SystemEntropy(), time.time()
    letter = write_letter(facts, settings.name, settings.timezone)
    Outbox(store).add(
        make_row(entropy.token() + entropy.token(), letter, config.sender, each, now)
        for each in dict.fromkeys(recipients)
    )


def list_mail(outbox: Outbox) -> dict[str, Any]:
    """All that has not arrived, and what was sent last, the newest first."""
    rows = outbox.rows(("waiting", "sending", "refused"), SHOWN) + outbox.rows(("sent",), SHOWN_SENT)
    return {"counts": outbox.counts(), "mails": [_as_json(row) for row in rows]}


def _as_json(row: OutboxRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "state": row.state,
        "created_at": row.created_at,
        "recipient": row.recipient,
        "subject": row.subject,
        "attempts": row.attempts,
        "next_at": row.next_at if row.state == "waiting" else None,
        "words": row.words,
    }


def describe_mail(listed: Mapping[str, Any], has_server: bool, zone: ZoneInfo) -> list[str]:
    """The same for people, as lines; times are those of `zone`."""
    counts = listed["counts"]
    lines = [", ".join(f"{counts[state]} {state}" for state in STATES if state != "sending" or counts[state])]
    if not has_server:
        lines.append("no mail server is configured (mail.server): mail is kept, and not sent")
    for row in listed["mails"]:
        when = _show(row["created_at"], zone)
        lines.append(
            f"{row['id']}  {when}  {row['state']:<7}  {row['recipient']}  {printable(row['subject'])}"
        )
        tries = ""
        if row["state"] == "waiting" and row["attempts"]:
            tries = f"{row['attempts']} tries, the next at {_show(row['next_at'], zone)}; "
        if row["words"] and row["state"] != "sent":
            lines.append(f"    {tries}{printable(row['words'])}")
    return lines


def _show(at: float, zone: ZoneInfo) -> str:
    return f"{datetime.fromtimestamp(at, zone):%Y-%m-%d %H:%M}"


def send_test(config: Config, address: str, office: Settings) -> str:
    """Send a test mail now, past the outbox; gives the server's answer.

    Raises:
        PbxError: the server did not take it; what it said.
    """
    now = time.time()
    letter = write_letter(Trial(datetime.fromtimestamp(now, UTC)), office.name, office.timezone)
    entropy = SystemEntropy()
    row = make_row(entropy.token() + entropy.token(), letter, config.mail.sender, address, now)

    async def send(reactor: Any) -> str:
        post = make_post(reactor, config.mail, IMPATIENT)
        if post is None:
            raise PbxError('no mail server is configured: set mail.server in pbx.toml, "smtp://..."')
        outcome = await post.send_now(pack(row, config.mail.sender))
        if outcome.verdict is not Verdict.TAKEN:
            raise PbxError(f"{post.server} did not take the mail to {address}: {outcome.words}")
        return f"{post.server}: {outcome.words}"

    [answer] = run_once([send])
    if isinstance(answer, Exception):
        raise answer
    return str(answer)


async def probe(reactor: Any, config: MailConfig) -> str:
    """Why the server would take no mail from us, "" = it would: connects, logs in and leaves."""
    try:
        post = make_post(reactor, config, IMPATIENT)
        if post is not None:
            await post.check()
    except PbxError as error:
        return str(error)
    return ""
