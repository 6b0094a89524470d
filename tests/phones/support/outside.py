"""The world outside of the office: carriers on addresses of their own, and what reached them."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.phones.conftest import Workshop
from tests.phones.support.phone import TONES, Account, Phone, PhoneCall
from tests.phones.support.pjsua_phone import PjsuaPhone
from tests.phones.support.ports import Ports
from tests.phones.support.server import PbxServer
from tests.phones.support.wire import Seen

OFFICE: Final = '[office]\nname = "Acme"\ncountry = "SG"\ntimezone = "Asia/Singapore"\n'
OWNER: Final = '[[member]]\nemail = "owner@acme.example"\nname = "Olga Owner"\naccount = "owner"\n'


class Carriers:
    """PJSIP phones that are carriers, for a module: the office names their addresses."""

    def __init__(self, folder: Path) -> None:
        self._shop = Workshop(folder, None)
        self.phones: list[Phone] = self._shop.phones

    def add(self, host: str, name: str = "world", **options: object) -> PjsuaPhone:
        """One that answers whoever is called."""
        tone = options.pop("tone", TONES[-1 - len(self.phones)])  # phones take them from the other end
        made = self._shop.make("pjsua", Account(host=host), name=name, tone=tone, **options)
        assert isinstance(made, PjsuaPhone)
        return made

    def close(self) -> None:
        self._shop.close()


@contextmanager
def carriers(folder: Path) -> Iterator[Carriers]:
    made = Carriers(folder)
    try:
        yield made
    finally:
        made.close()


def trunk_toml(name: str, server: str, more: str = "") -> str:
    """A trunk to `server`: host:port, and URI parameters where wanted."""
    return f'[[trunk]]\nname = "{name}"\nserver = "sip:{server}"\n{more}\n'


def place(carrier: Phone) -> str:
    """Where a carrier listens, as host:port."""
    return f"{carrier.account.host}:{carrier.sip_port}"


def arrive(carrier: PjsuaPhone, server: PbxServer, number: str, caller: str, **options: object) -> PhoneCall:
    """Somebody outside, `caller`, calls a number of the office."""
    shown = f"<sip:{caller}@{carrier.account.host}>"
    return carrier.call(f"sip:{number}@{server.address}", caller=shown, **options)


def invites(phone: Phone) -> list[Seen]:
    """What has asked it to ring: one INVITE for each call, the last one where it was sent again."""
    last = {
        message.header("Call-ID"): message
        for message in phone.received("INVITE ")
        if ";tag=" not in message.header("To")
    }
    return list(last.values())


class Bells:
    """Which phones have been rung since it was made."""

    def __init__(self, **phones: Phone) -> None:
        self._phones = phones
        self._before = {name: len(invites(phone)) for name, phone in phones.items()}

    def rung(self) -> set[str]:
        return {name for name, phone in self._phones.items() if len(invites(phone)) > self._before[name]}


def dialled(invite: Seen) -> str:
    """The number in its Request-URI."""
    return invite.first_line.partition("sip:")[2].partition("@")[0]


@contextmanager
def silence(host: str) -> Iterator[str]:
    """A carrier that takes everything and never says a word; where, as host:port."""
    ports = Ports(10, host)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind((host, ports.first))
        yield f"{host}:{ports.first}"
    ports.release()
