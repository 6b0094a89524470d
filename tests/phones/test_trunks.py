"""Registration and health of trunks, with SIPp, Kamailio and a second server of ours as carriers."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.phones.conftest import require
from tests.phones.support.kamailio import Kamailio
from tests.phones.support.ports import Ports
from tests.phones.support.process import Program
from tests.phones.support.server import PbxServer
from tests.phones.support.sipp import SCENARIOS, read_errors
from tests.phones.support.waiting import PATIENCE_S, wait_until

OFFICE = """\
[[member]]
email = "owner@loopback.example"
name = "Olga Owner"
account = "owner"
[[extension]]
key = "100"
[[extension.device]]
kind = "ip_phone"
username = "100"
password = "secret-of-100"
"""
ACME = 'username = "acme"\npassword = "secret-of-acme"\n'


def trunk(server: str, more: str = ACME, name: str = "carrier") -> str:
    return f'[[trunk]]\nname = "{name}"\nserver = "{server}"\n{more}'


@pytest.fixture(scope="module")
def customer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PbxServer]:
    """The server under test; each test gives it trunks."""
    server = PbxServer(tmp_path_factory.mktemp("customer"), OFFICE)
    server.start()
    yield server
    server.stop()
    server.release()


@pytest.fixture
def pbx(customer: PbxServer) -> Iterator[PbxServer]:
    """It, without trunks before and after."""
    yield customer
    customer.apply(OFFICE)
    customer.assert_well()


def state(server: PbxServer, name: str = "carrier") -> dict[str, Any]:
    """The row of a trunk in `pbx status`."""
    row: dict[str, Any] = next(each for each in server.status()["trunks"] if each["name"] == name)
    return row


def wait_state(server: PbxServer, wanted: str) -> dict[str, Any]:
    return wait_until(
        f"the trunk is {wanted}", lambda: row if (row := state(server))["state"] == wanted else {}
    )


def doctor(server: PbxServer) -> str:
    """What `pbx doctor` says, which finds fault with a server on loopback."""
    with pytest.raises(AssertionError) as found:
        server.command("doctor")
    return str(found.value)


class Registrar:
    """SIPp with a scenario of REGISTERs, for one registration."""

    def __init__(self, folder: Path, scenario: str, host: str, port: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        address = f"[{host}]" if ":" in host else host
        self.program = Program(
            f"sipp {scenario}",
            [
                *("sipp", "-sf", str(SCENARIOS / scenario), "-i", address, "-p", str(port), "-m", "1"),
                *("-nostdin", "-trace_err", "-error_file", str(folder / f"{scenario}.errors")),
                *("-recv_timeout", "60000", "-timeout", "300", "-timeout_error"),
            ],
            folder / f"{scenario}.log",
            cwd=folder,
        )

    def assert_content(self) -> None:
        """It has seen all that it wants."""
        code = self.program.wait_end(PATIENCE_S)
        self.program.kill()
        assert code == 0, read_errors(self.folder)


def test_challenge_interval_refresh_and_farewell(pbx: PbxServer, tmp_path: Path):
    require("sipp")
    ports = Ports(10, "127.0.0.2")
    registrar = Registrar(tmp_path, "registrar.xml", "127.0.0.2", ports.first)
    pbx.apply(OFFICE + trunk(f"sip:127.0.0.2:{ports.first}"))
    row = wait_state(pbx, "registered")
    assert row["expires_s"] <= 10
    wait_until("it is refreshed", lambda: state(pbx)["expires_s"] > 3000)
    assert state(pbx)["state"] == "registered"
    pbx.apply(OFFICE)
    registrar.assert_content()
    ports.release()


def test_a_registrar_that_is_out_of_service(pbx: PbxServer, tmp_path: Path):
    require("sipp")
    ports = Ports(10, "127.0.0.2")
    registrar = Registrar(tmp_path, "out_of_service.xml", "127.0.0.2", ports.first)
    pbx.apply(OFFICE + trunk(f"sip:127.0.0.2:{ports.first}"))
    row = wait_state(pbx, "unregistered")
    assert row["error"] == "REGISTER was answered by 503 Service Unavailable"
    registrar.assert_content()
    ports.release()


def test_kamailio(pbx: PbxServer, tmp_path: Path):
    """A short life, and nonces that are old at the refresh."""
    require("kamailio")
    with Kamailio(tmp_path, "127.0.0.3", expires_s=10, nonce_s=2) as carrier:
        pbx.apply(OFFICE + trunk(f"sip:{carrier.host}:{carrier.port}"))
        wait_state(pbx, "registered")
        wait_until("it is refreshed", lambda: len(carrier.registered()) >= 2)
        contact = f"<sip:acme@127.0.0.1:{pbx.port}>;expires=600"
        assert set(carrier.registered()) == {f"acme from {contact} for 600"}
        assert "carrier" in pbx.command("status")
        assert "trunk carrier: registered at UDP 127.0.0.3" in doctor(pbx)
        pbx.apply(OFFICE)
        wait_until("it has left", lambda: carrier.registered()[-1].endswith(" for 0"))


def test_a_wrong_password_is_refused_once_and_said(pbx: PbxServer, tmp_path: Path):
    require("kamailio")
    with Kamailio(tmp_path, "127.0.0.3") as carrier:
        wrong = 'username = "acme"\npassword = "another"\n'
        pbx.apply(OFFICE + trunk(f"sip:{carrier.host}:{carrier.port}", wrong))
        row = wait_state(pbx, "refused")
        assert row["error"] == "REGISTER was answered by 401 Unauthorized"
        assert "WRONG trunk carrier: the carrier refuses the registration" in doctor(pbx)
        pbx.apply(OFFICE + trunk(f"sip:{carrier.host}:{carrier.port}"))
        wait_state(pbx, "registered")


def test_a_trunk_by_address_is_asked(pbx: PbxServer, tmp_path: Path):
    require("kamailio")
    with Kamailio(tmp_path, "127.0.0.3") as carrier:
        pbx.apply(OFFICE + trunk(f"sip:{carrier.host}:{carrier.port}", ""))
        wait_state(pbx, "reachable")
        shown = json.loads(pbx.command("status", "--json"))["trunks"]
        assert [row["state"] for row in shown] == ["reachable"]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_second_server_of_ours_is_the_carrier(pbx: PbxServer, provider: PbxServer, transport: str):
    pbx.apply(OFFICE + trunk(f"sip:{provider.address};transport={transport}"))
    row = wait_state(pbx, "registered")
    assert row["address"] == f"{transport.upper()} {provider.address}"
    (there,) = [each for each in provider.status()["registrations"] if each["device"] == "acme"]
    assert there["transport"] == transport.upper()
    pbx.apply(OFFICE)
    wait_until("it has left", lambda: not provider.status()["registrations"])


def test_tls_wants_a_certificate_that_is_trusted(pbx: PbxServer, provider: PbxServer, tmp_path: Path):
    office = OFFICE + trunk(f"sip:{provider.tls_address};transport=tls")
    pbx.apply(office)
    wait_until("it is said", lambda: "cannot be reached" in state(pbx)["error"])
    assert "certificate" in state(pbx)["error"]
    certificate = provider.folder / "data" / "certificates" / "sip.pem"
    trusting = PbxServer(tmp_path, office, trusted_ca=str(certificate))
    trusting.start()
    wait_state(trusting, "registered")
    trusting.stop()
    trusting.release()
    wait_until("it has left", lambda: not provider.status()["registrations"])


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PbxServer]:
    """Another server, where the trunk is a device."""
    device = '[[extension]]\nkey = "200"\n[[extension.device]]\nkind = "ip_phone"\n'
    server = PbxServer(tmp_path_factory.mktemp("provider"), OFFICE + device + ACME)
    server.start()
    yield server
    server.stop()
    server.release()
