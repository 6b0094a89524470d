"""Messages by mail, and what is left when a process is killed while prompts play and messages record."""

import io
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

import pytest
import soundfile

from tests.phones.conftest import EVIDENCE, Workshop
from tests.phones.support.letters import Letterbox
from tests.phones.support.office import TestDevice
from tests.phones.support.phone import Account, Answering, CallState, Phone, PhoneCall
from tests.phones.support.server import PbxServer
from tests.phones.support.sound import judge_tone, read_wav
from tests.phones.support.talk import connect, hang_up, hear_each_other
from tests.phones.support.waiting import wait_until

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
    """A server of one test, its phones, and its mail server."""

    server: PbxServer
    shop: Workshop
    letterbox: Letterbox

    def phone(self, number: int, program: str = "pjsua") -> Phone:
        account: Account = TestDevice(str(number), str(number)).account(self.server.address)
        return self.shop.registered(program, account)

    def parts(self) -> list[Path]:
        return list((self.server.folder / "data" / "voicemail" / BOX).glob("*.part"))

    def messages(self) -> list[Path]:
        return list((self.server.folder / "data" / "voicemail" / BOX).glob("*.wav"))

    def mails(self) -> list[EmailMessage]:
        return self.letterbox.letters()

    def speak(self, phone: Phone, seconds: float) -> PhoneCall:
        """A call to the voicemail, in which so much has been recorded."""
        call = phone.dial(BOX)
        phone.wait_established(call)
        size = seconds * 16_000
        wait_until("it is being recorded", lambda: any(p.stat().st_size > size for p in self.parts()))
        return call


@pytest.fixture
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    letterbox = Letterbox(tmp_path / "letters")
    server = PbxServer(tmp_path / "pbx", office(), limits=letterbox.configuration, rtp_ports=60)
    server.folder.mkdir()
    shop = Workshop(tmp_path, server)
    try:
        server.start()
        request.node.stash[EVIDENCE] = shop.evidence
        yield Place(server, shop, letterbox)
        shop.close()
        server.stop()
    finally:
        server.release()
        letterbox.close()


def sounds_like(samples, rate: int, phone: Phone, least_s: float) -> None:
    """A phone's tone, for so long at least."""
    verdict = judge_tone(samples, rate, phone.tone)
    assert verdict.share > 0.5, str(verdict)  # torn, if this machine is busy
    assert verdict.seconds > least_s, str(verdict)


def test_a_message_is_mailed_with_its_sound(place: Place):
    caller = place.phone(140)
    caller.hangup(place.speak(caller, 3.0))
    wait_until("the mail is there", place.mails)
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
    wait_until("the mail is there", place.mails)
    (mail,) = place.mails()
    assert "140" in mail.get_body(("plain",)).get_content()
    assert not list(mail.iter_attachments())


def test_the_media_worker_dies_while_a_message_is_recorded(place: Place):
    """What was spoken until then is kept; the call is over in order."""
    caller = place.phone(140)
    call = place.speak(caller, 3.0)
    for worker in place.server.media_workers():
        os.kill(worker, signal.SIGKILL)
    wait_until("the message is kept", place.messages)
    caller.wait_ended(call)
    sounds_like(*read_wav(place.messages()[0]), caller, 1.5)
    caller.hangup(place.speak(caller, 1.5))
    wait_until("the next one is kept, too", lambda: len(place.messages()) == 2)


def test_the_media_worker_dies_while_a_prompt_plays(place: Place):
    """The prompt is said again by the next worker, and the call goes on."""
    caller = place.phone(140)
    call = caller.dial("*44")
    caller.wait_established(call)
    caller.wait_for("the prompt", lambda: caller.ear(call).seconds() > 1.0)
    for worker in place.server.media_workers():
        os.kill(worker, signal.SIGKILL)
    start = caller.ear(call).seconds() + 0.3
    caller.wait_for("the prompt again", lambda: loudness(caller, call, start) > 1000)
    caller.hangup(call)


def test_the_server_dies_while_a_message_is_recorded(place: Place):
    """The next start finds what was spoken."""
    caller = place.phone(140)
    place.speak(caller, 3.0)
    place.server.kill()
    place.server.serve()
    wait_until("the message is kept", place.messages)
    assert not place.parts()
    sounds_like(*read_wav(place.messages()[0]), caller, 1.5)
    assert '"new"' in place.server.command("voicemail", "list", "--json")


def test_the_server_dies_while_a_prompt_plays(place: Place):
    """The phone ends its side by itself; everything works again after the start, and nothing kept is lost."""
    caller, other = place.phone(140), place.phone(141, "baresip")
    caller.hangup(place.speak(caller, 1.5))
    wait_until("the message is kept", place.messages)
    kept = place.messages()[0].read_bytes()
    calls = []
    for phone in (caller, other):
        call = phone.dial("*44")
        phone.wait_established(call)
        phone.wait_for("the prompt", lambda p=phone, c=call: loudness(p, c) > 1000)
        calls.append(call)
    processes = [*place.server.media_workers(), *place.server.children("pbx.media.speech")]
    place.server.kill()
    for phone, call in zip((caller, other), calls, strict=True):
        phone.hangup(call)
    wait_until(
        "its processes end, too", lambda: not any(Path(f"/proc/{each}").exists() for each in processes)
    )
    place.server.serve()
    for phone, call in zip((caller, other), calls, strict=True):
        phone.wait_ended(call)  # 481: nobody knows the call any more

    assert [path.read_bytes() for path in place.messages()] == [kept]
    again, answered = connect(caller, other)  # they are still registered
    hear_each_other((caller, again), (other, answered), 0.5)
    hang_up((caller, again), (other, answered))
    caller.hangup(place.speak(caller, 1.5))
    wait_until("another message is kept", lambda: len(place.messages()) == 2)


def loudness(phone: Phone, call: PhoneCall, start_s: float = 0.0) -> float:
    """Of the loudest moment in what a phone has heard."""
    return float(abs(phone.ear(call).heard(start_s)[0]).max(initial=0))


def test_the_speech_process_dies(place: Place):
    """A prompt that is not made yet is made by the next one."""
    caller = place.phone(140)
    call = caller.dial(BOX)
    caller.wait_established(call)
    for process in place.server.children("pbx.media.speech"):
        os.kill(process, signal.SIGKILL)
    wait_until("it is being recorded all the same", place.parts)
    caller.hangup(call)
