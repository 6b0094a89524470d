"""The commands' side of the control socket."""

import json
import socket
from pathlib import Path
from typing import Any, Final

from pbx.errors import PbxError

TIMEOUT_S: Final = 10.0


class ServerGoneError(PbxError):
    """No server runs with this data folder."""


def ask(data: Path, name: str, **arguments: str) -> Any:
    """Send one command, with its arguments, to the running server and return its answer.

    Raises:
        ServerGoneError: no server listens.
        PbxError: this user may not ask it; the server refused, or did not answer in time.
    """
    path = data / "control.sock"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(TIMEOUT_S)
        try:
            connection.connect(str(path))
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError) as error:
            raise ServerGoneError(f"no server runs with the data folder {data} ({error.strerror})") from None
        except OSError as error:
            raise PbxError(f"no server can be asked at {path}: {error.strerror or error}") from None
        try:
            connection.sendall(json.dumps({"cmd": name, "args": arguments}).encode() + b"\n")
            with connection.makefile("rb") as stream:
                line = stream.readline()
        except TimeoutError:
            raise PbxError(f"the server did not answer {name} within {TIMEOUT_S:g} s") from None
        except OSError as error:
            raise PbxError(f"the server did not answer {name}: {error.strerror or error}") from None
    if not line.endswith(b"\n"):
        raise PbxError(f"the server ended before it answered {name}")
    answer = json.loads(line)
    if "error" in answer:
        raise PbxError(str(answer["error"]))
    return answer["ok"]
