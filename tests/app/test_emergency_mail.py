"""Owner and administrators hear of emergency calls (product §3)."""

from dataclasses import replace
from types import SimpleNamespace

from twisted.internet.task import Clock

from pbx.app.emergency_mail import GATHER_S
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


CALL = EmergencyDialled("200", "200-lobby", "995", "+6560001000")


def make_voices(office, tmp_path):
    mailer, clock = Mailer(), Clock()
    exchange = SimpleNamespace(office=office, locks=Locks())
    return Voices(clock, exchange, print, None, None, mailer, tmp_path, ()), mailer, clock


def tell(office, tmp_path):
    voices, mailer, _ = make_voices(office, tmp_path)
    voices.emergency(CALL)
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


def test_a_phone_that_dials_for_help_again_and_again_fills_no_mailbox(tmp_path):
    """One mail at once, then one each five minutes that says how many calls there were; and none is lost."""
    voices, mailer, clock = make_voices(OFFICE, tmp_path)
    for _ in range(900):
        voices.emergency(CALL)
        clock.advance(1.0)
    assert [facts.repeated for facts, _ in mailer.sent] == [0, 299, 300, 300]
    assert {to for _, to in mailer.sent} == {("ann@acme.example", "cy@acme.example")}
    clock.advance(GATHER_S)
    assert clock.getDelayedCalls() == []
    voices.emergency(CALL)
    assert [facts.repeated for facts, _ in mailer.sent[4:]] == [0]


def test_another_phone_and_another_number_are_told_at_once(tmp_path):
    voices, mailer, _ = make_voices(OFFICE, tmp_path)
    for other in (CALL, CALL, replace(CALL, device="200-hall"), replace(CALL, dialled="112")):
        voices.emergency(other)
    assert [(facts.phone, facts.dialled, facts.repeated) for facts, _ in mailer.sent] == [
        ("200-lobby", "995", 0),
        ("200-hall", "995", 0),
        ("200-lobby", "112", 0),
    ]


def test_what_is_kept_back_is_mailed_when_the_server_stops(tmp_path):
    voices, mailer, clock = make_voices(OFFICE, tmp_path)
    for _ in range(3):
        voices.emergency(CALL)
    voices.stop()
    assert [facts.repeated for facts, _ in mailer.sent] == [0, 2]
    assert clock.getDelayedCalls() == []
