"""What is mailed about mailboxes."""

from types import SimpleNamespace

import pytest
from twisted.internet.task import Clock

from pbx.app.voices import Voices
from pbx.call.locks import Locks
from pbx.call.questions import MailboxFull
from pbx.call.sound import Question
from pbx.office.codes import Codes
from pbx.office.extension import Extension
from pbx.office.no_answer import NoAnswer
from pbx.office.settings import Settings
from pbx.office.snapshot import Office


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
