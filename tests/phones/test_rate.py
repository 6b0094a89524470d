"""Calls at a rate, and callers that keep to no phone's habits (SIPp)."""

from pathlib import Path

import pytest

from tests.phones.conftest import require
from tests.phones.support.server import PbxServer
from tests.phones.support.sipp import SippCallee, call_all

CALLS = 20


@pytest.fixture(autouse=True)
def sipp_is_here():
    require("sipp")


@pytest.mark.parametrize("transport", ["u1", "t1"], ids=["udp", "tcp"])
def test_twenty_calls_at_ten_a_second(pbx: PbxServer, tmp_path: Path, transport: str):
    server = ("127.0.0.1", pbx.port)
    callees = [pbx.extensions.plain() for _ in range(CALLS)]
    callers = [pbx.extensions.plain() for _ in range(CALLS)]
    with SippCallee(tmp_path / "callee", server, callees) as callee:
        result = call_all(
            tmp_path / "caller",
            server,
            list(zip(callers, callees, strict=True)),
            rate=10,
            transport=transport,
        )
        assert result.exit_code == 0, f"{result}\n{callee.errors()}\n{pbx.log_since_mark()[-4000:]}"
    assert (result.successful, result.failed) == (CALLS, 0), result


def test_the_200_is_repeated_until_the_ack_comes(pbx: PbxServer, tmp_path: Path):
    server = ("127.0.0.1", pbx.port)
    caller, called = pbx.extensions.plain(), pbx.extensions.plain()
    with SippCallee(tmp_path / "callee", server, [called]) as callee:
        result = call_all(
            tmp_path / "caller", server, [(caller, called)], rate=1, hold_ms=100, scenario="late_ack.xml"
        )
        assert result.exit_code == 0, f"{result}\n{callee.errors()}\n{pbx.log_since_mark()[-4000:]}"
    assert (result.successful, result.failed) == (1, 0), result
    assert result.retransmissions >= 2, result
