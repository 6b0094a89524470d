"""What the office gets to see of a message."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from pbx.app.voices import attachment_name
from pbx.store.voicemail import Message


def test_an_attachment_is_named_by_mailbox_and_time_where_the_office_is():
    at = datetime(2026, 11, 26, 23, 30, tzinfo=UTC).timestamp()
    message = Message("0a1b", "100", "+6531112222", "", "100", at, 9.0, "new", "voicemail/100/0a1b.wav")
    assert attachment_name(message, ZoneInfo("Asia/Singapore")) == "voicemail-100-2026-11-27-0730-0a1b.mp3"
