"""The message-waiting lamp of real phones, by subscription and without; commands and crashes change it."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pbx.app.client import ask
from pbx.store.sound_files import locate, part_of
from pbx.store.store import open_store
from pbx.store.voicemail import Message, Voicemail
from tests.phones.conftest import Workshop
from tests.phones.support.phone import Phone
from tests.phones.support.pjsua_phone import PjsuaPhone
from tests.phones.support.server import PbxServer
from tests.phones.support.waiting import wait_until
from tests.store.sounds import wav, write


class Box:
    """The mailbox of one extension, filled behind the server's back."""

    def __init__(self, server: PbxServer, key: str) -> None:
        self.server, self.key, self.data = server, key, server.folder / "data"

    def leave(self, name: str, is_finished: bool = True) -> Message:
        """A message of two seconds, or one in whose middle something died."""
        message = Message(
            f"{self.key}-{name}",
            self.key,
            "+6591234567",
            "Bob",
            self.key,
            time.time(),
            2.0 if is_finished else 0.0,
            "new" if is_finished else "recording",
            f"voicemail/{self.key}/{self.key}-{name}.wav",
        )
        path = locate(self.data, message.path)
        write(path if is_finished else part_of(path), wav(2.0, is_finished=is_finished))
        store = open_store(f"sqlite:///{self.data / 'pbx.db'}")
        Voicemail(store).put(message)
        store.close()
        return message

    def tell(self) -> None:
        ask(self.data, "voicemail")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PbxServer]:
    made = PbxServer(tmp_path / "server")
    made.start()
    yield made
    if made.is_running:
        made.stop()
        made.release()


@pytest.fixture
def shop(direct: Workshop, server: PbxServer) -> Workshop:
    direct.server = server
    return direct


def lamps(phone: Phone) -> list[str]:
    """The counts of each NOTIFY, and whether the phone has taken it, as the wire shows."""
    return [
        each.body.partition("Voice-Message:")[2].split()[0]
        for each in phone.received("NOTIFY ")
        if "message-summary" in each.header("Event")
    ]


def taken(phone: Phone) -> int:
    return sum(each.method == "NOTIFY" for each in phone.sent("SIP/2.0 200"))


def test_a_phone_that_subscribes_follows_its_mailbox(server: PbxServer, shop: Workshop):
    """`pbx voicemail delete` puts the lamp out. (baresip 1.0 subscribes in a loop before any answer came.)"""
    phone = shop.registered("pjsua", server.account(), mwi=True)
    assert isinstance(phone, PjsuaPhone)
    wait_until("told at once", lambda: lamps(phone) == ["0/0"])
    box = Box(server, phone.account.username)
    message = box.leave("a")
    box.tell()
    wait_until("the lamp is lit", lambda: lamps(phone)[1:] == ["1/0"])
    assert message.id in server.command("voicemail", "list", box.key)
    assert "the lamps follow" in server.command("voicemail", "delete", message.id)
    wait_until("the lamp is out", lambda: lamps(phone)[2:] == ["0/0"])
    wait_until("all are taken", lambda: taken(phone) == 3)
    assert len(phone.received("SIP/2.0 401")) == 2  # REGISTER and SUBSCRIBE
    assert all(each.header("Subscription-State").startswith("active") for each in phone.received("NOTIFY "))
    said = [text.partition("Messages-Waiting: ")[2].split()[0] for text in phone.lamps]
    assert said == ["no", "yes", "no"]  # what the phone makes of it
    assert not locate(box.data, message.path).exists()


@pytest.mark.parametrize("program", ["pjsua", "linphone"])
def test_a_phone_that_does_not_subscribe_is_told_after_it_registers(
    server: PbxServer, shop: Workshop, program: str
):
    account = server.account()
    box = Box(server, account.username)
    box.leave("a")
    box.tell()
    phone = shop.registered(program, account)
    wait_until("told", lambda: lamps(phone)[-1:] == ["1/0"])


def test_a_message_survives_the_servers_death(server: PbxServer, shop: Workshop):
    """It is recorded in the middle when the server is killed; the next one lights the lamp for it."""
    phone = shop.registered("pjsua", server.account(), mwi=True)
    message = Box(server, phone.account.username).leave("cut", is_finished=False)
    server.kill()
    server.serve()
    assert message.id in server.command("voicemail", "list", message.mailbox)
    target = server.folder / "copy.wav"
    server.command("voicemail", "export", message.id, str(target))
    assert target.read_bytes() == wav(2.0)
    again = shop.registered("pjsua", phone.account, mwi=True, name="again")
    wait_until("the lamp is lit", lambda: lamps(again) == ["1/0"])
