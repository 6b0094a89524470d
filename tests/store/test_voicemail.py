"""The rows of messages, mailboxes and recordings, in both databases."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.store.recordings import Recording, Recordings, keep_until
from pbx.store.voicemail import Counts, Limits, Mailbox, Message, Voicemail

FIRST = Message("a", "100", "+6591234567", "Bob", "100", 1000.0, 12.5, "new", "voicemail/100/a.wav")
SECOND = replace(FIRST, id="b", started_at=2000.0, state="saved", path="voicemail/100/b.wav")
OTHER = replace(FIRST, id="c", mailbox="101", path="voicemail/101/c.wav")
CALL = Recording("r", "call", "100", 1000.0, None, "recordings/1970-01/r.wav", 2000.0)


@pytest.fixture
def voicemail(store):
    kept = Voicemail(store)
    for message in (SECOND, FIRST, OTHER):
        kept.put(message)
    return kept


def test_messages_come_back_the_oldest_first(voicemail):
    assert voicemail.messages("100") == [FIRST, SECOND]
    assert voicemail.messages() == [FIRST, SECOND, OTHER]
    assert voicemail.messages("100", ("saved",)) == [SECOND]
    assert voicemail.find("c") == OTHER
    assert voicemail.find("d") is None


def test_a_message_is_put_twice_without_harm(voicemail):
    voicemail.put(FIRST)
    assert voicemail.messages("100") == [FIRST, SECOND]


def test_counts(voicemail):
    assert voicemail.counts() == {"100": Counts(1, 1, 25.0), "101": Counts(1, 0, 12.5)}
    voicemail.mark("a", "saved")
    voicemail.mark("c", "deleted")
    assert voicemail.counts() == {"100": Counts(0, 2, 25.0)}


def test_a_message_that_is_being_recorded_is_neither_counted_nor_marked(voicemail):
    voicemail.put(replace(FIRST, state="recording"))
    assert voicemail.mark("a", "saved") is None
    assert voicemail.counts()["100"] == Counts(0, 1, 12.5)
    assert voicemail.messages("100") == [SECOND]


def test_marking(voicemail):
    assert voicemail.mark("a", "saved") == replace(FIRST, state="saved")
    assert voicemail.mark("nobody", "saved") is None
    voicemail.forget("a")
    assert voicemail.find("a") is None


def test_texts_of_strangers(voicemail):
    voicemail.put(replace(FIRST, caller="+" + "9" * 100, caller_name="\0\udc80\U0001f600" + "x" * 300))
    found = voicemail.find("a")
    assert found.caller == "+" + "9" * 63
    assert found.caller_name.startswith("\ufffd?\U0001f600xxx")
    assert len(found.caller_name) == 255


def test_a_mailbox_of_its_own(voicemail):
    assert voicemail.mailbox("100") == Mailbox("100")
    mine = Mailbox("100", "voicemail/100/greeting.wav", is_full_mail_sent=True)
    voicemail.put_mailbox(mine)
    voicemail.put_mailbox(mine)
    assert voicemail.mailbox("100") == mine


ROOM = {
    "empty": (Counts(), 3600.0),
    "some of it": (Counts(1, 2, 600.0), 3000.0),
    "too many messages": (Counts(60, 40, 10.0), 0.0),
    "too many minutes": (Counts(1, 0, 3601.0), 0.0),
}


@pytest.mark.parametrize(("counts", "room"), ROOM.values(), ids=ROOM)
def test_room(counts, room):
    assert Limits(100, 60).room_s(counts) == room


@given(st.integers(0, 200), st.integers(0, 200), st.floats(0, 1e6))
def test_room_is_never_negative(new, saved, seconds):
    room = Limits().room_s(Counts(new, saved, seconds))
    assert 0.0 <= room <= 3600.0
    assert room == 0.0 or new + saved < 100


def test_recordings(store):
    recordings = Recordings(store)
    recordings.put(CALL)
    recordings.put(CALL)
    assert recordings.all() == [CALL]
    assert recordings.due(3000.0) == []  # it is still being made
    done = replace(CALL, seconds=10.0)
    recordings.put(done)
    for_ever = replace(done, id="s", keep_until=None)
    recordings.put(for_ever)
    assert recordings.due(1999.0) == []
    assert recordings.due(2000.0) == [done]
    recordings.forget("r")
    assert recordings.find("r") is None
    assert recordings.find("s") == for_ever


def test_how_long_a_recording_is_kept():
    assert keep_until(1000.0, 30) == 1000.0 + 30 * 86400
    assert keep_until(1000.0, 0) is None
