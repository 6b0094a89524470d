"""The media workers as the core sees them: which call is with whom, and what a new worker must be told.

Pure. It keeps for each endpoint what was ordered, so that a worker that died is replaced by one that is told
the same: the calls go on, on the same ports. The same serves to move an endpoint to another worker when calls
that began apart are joined (attended transfer).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from pbx.media.orders import (
    Address,
    CloseEndpoint,
    EndpointClosed,
    EndpointFailed,
    EndpointStats,
    Event,
    Join,
    Latched,
    OpenEndpoint,
    Order,
    Part,
    ReadStats,
    Resumed,
    SetRemote,
    Silent,
    StatsRead,
    WorkerRestarted,
)
from pbx.media.wire import Counted, Message, Ping, Restore
from pbx.rtp.latch import normalize
from pbx.rtp.statistics import total

PING_S: Final = 2.0
HUNG_S: Final = 10.0  # a worker that says nothing for so long is killed
DEATHS: Final = 4  # within DEATHS_S: this worker cannot be kept alive, its calls are given up
DEATHS_S: Final = 30.0
BACKOFF_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Spawn:
    """Start worker number `worker`."""

    worker: int


@dataclass(frozen=True, slots=True)
class Kill:
    """End worker number `worker`, and report its death."""

    worker: int


@dataclass(frozen=True, slots=True)
class Tell:
    """Send a message to worker number `worker`."""

    worker: int
    message: Message


@dataclass(frozen=True, slots=True)
class Report:
    """Hand an event to the core."""

    event: Event


Effect: TypeAlias = Spawn | Kill | Tell | Report


@dataclass(slots=True)
class _Worker:
    number: int
    is_up: bool = False
    load: int = 0  # endpoints
    heard: float = 0.0
    deaths: list[float] = field(default_factory=list)
    again: float | None = None  # when to start it once more


@dataclass(slots=True)
class _Endpoint:
    order: OpenEndpoint
    worker: _Worker
    remote: SetRemote | None = None
    source: Address | None = None
    counters: dict[tuple[str, int], int] = field(default_factory=dict)  # of the SRTP session in force
    peer: "_Endpoint | None" = None
    carried: EndpointStats | None = None
    is_closing: bool = False
    moving_to: _Worker | None = None

    @property
    def name(self) -> str:
        return self.order.endpoint

    @property
    def is_there(self) -> bool:
        """Whether its worker can be told about it."""
        return self.worker.is_up and self.moving_to is None and not self.is_closing


class Crew:
    """All workers and all endpoints."""

    def __init__(self, workers: int) -> None:
        self._workers = [_Worker(number) for number in range(workers)]
        self._endpoints: dict[str, _Endpoint] = {}
        self._calls: dict[str, set[str]] = {}
        self._ports: dict[Address, _Endpoint] = {}
        self._next_ping: float | None = None

    def __len__(self) -> int:
        """How many endpoints there are."""
        return len(self._endpoints)

    @property
    def deadline(self) -> float | None:
        """When `expire` has something to do."""
        again = [worker.again for worker in self._workers if worker.again is not None]
        return min(again if self._next_ping is None else [self._next_ping, *again], default=None)

    def start(self, now: float) -> list[Effect]:
        """Bring all workers up."""
        self._next_ping = now  # its answer says that the worker is there
        for worker in self._workers:
            worker.is_up, worker.heard = True, now
        return [Spawn(worker.number) for worker in self._workers]

    def expire(self, now: float) -> list[Effect]:
        """Ask the workers how they are; start those again that had to wait."""
        effects: list[Effect] = []
        for worker in self._workers:
            if worker.again is not None and worker.again <= now:
                effects += self._revive(worker, now)
        if self._next_ping is not None and self._next_ping <= now:
            self._next_ping = now + PING_S
            for worker in self._workers:
                if worker.is_up:
                    hung = now - worker.heard > HUNG_S
                    effects.append(Kill(worker.number) if hung else Tell(worker.number, Ping()))
        return effects

    # Orders.

    def perform(self, order: Order, now: float) -> list[Effect]:
        """Pass an order on to the worker it concerns; one for an endpoint that is gone does nothing."""
        return ORDERS[type(order)](self, order, now)

    def _open(self, order: OpenEndpoint, _now: float) -> list[Effect]:
        worker = self._worker_for(order.call)
        if worker is None:
            return [Report(EndpointFailed(order.endpoint, "no media worker can be kept running"))]
        endpoint = _Endpoint(order, worker)
        worker.load += 1
        self._endpoints[order.endpoint] = endpoint
        for port in (order.rtp_port, order.rtp_port + 1):
            self._ports[order.address, port] = endpoint
        self._calls.setdefault(order.call, set()).add(order.endpoint)
        return self._tell(endpoint, order)

    def _set_remote(self, order: SetRemote, _now: float) -> list[Effect]:
        endpoint = self._endpoints.get(order.endpoint)
        if endpoint is None:
            return []
        before = endpoint.remote
        if before is not None and before.rtp != order.rtp:
            endpoint.source = None
        if before is not None and before.srtp != order.srtp:
            endpoint.counters.clear()
        endpoint.remote = order
        if endpoint.peer is not None and self._goes_round(endpoint.peer):
            return self._cut(endpoint)
        return self._tell(endpoint, order)

    def _join(self, order: Join, _now: float) -> list[Effect]:
        a, b = self._endpoints.get(order.a), self._endpoints.get(order.b)
        if a is None or b is None or a.is_closing or b.is_closing:
            return []
        for one, other in ((a, b), (b, a)):
            if one.peer is not other:
                _unpair(one)
        a.peer, b.peer = b, a
        if self._goes_round(a) or self._goes_round(b):
            return self._cut(a)
        if a.is_there and b.is_there and a.worker is b.worker:
            return [Tell(a.worker.number, order)]
        return self._bring_together(a, b)

    def _part(self, order: Part, _now: float) -> list[Effect]:
        endpoint = self._endpoints.get(order.a)
        if endpoint is None or endpoint.peer is None:
            return []
        _unpair(endpoint)
        return self._tell(endpoint, order)

    def _close(self, order: CloseEndpoint, _now: float) -> list[Effect]:
        endpoint = self._endpoints.get(order.endpoint)
        if endpoint is None or endpoint.is_closing:
            return []
        endpoint.is_closing = True
        _unpair(endpoint)
        if endpoint.moving_to is not None:
            return []  # it is being closed already
        if not endpoint.worker.is_up:
            return self._closed(endpoint, None)
        return [Tell(endpoint.worker.number, order)]

    def _read_stats(self, order: ReadStats, _now: float) -> list[Effect]:
        endpoint = self._endpoints.get(order.endpoint)
        if endpoint is None:
            return []
        unknown = StatsRead(order.endpoint, endpoint.carried or EndpointStats())
        return self._tell(endpoint, order) or [Report(unknown)]

    def _tell(self, endpoint: _Endpoint, message: Message) -> list[Effect]:
        return [Tell(endpoint.worker.number, message)] if endpoint.is_there else []

    def _worker_for(self, call: str) -> _Worker | None:
        """The worker that has the call; for a new call the one with the fewest endpoints."""
        for name in self._calls.get(call, ()):
            endpoint = self._endpoints[name]
            return endpoint.moving_to or endpoint.worker
        able = [worker for worker in self._workers if worker.is_up]
        return min(able, key=lambda worker: worker.load, default=None)

    # Media that would go round and round.

    def _goes_round(self, start: _Endpoint) -> bool:
        """Whether a packet that arrives at `start` comes back there: RTP counts no hops, so it never ends.

        It can be so only when phones named ports of ours as theirs.
        """
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            peer = waiting.pop().peer
            for target in _targets(peer.remote) if peer is not None and peer.remote is not None else ():
                found = self._ports.get(target)
                if found is start:
                    return True
                if found is not None and found.name not in seen:
                    seen.add(found.name)
                    waiting.append(found)
        return False

    def _cut(self, endpoint: _Endpoint) -> list[Effect]:
        effects = self._tell(endpoint, CloseEndpoint(endpoint.name))
        self._forget(endpoint)
        return [*effects, Report(EndpointFailed(endpoint.name, "its peer is this server: media in a circle"))]

    # Moving an endpoint.

    def _bring_together(self, a: _Endpoint, b: _Endpoint) -> list[Effect]:
        """Both ends of a join must be with one worker: let the one move that has no SRTP to begin anew."""
        if (a.moving_to or a.worker) is (b.moving_to or b.worker):
            return []  # the join is told when both are there
        stays, moves = (b, a) if b.remote is not None and b.remote.srtp is not None else (a, b)
        if moves.moving_to is not None:
            stays, moves = moves, stays
        if moves.moving_to is not None or moves.is_closing:
            return []
        moves.moving_to = stays.moving_to or stays.worker
        if not moves.worker.is_up:
            return self._arrived(moves)
        return [Tell(moves.worker.number, CloseEndpoint(moves.name))]

    def _arrived(self, endpoint: _Endpoint) -> list[Effect]:
        assert endpoint.moving_to is not None
        endpoint.worker.load -= 1
        endpoint.worker, endpoint.moving_to = endpoint.moving_to, None
        endpoint.worker.load += 1
        return self._replay([endpoint])

    def _replay(self, endpoints: Iterable[_Endpoint]) -> list[Effect]:
        """Tell a worker that knows nothing all about these endpoints."""
        there = [endpoint for endpoint in endpoints if endpoint.is_there]
        effects: list[Effect] = []
        for endpoint in there:
            effects += self._tell(endpoint, endpoint.order)
            if endpoint.source is not None or endpoint.counters:
                counters = tuple((kind, ssrc, value) for (kind, ssrc), value in endpoint.counters.items())
                effects += self._tell(endpoint, Restore(endpoint.name, endpoint.source, counters))
            if endpoint.remote is not None:
                effects += self._tell(endpoint, endpoint.remote)
        joined: set[str] = set()
        for endpoint in there:
            peer = endpoint.peer
            if peer is None or endpoint.name in joined:
                continue
            joined.add(peer.name)
            if peer.is_there and peer.worker is endpoint.worker:
                effects += self._tell(endpoint, Join(endpoint.name, peer.name))
            else:
                effects += self._bring_together(endpoint, peer)
        return effects

    # What the workers say.

    def receive(self, number: int, message: Message, now: float) -> list[Effect]:
        """A message of worker `number`."""
        self._workers[number].heard = now
        event = EVENTS.get(type(message))
        if event is None:
            return []
        endpoint = self._endpoints.get(message.endpoint)  # type: ignore[union-attr]  # all in EVENTS have one
        if endpoint is None or endpoint.worker.number != number:
            return []
        return event(self, endpoint, message)

    def _pass(self, _endpoint: _Endpoint, event: Event) -> list[Effect]:
        return [Report(event)]

    def _latched(self, endpoint: _Endpoint, event: Latched) -> list[Effect]:
        endpoint.source = event.source
        return [Report(event)]

    def _counted(self, endpoint: _Endpoint, event: Counted) -> list[Effect]:
        if endpoint.remote is not None and endpoint.remote.srtp == event.keys:
            endpoint.counters[event.kind, event.ssrc] = event.value
        return []

    def _stats_read(self, endpoint: _Endpoint, event: StatsRead) -> list[Effect]:
        return [Report(StatsRead(event.endpoint, total(endpoint.carried, event.stats)))]

    def _failed(self, endpoint: _Endpoint, event: EndpointFailed) -> list[Effect]:
        self._forget(endpoint)
        return [Report(event)]

    def _was_closed(self, endpoint: _Endpoint, event: EndpointClosed) -> list[Effect]:
        if endpoint.is_closing:
            return self._closed(endpoint, event.stats)
        if endpoint.moving_to is None:
            return []
        endpoint.carried = total(endpoint.carried, event.stats)
        return self._arrived(endpoint)

    def _closed(self, endpoint: _Endpoint, stats: EndpointStats | None) -> list[Effect]:
        self._forget(endpoint)
        return [Report(EndpointClosed(endpoint.name, total(endpoint.carried, stats or EndpointStats())))]

    def _forget(self, endpoint: _Endpoint) -> None:
        del self._endpoints[endpoint.name]
        endpoint.worker.load -= 1
        order = endpoint.order
        for port in (order.rtp_port, order.rtp_port + 1):
            if self._ports.get((order.address, port)) is endpoint:
                del self._ports[order.address, port]
        _unpair(endpoint)
        names = self._calls[endpoint.order.call]
        names.discard(endpoint.name)
        if not names:
            del self._calls[endpoint.order.call]

    # Death and resurrection.

    def died(self, number: int, why: str, now: float) -> list[Effect]:
        """Worker `number` is no more: start another, or give its calls up when that has helped too little."""
        worker = self._workers[number]
        worker.is_up = False
        worker.deaths = [*(at for at in worker.deaths if now - at < DEATHS_S), now]
        effects: list[Effect] = []
        for endpoint in self._of(worker):
            if endpoint.is_closing:
                effects += self._closed(endpoint, None)
            elif endpoint.moving_to is not None:
                effects += self._arrived(endpoint)
        if len(worker.deaths) < DEATHS:
            calls = tuple(dict.fromkeys(endpoint.order.call for endpoint in self._of(worker)))
            effects += self._revive(worker, now)
            return [*effects, Report(WorkerRestarted(calls, why))]
        worker.again = now + BACKOFF_S
        for endpoint in self._of(worker):
            self._forget(endpoint)
            effects.append(Report(EndpointFailed(endpoint.name, f"the media worker keeps failing: {why}")))
        return effects

    def _revive(self, worker: _Worker, now: float) -> list[Effect]:
        worker.is_up, worker.heard, worker.again = True, now, None
        return [Spawn(worker.number), *self._replay(self._of(worker))]

    def _of(self, worker: _Worker) -> list[_Endpoint]:
        return [endpoint for endpoint in self._endpoints.values() if endpoint.worker is worker]


def _targets(remote: SetRemote) -> Iterator[Address]:
    """Where packets to this peer go, as far as it was announced."""
    if remote.rtp is not None and (rtp := normalize(remote.rtp)) is not None:
        yield rtp
        yield rtp[0], rtp[1] + 1
    if remote.rtcp is not None and (rtcp := normalize(remote.rtcp)) is not None:
        yield rtcp


def _unpair(endpoint: _Endpoint) -> None:
    if endpoint.peer is not None:
        endpoint.peer.peer = None
        endpoint.peer = None


ORDERS: Final[dict[type, Callable[[Crew, Any, float], list[Effect]]]] = {
    OpenEndpoint: Crew._open,
    SetRemote: Crew._set_remote,
    Join: Crew._join,
    Part: Crew._part,
    CloseEndpoint: Crew._close,
    ReadStats: Crew._read_stats,
}
EVENTS: Final[dict[type, Callable[[Crew, _Endpoint, Any], list[Effect]]]] = {
    EndpointFailed: Crew._failed,
    Latched: Crew._latched,
    Counted: Crew._counted,
    EndpointClosed: Crew._was_closed,
    StatsRead: Crew._stats_read,
    Silent: Crew._pass,
    Resumed: Crew._pass,
}
