"""What the log says of messages that were left."""

from types import SimpleNamespace

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent

from pbx.app.voices import Voices
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
