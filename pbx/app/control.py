"""The control socket: how `pbx status` and `pbx apply` talk with the running server.

A UNIX socket in the data folder that only its owner can open; a line of JSON each way, then it closes.
"""

import json
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver

from pbx.errors import ConfigError, PbxError

log: Final = Logger()

Commands = Mapping[str, Callable[[], Any]]


class ControlServer:
    """Answers the commands in its table."""

    def __init__(self, path: Path, commands: Commands) -> None:
        self._path = path
        self._commands = commands
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
        mask = os.umask(0o177)
        try:
            self._port = reactor.listenUNIX(str(self._path), _Factory(self._commands), mode=0o600)
        except Exception as error:
            raise ConfigError(
                "server.data", str(self._path.parent), f"no control socket there: {error}"
            ) from error
        finally:
            os.umask(mask)

    def stop(self) -> "Deferred[Any]":
        """Close the socket."""
        return (
            maybeDeferred(self._port.stopListening) if self._port is not None else maybeDeferred(lambda: None)
        )


class _Factory(Factory):
    def __init__(self, commands: Commands) -> None:
        self.commands = commands

    def buildProtocol(self, addr: Any) -> "_Conversation":  # noqa: ARG002, N802
        return _Conversation(self.commands)


class _Conversation(LineOnlyReceiver):
    delimiter = b"\n"

    def __init__(self, commands: Commands) -> None:
        self._commands = commands

    def lineReceived(self, line: bytes) -> None:  # noqa: N802
        try:
            name = json.loads(line)["cmd"]
            answer = {"ok": self._commands[name]()}
        except (ValueError, KeyError, TypeError) as error:
            answer = {"error": f"not a command: {error}; allowed: {', '.join(sorted(self._commands))}"}
        except PbxError as error:
            log.error("command failed: {error}", error=str(error))
            answer = {"error": str(error)}
        transport: Any = self.transport
        transport.write(json.dumps(answer).encode() + b"\n")
        transport.loseConnection()


def is_served(path: Path) -> bool:
    """Whether a living server listens on the socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True
