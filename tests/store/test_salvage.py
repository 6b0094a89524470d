"""What a crash left behind is found at the next start."""

from dataclasses import replace

import pytest

from pbx.store.recordings import Recording, Recordings
from pbx.store.salvage import Salvaged, salvage
from pbx.store.sound_files import locate, part_of
from pbx.store.store import open_store
from pbx.store.voicemail import Mailbox, Message, Voicemail
from tests.store.sounds import wav, write

ROW = Message("a", "100", "+6591234567", "Bob", "100", 1000.0, 0.0, "recording", "voicemail/100/a.wav")
CALL = Recording("r", "call", "100", 1000.0, None, "recordings/1970-01/r.wav", 2000.0)


class Place:
    def __init__(self, data):
        self.data = data
        self.store = open_store(f"sqlite:///{data / 'pbx.db'}")
        self.voicemail, self.recordings = Voicemail(self.store), Recordings(self.store)

    def salvage(self, **options) -> Salvaged:
        found = salvage(self.data, self.voicemail, self.recordings, **options)
        again = salvage(self.data, self.voicemail, self.recordings, **options)
        assert again == Salvaged(
            complaints=found.complaints
        )  # all is done at once, what is wrong is said again
        return found

    def file(self, relative):
        return locate(self.data, relative)


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path)
    yield made
    made.store.close()


def test_killed_in_the_middle_of_a_message(place):
    place.voicemail.put(ROW)
    write(part_of(place.file(ROW.path)), wav(4.0, is_finished=False))
    kept = replace(ROW, state="new", seconds=4.0)
    assert place.salvage() == Salvaged(messages=[kept])
    assert place.voicemail.messages() == [kept]
    assert place.file(ROW.path).exists()


def test_killed_between_the_file_and_the_row(place):
    place.voicemail.put(ROW)
    write(place.file(ROW.path), wav(4.0))
    assert place.salvage().messages == [replace(ROW, state="new", seconds=4.0)]


@pytest.mark.parametrize("sound", [wav(0.5, is_finished=False), b"", None])
def test_killed_before_anything_was_said(place, sound):
    place.voicemail.put(ROW)
    if sound is not None:
        write(part_of(place.file(ROW.path)), sound)
    assert place.salvage() == Salvaged(discarded=[ROW.path])
    assert place.voicemail.find("a") is None
    assert not part_of(place.file(ROW.path)).exists()


@pytest.mark.parametrize("suffix", ["", ".part"])
def test_a_message_that_the_database_does_not_know(place, suffix):
    write(place.file("voicemail/100/x.wav" + suffix), wav(2.0, is_finished=not suffix))
    (found,) = place.salvage().messages
    assert (found.id, found.mailbox, found.caller, found.seconds, found.state) == ("x", "100", "", 2.0, "new")
    assert place.voicemail.messages() == [found]


def test_a_row_without_its_file_is_kept_and_said(place):
    row = replace(ROW, state="saved", seconds=3.0)
    place.voicemail.put(row)
    (complaint,) = place.salvage().complaints
    assert "lost its file voicemail/100/a.wav" in complaint
    assert "pbx voicemail delete a" in complaint
    assert place.voicemail.messages() == [row]


def test_what_was_deleted_goes_now(place):
    place.voicemail.put(replace(ROW, state="deleted", seconds=3.0))
    write(place.file(ROW.path), wav(3.0))
    assert place.salvage() == Salvaged()
    assert place.voicemail.find("a") is None
    assert not place.file(ROW.path).exists()


def test_what_is_no_sound_is_left_and_said(place):
    place.voicemail.put(ROW)
    write(part_of(place.file(ROW.path)), b"nothing that anybody could hear")
    write(place.file("voicemail/100/notes.txt"), b"mine")
    write(place.file("voicemail/100/y.wav"), b"nothing that anybody could hear")
    complaints = place.salvage().complaints
    assert len(complaints) == 3
    assert "no WAV file" in complaints[0]
    assert place.voicemail.find("a") == ROW
    assert part_of(place.file(ROW.path)).exists()
    assert place.file("voicemail/100/y.wav").exists()


def test_a_row_that_leads_outside_is_said(place):
    place.voicemail.put(replace(ROW, path="../x.wav", state="deleted"))
    (complaint,) = place.salvage().complaints
    assert "outside" in complaint


def test_what_is_being_made_is_left_alone(place):
    place.voicemail.put(ROW)
    for name in ("a", "b"):
        write(part_of(place.file(f"voicemail/100/{name}.wav")), wav(4.0, is_finished=False))
    write(part_of(place.file("voicemail/100/greeting.wav")), wav(4.0, is_finished=False))
    assert place.salvage(is_live=lambda path: True) == Salvaged()
    assert place.voicemail.messages(states=("recording",)) == [ROW]


def test_a_greeting_is_no_message(place):
    path = "voicemail/100/greeting.wav"
    place.voicemail.put_mailbox(Mailbox("100", path))
    write(place.file(path), wav(4.0))
    write(part_of(place.file(path)), wav(1.0))
    assert place.salvage() == Salvaged(discarded=[f"{path}.part"])
    assert place.file(path).exists()


def test_killed_while_a_call_was_recorded(place):
    place.recordings.put(CALL)
    write(part_of(place.file(CALL.path)), wav(60.0, is_finished=False, channels=2))
    kept = replace(CALL, seconds=60.0)
    assert place.salvage() == Salvaged(recordings=[kept])
    assert place.recordings.all() == [kept]


def test_a_recording_that_the_database_does_not_know_has_its_time_too(place):
    write(part_of(place.file("recordings/2026-01/s.wav")), wav(5.0, is_finished=False))
    (found,) = place.salvage(recording_days=2).recordings
    assert found.seconds == 5.0
    assert found.keep_until == found.started_at + 2 * 86400


def test_recordings_without_file_or_sound(place):
    place.recordings.put(CALL)
    place.recordings.put(replace(CALL, id="s", seconds=9.0, path="recordings/1970-01/s.wav"))
    found = place.salvage()
    assert found.discarded == [CALL.path]
    assert found.complaints == ["recording s has lost its file recordings/1970-01/s.wav"]
