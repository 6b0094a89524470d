"""Which endpoints there are, with which worker, and what was ordered of each."""

from dataclasses import dataclass, field
from typing import TypeVar

from pbx.media.orders import (
    Address,
    Detect,
    EndpointStats,
    Mix,
    OpenEndpoint,
    Record,
    SendDigit,
    SetRemote,
    StopRecord,
)
from pbx.media.plays import Plays
from pbx.media.wire import Message, Restore

K = TypeVar("K")


@dataclass(slots=True)
class CrewWorker:
    """One worker, as far as the core knows."""

    number: int
    is_up: bool = False
    load: int = 0  # endpoints
    heard: float = 0.0
    deaths: list[float] = field(default_factory=list)
    again: float | None = None  # when to start it once more


@dataclass(slots=True, eq=False)
class CrewEndpoint:
    """One endpoint: with whom it is, and all that a worker that knows nothing of it must be told."""

    order: OpenEndpoint
    worker: CrewWorker
    remote: SetRemote | None = None
    source: Address | None = None
    counters: dict[tuple[str, int], int] = field(default_factory=dict)  # of the SRTP session in force
    peer: "CrewEndpoint | None" = None
    carried: EndpointStats | None = None
    mix: Mix | None = None
    detect: Detect | None = None
    plays: Plays = field(default_factory=Plays)
    waiting: list[Record | StopRecord | SendDigit] = field(default_factory=list)  # for its arrival
    is_closing: bool = False
    moving_to: CrewWorker | None = None

    @property
    def name(self) -> str:
        return self.order.endpoint

    @property
    def is_there(self) -> bool:
        """Whether its worker can be told about it."""
        return self.worker.is_up and self.moving_to is None and not self.is_closing

    @property
    def target(self) -> CrewWorker:
        """The worker that it is with, or will be."""
        return self.moving_to or self.worker

    @property
    def weight(self) -> tuple[bool, bool]:
        """What speaks against moving it: its room would be torn, its SRTP session begin anew."""
        return self.mix is not None, self.remote is not None and self.remote.srtp is not None

    def before_join(self) -> list[Message]:
        """What a worker that knows nothing of it must be told before it can be joined."""
        told: list[Message] = [self.order]
        if self.source is not None or self.counters:
            counters = tuple((kind, ssrc, value) for (kind, ssrc), value in self.counters.items())
            told.append(Restore(self.name, self.source, counters))
        if self.remote is not None:
            told.append(self.remote)
        return told

    def after_join(self) -> list[Message]:
        """What it must be told then."""
        return [order for order in (self.mix, self.detect, self.plays.current) if order is not None]

    def pair(self, peer: "CrewEndpoint") -> None:
        """Join it with another; earlier joins of both end."""
        self.unpair()
        peer.unpair()
        self.peer, peer.peer = peer, self

    def unpair(self) -> None:
        """End its join, if there is one."""
        if (peer := self.peer) is not None:
            self.peer = peer.peer = None


class Roster:
    """All endpoints, found by what is asked for.

    Attributes:
        by_name: each endpoint.
        by_call: those of a call, in the order in which they were opened.
        by_port: by the even one; the same can be open on two addresses.
        by_room: those of a room, in the order in which they entered.
    """

    def __init__(self) -> None:
        self.by_name: dict[str, CrewEndpoint] = {}
        self.by_call: dict[str, list[CrewEndpoint]] = {}
        self.by_port: dict[int, list[CrewEndpoint]] = {}
        self.by_room: dict[str, list[CrewEndpoint]] = {}

    def add(self, endpoint: CrewEndpoint) -> None:
        """One more."""
        order = endpoint.order
        endpoint.worker.load += 1
        self.by_name[order.endpoint] = endpoint
        self.by_port.setdefault(order.rtp_port, []).append(endpoint)
        self.by_call.setdefault(order.call, []).append(endpoint)

    def remove(self, endpoint: CrewEndpoint) -> None:
        """It is no more."""
        order = endpoint.order
        del self.by_name[order.endpoint]
        endpoint.worker.load -= 1
        _drop(self.by_port, order.rtp_port, endpoint)
        _drop(self.by_call, order.call, endpoint)
        if endpoint.mix is not None:
            _drop(self.by_room, endpoint.mix.room, endpoint)
        endpoint.unpair()

    def of(self, worker: CrewWorker) -> list[CrewEndpoint]:
        """Those that a worker has."""
        return [endpoint for endpoint in self.by_name.values() if endpoint.worker is worker]

    def enter(self, endpoint: CrewEndpoint, room: str) -> CrewEndpoint:
        """It is in a room from now on; returns the first who is there."""
        others = self.by_room.setdefault(room, [])
        others.append(endpoint)
        return others[0]

    def leave(self, endpoint: CrewEndpoint, room: str) -> None:
        """It is in a room no more."""
        _drop(self.by_room, room, endpoint)

    def others_in_room(self, endpoint: CrewEndpoint) -> list[CrewEndpoint]:
        """Who is in its room, if it is in one."""
        if endpoint.mix is None:
            return []
        return [each for each in self.by_room[endpoint.mix.room] if each is not endpoint]


def _drop(index: dict[K, list[CrewEndpoint]], key: K, endpoint: CrewEndpoint) -> None:
    found = index[key]
    found.remove(endpoint)
    if not found:
        del index[key]
