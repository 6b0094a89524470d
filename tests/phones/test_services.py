"""The PBX as a party: voicemail, mailbox, echo, rooms, with real phones that speak, hear and press keys."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.phones.conftest import EVIDENCE, Workshop
from tests.phones.support.office import TestDevice
from tests.phones.support.phone import Account, Phone, PhoneCall
from tests.phones.support.server import PbxServer
from tests.phones.support.sound import judge_tone, read_wav
from tests.phones.support.waiting import wait_until

PHONES = range(140, 190)
BOXES = range(200, 220)  # extensions without any phone: their voicemail answers at once


def office() -> str:
    """Phones, mailboxes, rooms."""
    parts = [
        '[office]\nname = "Voices"\ncountry = "SG"\ntimezone = "Asia/Singapore"\n',
        '[[member]]\nemail = "owner@voices.example"\nname = "Olga"\naccount = "owner"\npin = "7781"\n',
    ]
    for number in PHONES:
        parts.append(
            f'[[extension]]\nkey = "{number}"\nlabel = "Phone {number}"\n[[extension.device]]\n'
            f'kind = "ip_phone"\nusername = "{number}"\npassword = "{TestDevice(str(number), str(number)).password}"\n'
            '[extension.no_answer]\naction = "voicemail"\ntimeout = 5\n'
        )
    for number in BOXES:
        parts.append(
            f'[[extension]]\nkey = "{number}"\nassignee = "owner@voices.example"\n'
            '[extension.no_answer]\naction = "voicemail"\n'
            '[extension.no_answer.greeting]\ntext = "Hello."\n'
        )
    parts.append('[[room]]\nkey = "700"\n[[room]]\nkey = "701"\npin = "1234"\n')
    return "\n".join(parts)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PbxServer]:
    made = PbxServer(tmp_path_factory.mktemp("voices"), office())
    made.start()
    yield made
    made.stop()


numbers = iter(PHONES)
boxes = iter(BOXES)


@pytest.fixture
def shop(server: PbxServer, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Workshop]:
    server.mark()
    made = Workshop(tmp_path, server)
    request.node.stash[EVIDENCE] = made.evidence
    yield made
    made.close()
    server.assert_well()
    server.assert_nothing_left()


def account(server: PbxServer) -> Account:
    """Of a phone of its own."""
    number = str(next(numbers))
    return TestDevice(number, number).account(server.address)


def dial(phone: Phone, number: str) -> PhoneCall:
    """A call that the PBX has answered."""
    call = phone.dial(number)
    phone.wait_established(call)
    return call


def messages(server: PbxServer, box: str) -> list[Path]:
    return sorted((server.folder / "data" / "voicemail" / box).glob("*.wav"))


@pytest.mark.parametrize("program", ["pjsua", "baresip", "linphone"])
def test_a_message_is_left_and_sounds_as_it_was_spoken(server: PbxServer, shop: Workshop, program: str):
    box = str(next(boxes))
    phone = shop.registered(program, account(server))
    call = dial(phone, box)
    wait_until("the beep", lambda: list((server.folder / "data/voicemail" / box).glob("*.part")), 15)
    phone.wait_for("3 s of speaking", lambda: _grown(server, box), 8)
    phone.hangup(call)
    wait_until("the message is kept", lambda: messages(server, box), 5)
    samples, rate = read_wav(messages(server, box)[0])
    assert len(samples) / rate >= 2
    verdict = judge_tone(samples, rate, phone.tone)
    print(verdict)
    assert verdict.share >= 0.8, str(verdict)


def _grown(server: PbxServer, box: str) -> bool:
    parts = list((server.folder / "data/voicemail" / box).glob("*.part"))
    return bool(parts) and parts[0].stat().st_size > 3 * 16000
