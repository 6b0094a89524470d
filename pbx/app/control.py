"""The control socket: how `pbx status` and `pbx apply` talk with the running server.

A UNIX socket in the data folder that only its owner can open; a line of JSON each way, then it closes. The
question is {"cmd": NAME, "args": {NAME: TEXT, ...}}, where "args" may be left out.
"""

import inspect
import json
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from pbx.errors import ConfigError, PbxError

log: Final = Logger()

Commands = Mapping[str, Callable[..., Any]]

SLOWEST_S: Final = 10.0  # for the question, and again for taking the answer


@dataclass(frozen=True, slots=True)
class Json:
    """An answer that is JSON already, in one line of ASCII."""

    text: str


class ControlServer:
    """Answers the commands in its table, which return values for JSON or Deferreds of them."""

    def __init__(self, path: Path, commands: Commands) -> None:
        self._path, self._commands = path, commands
        self._port: Any = None

    def listen(self, reactor: Any) -> None:
        """Open the socket; one left behind by a dead server is replaced.

        Raises:
            ConfigError: another server runs with this data folder, or the path is too long for a socket.
        """
        if is_served(self._path):
            raise ConfigError(
                "server.data", str(self._path.parent), "a server already runs with this data folder"
            )
        self._path.unlink(missing_ok=True)
        factory = _Factory(self._commands, reactor)
        mask = os.umask(0o177)
        try:
            self._port = reactor.listenUNIX(str(self._path), factory, mode=0o600)
        except (CannotListenError, OSError) as error:
            why = getattr(error, "socketError", error)
            raise ConfigError(
                "server.data",
                str(self._path.parent),
                f"the control socket {self._path.name} cannot be opened there: {why}",
            ) from error
        finally:
            os.umask(mask)

    def stop(self) -> "Deferred[Any]":
        """Close the socket and remove it."""
        if self._port is None:
            return maybeDeferred(lambda: None)
        with suppress(OSError):
            self._path.touch()  # Twisted insists on removing it itself, also where a cleaner was faster
        return maybeDeferred(self._port.stopListening)


class _Factory(Factory):
    noisy = False

    def __init__(self, commands: Commands, reactor: Any) -> None:
        self._commands, self._reactor = commands, reactor

    def buildProtocol(self, addr: Any) -> "_Conversation":  # noqa: ARG002, N802
        return _Conversation(self._commands, self._reactor)


class _Conversation(LineOnlyReceiver):
    """One question, one answer; who is slow with either is cut."""

    delimiter = b"\n"

    def __init__(self, commands: Commands, reactor: Any) -> None:
        self._commands, self._reactor = commands, reactor
        self._is_asked = False
        self._timer: Any = None

    def connectionMade(self) -> None:  # noqa: N802
        self._cut_later()

    def connectionLost(self, reason: Any = None) -> None:  # noqa: ARG002, N802
        self._stop_timer()

    def lineReceived(self, line: bytes) -> None:  # noqa: N802
        if self._is_asked:
            return
        self._is_asked = True
        self._stop_timer()  # the answer may take its time
        try:
            question = json.loads(line)
            name, arguments = question["cmd"], question.get("args", {})
            command = self._commands[name]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self._tell(_error(f"no command; allowed: {', '.join(sorted(self._commands))}"))
            return
        if not _fits(command, arguments):
            taken = ", ".join(inspect.signature(command).parameters) or "nothing"
            self._tell(_error(f"{name} takes other arguments; allowed, as texts: {taken}"))
            return
        done: Deferred[Any] = maybeDeferred(command, **arguments)
        done.addCallback(_render)
        done.addErrback(_explain)
        done.addCallback(self._tell)

    def _tell(self, answer: str) -> None:
        transport: Any = self.transport
        transport.write(answer.encode() + b"\n")
        transport.loseConnection()
        self._cut_later()

    def _cut_later(self) -> None:
        transport: Any = self.transport
        self._stop_timer()
        self._timer = self._reactor.callLater(SLOWEST_S, transport.abortConnection)

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()


def _fits(command: Callable[..., Any], arguments: Any) -> bool:
    """Whether a command can be called with these arguments."""
    if not isinstance(arguments, dict) or not all(isinstance(each, str) for each in arguments.values()):
        return False
    try:
        inspect.signature(command).bind(**arguments)
    except TypeError:
        return False
    return True


def _render(answer: Any) -> str:
    return f'{{"ok": {answer.text if isinstance(answer, Json) else json.dumps(answer)}}}'


def _explain(failure: Failure) -> str:
    if not isinstance(failure.value, PbxError):
        log.failure("command failed", failure)
        return _error("the command failed; the server's log says why")
    return _error(failure.getErrorMessage())


def _error(why: str) -> str:
    return json.dumps({"error": why})


def is_served(path: Path) -> bool:
    """Whether a living server listens on the socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True
