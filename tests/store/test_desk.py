"""The desk's thread, with a database that can be taken away."""

import errno
import queue
import shutil
import threading
from collections import namedtuple
from dataclasses import replace

import pytest
from twisted.logger import LogLevel, globalLogPublisher

from pbx.errors import StoreError
from pbx.store.desk import Desk
from pbx.store.recordings import Recording
from pbx.store.salvage import Salvaged
from pbx.store.sound_files import ROOM_BYTES, finish, part_of
from pbx.store.store import open_store
from pbx.store.voicemail import Counts, Mailbox, Message, Voicemail
from tests.store.sounds import wav, write

SOON = 60.0
MESSAGE = Message("a", "100", "101", "Bob", "100", 1000.0, 0.0, "recording", "voicemail/100/a.wav")
NEW = replace(MESSAGE, state="new", seconds=2.0)
CALL = Recording("r", "call", "100", 1000.0, None, "recordings/1970-01/r.wav", 2000.0)


class FragileStore:
    """A store that can be gone."""

    def __init__(self, store):
        self._store = store
        self.is_gone = False
        self.failures = 0  # so many writes fail from now on
        self.hold = threading.Event()
        self.hold.set()
        self.tries = threading.Semaphore(0)

    def reads(self):
        self._check()
        return self._store.reads()

    def writes(self):
        self._check()
        if self.failures:
            self.failures -= 1
            raise StoreError("database: gone for a moment")
        return self._store.writes()

    def _check(self):
        self.tries.release()
        assert self.hold.wait(SOON)
        if self.is_gone:
            raise StoreError("database: gone")


class Place:
    """A desk, and what it says to the reactor: `answer` waits for the next, `lamps` are the counts told."""

    def __init__(self, data):
        self.data, self.wall = data, 1500.0
        self._opened = open_store(f"sqlite:///{data / 'pbx.db'}")
        self.store = FragileStore(self._opened)
        self.rows = Voicemail(self._opened)
        self._said: queue.Queue = queue.Queue()
        self.lamps: list[tuple[str, Counts]] = []
        self.desk = self.open()

    def open(self, retry_s: float = 0.01) -> Desk:
        return Desk(
            self.store,
            self.data,
            lambda call, *arguments: self._said.put((call, arguments)),
            lambda mailbox, counts: self.lamps.append((mailbox, counts)),
            wall=lambda: self.wall,
            retry_s=retry_s,
        )

    def ask(self, name, *arguments):
        """Ask, and be the reactor until the answer is there."""
        answers = []
        getattr(self.desk, name)(*arguments, answers.append)
        return self.until(lambda: answers)[0]

    def until(self, is_so):
        while not (found := is_so()):
            call, arguments = self._said.get(timeout=SOON)
            call(*arguments)
        return found

    def rest(self):
        """Until everything asked so far is done, and told."""
        self.ask("refresh")
        self.ask("refresh")

    def message(self, seconds=2.0, message=MESSAGE):
        write(self.desk.begin(message), wav(seconds, is_finished=False))
        return self.ask("finish", message)

    def close(self):
        self.desk.stop(SOON)
        self._opened.close()


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path)
    yield made
    made.close()


@pytest.fixture
def complaints():
    """What is logged as an error, as text."""
    lines: list[str] = []

    def observe(event):
        if event["log_level"] is LogLevel.error:
            lines.append(event["log_format"].format(**event))

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


def test_a_message_is_made(place):
    path = place.desk.begin(MESSAGE)
    place.rest()
    assert place.rows.find("a") == MESSAGE  # should we be killed now
    write(path, wav(2.0, is_finished=False))
    assert place.ask("finish", MESSAGE) == NEW
    assert place.ask("messages", "100") == [NEW]
    place.rest()
    assert place.lamps == [("100", Counts(1, 0, 2.0))]


def test_a_message_that_is_too_short(place):
    assert place.message(0.5) is None
    place.rest()
    assert place.rows.find("a") is None
    assert place.lamps == []


def test_a_message_that_is_no_sound_is_left(place, caplog):
    path = write(place.desk.begin(MESSAGE), b"nothing that anybody could hear")
    assert "no WAV file" in str(place.ask("finish", MESSAGE))
    assert path.exists()


def test_a_message_that_nobody_wants(place):
    """The caller is gone before anything was recorded."""
    place.desk.begin(MESSAGE)
    assert place.ask("finish", MESSAGE) is None
    assert place.rows.find("a") is None


def test_a_message_is_saved_deleted_and_gone(place):
    place.message()
    assert place.ask("mark", "a", "saved").state == "saved"
    assert place.ask("mark", "a", "deleted").state == "deleted"
    assert place.ask("mark", "a", "new").state == "new"  # taken back
    place.ask("mark", "a", "deleted")
    place.desk.purge("100")
    place.rest()
    assert place.rows.find("a") is None
    assert not (place.data / MESSAGE.path).exists()
    assert [counts for _, counts in place.lamps][-1] == Counts()
    assert place.ask("mark", "a", "new") is None


def test_the_lamps_are_told_at_start_and_after_others(place):
    place.rows.put(NEW)
    place.rest()
    assert place.lamps == [("100", Counts(1, 0, 2.0))]
    place.rest()
    assert len(place.lamps) == 1  # nothing has changed
    place.rows.forget("a")
    place.rest()
    assert place.lamps[1:] == [("100", Counts())]


def test_a_finished_message_outlives_a_database_that_is_gone(place):
    path = write(place.desk.begin(MESSAGE), wav(2.0, is_finished=False))
    place.rest()
    place.store.is_gone = True
    answers: list[object] = []
    place.desk.finish(MESSAGE, answers.append)
    assert "gone" in str(place.ask("messages", "100"))  # a question does not wait
    assert not answers
    assert not path.exists()  # the file is whole already
    place.store.is_gone = False
    assert place.until(lambda: answers) == [NEW]
    assert place.rows.messages() == [NEW]


def test_a_database_that_stays_away_is_complained_of_once(place, complaints):
    place.rest()
    place.store.tries = threading.Semaphore(0)
    place.store.is_gone = True
    write(place.desk.begin(MESSAGE), wav(2.0, is_finished=False))
    for _ in range(3):
        assert place.store.tries.acquire(timeout=SOON)
    place.store.is_gone = False
    place.rest()
    assert complaints == ["message a: database: gone; tried again until it works"]


def test_what_is_kept_stays_in_order(place):
    place.store.is_gone = True
    write(place.desk.begin(MESSAGE), wav(2.0, is_finished=False))
    answers: list[object] = []
    place.desk.finish(MESSAGE, answers.append)
    assert isinstance(place.ask("messages", "100"), StoreError)
    place.store.is_gone = False
    assert place.until(lambda: answers) == [NEW]
    place.rest()
    assert place.rows.messages(states=("recording", "new")) == [NEW]


def test_a_moments_failure_does_not_turn_the_order_round(place):
    """Else the row of the beginning would be written over that of the end."""
    place.rest()
    place.store.hold.clear()
    place.desk.refresh()
    place.desk.messages("100", lambda _: None)  # the thread waits in this; the next two come to it together
    place.store.failures = 1
    write(place.desk.begin(MESSAGE), wav(2.0, is_finished=False))
    answers: list[object] = []
    place.desk.finish(MESSAGE, answers.append)
    place.store.hold.set()
    assert place.until(lambda: answers) == [NEW]
    place.rest()
    assert place.rows.messages(states=("recording", "new")) == [NEW]


def test_stopped_without_a_database_the_next_start_finds_the_message(place):
    write(place.desk.begin(MESSAGE), wav(2.0, is_finished=False))
    place.rest()
    place.store.is_gone = True
    place.desk.finish(MESSAGE)
    place.desk.stop(SOON)
    place.store.is_gone = False
    place.desk = place.open()
    assert place.ask("salvage", 30) == Salvaged(messages=[NEW])
    place.rest()
    assert place.lamps == [("100", Counts(1, 0, 2.0))]


def test_salvage_leaves_what_this_run_makes(place):
    path = write(place.desk.begin(MESSAGE), wav(2.0, is_finished=False))
    assert place.ask("salvage", 30) == Salvaged()
    assert path.exists()
    assert place.ask("finish", MESSAGE) == NEW


def test_a_greeting_of_its_own(place):
    write(place.desk.begin_greeting("100"), wav(3.0, is_finished=False))
    mine = Mailbox("100", "voicemail/100/greeting.wav")
    assert place.ask("finish_greeting", "100") == mine
    assert place.ask("mailbox", "100") == mine
    write(place.desk.begin_greeting("100"), wav(0.1))  # too short: the one before stays
    assert place.ask("finish_greeting", "100") == mine
    assert (place.data / mine.greeting).exists()
    assert place.ask("drop_greeting", "100") == Mailbox("100")
    assert not (place.data / mine.greeting).exists()


def test_a_greeting_that_was_not_recorded(place):
    place.desk.begin_greeting("100")
    assert place.ask("finish_greeting", "100") == Mailbox("100")


def test_the_owner_hears_of_a_full_mailbox_once(place):
    place.message()
    assert place.ask("note_full", "100") is True
    assert place.ask("note_full", "100") is False
    place.ask("mark", "a", "deleted")
    place.desk.purge("100")  # there is room again
    assert place.ask("note_full", "100") is True


def test_a_call_is_recorded_and_goes_after_its_time(place):
    path = place.desk.begin_recording(CALL)
    write(path, wav(2.0, is_finished=False, channels=2))
    assert place.ask("finish_recording", CALL) == replace(CALL, seconds=2.0)
    assert place.ask("sweep") == 0
    place.wall = 2000.0
    assert place.ask("sweep") == 1
    assert list((place.data / "recordings" / "1970-01").iterdir()) == []


def test_a_folder_that_cannot_be_made(place):
    (place.data / "voicemail").write_text("a file")
    with pytest.raises(StoreError, match="voicemail"):
        place.desk.begin(MESSAGE)


def test_on_a_full_disk_nobody_speaks_in_vain(place, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, ROOM_BYTES - 1))
    with pytest.raises(StoreError, match="No space left on device"):
        place.desk.begin(MESSAGE)
    with pytest.raises(StoreError, match="No space left on device"):
        place.desk.begin_recording(CALL)


def test_a_bug_does_not_end_the_thread(place, monkeypatch):
    monkeypatch.setattr(Voicemail, "mailbox", lambda self, key: 1 / 0)
    assert "log says why" in str(place.ask("mailbox", "100"))
    assert place.ask("messages", "100") == []


def test_stopping_finishes_what_was_asked(place):
    write(place.desk.begin(MESSAGE), wav(2.0))
    assert part_of(place.data / MESSAGE.path).exists()
    place.desk.finish(MESSAGE)
    place.desk.stop(SOON)
    assert place.desk.waiting == 0
    assert place.rows.messages() == [NEW]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EMFILE], ids=["a full disk", "too many open files"])
def test_a_finished_message_waits_for_what_passes(place, monkeypatch, number):
    failures = [OSError(number, "not now")] * 3

    def fail_at_first(path):
        if failures:
            raise failures.pop()
        return finish(path)

    monkeypatch.setattr("pbx.store.desk.finish", fail_at_first)
    assert place.message() == NEW
    assert place.rows.messages() == [NEW]
