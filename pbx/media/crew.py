"""The media workers as the core sees them: which call is with whom, and what a new worker must be told.

Pure. It keeps for each endpoint what was ordered, so that a worker that died is replaced by one that is told
the same: the calls go on, on the same ports. The same serves to move an endpoint to another worker when calls
that began apart are joined (attended transfer).
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

from pbx.media.circles import goes_round
from pbx.media.crew_effects import Effect, Kill, Report, Spawn, Tell
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
    SrtpKeys,
    StatsRead,
    StopPlay,
    StopRecord,
    WorkerRestarted,
)
from pbx.media.roster import CrewEndpoint, CrewWorker, Roster
from pbx.media.wire import Counted, Latched, Message, Ping
from pbx.rtp.statistics import total

PING_S: Final = 2.0
HUNG_S: Final = 10.0  # a worker that says nothing for so long is killed
DEATHS: Final = 4  # within DEATHS_S: this worker cannot be kept alive, its calls are given up
DEATHS_S: Final = 30.0
BACKOFF_S: Final = 5.0
ANY: Final = ("0.0.0.0", "::")  # noqa: S104  # addresses that stand for all of ours


class Crew:
    """All workers and all endpoints."""

    def __init__(self, workers: int) -> None:
        self._workers = [CrewWorker(number) for number in range(workers)]
        self._roster = Roster()
        self._recordings: dict[tuple[str, str], CrewWorker] = {}  # endpoint, name; some outlive the endpoint
        self._next_ping: float | None = None

    def __len__(self) -> int:
        """How many endpoints there are."""
        return len(self._roster.by_name)

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
            if now - self._next_ping > PING_S:  # we were stopped ourselves: what they said is not read yet
                for worker in self._workers:
                    worker.heard = now
            self._next_ping = now + PING_S
            for worker in self._workers:
                if worker.is_up:
                    hung = now - worker.heard > HUNG_S
                    effects.append(Kill(worker.number) if hung else Tell(worker.number, Ping()))
        return effects

    def hears_keys(self, address: Address, payload_type: int) -> str | None:
        """The endpoint on an address of ours that agreed on this payload type for events, if there is one."""
        for endpoint in self._roster.by_port.get(address[1], ()):
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
        endpoint = CrewEndpoint(order, worker)
        self._roster.add(endpoint)
        return self._tell(endpoint, order)

    def _set_remote(self, order: SetRemote) -> list[Effect]:
        endpoint = self._roster.by_name.get(order.endpoint)
        if endpoint is None:
            return []
        before = endpoint.remote
        if before is not None:
            if before.rtp != order.rtp:
                endpoint.source = None
            if before.srtp != order.srtp:
                endpoint.counters = {
                    (kind, ssrc): value
                    for (kind, ssrc), value in endpoint.counters.items()
                    if _has_same_key(before.srtp, order.srtp, kind)
                }
        endpoint.remote = order
        if endpoint.peer is not None and goes_round(endpoint.peer, self._roster.by_port):
            return self._cut(endpoint)
        return self._tell(endpoint, order)

    def _join(self, order: Join) -> list[Effect]:
        a, b = self._roster.by_name.get(order.a), self._roster.by_name.get(order.b)
        if a is None or b is None or a.is_closing or b.is_closing:
            return []
        if a.peer is not b:
            a.pair(b)
        ports = self._roster.by_port
        if goes_round(a, ports) or goes_round(b, ports):
            return self._cut(a)
        if a.is_there and b.is_there and a.worker is b.worker:
            return [Tell(a.worker.number, order)]
        return self._bring_together(a, b)

    def _part(self, order: Part) -> list[Effect]:
        endpoint = self._roster.by_name.get(order.a)
        if endpoint is None or endpoint.peer is None:
            return []
        endpoint.unpair()
        return self._tell(endpoint, order)

    def _close(self, order: CloseEndpoint) -> list[Effect]:
        endpoint = self._roster.by_name.get(order.endpoint)
        if endpoint is None or endpoint.is_closing:
            return []
        endpoint.is_closing = True
        endpoint.unpair()
        if endpoint.moving_to is not None:
            return []  # it is being closed already
        if not endpoint.worker.is_up:
            return self._closed(endpoint)
        return [Tell(endpoint.worker.number, order)]

    def _read_stats(self, order: ReadStats) -> list[Effect]:
        endpoint = self._roster.by_name.get(order.endpoint)
        if endpoint is None:
            return []
        unknown = StatsRead(order.endpoint, endpoint.carried or EndpointStats())
        return self._tell(endpoint, order) or [Report(unknown)]

    def _mix(self, order: Mix) -> list[Effect]:
        endpoint = self._roster.by_name.get(order.endpoint)
        if endpoint is None or endpoint.is_closing:
            return []
        before, endpoint.mix = endpoint.mix, order if order.room else None
        if before is not None and before.room != order.room:
            self._roster.leave(endpoint, before.room)
        if order.room and (before is None or before.room != order.room):
            first = self._roster.enter(endpoint, order.room)
            if (moved := self._follow(endpoint, first)) is not None:
                return moved
        told, peer = self._tell(endpoint, order), endpoint.peer
        if not order.room and peer is not None and peer.worker is not endpoint.worker:
            told += self._bring_together(endpoint, peer)  # the room has kept them apart
        return told

    def _follow(self, endpoint: CrewEndpoint, first: CrewEndpoint) -> list[Effect] | None:
        """All of a room must be with one worker; None: they are."""
        target = first.target
        if endpoint.moving_to is not None:
            return []  # it goes there on its arrival
        return None if endpoint.worker is target else self._move(endpoint, target)

    def _play(self, order: Play) -> list[Effect]:
        endpoint = self._roster.by_name.get(order.endpoint)
        if endpoint is None or endpoint.is_closing:
            return [Report(Played(order.endpoint, order.play, "closed"))]
        effects: list[Effect] = []
        if endpoint.moving_to is not None and endpoint.plays.current is not None:
            effects = _lost_plays(endpoint, "replaced")
        endpoint.plays.begin(order)
        return effects + self._tell(endpoint, order)

    def _stop_play(self, order: StopPlay) -> list[Effect]:
        endpoint = self._roster.by_name.get(order.endpoint)
        if endpoint is None or endpoint.plays.current is None:
            return []
        endpoint.plays.stop()
        return self._tell(endpoint, order) or _lost_plays(endpoint, "stopped")

    def _record(self, order: Record) -> list[Effect]:
        endpoint = self._roster.by_name.get(order.endpoint)
        if endpoint is None or endpoint.is_closing:
            return [Report(Recorded(order.endpoint, order.recording, 0.0, "closed"))]
        if endpoint.moving_to is not None:
            endpoint.waiting.append(order)
            return []
        told = self._tell(endpoint, order)
        if not told:
            return [Report(Recorded(order.endpoint, order.recording, 0.0, "the media worker is not there"))]
        self._recordings[order.endpoint, order.recording] = endpoint.worker
        return told

    def _tell_later(self, order: StopRecord | SendDigit) -> list[Effect]:
        endpoint = self._roster.by_name.get(order.endpoint)
        if endpoint is None or endpoint.is_closing:
            return []
        if endpoint.moving_to is not None:
            endpoint.waiting.append(order)
        return self._tell(endpoint, order)

    def _detect(self, order: Detect) -> list[Effect]:
        endpoint = self._roster.by_name.get(order.endpoint)
        if endpoint is None:
            return []
        endpoint.detect = order if order.on else None
        return self._tell(endpoint, order)

    def _tell(self, endpoint: CrewEndpoint, message: Message) -> list[Effect]:
        worker = endpoint.worker
        if worker.is_up and endpoint.moving_to is None and not endpoint.is_closing:
            return [Tell(worker.number, message)]
        return []

    def _worker_for(self, call: str) -> CrewWorker | None:
        """The worker that has the call; for a new call the one with the fewest endpoints."""
        if (endpoints := self._roster.by_call.get(call)) is not None:
            return endpoints[0].target
        able = [worker for worker in self._workers if worker.is_up]
        return min(able, key=lambda worker: worker.load, default=None)

    def _cut(self, endpoint: CrewEndpoint) -> list[Effect]:
        effects = self._tell(endpoint, CloseEndpoint(endpoint.name)) + _last_words(endpoint)
        self._roster.remove(endpoint)
        return [*effects, Report(EndpointFailed(endpoint.name, "its peer is this server: media in a circle"))]

    # Moving an endpoint.

    def _bring_together(self, a: CrewEndpoint, b: CrewEndpoint) -> list[Effect]:
        """Both ends of a join must be with one worker: let the one move that has no SRTP to begin anew."""
        if a.target is b.target:
            return []  # the join is told when both are there
        stays, moves = (b, a) if b.weight > a.weight else (a, b)
        if moves.moving_to is not None:
            stays, moves = moves, stays
        if moves.moving_to is not None or moves.is_closing or self._roster.others_in_room(moves):
            return []
        return self._move(moves, stays.target)

    def _move(self, endpoint: CrewEndpoint, target: CrewWorker) -> list[Effect]:
        endpoint.moving_to = target
        if not endpoint.worker.is_up:
            return self._arrived(endpoint)
        return [Tell(endpoint.worker.number, CloseEndpoint(endpoint.name))]

    def _arrived(self, endpoint: CrewEndpoint) -> list[Effect]:
        assert endpoint.moving_to is not None
        target = endpoint.moving_to
        if others := self._roster.others_in_room(endpoint):  # perhaps it has entered on its way
            target = others[0].target
        endpoint.worker.load -= 1
        endpoint.worker, endpoint.moving_to = target, None
        endpoint.worker.load += 1
        effects = self._replay([endpoint])
        waiting, endpoint.waiting = endpoint.waiting, []
        for order in waiting:
            effects += self.perform(order)
        return effects

    def _replay(self, endpoints: Iterable[CrewEndpoint]) -> list[Effect]:
        """Tell a worker that knows nothing all about these endpoints."""
        there = [endpoint for endpoint in endpoints if endpoint.is_there]
        effects: list[Effect] = []
        for endpoint in there:
            for message in endpoint.before_join():
                effects += self._tell(endpoint, message)
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
            for message in endpoint.after_join():
                effects += self._tell(endpoint, message)
        return effects

    # What the workers say.

    def receive(self, number: int, message: Message, now: float) -> list[Effect]:
        """A message of worker `number`."""
        worker = self._workers[number]
        worker.heard = now
        event = EVENTS.get(type(message))
        if event is None:
            return self._recorded(message) if type(message) is Recorded else []
        endpoint = self._roster.by_name.get(message.endpoint)  # type: ignore[union-attr]  # all in EVENTS have one
        return [] if endpoint is None or endpoint.worker is not worker else event(self, endpoint, message)

    def _recorded(self, event: Recorded) -> list[Effect]:
        """Also of an endpoint that is no more."""
        known = self._recordings.pop((event.endpoint, event.recording), None)
        return [] if known is None else [Report(event)]

    def _pass(self, _endpoint: CrewEndpoint, event: Event) -> list[Effect]:
        return [Report(event)]

    def _latched(self, endpoint: CrewEndpoint, event: Latched) -> list[Effect]:
        endpoint.source = event.source
        return []

    def _counted(self, endpoint: CrewEndpoint, event: Counted) -> list[Effect]:
        if endpoint.remote is not None and _has_same_key(endpoint.remote.srtp, event.keys, event.kind):
            endpoint.counters[event.kind, event.ssrc] = event.value
        return []

    def _played(self, endpoint: CrewEndpoint, event: Played) -> list[Effect]:
        is_news = endpoint.plays.answer(event, is_moving=endpoint.moving_to is not None)
        return [Report(event)] if is_news else []

    def _stats_read(self, endpoint: CrewEndpoint, event: StatsRead) -> list[Effect]:
        return [Report(StatsRead(event.endpoint, total(endpoint.carried, event.stats)))]

    def _failed(self, endpoint: CrewEndpoint, event: EndpointFailed) -> list[Effect]:
        lost = _last_words(endpoint)
        self._roster.remove(endpoint)
        return [*lost, Report(event)]

    def _was_closed(self, endpoint: CrewEndpoint, event: EndpointClosed) -> list[Effect]:
        if endpoint.is_closing:
            return self._closed(endpoint, event)
        if endpoint.moving_to is None:
            return []
        endpoint.carried = total(endpoint.carried, event.stats)
        return _lost_plays(endpoint, "closed", keeps=True) + self._arrived(endpoint)

    def _closed(self, endpoint: CrewEndpoint, event: EndpointClosed | None = None) -> list[Effect]:
        lost = _last_words(endpoint)
        self._roster.remove(endpoint)
        if event is None:  # its worker is dead
            event = EndpointClosed(endpoint.name, EndpointStats())
        if endpoint.carried is not None:
            event = EndpointClosed(endpoint.name, total(endpoint.carried, event.stats))
        return [*lost, Report(event)]

    # Death and resurrection.

    def died(self, number: int, why: str, now: float) -> list[Effect]:
        """Worker `number` is no more: start another, or give its calls up when that has helped too little."""
        worker = self._workers[number]
        worker.is_up = False
        worker.deaths = [*(at for at in worker.deaths if now - at < DEATHS_S), now]
        effects: list[Effect] = []
        lost: list[Effect] = self._lost_recordings(worker)
        for endpoint in self._roster.of(worker):
            if endpoint.is_closing:
                effects += self._closed(endpoint)
                continue
            play, is_moving = endpoint.plays.current, endpoint.moving_to is not None
            keeps = play is not None and (play.loop or is_moving)
            lost += _lost_plays(endpoint, "the media worker died", keeps=keeps)
            if is_moving:
                effects += self._arrived(endpoint)
        if len(worker.deaths) < DEATHS:
            calls = tuple(dict.fromkeys(endpoint.order.call for endpoint in self._roster.of(worker)))
            effects += self._revive(worker, now)
            return [*effects, *lost, Report(WorkerRestarted(calls, why))]
        worker.again = now + BACKOFF_S
        for endpoint in self._roster.of(worker):
            effects += _last_words(endpoint)
            self._roster.remove(endpoint)
            effects.append(Report(EndpointFailed(endpoint.name, f"the media worker keeps failing: {why}")))
        return [*lost, *effects]

    def _lost_recordings(self, worker: CrewWorker) -> list[Effect]:
        lost = [key for key, of in self._recordings.items() if of is worker]
        for key in lost:
            del self._recordings[key]
        return [Report(Recorded(*key, -1.0, "the media worker died")) for key in lost]

    def _revive(self, worker: CrewWorker, now: float) -> list[Effect]:
        worker.is_up, worker.heard, worker.again = True, now, None
        return [Spawn(worker.number), *self._replay(self._roster.of(worker))]


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
    StopRecord: Crew._tell_later,
    Detect: Crew._detect,
    SendDigit: Crew._tell_later,
}
EVENTS: Final[dict[type, Callable[[Crew, CrewEndpoint, Any], list[Effect]]]] = {
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


def _has_same_key(one: SrtpKeys | None, other: SrtpKeys | None, kind: str) -> bool:
    """Whether a counter of the one session counts on in the other."""
    return one is not None and other is not None and one.key_of(kind) == other.key_of(kind)


def _lost_plays(endpoint: CrewEndpoint, why: str, *, keeps: bool = False) -> list[Effect]:
    """Answer the plays that no worker will; see `Plays.lose`."""
    return [Report(event) for event in endpoint.plays.lose(why, keeps=keeps)]


def _last_words(endpoint: CrewEndpoint) -> list[Effect]:
    """Answer all that was ordered and no worker will answer any more."""
    lost = _lost_plays(endpoint, "closed")
    for order in endpoint.waiting:
        if isinstance(order, Record):
            lost.append(Report(Recorded(order.endpoint, order.recording, 0.0, "closed")))
    return lost
