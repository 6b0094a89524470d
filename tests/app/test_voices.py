"""What is mailed and logged about mailboxes and their messages."""

from datetime import UTC, datetime
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent

from pbx.app.voices import Voices, attachment_name
from pbx.call.locks import Locks
from pbx.call.questions import MailboxFull
from pbx.call.sound import Question
from pbx.office.codes import Codes
from pbx.office.extension import Extension
from pbx.office.no_answer import NoAnswer
from pbx.office.settings import Settings
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


class Desk:
    def note_full(self, _mailbox, then):
        then(True)


@pytest.mark.parametrize("code", ["*55", ""])
def test_the_mail_about_a_full_mailbox_names_the_code_of_this_office(tmp_path, code):
    office = Office(
        settings=Settings(codes=Codes(own_mailbox=code)),
        extensions=(Extension("200", no_answer=NoAnswer(emails=("ann@acme.example",))),),
    )
    sent = []
    mailer = SimpleNamespace(send=lambda facts, recipients: sent.append((facts.code, recipients)))
    exchange = SimpleNamespace(office=office, locks=Locks(), answered=None)
    voices = Voices(Clock(), exchange, lambda *_: None, Desk(), None, mailer, tmp_path, ())
    voices.answer(Question(1, MailboxFull("200")))
    assert sent == [(code, ("ann@acme.example",))]
