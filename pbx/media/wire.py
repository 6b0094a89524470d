"""Orders and events between core and worker: length (4 bytes, big-endian) and a marshalled list, both ways.

A frame is what is said at one time, each message a tuple in it: its kind as a number and its fields; keys and
counters are tuples in that. Both ends are the same program and interpreter, so the format needs neither a
version nor names (see docs/decisions).
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from marshal import dumps, loads
from operator import attrgetter
from typing import Any, Final, TypeAlias

from pbx.errors import MediaError
from pbx.media import orders
from pbx.media.orders import EndpointStats, Event, Order, SrtpKeys

MAX_FRAME: Final = 1 << 24  # a new worker is told of a thousand endpoints in some 400 kB


@dataclass(frozen=True, slots=True)
class Ping:
    """Core to worker: are you there?"""


@dataclass(frozen=True, slots=True)
class Pong:
    """Worker to core: I am."""


@dataclass(frozen=True, slots=True)
class Latched:
    """Worker to core: the peer's RTP comes from `source`, where it is sent now; kept as `Counted` is."""

    endpoint: str
    source: orders.Address


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


Message: TypeAlias = Order | Event | Ping | Pong | Latched | Counted | Restore | ReadPaths | PathsRead

_KINDS: Final[tuple[type, ...]] = (
    *(orders.OpenEndpoint, orders.SetRemote, orders.Join, orders.Part, orders.CloseEndpoint),
    *(orders.ReadStats, orders.EndpointFailed, Latched, orders.EndpointClosed),
    *(orders.StatsRead, orders.Silent, orders.Resumed, orders.WorkerRestarted),
    *(Ping, Pong, Counted, Restore, ReadPaths, PathsRead),
    *(orders.Mix, orders.Play, orders.StopPlay, orders.Record, orders.StopRecord, orders.Detect),
    *(orders.SendDigit, orders.Digit, orders.Played, orders.Recorded),
)
_NESTED: Final[dict[type, tuple[str, type]]] = {  # the field that is a value type itself
    orders.SetRemote: ("srtp", SrtpKeys),
    orders.EndpointClosed: ("stats", EndpointStats),
    orders.StatsRead: ("stats", EndpointStats),
    Counted: ("keys", SrtpKeys),
}
_MARSHAL_VERSION: Final = 2  # the later ones look for repeated values: slower, and here there are none


Values: TypeAlias = Callable[[Any], tuple[Any, ...]]


def _values_of(kind: type) -> Values:
    """What gives a message's fields, those of a value in it as a tuple."""
    names = [field.name for field in fields(kind)]
    if not names:
        return lambda _message: ()
    get = attrgetter(*names)
    if len(names) == 1:
        return lambda message: (get(message),)
    if (nested := _nested_of(kind)) is None:
        return get
    at, inner = nested[0], _values_of(nested[1])

    def values_of(message: Any) -> tuple[Any, ...]:
        values: tuple[Any, ...] = get(message)
        if values[at] is None:
            return values
        return (*values[:at], inner(values[at]), *values[at + 1 :])

    return values_of


def _nested_of(kind: type) -> tuple[int, type] | None:
    """Which field is a value type itself, and which."""
    if kind not in _NESTED:
        return None
    name, nested = _NESTED[kind]
    return [field.name for field in fields(kind)].index(name), nested


_NESTED_AT: Final = tuple(_nested_of(kind) for kind in _KINDS)
_TAKE_APART: Final[dict[type, tuple[int, Values]]] = {
    kind: (number, _values_of(kind)) for number, kind in enumerate(_KINDS)
}


def encode(*messages: Message) -> bytes:
    """One frame."""
    said = []
    for message in messages:
        number, values_of = _TAKE_APART[type(message)]
        said.append((number, *values_of(message)))
    body = dumps(said, _MARSHAL_VERSION)
    return len(body).to_bytes(4, "big") + body


class Decoder:
    """Cuts a stream into messages."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Message]:
        """The messages that `data` completes.

        Raises:
            MediaError: the other end is not one of ours.
        """
        messages: list[Message] = []
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        while end - at >= 4:
            start = at + 4
            size = int.from_bytes(data[at:start], "big")
            if size > MAX_FRAME:
                raise MediaError(f"a frame of {size} bytes")
            if end - start < size:
                break
            at = start + size
            messages += _decode(data[start:at])
        self._rest = data[at:]
        return messages


def _decode(body: bytes) -> list[Any]:
    messages = []
    try:
        for number, *values in loads(body):  # noqa: S302  # from a process of ours
            if (nested := _NESTED_AT[number]) is not None:
                at, kind = nested
                if values[at] is not None:
                    values[at] = kind(*values[at])
            messages.append(_KINDS[number](*values))
    except (EOFError, ValueError, TypeError, IndexError) as error:
        raise MediaError(f"not a message: {error}") from error
    return messages
