"""Orders and events between core and worker: length (4 bytes, big-endian) and JSON, both ways."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from pbx.errors import MediaError
from pbx.media import orders
from pbx.media.orders import EndpointStats, Event, Order, SrtpKeys

MAX_FRAME: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Ping:
    """Core to worker: are you there?"""


@dataclass(frozen=True, slots=True)
class Pong:
    """Worker to core: I am."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Worker to core: how far an SRTP session has come, to be kept in case the worker dies.

    Attributes:
        keys: of the session.
        kind, ssrc: of the `srtp.Counter`.
    """

    endpoint: str
    keys: SrtpKeys
    kind: str
    ssrc: int
    value: int


@dataclass(frozen=True, slots=True)
class Restore:
    """Core to worker, between OpenEndpoint and SetRemote: what was known about its peer before.

    Attributes:
        source: where its RTP came from.
        counters: (kind, SSRC, value) of its SRTP session.
    """

    endpoint: str
    source: orders.Address | None
    counters: tuple[tuple[str, int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class ReadPaths:
    """Core to worker: who passes the packets on? Answered by PathsRead."""


@dataclass(frozen=True, slots=True)
class PathsRead:
    """Worker to core.

    Attributes:
        paths: (endpoint, `Endpoint.path`) of those that are joined.
        trouble: what keeps calls out of the kernel, as far as this worker has found; "" = nothing.
    """

    paths: tuple[tuple[str, str], ...]
    trouble: str = ""


Message: TypeAlias = Order | Event | Ping | Pong | Counted | Restore | ReadPaths | PathsRead

_KIND: Final = "="
_BYTES: Final = "bytes"
_TYPES: Final = MappingProxyType(
    {
        kind.__name__: kind
        for kind in (
            *(orders.OpenEndpoint, orders.SetRemote, orders.Join, orders.Part, orders.CloseEndpoint),
            *(orders.ReadStats, orders.EndpointFailed, orders.Latched, orders.EndpointClosed),
            *(orders.StatsRead, orders.Silent, orders.Resumed, orders.WorkerRestarted),
            *(EndpointStats, SrtpKeys, Ping, Pong, Counted, Restore, ReadPaths, PathsRead),
        )
    }
)


def encode(message: Message) -> bytes:
    """One frame."""
    body = json.dumps(_plain(message), separators=(",", ":")).encode()
    return len(body).to_bytes(4, "big") + body


class Decoder:
    """Cuts a stream into messages."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that `data` completes.

        Raises:
            MediaError: the other end is not one of ours.
        """
        rest = self._rest + data
        at = 0
        try:
            while len(rest) - at >= 4:
                size = int.from_bytes(rest[at : at + 4], "big")
                if size > MAX_FRAME:
                    raise MediaError(f"a frame of {size} bytes")
                if len(rest) - at - 4 < size:
                    break
                at += 4 + size
                yield _decode(rest[at - size : at])
        finally:
            self._rest = rest[at:]


def _decode(body: bytes) -> Any:
    try:
        return _rich(json.loads(body))
    except (ValueError, TypeError, KeyError) as error:
        raise MediaError(f"not a message: {error}") from error


def _plain(value: Any) -> Any:
    if type(value).__name__ in _TYPES:
        named = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        return {_KIND: type(value).__name__, **named}
    if isinstance(value, bytes):
        return {_KIND: _BYTES, "hex": value.hex()}
    return value


def _rich(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_rich(item) for item in value)
    if isinstance(value, dict):
        kind = value.pop(_KIND)
        if kind == _BYTES:
            return bytes.fromhex(value["hex"])
        return _TYPES[kind](**{name: _rich(item) for name, item in value.items()})
    return value
