"""A server at its limits, under load (SIPp)."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.phones.conftest import require
from tests.phones.support.server import PbxServer
from tests.phones.support.sip_client import find_challenge, sip_client
from tests.phones.support.sipp import SippCallee, SippResult, call_all
from tests.phones.support.waiting import wait_until

CALLS = 20
Serve = Callable[[str], PbxServer]


@pytest.fixture(autouse=True)
def sipp_is_here():
    require("sipp")


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start a server with these limits."""
    servers: list[PbxServer] = []

    def start(limits: str) -> PbxServer:
        servers.append(PbxServer(tmp_path / "pbx", limits=limits))
        servers[0].start()
        return servers[0]

    yield start
    for server in servers:
        server.stop()
        server.release()


def call(server: PbxServer, folder: Path, count: int, rate: float, hold_ms: int) -> SippResult:
    pairs = [(server.extensions.plain(), server.extensions.plain()) for _ in range(count)]
    address = ("127.0.0.1", server.port)
    with SippCallee(folder / "callee", address, [callee for _, callee in pairs]):
        result = call_all(folder / "caller", address, pairs, rate=rate, hold_ms=hold_ms)
        wait_until("all calls have ended", lambda: not server.status()["counts"]["calls"])
    return result


def lines(server: PbxServer) -> list[str]:
    """What the log says about turning away."""
    return re.findall(r"((?:no longer )?turning .*)", server.log_text())


def test_calls_beyond_the_limit_are_turned_away_and_those_that_are_up_stay(serve: Serve, tmp_path: Path):
    server = serve("calls = 5")
    result = call(server, tmp_path / "many", CALLS, rate=100, hold_ms=8000)
    assert (result.successful, result.failed) == (5, CALLS - 5), result
    assert "503" in result.errors
    assert server.status()["refused"]["calls"] == CALLS - 5
    assert lines(server)[0] == "turning new calls away: limits.calls = 5 are in progress"
    result = call(server, tmp_path / "few", 5, rate=100, hold_ms=500)
    assert (result.successful, result.failed) == (5, 0), result
    wait_until("the log says that it is over", lambda: len(lines(server)) == 2)
    assert f"{CALLS - 5} INVITE refused" in lines(server)[1]
    assert server.status()["refusing"] == []


def test_calls_faster_than_the_brake_are_turned_away_but_no_emergency_call(serve: Serve, tmp_path: Path):
    server = serve("calls_per_second = 2")
    result = call(server, tmp_path / "many", CALLS, rate=100, hold_ms=100)
    refused = server.status()["refused"]["calls_per_second"]
    assert refused > 0
    assert result.successful >= 2
    assert (result.successful, result.failed) == (CALLS - refused, refused), result
    assert lines(server)[0] == "turning new calls away: more than limits.calls_per_second = 2"
    statuses = {number: dial(server, number, 30) for number in ("7777", "112")}
    assert 503 in statuses["7777"]
    assert set(statuses["112"]) == {404}  # there are no trunks: nowhere to go, but not for the limit


def dial(server: PbxServer, number: str, times: int) -> list[int]:
    """The answers to INVITEs, one upon the other."""
    phone = server.extensions.plain()
    statuses = []
    with sip_client(("127.0.0.1", server.port)) as client:
        own, uri = f"sip:{phone.username}@{client.domain}", f"sip:{number}@{client.domain}"
        challenged = client.request("INVITE", uri, own, uri)
        assert challenged is not None
        assert challenged.status == 401, challenged.text
        challenge = find_challenge(challenged)
        for count in range(1, times + 1):
            answer = challenge.answer("INVITE", uri, phone.username, phone.password, count)
            reply = client.request("INVITE", uri, own, uri, (answer, f"Contact: <{own}>"))
            assert reply is not None
            statuses.append(reply.status)
    return statuses
