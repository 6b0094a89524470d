"""Orders and events between core and worker: length (4 bytes, big-endian) and a marshalled tuple, both ways.

The tuple is the message's kind as a number and its fields; keys and counters are tuples in it. Both ends are
the same program and interpreter, so the format needs neither a version nor names (see docs/decisions).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from marshal import dumps, loads
from operator import attrgetter
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

_KINDS: Final[tuple[type, ...]] = (
    *(orders.OpenEndpoint, orders.SetRemote, orders.Join, orders.Part, orders.CloseEndpoint),
    *(orders.ReadStats, orders.EndpointFailed, orders.Latched, orders.EndpointClosed),
    *(orders.StatsRead, orders.Silent, orders.Resumed, orders.WorkerRestarted),
    *(Ping, Pong, Counted, Restore, ReadPaths, PathsRead),
)
_NESTED: Final[dict[type, tuple[str, type]]] = {  # the field that is a value type itself
    orders.SetRemote: ("srtp", SrtpKeys),
    orders.EndpointClosed: ("stats", EndpointStats),
    orders.StatsRead: ("stats", EndpointStats),
    Counted: ("keys", SrtpKeys),
}
_MARSHAL_VERSION: Final = 2  # the later ones look for repeated values: slower, and here there are none


@dataclass(frozen=True, slots=True)
class _Form:
    """How one kind of message is taken apart: its `values`, of which number `at` is a `nested` type."""

    number: int
    kind: type
    values: Callable[[Any], tuple[Any, ...]]
    at: int | None
    nested: type | None
    nested_values: Callable[[Any], tuple[Any, ...]]


def _values_of(kind: type) -> Callable[[Any], tuple[Any, ...]]:
    names = [field.name for field in fields(kind)]
    if len(names) > 1:
        return attrgetter(*names)
    return lambda message: tuple(getattr(message, name) for name in names)


def _form(number: int, kind: type) -> _Form:
    if kind not in _NESTED:
        return _Form(number, kind, _values_of(kind), None, None, tuple)
    name, nested = _NESTED[kind]
    at = [field.name for field in fields(kind)].index(name)
    return _Form(number, kind, _values_of(kind), at, nested, _values_of(nested))


_BY_NUMBER: Final = tuple(_form(number, kind) for number, kind in enumerate(_KINDS))
_BY_KIND: Final = {form.kind: form for form in _BY_NUMBER}


def encode(message: Message) -> bytes:
    """One frame."""
    form = _BY_KIND[type(message)]
    values = form.values(message)
    if (at := form.at) is not None and values[at] is not None:
        values = (*values[:at], form.nested_values(values[at]), *values[at + 1 :])
    body = dumps((form.number, *values), _MARSHAL_VERSION)
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
        number, *values = loads(body)  # noqa: S302  # from a process of ours
        form = _BY_NUMBER[number]
        if (at := form.at) is not None and values[at] is not None:
            assert form.nested is not None
            values[at] = form.nested(*values[at])
        return form.kind(*values)
    except (EOFError, ValueError, TypeError, IndexError) as error:
        raise MediaError(f"not a message: {error}") from error
