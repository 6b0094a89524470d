"""The office that the server under test runs, and the extensions that tests take from it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from tests.phones.support.phone import Account, Transport

PLAIN: Final = tuple(number for number in range(100, 500) if number != 112)  # an emergency number
SECURE: Final = range(500, 600)  # their device takes TLS and SRTP only
FORKED: Final = range(600, 640)  # with three devices

NOBODY: Final = "7777"

KINDS: Final = ("ip_phone", "mobile", "desktop")


@dataclass(frozen=True, slots=True)
class TestDevice:
    """One device: who it is, and how a phone becomes it."""

    __test__ = False

    key: str
    username: str
    is_secure: bool = False

    @property
    def password(self) -> str:
        return f"secret-of-{self.username}"

    def account(self, server: str, transport: Transport = "udp", **changes: object) -> Account:
        """For a phone at this device. Over TLS it demands SRTP unless `changes` say otherwise."""
        account = Account(
            username=self.username,
            password=self.password,
            domain=server,
            server=server,
            transport=transport,
            srtp="required" if transport == "tls" else "off",
        )
        return replace(account, **changes)  # type: ignore[arg-type]  # the test names real fields


def devices_of(number: int) -> tuple[TestDevice, ...]:
    key = str(number)
    if number in FORKED:
        return tuple(TestDevice(key, f"{key}{kind[0]}") for kind in KINDS)
    return (TestDevice(key, key, number in SECURE),)


def extension_toml(key: int | str, keys: str = "", tables: str = "", *, has_phone: bool = True) -> str:
    """One extension: `keys` stand in its table, `tables` below it; its phone is that of `devices_of`."""
    text = f'[[extension]]\nkey = "{key}"\nlabel = "Phone {key}"\n{keys}\n'
    if has_phone:
        device = TestDevice(str(key), str(key))
        text += (
            '[[extension.device]]\nkind = "ip_phone"\n'
            f'username = "{device.username}"\npassword = "{device.password}"\n'
        )
    return f"{text}{tables}\n"


def office_toml() -> str:
    """The text for `pbx apply`."""
    parts = [
        '[office]\nname = "Loopback"\ncountry = "SG"\ntimezone = "Asia/Singapore"\n',
        '[[member]]\nemail = "owner@loopback.example"\nname = "Olga Owner"\naccount = "owner"\n',
    ]
    for number in (*PLAIN, *SECURE, *FORKED):
        parts.append(f'[[extension]]\nkey = "{number}"\nlabel = "Phone {number}"\n')
        for kind, device in zip(KINDS, devices_of(number), strict=False):
            parts.append(
                f'[[extension.device]]\nkind = "{kind}"\nusername = "{device.username}"\n'
                f'password = "{device.password}"\ntls = {str(device.is_secure).lower()}\n'
            )
        parts.append('[extension.no_answer]\naction = "hangup"\ntimeout = 20\n')
    return "\n".join(parts)


class Extensions:
    """Gives every test extensions that no other test has used: no binding is left over."""

    def __init__(self) -> None:
        self._plain: Iterator[int] = iter(PLAIN)
        self._secure: Iterator[int] = iter(SECURE)
        self._forked: Iterator[int] = iter(FORKED)

    def plain(self) -> TestDevice:
        return devices_of(next(self._plain))[0]

    def secure(self) -> TestDevice:
        return devices_of(next(self._secure))[0]

    def forked(self) -> tuple[TestDevice, ...]:
        """The three devices of one extension."""
        return devices_of(next(self._forked))

    def for_transport(self, transport: Transport) -> TestDevice:
        """One that is registered over `transport` in an office: over TLS the device demands it."""
        return self.secure() if transport == "tls" else self.plain()
