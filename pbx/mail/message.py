"""Internet messages (RFC 5322, MIME) made of letters; the same letter gives the same bytes each time."""

import hashlib
import html
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final

from pbx.mail.letter import Letter

# 7 bits everywhere: a server without 8BITMIME (RFC 6152) would have to refuse or rewrite anything else.
POLICY: Final = SMTP.clone(cte_type="7bit")

PLAIN: Final = """\
{heading}

{rows}

{closing}
{note}
-- 
{office}: sent by the telephone system
"""  # noqa: W291  # a signature begins with "-- " (RFC 3676 §4.3)

HTML: Final = """\
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{heading}</title></head>
<body style="font-family:sans-serif;line-height:1.4;color:#222">
<h2 style="margin:0 0 .6em">{heading}</h2>
<table style="border-collapse:collapse">
{rows}
</table>
<p>{closing}</p>
{note}<p style="color:#777;font-size:smaller">{office}: sent by the telephone system</p>
</body></html>
"""
HTML_ROW: Final = '<tr><td style="padding:.1em 1.5em .1em 0;color:#777">{name}</td><td>{value}</td></tr>'


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who a message is from and to; the addresses are as `office.values.Email` takes them.

    `message_id` is without angle brackets; whoever gets the same one twice has the same message twice.
    """

    message_id: str
    sender: str
    recipient: str
    created_at: float  # seconds since 1970


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes along; `kind` as "audio/mpeg"."""

    name: str
    data: bytes
    kind: str = "audio/mpeg"


def make_message(
    letter: Letter, envelope: Envelope, attachment: Attachment | None = None, note: str = ""
) -> bytes:
    """The whole message, with CRLF line ends, in ASCII.

    Args:
        note: one more sentence, about the delivery itself: why there is no attachment.
    """
    message = EmailMessage(POLICY)
    message["From"] = _address(envelope.sender, letter.office)
    message["To"] = _address(envelope.recipient)
    message["Subject"] = _plain_words(letter.subject)
    message["Date"] = format_datetime(datetime.fromtimestamp(envelope.created_at, UTC))
    message["Message-ID"] = f"<{envelope.message_id}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 §5: no out-of-office reply, please
    message.set_content(render_plain(letter, note), cte="quoted-printable")
    message.add_alternative(render_html(letter, note), subtype="html", cte="quoted-printable")
    if attachment is not None:
        main, _, sub = attachment.kind.partition("/")
        message.add_attachment(attachment.data, main, sub, filename=attachment.name)
    _fix_boundaries(message, envelope.message_id)
    return message.as_bytes()


def render_plain(letter: Letter, note: str = "") -> str:
    """The part for readers of text."""
    width = max((len(name) for name, _ in letter.rows), default=0) + 2
    rows = "\n".join(f"{name + ':':<{width}}{value}" for name, value in letter.rows)
    return PLAIN.format(
        heading=letter.heading,
        rows=rows,
        closing=letter.closing,
        note=f"\n{note}\n" if note else "",
        office=letter.office,
    )


def render_html(letter: Letter, note: str = "") -> str:
    """The same as a page; nothing in it is fetched from anywhere."""
    rows = (HTML_ROW.format(name=html.escape(name), value=html.escape(value)) for name, value in letter.rows)
    return HTML.format(
        heading=html.escape(letter.heading),
        rows="\n".join(rows),
        closing=html.escape(letter.closing),
        note=f"<p><b>{html.escape(note)}</b></p>\n" if note else "",
        office=html.escape(letter.office),
    )


def _address(address: str, name: str = "") -> Address:
    local, _, domain = address.rpartition(
        "@"
    )  # not parsed: `a..b@host` is nothing RFC 5322 knows, and exists
    return Address(_plain_words(name), local, domain)


def _plain_words(text: str) -> str:
    """So that a name which looks like an encoded word (RFC 2047) is not decoded: line ends could be in it."""
    return text.replace("=?", "= ?")


def _fix_boundaries(message: EmailMessage, message_id: str) -> None:
    """Boundaries that depend on the message alone; the library would take random ones."""
    for number, part in enumerate(part for part in message.walk() if part.is_multipart()):
        digest = hashlib.sha256(f"{number} {message_id}".encode()).hexdigest()
        part.set_boundary(
            f"=_{digest[:40]}"
        )  # `=_` cannot stand in quoted-printable or base64 (RFC 2045 §6.7)
