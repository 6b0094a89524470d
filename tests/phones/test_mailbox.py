"""Greetings and mailboxes with real phones: what callers hear, and what owners do by keys."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile

from tests.phones.conftest import Workshop
from tests.phones.support.letters import Letterbox
from tests.phones.support.office import extension_toml
from tests.phones.support.phone import Answering, Phone
from tests.phones.support.server import PbxServer, running
from tests.phones.support.sound import contains, read_wav, speech, speech_match, write_wav
from tests.phones.support.talk import hang_up, hear_each_other
from tests.phones.support.voices import PHRASES, dial, is_recording, messages, said_to, wait_heard
from tests.phones.support.waiting import wait_until

PHONES = range(100, 111)
OFFICES_GREETING, OPEN_BY_PIN, LOCKED, FULL = "200", "201", "202", "203"
MAIL = "box@voices.example"
RATE = 16_000
GREETING = speech(7, 4.0, RATE)


def office() -> str:
    """Phones, and mailboxes without any; each mailbox takes one message."""
    parts = [
        '[office]\nname = "Voices"\ncountry = "SG"\ntimezone = "Asia/Singapore"\nvoicemail_messages = 1\n',
        '[[member]]\nemail = "owner@voices.example"\nname = "Olga"\naccount = "owner"\npin = "7781"\n',
        '[[member]]\nemail = "box@voices.example"\nname = "Ben"\npin = "4455"\n',
    ]
    taking = '[extension.no_answer]\naction = "voicemail"\ntimeout = 5\n'
    hello = '[extension.no_answer.greeting]\ntext = "Hello."\n'
    parts += [extension_toml(number, "", taking + hello) for number in PHONES]
    taking += f'emails = ["{MAIL}"]\n'
    for number in (OFFICES_GREETING, OPEN_BY_PIN, LOCKED, FULL):
        greeting = (
            hello if number != OFFICES_GREETING else hello.replace('text = "Hello."', 'mp3 = "greeting.mp3"')
        )
        parts.append(extension_toml(number, f'assignee = "{MAIL}"', taking + greeting, has_phone=False))
    return "\n".join(parts)


@pytest.fixture(scope="module")
def letterbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Letterbox]:
    made = Letterbox(tmp_path_factory.mktemp("mail") / "letters")
    yield made
    made.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, letterbox: Letterbox) -> Iterator[PbxServer]:
    folder = tmp_path_factory.mktemp("mailboxes")
    soundfile.write(folder / "greeting.mp3", GREETING / 32768, RATE, format="MP3")
    yield from running(folder, office(), limits=letterbox.configuration)


def leave_message(server: PbxServer, caller: Phone, box: str, seconds: float = 1.5) -> None:
    """A message that is kept."""
    call = dial(caller, box)
    wait_until("it is being recorded", lambda: is_recording(server, box, seconds))
    caller.hangup(call)
    wait_until("the message is kept", lambda: messages(server, box))


def test_the_caller_hears_the_greeting_that_the_office_has_uploaded(server: PbxServer, shop: Workshop):
    caller = shop.registered("pjsua", server.account())
    call = dial(caller, OFFICES_GREETING)
    ear = caller.ear(call)
    wait_until("the greeting", lambda: contains(ear.heard()[0], GREETING, RATE) > 0.8, poll=0.3)
    assert contains(ear.heard()[0], speech(8, 4.0, RATE), RATE) < 0.5
    caller.hangup(call)


def test_the_owner_speaks_a_greeting_and_the_next_caller_hears_it(
    server: PbxServer, shop: Workshop, tmp_path: Path
):
    said = speech(9, 5.0, RATE)
    microphone = write_wav(tmp_path / "owner.wav", said, RATE)
    owner = shop.registered("pjsua", server.account(), microphone=microphone)
    caller = shop.registered("linphone", server.account())
    box = owner.account.username
    visit = dial(owner, "*97")
    owner.wait_for("sound", lambda: owner.ear(visit).seconds() > 1.0)
    owner.dtmf(visit, "0")
    wait_until("it is being recorded", lambda: is_recording(server, box, 3.0))
    owner.dtmf(visit, "#")
    start = owner.ear(visit).seconds()
    wait_heard(server, owner, visit, PHRASES.say("vm-greeting-menu"), start, part_s=2.0)
    owner.dtmf(visit, "1")
    wait_heard(server, owner, visit, PHRASES.say("vm-greeting-saved"), start)
    owner.hangup(visit)

    greeting, rate = read_wav(server.folder / "data" / "voicemail" / box / "greeting.wav")
    assert len(greeting) / rate > 2.5
    assert speech_match(greeting, said[:: RATE // rate], rate) > 0.7
    owner.answering(Answering(486))
    call = dial(caller, box)
    wait_until(
        "the greeting", lambda: contains(caller.ear(call).heard()[0], greeting[: 2 * rate], rate) > 0.7
    )
    caller.hangup(call)


def test_the_owner_calls_back_who_left_a_message(server: PbxServer, shop: Workshop):
    owner, caller = (shop.registered("pjsua", server.account()) for _ in range(2))
    owner.answering(Answering(486))
    leave_message(server, caller, owner.account.username)
    visit = dial(owner, "*97")
    owner.wait_for("sound", lambda: owner.ear(visit).seconds() > 1.0)
    before = len(caller.calls)
    owner.dtmf(visit, "18")
    back = caller.wait_incoming(number=before)
    assert owner.account.username in back.remote
    caller.wait_established(back)
    hear_each_other((owner, visit), (caller, back), 1.0)
    hang_up((caller, back), (owner, visit))


def test_a_mailbox_is_opened_from_another_phone(server: PbxServer, shop: Workshop):
    phone = shop.registered("baresip", server.account())
    visit = dial(phone, "*98")
    phone.wait_for("sound", lambda: phone.ear(visit).seconds() > 1.0)
    phone.dtmf(visit, f"{OPEN_BY_PIN}#4455#")
    wait_heard(server, phone, visit, PHRASES.counts(0, 0))
    phone.hangup(visit)


def test_a_pin_is_locked_after_five_wrong_ones_from_whatever_phone(server: PbxServer, shop: Workshop):
    one, other = shop.registered("pjsua", server.account()), shop.registered("baresip", server.account())
    call = dial(one, "*98")
    one.wait_for("sound", lambda: one.ear(call).seconds() > 1.0)
    one.dtmf(call, f"{LOCKED}#1111#2222#3333#")
    one.wait_ended(call)

    def is_told(keys: str) -> bool:
        visit = dial(other, "*98")
        other.wait_for("sound", lambda: other.ear(visit).seconds() > 1.0)
        other.dtmf(visit, f"{LOCKED}#{keys}")
        other.wait_ended(visit)
        return "too many wrong attempts" in said_to(other, visit)

    if not is_told("4444#5555#4455#"):  # the last is right
        wait_until("he is told, and the right one does not help", lambda: is_told("4455#"))


def test_a_full_mailbox_says_so_and_its_owner_is_told_once(
    server: PbxServer, shop: Workshop, letterbox: Letterbox
):
    caller = shop.registered("pjsua", server.account())
    leave_message(server, caller, FULL)
    for _ in range(2):
        call = dial(caller, FULL)
        wait_heard(server, caller, call, PHRASES.say("vm-mailbox-full"))
        caller.wait_ended(call)
    wait_until("the mail is there", lambda: letterbox.letters("is full"))
    (letter,) = letterbox.letters("is full")
    assert MAIL in letter["To"]
    assert FULL in letter["Subject"]
    assert len(messages(server, FULL)) == 1
