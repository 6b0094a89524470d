"""The commands' side of the control socket: what is said of a server that does not answer."""

import socket
import threading

import pytest

from pbx.app import client
from pbx.app.client import ServerGoneError, ask
from pbx.errors import PbxError


@pytest.fixture
def listening(tmp_path):
    """Something that listens where a server would."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "control.sock"))
        made.listen()
        yield made


def test_where_no_server_ever_ran(tmp_path):
    with pytest.raises(ServerGoneError, match="no server runs with the data folder"):
        ask(tmp_path / "nowhere", "status")


def test_where_a_server_died(tmp_path, listening):
    listening.close()
    with pytest.raises(ServerGoneError, match="no server runs with the data folder"):
        ask(tmp_path, "status")


def test_a_server_that_does_not_answer_is_there_all_the_same(tmp_path, listening, monkeypatch):
    monkeypatch.setattr(client, "TIMEOUT_S", 0.01)
    with pytest.raises(PbxError, match=r"did not answer status within 0.01 s$") as raised:
        ask(tmp_path, "status")
    assert not isinstance(raised.value, ServerGoneError)


@pytest.mark.parametrize("said", [b"", b'{"ok": {"ca'], ids=["before it says a word", "in the middle"])
def test_a_server_that_ends_meanwhile(tmp_path, listening, said):
    def end():
        connection, _ = listening.accept()
        with connection:
            connection.makefile("rb").readline()
            connection.sendall(said)

    other = threading.Thread(target=end)
    other.start()
    with pytest.raises(PbxError, match="the server ended before it answered status"):
        ask(tmp_path, "status")
    other.join()


def test_a_server_of_somebody_else_is_not_said_to_be_gone(tmp_path, monkeypatch):
    def refuse(_self, _path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(
        PbxError, match=r"no server can be asked at .*control.sock: Permission denied"
    ) as raised:
        ask(tmp_path, "status")
    assert not isinstance(raised.value, ServerGoneError)
