"""Real phones on loopback: what the tests share.

A program that is missing fails the tests in CI (`CI=true`); elsewhere they are expected to fail, and say what
to install.
"""

import importlib.util
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.phones.support.baresip_phone import BaresipPhone
from tests.phones.support.kamailio import find_kamailio
from tests.phones.support.linphone_phone import LinphonePhone
from tests.phones.support.phone import TONES, Account, Phone
from tests.phones.support.pjsua_phone import PjsuaPhone
from tests.phones.support.server import PbxServer

HERE = Path(__file__).parent
WORDS = 12_000  # characters of each log in a failure message

DRIVERS: Final[dict[str, Callable[..., Phone]]] = {
    "baresip": BaresipPhone,
    "linphone": LinphonePhone,
    "pjsua": PjsuaPhone,
}

INSTALL: Final = {
    "baresip": "baresip (Debian: apt install baresip-core)",
    "linphone": "linphonec (Debian: apt install linphone-cli)",
    "sipp": "sipp (Debian: apt install sip-tester)",
    "kamailio": "kamailio (Debian: apt install kamailio)",
    "pjsua": "pjsua2 (PyPI: pip install pjsua2-python)",
}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "phones: real phones call each other on loopback")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.phones)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """A failure shows what server and phones have written since the test began."""
    report = yield
    if report.failed and HERE in item.path.parents:
        for title, text in item.stash.get(EVIDENCE, list)():
            report.sections.append((title, text[-WORDS:]))
    return report


EVIDENCE = pytest.StashKey[Callable[[], list[tuple[str, str]]]]()


def is_installed(program: str) -> bool:
    if program == "pjsua":
        return importlib.util.find_spec("pjsua2") is not None
    if program == "kamailio":
        return find_kamailio() is not None
    return shutil.which({"linphone": "linphonec"}.get(program, program)) is not None


def require(program: str) -> None:
    """Go on only when `program` is here."""
    if is_installed(program):
        return
    missing = f"missing program: {INSTALL[program]}"
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.xfail(missing)


class Workshop:
    """Makes phones for one test, and stops them all after it."""

    def __init__(self, folder: Path, server: PbxServer | None) -> None:
        self.folder = folder
        self.server = server
        self.phones: list[Phone] = []
        self._numbers = itertools.count()

    def make(self, program: str, account: Account | None = None, **options: Any) -> Phone:
        """A phone that is started; each of one test has another tone."""
        require(program)
        number = next(self._numbers)
        account = account or Account()
        name = options.pop("name", "") or f"{program}{account.username or number}"
        phone = DRIVERS[program](
            name, account, self.folder / name, options.pop("tone", TONES[number]), **options
        )
        self.phones.append(phone)
        phone.start()
        return phone

    def registered(self, program: str, account: Account, **options: Any) -> Phone:
        """A phone that has registered."""
        phone = self.make(program, account, **options)
        phone.wait_registered()
        return phone

    def evidence(self) -> list[tuple[str, str]]:
        sections = []
        for phone in self.phones:
            sections.append((f"{phone.name}: calls", "\n".join(map(str, phone.calls))))
            sections.append((f"{phone.name}: messages", phone.ladder()))
        if self.server is not None:
            sections.append(("server log since the test began", self.server.log_since_mark()))
        return sections

    def close(self) -> None:
        for phone in reversed(self.phones):
            phone.stop()


class Servers:
    """The server that the tests of one process share; a dead one is replaced: one crash, one failure."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        self._factory = factory
        self._server: PbxServer | None = None

    def running(self) -> PbxServer:
        if self._server is None or not self._server.is_running:
            self._server = PbxServer(self._factory.mktemp("pbx"))
            self._server.start()
        return self._server

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    servers = Servers(tmp_path_factory)
    yield servers
    servers.stop()


@pytest.fixture
def pbx(servers: Servers) -> Iterator[PbxServer]:
    """A running server, which has to stay alive and well; every test takes extensions of its own from it."""
    server = servers.running()
    server.mark()
    yield server
    server.assert_well()
    server.assert_nothing_left()


@pytest.fixture(scope="module")
def own_pbx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PbxServer]:
    """A server that a module may restart, with the limits of the default configuration."""
    server = PbxServer(tmp_path_factory.mktemp("own_pbx"), failed_auth=10)
    server.start()
    yield server
    server.stop()
    server.release()


@pytest.fixture
def workshop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Workshop]:
    """Phones against the server that the test uses."""
    own = "own_pbx" in request.fixturenames
    server = request.getfixturevalue("own_pbx" if own else "pbx")
    shop = Workshop(tmp_path, server)
    request.node.stash[EVIDENCE] = shop.evidence
    yield shop
    shop.close()


@pytest.fixture
def shop(request: pytest.FixtureRequest, server: PbxServer, tmp_path: Path) -> Iterator[Workshop]:
    """Phones against the `server` of a module."""
    server.mark()
    made = Workshop(tmp_path, server)
    request.node.stash[EVIDENCE] = made.evidence
    yield made
    made.close()
    server.assert_well()
    server.assert_nothing_left()


@pytest.fixture
def direct(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Workshop]:
    """Phones that call each other without a server."""
    shop = Workshop(tmp_path, None)
    request.node.stash[EVIDENCE] = shop.evidence
    yield shop
    shop.close()
