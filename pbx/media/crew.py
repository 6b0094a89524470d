"""The media workers as the core sees them: which call is with whom, and what a new worker must be told.

Pure. It keeps for each endpoint what was ordered, so that a worker that died is replaced by one that is told
the same: the calls go on, on the same ports. The same serves to move an endpoint to another worker when calls
that began apart are joined (attended transfer).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, TypeVar

from pbx.immutable import immutable
from pbx.media.orders import (
    Address,
    CloseEndpoint,
    Detect,
    Digit,
    EndpointClosed,
    EndpointFailed,
    EndpointStats,
    Event,
    Join,
    Latched,
    Mix,
    OpenEndpoint,
    Order,
    Part,
    Play,
    Played,
    ReadStats,
    Record,
    Recorded,
    Resumed,
    SendDigit,
    SetRemote,
    Silent,
    StatsRead,
    StopPlay,
    StopRecord,
    WorkerRestarted,
)
from pbx.media.wire import Counted, Message, Ping, Restore
from pbx.rtp.latch import normalize
from pbx.rtp.statistics import total

K = TypeVar("K")

PING_S: Final = 2.0
HUNG_S: Final = 10.0  # a worker that says nothing for so long is killed
DEATHS: Final = 4  # within DEATHS_S: this worker cannot be kept alive, its calls are given up
DEATHS_S: Final = 30.0
BACKOFF_S: Final = 5.0
ANY: Final = ("0.0.0.0", "::")  # noqa: S104  # addresses that stand for all of ours


@immutable
class Spawn:
    """Start worker number `worker`."""

    worker: int


@immutable
class Kill:
    """End worker number `worker`, and report its death."""

    worker: int


@immutable
class Tell:
    """Send a message to worker number `worker`."""

    worker: int
    message: Message


@immutable
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


@dataclass(slots=True, eq=False)
class _Endpoint:
    order: OpenEndpoint
    worker: _Worker
    remote: SetRemote | None = None
    source: Address | None = None
    counters: dict[tuple[str, int], int] = field(default_factory=dict)  # of the SRTP session in force
    peer: "_Endpoint | None" = None
    carried: EndpointStats | None = None
    mix: Mix | None = None
    detect: Detect | None = None
    play: Play | None = None
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
        self._calls: dict[str, list[_Endpoint]] = {}
        self._rooms: dict[str, list[_Endpoint]] = {}
        self._recordings: dict[tuple[str, str], _Worker] = {}  # endpoint and name; some outlive the endpoint
        self._ports: dict[int, list[_Endpoint]] = {}  # by the even one; the same can be open on two addresses
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

    def hears_keys(self, address: Address, payload_type: int) -> str | None:
        """The endpoint on an address of ours that agreed on this payload type for events, if there is one."""
        for endpoint in self._ports.get(address[1], ()):
            remote = endpoint.remote
            if endpoint.order.address in (address[0], *ANY) and remote is not None:
                return endpoint.name if remote.telephone_event == payload_type else None
        return None

    # Orders.

    def perform(self, order: Order) -> list[Effect]:
        """Pass an order on to the worker it concerns; one for an endpoint that is gone does nothing."""
        return ORDERS[type(order)](self, order)

    def _open(self, order: OpenEndpoint) -> list[Effect]:
        worker = self._worker_for(order.call)
        if worker is None:
            return [Report(EndpointFailed(order.endpoint, "no media worker can be kept running"))]
        worker.load += 1
        self._endpoints[order.endpoint] = endpoint = _Endpoint(order, worker)
        self._ports.setdefault(order.rtp_port, []).append(endpoint)
        self._calls.setdefault(order.call, []).append(endpoint)
        return self._tell(endpoint, order)

    def _set_remote(self, order: SetRemote) -> list[Effect]:
        endpoint = self._endpoints.get(order.endpoint)
        if endpoint is None:
            return []
        before = endpoint.remote
        if before is not None:
            if before.rtp != order.rtp:
                endpoint.source = None
            if before.srtp != order.srtp:
                endpoint.counters.clear()
        endpoint.remote = order
        if endpoint.peer is not None and self._goes_round(endpoint.peer):
            return self._cut(endpoint)
        return self._tell(endpoint, order)

    def _join(self, order: Join) -> list[Effect]:
        a, b = self._endpoints.get(order.a), self._endpoints.get(order.b)
        if a is None or b is None or a.is_closing or b.is_closing:
            return []
        if a.peer is not b:
            _unpair(a)
            _unpair(b)
            a.peer, b.peer = b, a
        if self._goes_round(a) or self._goes_round(b):
            return self._cut(a)
        if a.is_there and b.is_there and a.worker is b.worker:
            return [Tell(a.worker.number, order)]
        return self._bring_together(a, b)

    def _part(self, order: Part) -> list[Effect]:
        endpoint = self._endpoints.get(order.a)
        if endpoint is None or endpoint.peer is None:
            return []
        _unpair(endpoint)
        return self._tell(endpoint, order)

    def _close(self, order: CloseEndpoint) -> list[Effect]:
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

    def _read_stats(self, order: ReadStats) -> list[Effect]:
        endpoint = self._endpoints.get(order.endpoint)
        if endpoint is None:
            return []
        unknown = StatsRead(order.endpoint, endpoint.carried or EndpointStats())
        return self._tell(endpoint, order) or [Report(unknown)]

    def _mix(self, order: Mix) -> list[Effect]:
        endpoint = self._endpoints.get(order.endpoint)
        if endpoint is None or endpoint.is_closing:
            return []
        before, endpoint.mix = endpoint.mix, order if order.room else None
        if before is not None and before.room != order.room:
            _drop(self._rooms, before.room, endpoint)
        if order.room and (before is None or before.room != order.room):
            others = self._rooms.setdefault(order.room, [])
            others.append(endpoint)
            if (moved := self._follow(endpoint, others[0])) is not None:
                return moved
        return self._tell(endpoint, order)

    def _follow(self, endpoint: _Endpoint, first: _Endpoint) -> list[Effect] | None:
        """All of a room must be with one worker; None: they are."""
        target = first.moving_to or first.worker
        if (endpoint.moving_to or endpoint.worker) is target:
            return None
        if endpoint.moving_to is not None:
            return []
        return self._move(endpoint, target)

    def _play(self, order: Play) -> list[Effect]:
        endpoint = self._endpoints.get(order.endpoint)
        if endpoint is None or endpoint.is_closing:
            return [Report(Played(order.endpoint, order.play, "closed"))]
        endpoint.play = order
        told = self._tell(endpoint, order)
        return told if told or order.loop else self._lost_play(endpoint, "the media worker is not there")

    def _lost_play(self, endpoint: _Endpoint, why: str) -> list[Effect]:
        play, endpoint.play = endpoint.play, None
        return [] if play is None else [Report(Played(endpoint.name, play.play, why))]

    def _stop_play(self, order: StopPlay) -> list[Effect]:
        endpoint = self._endpoints.get(order.endpoint)
        if endpoint is None or endpoint.play is None:
            return []
        return self._tell(endpoint, order) or self._lost_play(endpoint, "stopped")

    def _record(self, order: Record) -> list[Effect]:
        endpoint = self._endpoints.get(order.endpoint)
        failed: list[Effect] = [Report(Recorded(order.endpoint, order.recording, 0.0, "closed"))]
        if endpoint is None or endpoint.is_closing:
            return failed
        told = self._tell(endpoint, order)
        if told:
            self._recordings[order.endpoint, order.recording] = endpoint.worker
        return told or failed

    def _stop_record(self, order: StopRecord) -> list[Effect]:
        endpoint = self._endpoints.get(order.endpoint)
        return [] if endpoint is None else self._tell(endpoint, order)

    def _detect(self, order: Detect) -> list[Effect]:
        endpoint = self._endpoints.get(order.endpoint)
        if endpoint is None:
            return []
        endpoint.detect = order if order.on else None
        return self._tell(endpoint, order)

    def _send_digit(self, order: SendDigit) -> list[Effect]:
        endpoint = self._endpoints.get(order.endpoint)
        return [] if endpoint is None else self._tell(endpoint, order)

    def _tell(self, endpoint: _Endpoint, message: Message) -> list[Effect]:
        worker = endpoint.worker
        if worker.is_up and endpoint.moving_to is None and not endpoint.is_closing:
            return [Tell(worker.number, message)]
        return []

    def _worker_for(self, call: str) -> _Worker | None:
        """The worker that has the call; for a new call the one with the fewest endpoints."""
        if (endpoints := self._calls.get(call)) is not None:
            return endpoints[0].moving_to or endpoints[0].worker
        able = [worker for worker in self._workers if worker.is_up]
        return min(able, key=lambda worker: worker.load, default=None)

    # Media that would go round and round.

    def _goes_round(self, start: _Endpoint) -> bool:
        """Whether a packet that arrives at `start` comes back there: RTP counts no hops, so it never ends.

        It can be so only when phones named ports of ours as theirs.
        """
        seen = self._next_of(start)
        waiting = seen.copy()
        while waiting:
            for found in self._next_of(waiting.pop()):
                if found not in seen:
                    seen.append(found)
                    waiting.append(found)
        return start in seen

    def _next_of(self, endpoint: _Endpoint) -> list[_Endpoint]:
        """Endpoints of ours that the peer's side sends to what `endpoint` receives."""
        peer = endpoint.peer
        if peer is None or (remote := peer.remote) is None:
            return []
        ports, rtp, rtcp = self._ports, remote.rtp, remote.rtcp
        # Nearly always a port's number tells that it is not ours, whosever the address is.
        if (rtp is None or (rtp[1] & ~1 not in ports and rtp[1] + 1 & ~1 not in ports)) and (
            rtcp is None or rtcp[1] & ~1 not in ports
        ):
            return []
        return [
            found
            for host, port in _targets(remote)
            for found in ports.get(port & ~1, ())
            if found.order.address == host
        ]

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
        return self._move(moves, stays.moving_to or stays.worker)

    def _move(self, endpoint: _Endpoint, target: _Worker) -> list[Effect]:
        endpoint.moving_to = target
        if not endpoint.worker.is_up:
            return self._arrived(endpoint)
        return [Tell(endpoint.worker.number, CloseEndpoint(endpoint.name))]

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
        for endpoint in there:
            for order in (endpoint.mix, endpoint.detect, endpoint.play):
                if order is not None:
                    effects += self._tell(endpoint, order)
        return effects

    # What the workers say.

    def receive(self, number: int, message: Message, now: float) -> list[Effect]:
        """A message of worker `number`."""
        worker = self._workers[number]
        worker.heard = now
        if type(message) is Recorded:
            known = self._recordings.pop((message.endpoint, message.recording), None)
            return [] if known is None else [Report(message)]
        event = EVENTS.get(type(message))
        if event is None:
            return []
        endpoint = self._endpoints.get(message.endpoint)  # type: ignore[union-attr]  # all in EVENTS have one
        return [] if endpoint is None or endpoint.worker is not worker else event(self, endpoint, message)

    def _pass(self, _endpoint: _Endpoint, event: Event) -> list[Effect]:
        return [Report(event)]

    def _latched(self, endpoint: _Endpoint, event: Latched) -> list[Effect]:
        endpoint.source = event.source
        return [Report(event)]

    def _counted(self, endpoint: _Endpoint, event: Counted) -> list[Effect]:
        if endpoint.remote is not None and endpoint.remote.srtp == event.keys:
            endpoint.counters[event.kind, event.ssrc] = event.value
        return []

    def _played(self, endpoint: _Endpoint, event: Played) -> list[Effect]:
        play = endpoint.play
        if play is not None and play.play == event.play:
            if play.loop and endpoint.moving_to is not None:
                return []  # it goes on over there
            endpoint.play = None
        return [Report(event)]

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
        order = endpoint.order
        del self._endpoints[order.endpoint]
        endpoint.worker.load -= 1
        _drop(self._ports, order.rtp_port, endpoint)
        _drop(self._calls, order.call, endpoint)
        if endpoint.mix is not None:
            _drop(self._rooms, endpoint.mix.room, endpoint)
        _unpair(endpoint)

    # Death and resurrection.

    def died(self, number: int, why: str, now: float) -> list[Effect]:
        """Worker `number` is no more: start another, or give its calls up when that has helped too little."""
        worker = self._workers[number]
        worker.is_up = False
        worker.deaths = [*(at for at in worker.deaths if now - at < DEATHS_S), now]
        effects: list[Effect] = []
        lost: list[Effect] = self._lost_recordings(worker)
        for endpoint in self._of(worker):
            if endpoint.play is not None and not endpoint.play.loop:
                lost += self._lost_play(endpoint, "the media worker died")
            if endpoint.is_closing:
                effects += self._closed(endpoint, None)
            elif endpoint.moving_to is not None:
                effects += self._arrived(endpoint)
        if len(worker.deaths) < DEATHS:
            calls = tuple(dict.fromkeys(endpoint.order.call for endpoint in self._of(worker)))
            effects += self._revive(worker, now)
            return [*effects, *lost, Report(WorkerRestarted(calls, why))]
        worker.again = now + BACKOFF_S
        for endpoint in self._of(worker):
            self._forget(endpoint)
            effects.append(Report(EndpointFailed(endpoint.name, f"the media worker keeps failing: {why}")))
        return [*lost, *effects]

    def _lost_recordings(self, worker: _Worker) -> list[Effect]:
        lost = [key for key, of in self._recordings.items() if of is worker]
        for key in lost:
            del self._recordings[key]
        return [Report(Recorded(*key, -1.0, "the media worker died")) for key in lost]

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
    if (peer := endpoint.peer) is not None:
        endpoint.peer = peer.peer = None


def _drop(index: dict[K, list[_Endpoint]], key: K, endpoint: _Endpoint) -> None:
    found = index[key]
    found.remove(endpoint)
    if not found:
        del index[key]


ORDERS: Final[dict[type, Callable[[Crew, Any], list[Effect]]]] = {
    OpenEndpoint: Crew._open,
    SetRemote: Crew._set_remote,
    Join: Crew._join,
    Part: Crew._part,
    CloseEndpoint: Crew._close,
    ReadStats: Crew._read_stats,
    Mix: Crew._mix,
    Play: Crew._play,
    StopPlay: Crew._stop_play,
    Record: Crew._record,
    StopRecord: Crew._stop_record,
    Detect: Crew._detect,
    SendDigit: Crew._send_digit,
}
EVENTS: Final[dict[type, Callable[[Crew, _Endpoint, Any], list[Effect]]]] = {
    EndpointFailed: Crew._failed,
    Latched: Crew._latched,
    Counted: Crew._counted,
    EndpointClosed: Crew._was_closed,
    StatsRead: Crew._stats_read,
    Silent: Crew._pass,
    Resumed: Crew._pass,
    Digit: Crew._pass,
    Played: Crew._played,
}
