"""The control socket, line by line; the connection is in memory and time a clock's."""

import json
import os
import socket
import stat
from types import SimpleNamespace

import pytest
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from pbx.app.control import SLOWEST_S, ControlServer, Json, is_served
from pbx.errors import ConfigError, StoreError
from tests.net.fakes import Wire


class Reactor(Clock):
    """A clock that keeps what it shall listen with."""

    def listenUNIX(self, path, factory, mode):  # noqa: N802
        self.path, self.factory, self.mode = path, factory, mode
        return SimpleNamespace(stopListening=lambda: os.unlink(path))


@pytest.fixture
def later():
    return Deferred()


@pytest.fixture
def reactor(tmp_path, later):
    made = Reactor()

    def fail():
        raise StoreError("database: gone")

    commands = {
        "status": lambda: {"calls": 2},
        "later": lambda: later,
        "written": lambda: Json('{"calls":2}'),
        "fail": fail,
        "bug": lambda: 1 / 0,
        "explain": lambda caller, at="now": f"{caller} {at}",
    }
    ControlServer(tmp_path / "control.sock", commands).listen(made)
    return made


@pytest.fixture
def connection(reactor):
    made = Wire()
    made.protocol = reactor.factory.buildProtocol(UNIXAddress(""))
    made.protocol.makeConnection(made)
    return made


def test_a_question_has_one_answer(connection):
    connection.protocol.dataReceived(b'{"cmd": "status"}\n{"cmd": "status"}\n')
    assert json.loads(connection.value()) == {"ok": {"calls": 2}}
    assert connection.disconnecting


RUBBISH = {
    "no JSON": b"status\n",
    "no object": b"7\n",
    "another key": b'{"what": "status"}\n',
    "no text": b'{"cmd": ["status"]}\n',
    "no such command": b'{"cmd": "stop"}\n',
    "no UTF-8": b"\xff\xfe\n",
    "lists inside lists": b"[" * 10_000 + b"\n",
}


@pytest.mark.parametrize("line", RUBBISH.values(), ids=RUBBISH)
def test_rubbish_is_told_what_is_allowed(connection, line):
    connection.protocol.dataReceived(line)
    assert json.loads(connection.value()) == {
        "error": "no command; allowed: bug, explain, fail, later, status, written"
    }


def test_a_question_may_have_arguments(connection):
    connection.protocol.dataReceived(b'{"cmd": "explain", "args": {"caller": "100"}}\n')
    assert json.loads(connection.value()) == {"ok": "100 now"}


ARGUMENTS = {
    "one is missing": b'{"cmd": "explain"}\n',
    "one is not known": b'{"cmd": "explain", "args": {"caller": "100", "callee": "101"}}\n',
    "no text": b'{"cmd": "explain", "args": {"caller": 100}}\n',
    "no table": b'{"cmd": "explain", "args": ["100"]}\n',
    "nothing": b'{"cmd": "explain", "args": null}\n',
}


@pytest.mark.parametrize("line", ARGUMENTS.values(), ids=ARGUMENTS)
def test_arguments_that_do_not_fit_are_told_what_is_allowed(connection, line):
    connection.protocol.dataReceived(line)
    assert json.loads(connection.value()) == {
        "error": "explain takes other arguments; allowed, as texts: caller, at"
    }


def test_a_command_without_arguments_takes_none(connection):
    connection.protocol.dataReceived(b'{"cmd": "status", "args": {"caller": "100"}}\n')
    assert json.loads(connection.value()) == {
        "error": "status takes other arguments; allowed, as texts: nothing"
    }


def test_an_answer_may_be_written_already(connection):
    connection.protocol.dataReceived(b'{"cmd": "written"}\n')
    assert connection.value() == b'{"ok": {"calls":2}}\n'


def test_what_fails_says_why(connection):
    connection.protocol.dataReceived(b'{"cmd": "fail"}\n')
    assert json.loads(connection.value()) == {"error": "database: gone"}


def test_a_bug_is_told_without_its_insides(connection):
    connection.protocol.dataReceived(b'{"cmd": "bug"}\n')
    assert "division" not in json.loads(connection.value())["error"]


def test_an_answer_may_come_later(reactor, connection, later):
    connection.protocol.dataReceived(b'{"cmd": "later"}\n')
    reactor.advance(10 * SLOWEST_S)
    assert connection.value() == b""
    later.callback(5)
    assert json.loads(connection.value()) == {"ok": 5}


@pytest.mark.parametrize("sent", [b"", b'{"cmd": "sta'])
def test_who_asks_nothing_is_cut(reactor, connection, sent):
    connection.protocol.dataReceived(sent)
    reactor.advance(SLOWEST_S - 0.1)
    assert not connection.is_aborted
    reactor.advance(0.1)
    assert connection.is_aborted


def test_who_does_not_take_the_answer_is_cut(reactor, connection):
    reactor.advance(SLOWEST_S - 0.1)
    connection.protocol.dataReceived(b'{"cmd": "status"}\n')
    reactor.advance(SLOWEST_S)
    assert connection.is_aborted


def test_nothing_is_left_of_who_hangs_up(reactor, connection):
    connection.protocol.connectionLost(None)
    assert reactor.getDelayedCalls() == []


def test_the_socket_is_its_owners_alone(reactor):
    assert reactor.mode == 0o600


def test_a_socket_that_a_dead_server_left_is_replaced_and_one_in_use_is_not(tmp_path):
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        assert is_served(path)
        with pytest.raises(ConfigError, match="already runs"):
            ControlServer(path, {}).listen(Reactor())
        assert stat.S_ISSOCK(path.stat().st_mode)
    assert not is_served(path)
    ControlServer(path, {}).listen(Reactor())
    assert not path.exists()


def test_a_socket_that_is_gone_already_is_no_error_at_the_end(tmp_path):
    server = ControlServer(tmp_path / "control.sock", {})
    server.listen(Reactor())
    server.stop()
    assert not (tmp_path / "control.sock").exists()


def test_a_path_that_is_too_long_for_a_socket_is_a_clear_error(tmp_path):
    from twisted.internet import reactor  # noqa: PLC0415  # the real one says no before it runs

    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    with pytest.raises(ConfigError) as raised:
        ControlServer(folder / "control.sock", {}).listen(reactor)
    assert "AF_UNIX path too long" in str(raised.value)
