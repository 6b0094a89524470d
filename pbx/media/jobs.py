"""Jobs and answers between core and speech process: length (4 bytes, big-endian) and a marshalled mapping.

Both ends are the same program and interpreter, as with the media workers (docs/decisions).
"""

from marshal import dumps, loads
from typing import Any, Final

from pbx.errors import MediaError

MAX_FRAME: Final = 64 << 20
HELLO: Final[dict[str, Any]] = {"hello": True}  # what the process says first


def encode(message: dict[str, Any]) -> bytes:
    """One frame."""
    body = dumps(message)
    return len(body).to_bytes(4, "big") + body


class Decoder:
    """Cuts a stream into messages."""

    def __init__(self, max_frame: int = MAX_FRAME) -> None:
        self._max_frame = max_frame
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """The messages that `data` completes.

        Raises:
            MediaError: the other end is not one of ours.
        """
        self._rest += data
        found: list[dict[str, Any]] = []
        while len(self._rest) >= 4:
            size = int.from_bytes(self._rest[:4], "big")
            if size > self._max_frame:
                raise MediaError(f"a frame of {size} bytes")
            if len(self._rest) < 4 + size:
                break
            body = bytes(self._rest[4 : 4 + size])
            del self._rest[: 4 + size]
            try:
                message = loads(body)  # noqa: S302  # from a process of ours
            except (EOFError, ValueError, TypeError) as error:
                raise MediaError(f"not a message: {error}") from error
            if not isinstance(message, dict):
                raise MediaError("not a message")
            found.append(message)
        return found
