"""What a crash left behind: sound files without their rows, rows without their files, recordings half made.

Nothing is deleted but what nobody would miss (less than a second of sound) and what somebody had deleted
before the crash; everything else is kept, and said.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from pbx.store.recordings import Recording, Recordings, keep_until
from pbx.store.sound_files import NAME, PART, RECORDINGS, VOICEMAIL, BrokenFileError, finish, locate, part_of
from pbx.store.store import UnusableError
from pbx.store.voicemail import Message, Voicemail

GREETING: Final = "greeting"


@dataclass(slots=True)
class Salvaged:
    """What was found.

    Attributes:
        messages, recordings: were unfinished, or nobody knew them, and can be heard now.
        discarded: the paths of what was too short.
        complaints: what an administrator should look at, a line each.
    """

    messages: list[Message] = field(default_factory=list)
    recordings: list[Recording] = field(default_factory=list)
    discarded: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


def salvage(
    data: Path,
    voicemail: Voicemail,
    recordings: Recordings,
    recording_days: int = 30,
    is_live: Callable[[str], bool] = lambda _path: False,
) -> Salvaged:
    """Put files and rows in order. Blocks: for a thread, at start; done twice, it finds nothing more.

    Args:
        recording_days: how long recordings of unknown calls are kept, 0 = for ever.
        is_live: whether the file of this path, relative to `data`, is being made at this moment.

    Raises:
        StoreError: the database failed; what is not done yet is left for the next time.
    """
    found = Salvaged()
    _Messages(data, is_live, found, voicemail).run()
    _Recordings(data, is_live, found, recordings, recording_days).run()
    return found


class _Sort:
    """One sort of sound files."""

    folder: str

    def __init__(self, data: Path, is_live: Callable[[str], bool], found: Salvaged) -> None:
        self._data, self._is_live, self._found = data, is_live, found

    def _files(self) -> Iterator[Path]:
        """The files by the names that they have, or will have, when finished; strangers are complained of."""
        names = set()
        for path in (self._data / self.folder).glob("*/*"):
            name = path.name.removesuffix(PART)
            if not name.endswith(".wav") or not NAME.fullmatch(name.removesuffix(".wav")):
                self._found.complaints.append(f"{path}: none of ours, left as it is")
            else:
                names.add(path.with_name(name))
        yield from sorted(names)

    def _finish(self, path: Path, relative: str) -> float | None:
        """Its seconds; None when it cannot be used."""
        try:
            seconds = finish(path)
        except (BrokenFileError, OSError) as error:
            self._found.complaints.append(f"{relative}: left as it is: {error}")
            return None
        if not seconds:
            self._found.discarded.append(relative)
        return seconds

    def _keep(self, what: str, put: Callable[[], None]) -> bool:
        try:
            put()
        except UnusableError as error:
            self._found.complaints.append(f"{what}: the file is kept, its row not: {error}")
            return False
        return True


class _Messages(_Sort):
    folder = VOICEMAIL

    def __init__(
        self, data: Path, is_live: Callable[[str], bool], found: Salvaged, voicemail: Voicemail
    ) -> None:
        super().__init__(data, is_live, found)
        self._voicemail = voicemail

    def run(self) -> None:
        known = set()
        for message in self._voicemail.messages(states=("recording", "new", "saved", "deleted")):
            known.add(message.path)
            if not self._is_live(message.path):
                self._look_at(message)
        for path in self._files():
            relative = path.relative_to(self._data).as_posix()
            if relative not in known and not self._is_live(relative):
                self._adopt(path, relative)

    def _look_at(self, message: Message) -> None:
        try:
            path = locate(self._data, message.path)
        except BrokenFileError as error:
            self._found.complaints.append(f"message {message.id} of mailbox {message.mailbox}: {error}")
            return
        if message.state == "recording":
            self._revive(message, path)
        elif message.state == "deleted":
            remove(path)
            self._voicemail.forget(message.id)
        elif not path.exists():
            self._found.complaints.append(
                f"message {message.id} of mailbox {message.mailbox} has lost its file {message.path}; "
                f"`pbx voicemail delete {message.id}` gives it up"
            )

    def _revive(self, message: Message, path: Path) -> None:
        seconds = self._finish(path, message.path)
        if seconds is None:
            return
        if not seconds:
            self._voicemail.forget(message.id)
            return
        finished = replace(message, state="new", seconds=seconds)
        if self._keep(message.path, lambda: self._voicemail.put(finished)):
            self._found.messages.append(finished)

    def _adopt(self, path: Path, relative: str) -> None:
        """A file that no row knows: the database was away, or is older than the file."""
        name, box = path.stem, path.parent.name
        if name == GREETING:
            part = part_of(path)
            if part.exists():  # the one before it is still there and whole
                part.unlink()
                self._found.discarded.append(f"{relative}{PART}")
            return
        seconds = self._finish(path, relative)
        if not seconds:
            return
        started_at = path.stat().st_mtime - seconds
        message = Message(name, box, "", "", box, started_at, seconds, "new", relative)
        if self._keep(relative, lambda: self._voicemail.put(message)):
            self._found.messages.append(message)


class _Recordings(_Sort):
    folder = RECORDINGS

    def __init__(
        self, data: Path, is_live: Callable[[str], bool], found: Salvaged, recordings: Recordings, days: int
    ) -> None:
        super().__init__(data, is_live, found)
        self._recordings, self._days = recordings, days

    def run(self) -> None:
        known = set()
        for recording in self._recordings.all():
            known.add(recording.path)
            if not self._is_live(recording.path):
                self._look_at(recording)
        for path in self._files():
            relative = path.relative_to(self._data).as_posix()
            if relative not in known and not self._is_live(relative):
                self._adopt(path, relative)

    def _look_at(self, recording: Recording) -> None:
        try:
            path = locate(self._data, recording.path)
        except BrokenFileError as error:
            self._found.complaints.append(f"recording {recording.id}: {error}")
            return
        if recording.seconds is not None:
            if not path.exists():
                self._found.complaints.append(f"recording {recording.id} has lost its file {recording.path}")
            return
        seconds = self._finish(path, recording.path)
        if seconds is None:
            return
        if not seconds:
            self._recordings.forget(recording.id)
            return
        finished = replace(recording, seconds=seconds)
        if self._keep(recording.path, lambda: self._recordings.put(finished)):
            self._found.recordings.append(finished)

    def _adopt(self, path: Path, relative: str) -> None:
        seconds = self._finish(path, relative)
        if not seconds:
            return
        started_at = path.stat().st_mtime - seconds
        until = keep_until(started_at, self._days)
        recording = Recording(path.stem, "", "", started_at, seconds, relative, until)
        if self._keep(relative, lambda: self._recordings.put(recording)):
            self._found.recordings.append(recording)


def remove(path: Path) -> None:
    """Remove a sound file, finished or not.

    Raises:
        BrokenFileError: the disk does not let us.
    """
    try:
        path.unlink(missing_ok=True)
        part_of(path).unlink(missing_ok=True)
    except OSError as error:
        raise BrokenFileError(f"{path}: cannot be removed: {error.strerror}") from error
