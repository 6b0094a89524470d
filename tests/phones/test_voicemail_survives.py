"""Messages by mail, and what is left when a process is killed while prompts play and messages record."""

import email
import email.policy
import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import soundfile

from tests.phones.conftest import EVIDENCE, Workshop
from tests.phones.support.office import TestDevice
from tests.phones.support.phone import Account, Answering, CallState, Phone, PhoneCall
from tests.phones.support.server import PbxServer
from tests.phones.support.sound import judge_tone, read_wav
from tests.phones.support.waiting import wait_until

SMTP = Path(__file__).parents[1] / "mail" / "smtp_server.py"
BOX = "200"
MAIL = "box@voices.example"


def office() -> str:
    """Five phones, and an extension whose voicemail answers at once."""
    parts = [
        '[office]\nname = "Voices"\ncountry = "SG"\ntimezone = "Asia/Singapore"\n',
        '[[member]]\nemail = "owner@voices.example"\nname = "Olga"\naccount = "owner"\n',
        f'[[extension]]\nkey = "{BOX}"\nlabel = "Box"\n[extension.no_answer]\nemails = ["{MAIL}"]\n'
        'action = "voicemail"\n[extension.no_answer.greeting]\ntext = "Hello."\n',
    ]
    for number in range(140, 145):
        password = TestDevice(str(number), str(number)).password
        parts.append(
            f'[[extension]]\nkey = "{number}"\nlabel = "Phone {number}"\n[[extension.device]]\n'
            f'kind = "ip_phone"\nusername = "{number}"\npassword = "{password}"\n'
            f'[extension.no_answer]\naction = "notify"\ntimeout = 5\nemails = ["{MAIL}"]\n'
        )
    return "\n".join(parts)


@dataclass
class Place:
    """A server of one test, its phones, and its mail server's folder."""

    server: PbxServer
    shop: Workshop
    letters: Path

    def phone(self, number: int, program: str = "pjsua") -> Phone:
        account: Account = TestDevice(str(number), str(number)).account(self.server.address)
        return self.shop.registered(program, account)

    def parts(self) -> list[Path]:
        return list((self.server.folder / "data" / "voicemail" / BOX).glob("*.part"))

    def messages(self) -> list[Path]:
        return list((self.server.folder / "data" / "voicemail" / BOX).glob("*.wav"))

    def mails(self) -> list[email.message.EmailMessage]:
        policy = email.policy.default
        return [
            email.message_from_bytes(path.read_bytes(), policy=policy)  # type: ignore[misc]
            for path in sorted(self.letters.glob("*.eml"))
        ]

    def speak(self, phone: Phone, seconds: float) -> PhoneCall:
        """A call to the voicemail, in which so much has been recorded."""
        call = phone.dial(BOX)
        phone.wait_established(call)
        size = seconds * 16_000
        wait_until("it is being recorded", lambda: any(p.stat().st_size > size for p in self.parts()), 25)
        return call


@pytest.fixture
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    letters = tmp_path / "letters"
    letters.mkdir()
    mail = subprocess.Popen(
        [sys.executable, str(SMTP), str(letters), "{}"], stdout=subprocess.PIPE, text=True
    )
    assert mail.stdout is not None
    port = mail.stdout.readline().strip()
    extra = f'[mail]\nserver = "smtp://127.0.0.1:{port}?starttls=off"\nsender = "pbx@voices.example"\n'
    server = PbxServer(tmp_path / "pbx", office(), limits=extra, rtp_ports=60)
    server.folder.mkdir()
    shop = Workshop(tmp_path, server)
    try:
        server.start()
        request.node.stash[EVIDENCE] = shop.evidence
        yield Place(server, shop, letters)
        shop.close()
        server.stop()
    finally:
        server.release()
        mail.kill()
        mail.wait()


def sounds_like(samples, rate: int, phone: Phone, least_s: float) -> None:
    """A phone's tone, for so long at least."""
    verdict = judge_tone(samples, rate, phone.tone)
    assert verdict.share > 0.85, str(verdict)
    assert verdict.seconds > least_s, str(verdict)


def test_a_message_is_mailed_with_its_sound(place: Place):
    caller = place.phone(140)
    caller.hangup(place.speak(caller, 3.0))
    wait_until("the mail is there", place.mails, 15)
    (mail,) = place.mails()
    assert MAIL in mail["To"]
    assert "140" in mail.get_body(("plain",)).get_content()
    (attached,) = mail.iter_attachments()
    samples, rate = soundfile.read(io.BytesIO(attached.get_content()), dtype="int16")
    sounds_like(samples, rate, caller, 2.0)


def test_a_missed_call_is_mailed(place: Place):
    caller, called = place.phone(140), place.phone(141)
    called.answering(Answering(180))
    call = caller.dial("141")
    called.wait_incoming()
    caller.wait_state(call, CallState.RINGING)
    caller.hangup(call)
    wait_until("the mail is there", place.mails, 15)
    (mail,) = place.mails()
    assert "140" in mail.get_body(("plain",)).get_content()
    assert not list(mail.iter_attachments())


def test_the_media_worker_dies_while_a_message_is_recorded(place: Place):
    """What was spoken until then is kept; the call is over in order."""
    caller = place.phone(140)
    call = place.speak(caller, 3.0)
    for worker in place.server.media_workers():
        os.kill(worker, signal.SIGKILL)
    wait_until("the message is kept", place.messages, 10)
    caller.wait_ended(call, 15)
    sounds_like(*read_wav(place.messages()[0]), caller, 1.5)
    caller.hangup(place.speak(caller, 1.5))
    wait_until("the next one is kept, too", lambda: len(place.messages()) == 2, 10)


def test_the_media_worker_dies_while_a_prompt_plays(place: Place):
    """The prompt is said again by the next worker, and the call goes on."""
    caller = place.phone(140)
    call = caller.dial("*44")
    caller.wait_established(call)
    caller.wait_for("the prompt", lambda: caller.ear(call).seconds() > 1.0)
    for worker in place.server.media_workers():
        os.kill(worker, signal.SIGKILL)
    start = caller.ear(call).seconds() + 0.3
    caller.wait_for(
        "the prompt again", lambda: abs(caller.ear(call).heard(start)[0]).max(initial=0) > 1000, 15
    )
    caller.hangup(call)


def test_the_server_dies_while_a_message_is_recorded(place: Place):
    """The next start finds what was spoken."""
    caller = place.phone(140)
    place.speak(caller, 3.0)
    place.server.kill()
    place.server.serve()
    wait_until("the message is kept", place.messages, 10)
    assert not place.parts()
    sounds_like(*read_wav(place.messages()[0]), caller, 1.5)
    assert '"new"' in place.server.command("voicemail", "list", "--json")


def test_the_speech_process_dies(place: Place):
    """A prompt that is not made yet is made by the next one."""
    caller = place.phone(140)
    call = caller.dial(BOX)
    caller.wait_established(call)
    for process in place.server.children("pbx.media.speech"):
        os.kill(process, signal.SIGKILL)
    wait_until("it is being recorded all the same", place.parts, 25)
    caller.hangup(call)
