"""The sound files of an office.toml: looked at while the file is read, kept once all of it is right."""

import hashlib
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Final

from pbx.media.prompt import MAX_FILE_BYTES, SoundError
from pbx.office.uploads import UploadError

FOLDER: Final = "prompts"
# How kept files are named: what `pbx export` prints for them.
KEPT: Final = re.compile(rf"{FOLDER}/[0-9a-f]{{16}}-[A-Za-z0-9_.-]+\.mp3")
LONGEST_NAME: Final = 60


class Uploads:
    """Takes files named in an office.toml. Nothing is written before `keep`."""

    def __init__(self, data: Path, folder: Path) -> None:
        """
        Args:
            data: the data folder.
            folder: what paths in the file are relative to.
        """
        self._data, self._folder = data, folder
        self._taken: dict[str, bytes] = {}

    def take(self, path: str) -> str:
        """Look at a file.

        Args:
            path: as the office.toml has it; that of a kept file stays as it is.

        Returns:
            the path under which it is kept, relative to the data folder: prompts/<hash>-<name>.mp3

        Raises:
            UploadError: it cannot be read, or not be used.
        """
        if KEPT.fullmatch(path):
            if not (self._data / path).is_file():
                raise UploadError(f'"{path}", which is not in the data folder')
            return path
        try:
            with (self._folder / path).open("rb") as file:
                content = file.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            raise UploadError(f'"{path}": {error.strerror or error}') from None
        kept = f"{FOLDER}/{hashlib.sha256(content).hexdigest()[:16]}-{_plain_name(path)}.mp3"
        if kept not in self._taken and not (self._data / kept).is_file():
            self._check(path, content)
            self._taken[kept] = content
        return kept

    def _check(self, path: str, content: bytes) -> None:
        from pbx.media.sound import check  # noqa: PLC0415  # loads numpy and libsndfile, needed by few

        try:
            check(content, "mp3")
        except SoundError as error:
            raise UploadError(f'"{path}": {error}') from None

    def keep(self) -> None:
        """Copy what was taken into the data folder, each file whole or not at all.

        Raises:
            UploadError: it cannot be written.
        """
        for kept, content in self._taken.items():
            target = self._data / kept
            unfinished = target.with_name(f".{target.name}.{os.getpid()}")
            try:
                target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                with unfinished.open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                unfinished.replace(target)
            except OSError as error:
                with suppress(OSError):
                    unfinished.unlink(missing_ok=True)
                raise UploadError(f"{target}: {error.strerror or error}") from None


def _plain_name(path: str) -> str:
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", Path(path).stem)[:LONGEST_NAME].strip("-.")
    return name or "sound"
