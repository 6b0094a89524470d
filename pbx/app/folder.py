"""The data folder: ours alone, and one server's at a time."""

import fcntl
import os
import stat
from pathlib import Path
from typing import IO, Final

from pbx.errors import ConfigError

LOCK: Final = "serve.lock"
# What we put there ourselves (and the README of a checkout): a folder with nothing else is ours to close.
OURS: Final = frozenset(
    {
        *("README.md", LOCK, "control.sock", "certificates", "pbx.db", "pbx.db-wal", "pbx.db-shm"),
        *("voicemail", "recordings", "prompts", "outbox"),
    }
)


def take_folder(folder: Path) -> IO[str]:
    """Make the folder, keep others out of it and lock it for this process, which keeps what is returned.

    Raises:
        ConfigError: it cannot be made or written, or another server has it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _close_to_others(folder)
        handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigError(
            "server.data", str(folder), f"cannot be used as the data folder: {error.strerror}"
        ) from error
    lock = os.fdopen(handle, "r+")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = lock.read().strip()
        lock.close()
        which = f" (process {owner})" if owner.isdigit() else ""
        raise ConfigError(
            "server.data", str(folder), f"a server already runs with this data folder{which}"
        ) from error
    try:
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
    except OSError as error:
        os.close(handle)  # not `lock.close()`, which would write again
        raise ConfigError("server.data", str(folder), f"cannot be written: {error.strerror}") from error
    return lock


def is_open_to_others(folder: Path) -> bool:
    """Whether anybody but its owner can look into the folder."""
    return bool(stat.S_IMODE(folder.stat().st_mode) & 0o077)


def _close_to_others(folder: Path) -> None:
    is_ours = folder.stat().st_uid == os.geteuid() and {each.name for each in folder.iterdir()} <= OURS
    if is_ours and is_open_to_others(folder):
        folder.chmod(0o700)
