"""Owner and administrators hear of emergency calls (product §3)."""

from types import SimpleNamespace

from twisted.internet.task import Clock

from pbx.app.voices import Voices
from pbx.call.effects import EmergencyDialled
from pbx.call.locks import Locks
from pbx.mail.facts import EmergencyCall, Extension
from pbx.office import extension
from pbx.office.member import Member
from pbx.office.snapshot import Office

OFFICE = Office(
    members=(
        Member("ann@acme.example", account="owner"),
        Member("bob@acme.example"),
        Member("cy@acme.example", account="admin"),
    ),
    extensions=(extension.Extension("200", "Lobby"),),
)


class Mailer:
    def __init__(self):
        self.sent = []

    def send(self, facts, recipients, attachment=None):
        assert attachment is None
        self.sent.append((facts, recipients))


def tell(office, tmp_path):
    mailer = Mailer()
    exchange = SimpleNamespace(office=office, locks=Locks())
    voices = Voices(Clock(), exchange, print, None, None, mailer, tmp_path, ())
    voices.emergency(EmergencyDialled("200", "200-lobby", "995", "+6560001000"))
    (sent,) = mailer.sent
    return sent


def test_staff_are_mailed_who_dialled_what_and_where(tmp_path):
    facts, recipients = tell(OFFICE, tmp_path)
    assert recipients == ("ann@acme.example", "cy@acme.example")
    assert facts == EmergencyCall(Extension("200", "Lobby"), facts.at, "995", "+6560001000", "200-lobby")


def test_an_office_without_staff_or_extension_hurts_nobody(tmp_path):
    facts, recipients = tell(Office(), tmp_path)
    assert recipients == ()
    assert facts.caller == Extension("200", "")
