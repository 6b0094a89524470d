"""The sound files beside the database: where they lie, and how one is finished so that a crash costs nothing.

A file is written as `NAME.wav.part`. When it is whole it goes to the disk (fsync) and gets its name (rename,
which is one step for the file system); so a file with its name is always whole.
"""

import errno
import os
import re
import shutil
import struct
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pbx.errors import MediaError, UsageError

PART: Final = ".part"
SHORTEST_S: Final = 1.0  # what is shorter holds no words
ROOM_BYTES: Final = 4 * 2**20  # two minutes at 16,000 Hz
VOICEMAIL: Final = "voicemail"
RECORDINGS: Final = "recordings"
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class BrokenFileError(MediaError):
    """A sound file that cannot be used as it is."""


def voicemail_path(mailbox: str, message_id: str) -> str:
    """Of a finished message, relative to the data folder."""
    return f"{VOICEMAIL}/{_safe(mailbox)}/{_safe(message_id)}.wav"


def greeting_path(mailbox: str) -> str:
    """Of a mailbox's own greeting, the same. No message has this name: theirs are hexadecimal."""
    return f"{VOICEMAIL}/{_safe(mailbox)}/greeting.wav"


def recording_path(recording_id: str, started_at: float) -> str:
    """Of a finished recording of a call, the same: one folder for each month (UTC)."""
    return f"{RECORDINGS}/{datetime.fromtimestamp(started_at, UTC):%Y-%m}/{_safe(recording_id)}.wav"


def locate(data: Path, relative: str) -> Path:
    """The file of a row.

    Raises:
        BrokenFileError: the row names a file outside of the data folder.
    """
    root = data.resolve()
    path = (root / relative).resolve()
    if not path.is_relative_to(root):
        raise BrokenFileError(f"{relative}: outside of the data folder {root}")
    return path


def part_of(path: Path) -> Path:
    """The file while it is written."""
    return path.with_name(path.name + PART)


def make_room(path: Path) -> None:
    """Make the folder of a file, for its owner alone.

    Raises:
        OSError: it cannot be made, or the disk has no room for the file: who speaks is to know it before.
    """
    for folder in (*reversed(path.parent.parents), path.parent):
        if not folder.exists():
            folder.mkdir(mode=0o700, exist_ok=True)
    if shutil.disk_usage(path.parent).free < ROOM_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def finish(path: Path) -> float:
    """Give a file that is whole its name, on the disk and for good; done twice, it does no harm.

    Returns:
        Its length in seconds; 0.0 when there is none, or less than `SHORTEST_S` of it: then it is gone.

    Raises:
        BrokenFileError: it is no WAV file; it is left as it is.
        OSError: the disk failed; the same.
    """
    part = part_of(path)
    if not part.exists():
        return repair(path) if path.exists() else 0.0
    seconds = repair(part)
    if seconds < SHORTEST_S:
        part.unlink()
        return 0.0
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)  # the new name
    finally:
        os.close(folder)
    return seconds


def repair(path: Path) -> float:
    """Make the sizes in a WAV file's header those of the file, as a writer that was killed had no time to.

    Only for files that we write: everything after the beginning of the data is taken for samples.

    Returns:
        Its length in seconds; 0.0 when not even the header was written.

    Raises:
        BrokenFileError: no WAV file of whole samples (RIFF, Microsoft and IBM 1991).
    """
    size = path.stat().st_size
    with path.open("r+b") as file:
        head = file.read(4096)
        if len(head) < 12:
            return 0.0
        if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
            raise BrokenFileError(f"{path}: no WAV file")
        at, bytes_a_second, frame = 12, 0, 0
        while at + 8 <= len(head) and head[at : at + 4] != b"data":
            name, length = struct.unpack_from("<4sI", head, at)
            if name == b"fmt " and at + 24 <= len(head):
                bytes_a_second, frame = struct.unpack_from("<I", head, at + 16)[0], head[at + 20]
            at += 8 + length + length % 2
        if at + 8 > len(head):
            if size <= len(head):
                return 0.0  # killed within the header
            raise BrokenFileError(f"{path}: no data chunk near the beginning")
        if not bytes_a_second or not frame:
            raise BrokenFileError(f"{path}: no format before the data")
        begin = at + 8
        length = size - begin - (size - begin) % frame
        file.truncate(begin + length)  # half a sample
        for place, value in ((4, begin + length - 8), (at + 4, length)):
            if struct.unpack_from("<I", head, place)[0] != value:
                file.seek(place)
                file.write(struct.pack("<I", value))
    return length / bytes_a_second


def _safe(name: str) -> str:
    if not NAME.fullmatch(name):
        raise UsageError(f"no name for a file: {name!r}")
    return name
