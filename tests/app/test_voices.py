"""What is said of messages that were left."""

from datetime import UTC, datetime
from types import SimpleNamespace
from zoneinfo import ZoneInfo

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent

from pbx.app.voices import Voices, attachment_name
from pbx.call.locks import Locks
from pbx.office.snapshot import Office
from pbx.store.voicemail import Message


def test_a_caller_writes_no_lines_of_his_own_into_the_log(tmp_path):
    exchange = SimpleNamespace(office=Office(), locks=Locks())
    voices = Voices(Clock(), exchange, print, None, None, None, tmp_path, ())
    caller = "1\n2026-11-26 [pbx#critical] all is lost"  # sip:1%0a2026...@carrier
    with capturedLogs() as events:
        voices._left(Message("m", "100", caller, "", "100", 0.0, 3.0, "new", "m.wav"), tmp_path / "m.wav")
    (said,) = map(formatEvent, events)
    assert said.isprintable()
    assert said.startswith("1\\n2026")


def test_an_attachment_is_named_by_mailbox_and_time_where_the_office_is():
    at = datetime(2026, 11, 26, 23, 30, tzinfo=UTC).timestamp()
    message = Message("0a1b", "100", "+6531112222", "", "100", at, 9.0, "new", "voicemail/100/0a1b.wav")
    assert attachment_name(message, ZoneInfo("Asia/Singapore")) == "voicemail-100-2026-11-27-0730-0a1b.mp3"
