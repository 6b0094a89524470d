"""`pbx backup` and `pbx restore`: the office, its records and its sounds in one file.

A compressed tar: `backup.json` says what it is, `tables/` holds the rows of the database, as of one moment,
and `data/` the data folder but for what is made anew. It holds password hashes and, if the certificate is in
the data folder, its private key: only its owner can read it. It fits a database of the other kind, too.
"""

import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Final

from pbx.app.folder import LOCK, take_folder
from pbx.config import Config
from pbx.errors import PbxError
from pbx.store.dump import dump_table, freeze, refill, tables, version_of
from pbx.store.sound_files import PART
from pbx.store.store import open_store

FORMAT: Final = 1
ABOUT: Final = "backup.json"
STAGE: Final = ".restore-"
# What is not kept: the database has its rows in the backup, the rest is made by whoever runs the server.
LEFT_OUT: Final = frozenset({LOCK, "control.sock", "README.md"})
CACHE: Final = PurePosixPath("prompts/cache")


@dataclass(frozen=True, slots=True)
class Contents:
    """How much a backup holds."""

    rows: int
    files: int


def back_up(config: Config, file: Path, now: datetime) -> Contents:
    """Write all state to `file`; the server may run. What is there under that name is replaced at the end.

    Raises:
        StoreError: the database cannot be read.
        PbxError: the file cannot be written.
    """
    store = open_store(config.database.url, make=False)
    try:
        with (
            _told(file),
            tempfile.TemporaryDirectory(dir=file.absolute().parent, prefix=".pbx-backup-") as made,
        ):
            with store.reads() as connection:
                freeze(connection)
                about = {
                    "format": FORMAT,
                    "schema": version_of(connection),
                    "domain": config.server.domain,
                    "made_at": now.astimezone(UTC).isoformat(timespec="seconds"),
                }
                rows = 0
                for name in tables():
                    with (Path(made) / name).open("w", encoding="utf-8") as rows_file:
                        for line in dump_table(connection, name):
                            rows_file.write(line)
                            rows += 1
            whole = Path(made) / "whole"
            files = _pack(whole, about, Path(made), config.server.data)
            whole.replace(file)
    finally:
        store.close()
    return Contents(rows, files)


def restore(config: Config, file: Path) -> Contents:
    """Replace all state by that of a backup; the server must not run. Nothing is changed when it fails.

    Raises:
        PbxError: the file is no backup, is of another domain, or a server runs.
        StoreError: the database cannot be written.
    """
    data = config.server.data
    with (
        take_folder(data),
        _for_its_owner(),
        _told(file),
        tempfile.TemporaryDirectory(dir=data, prefix=STAGE) as made,
    ):
        stage = Path(made)
        files = _unpack(file, stage)
        about = _read_about(stage / ABOUT, file)
        if about["domain"] != config.server.domain:
            # Passwords are stored for the domain.
            raise PbxError(
                f"{file} is of the domain {about['domain']}, and server.domain is {config.server.domain}"
            )
        store = open_store(config.database.url)
        try:
            dumped = {path.name: _Lines(path) for path in (stage / "tables").iterdir()}
            with store.writes() as connection:
                refill(connection, about["schema"], dumped)
                with _swapped(stage / "data", data, stage / "before"):
                    connection.commit()
        finally:
            store.close()
    return Contents(sum(lines.count for lines in dumped.values()), files)


class _Lines:
    """The lines of a file, counted as they are read."""

    def __init__(self, path: Path) -> None:
        self.path, self.count = path, 0

    def __iter__(self) -> Iterator[str]:
        with self.path.open(encoding="utf-8") as lines:
            for line in lines:
                self.count += 1
                yield line


def _pack(whole: Path, about: dict[str, Any], dumped: Path, data: Path) -> int:
    """Write the archive; how many files of the data folder are in it."""
    with (
        os.fdopen(os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as raw,
        tarfile.open(fileobj=raw, mode="w:gz") as archive,
    ):
        (dumped / ABOUT).write_text(json.dumps(about))
        archive.add(dumped / ABOUT, ABOUT)
        for name in tables():
            archive.add(dumped / name, f"tables/{name}")
        paths = list(_state(data))
        listed = frozenset(paths)
        return sum(_add(archive, path, data, listed) for path in paths)


def _add(archive: tarfile.TarFile, path: Path, data: Path, listed: frozenset[Path]) -> bool:
    """Add a file; one that is gone was deleted meanwhile, or is finished and has its name."""
    finished = path.with_name(path.name.removesuffix(PART))
    for each in (path,) if finished in listed else (path, finished):
        try:
            archive.add(each, f"data/{each.relative_to(data).as_posix()}", recursive=False)
        except FileNotFoundError:
            continue
        return True
    return False


def _state(data: Path) -> Iterator[Path]:
    """The files of a data folder that a backup holds."""
    for path in sorted(data.rglob("*")):
        inside = PurePosixPath(path.relative_to(data).as_posix())
        is_made = inside.parts[0] in LEFT_OUT or _is_database(inside.parts[0]) or CACHE in inside.parents
        if path.is_file() and not is_made and not inside.parts[0].startswith((".pbx-backup-", STAGE)):
            yield path


def _is_database(name: str) -> bool:
    return name.endswith((".db", ".db-wal", ".db-shm", ".db-journal"))


def _unpack(file: Path, stage: Path) -> int:
    """Read the archive into `stage`: plain files alone, at names below it."""
    count = 0
    (stage / "tables").mkdir()
    (stage / "data").mkdir()
    with tarfile.open(file, "r:gz") as archive:
        for member in archive:
            name = PurePosixPath(member.name)
            content = archive.extractfile(member) if member.isfile() else None
            if content is None or name.is_absolute() or ".." in name.parts:
                raise PbxError(f"{file} is no backup: {member.name!r} does not belong there")
            path = stage / name
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
                shutil.copyfileobj(content, target)
            count += name.parts[0] == "data"
    return count


def _read_about(path: Path, file: Path) -> dict[str, Any]:
    try:
        about: dict[str, Any] = json.loads(path.read_text())
        if about["format"] != FORMAT:
            raise PbxError(f"{file} was made by another version of this program (format {about['format']})")
        return {"schema": str(about["schema"]), "domain": str(about["domain"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PbxError(f"{file} is no backup: it has no {ABOUT} that can be read") from error


@contextmanager
def _swapped(new: Path, data: Path, before: Path) -> Iterator[None]:
    """Put the restored state in place of what is there; back again when the block fails."""
    before.mkdir()
    moved: list[tuple[Path, Path]] = []
    try:
        for old in sorted(data.iterdir()):
            is_kept = old.name in LEFT_OUT or _is_database(old.name) or old == new.parent
            if not is_kept:
                moved.append((old, before / old.name))
                old.rename(before / old.name)
        for each in sorted(new.iterdir()):
            moved.append((each, data / each.name))
            each.rename(data / each.name)
        yield
    except BaseException:
        for source, target in reversed(moved):
            if target.exists():
                target.rename(source)
        raise


@contextmanager
def _for_its_owner() -> Iterator[None]:
    """Nobody else can read what is made meanwhile, or look into it."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def _told(file: Path) -> Iterator[None]:
    """Turns what the system says of files into one line."""
    try:
        yield
    except (tarfile.TarError, EOFError) as error:
        raise PbxError(f"{file} is no backup: {error}") from error
    except OSError as error:
        where = error.filename or file
        raise PbxError(f"{where}: {error.strerror or error}") from error
