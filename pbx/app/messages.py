"""What `pbx voicemail` does with messages."""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pbx.app.printable import printable
from pbx.errors import PbxError
from pbx.office.snapshot import Office
from pbx.store.sound_files import locate
from pbx.store.voicemail import Message, Voicemail


def messages_of(voicemail: Voicemail, office: Office | None, mailbox: str) -> list[Message]:
    """The messages of one mailbox, the oldest first; an extension that was removed may have left some.

    Raises:
        PbxError: it never was one, as far as is known.
    """
    messages = voicemail.messages(mailbox)
    if not messages and (office is None or office.extension(mailbox) is None):
        allowed = "allowed is the key of an extension, or of a former one that has left messages"
        raise PbxError(f"there is no mailbox {mailbox}: {allowed}")
    return messages


def notes_on_mailboxes(voicemail: Voicemail, before: Office | None, after: Office) -> Iterator[str]:
    """What is left of mailboxes whose extension goes, and what an extension that comes finds in its own."""
    old = {each.key for each in before.extensions} if before is not None else set()
    new = {each.key for each in after.extensions}
    for key, counts in sorted(voicemail.counts().items()):
        count = counts.new + counts.saved
        listed = f"`pbx voicemail list {key}`"
        if key in old - new:
            what = "voice message stays" if count == 1 else f"{count} voice messages stay"
            yield f'extension "{key}" goes; its {what}: {listed}'
        elif key in new - old:
            what = "a voice message" if count == 1 else f"{count} voice messages"
            yield f'extension "{key}" finds {what} of an earlier one: {listed}'
    for key in sorted(voicemail.greeted() & (new - old)):
        how = "its owner records another (own_mailbox, 0)"
        yield f'extension "{key}" finds the greeting of an earlier one: {how}'


def find_message(voicemail: Voicemail, message_id: str) -> Message:
    """The message of this id.

    Raises:
        PbxError: there is none, or it is not finished.
    """
    message = voicemail.find(message_id)
    if message is None:
        raise PbxError(f"there is no message {message_id}: `pbx voicemail list` shows them")
    if message.state == "recording":
        raise PbxError(f"message {message_id} is still being recorded")
    return message


def copy_message(data: Path, message: Message, target: Path) -> Path:
    """Copy the sound of a message; returns where to.

    Args:
        target: a file that is not there yet, or a folder, in which the file is named after the message.

    Raises:
        PbxError: the sound is lost, or the file cannot be written.
    """
    source = locate(data, message.path)
    if target.is_dir():
        target /= f"{message.id}.wav"
    if not source.exists():
        raise PbxError(f"message {message.id} has lost its file {source}")
    try:
        with source.open("rb") as sound, target.open("xb") as copy:
            shutil.copyfileobj(sound, copy)
    except FileExistsError:
        raise PbxError(f"{target} is there already; nothing was written") from None
    except OSError as error:
        raise PbxError(f"{error.filename or target}: {error.strerror}") from error
    return target


def as_rows(messages: Iterable[Message], data: Path) -> list[dict[str, Any]]:
    """Messages for JSON; `file` is where the sound is."""
    return [{**asdict(each), "file": str(data / each.path)} for each in messages]


def as_lines(messages: Sequence[Message], timezone: str) -> Iterator[str]:
    """Messages for a terminal, in the office's time; what callers call themselves may be anything."""
    if not messages:
        yield "no messages"
        return
    zone = ZoneInfo(timezone)
    yield f"{'ID':<24} {'BOX':<6} {'WHEN':<19} {'LENGTH':>6} {'STATE':<5} FROM"
    for each in messages:
        when = datetime.fromtimestamp(each.started_at, zone).strftime("%Y-%m-%d %H:%M:%S")
        minutes, seconds = divmod(round(each.seconds), 60)
        who = printable(f"{each.caller_name} {each.caller}".strip()) or "unknown"
        yield f"{each.id:<24} {each.mailbox:<6} {when} {minutes:>3}:{seconds:02} {each.state:<5} {who}"
