"""Outbox rows made of letters, and parcels made of outbox rows. Reads files: for a thread."""

import mimetypes
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from twisted.logger import Logger

from pbx.mail.client import Parcel
from pbx.mail.letter import Letter, letter_of
from pbx.mail.message import Attachment, Envelope, make_message
from pbx.store.outbox import OutboxRow

log: Final = Logger()

LARGEST_ATTACHMENT: Final = 25 * 2**20
SPARE_S: Final = 3600.0  # what is younger may be of a mail that is being made


def make_row(
    id_: str, letter: Letter, sender: str, recipient: str, now: float, attachment: Path | None = None
) -> OutboxRow:
    """New mail to one recipient, due at once. Its Message-ID stays the same from here on."""
    body = {
        "letter": letter.as_row(),
        "message_id": f"{id_}@{sender.rpartition('@')[2]}",
        "attachment": str(attachment) if attachment is not None else "",
    }
    return OutboxRow(id_, now, now, recipient, letter.subject, body, "waiting", 0, 0, now, now, "")


def pack(row: OutboxRow, sender: str) -> Parcel:
    """The finished message. A recording that cannot be read is left out, and the message says so.

    Raises:
        KeyError, TypeError, ValueError: the row's body is not ours.
    """
    path, note, attachment = str(row.body["attachment"]), "", None
    if path:
        try:
            attachment = read_attachment(Path(path))
        except OSError as error:
            why = error.strerror or str(error)
            log.warn("mail {id} goes without {path}: {why}", id=row.id, path=path, why=why)
            note = f"The recording is not attached: {Path(path).name} could not be read any more."
    envelope = Envelope(str(row.body["message_id"]), sender, row.recipient, row.created_at)
    data = make_message(letter_of(row.body["letter"]), envelope, attachment, note)
    return Parcel(row.id, sender, row.recipient, data)


def read_attachment(path: Path) -> Attachment:
    """A file as an attachment.

    Raises:
        OSError: it cannot be read, or is larger than servers take.
    """
    with path.open("rb") as file:
        data = file.read(LARGEST_ATTACHMENT + 1)
    if len(data) > LARGEST_ATTACHMENT:
        raise OSError(f"over {LARGEST_ATTACHMENT // 2**20} MiB")
    kind, _ = mimetypes.guess_type(path.name)
    return Attachment(path.name, data, kind or "application/octet-stream")


def remove_unneeded(folder: Path, needed: Iterable[str], now: float) -> None:
    """Remove the attachments that were made for mails and that none needs any more.

    Args:
        folder: holds nothing else.
        needed: paths; only the names count, as the data folder may have been moved.

    Raises:
        OSError: one cannot be removed.
    """
    names = {Path(path).name for path in needed}
    for path in folder.glob("*"):
        if path.name not in names and path.stat().st_mtime < now - SPARE_S:
            path.unlink()
