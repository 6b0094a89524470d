"""What the exchange asks of the world, beside `Send` and the orders to the media workers."""

from dataclasses import dataclass, field
from typing import Any

from pbx.rtp.statistics import EndpointStats


@dataclass(frozen=True, slots=True)
class Note:
    """A milestone for the log; `fields` are values of its format `text`."""

    level: str
    text: str
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SaveBindings:
    """The bindings of one device changed: they survive a restart."""

    username: str


@dataclass(slots=True)
class LegRecord:
    """What is kept of one leg."""

    name: str
    party: str
    device: str
    role: str
    status: int = 0
    answered_s: float | None = None
    ended_s: float | None = None
    why: str = ""
    media: dict[str, EndpointStats] = field(default_factory=dict)


@dataclass(slots=True)
class CallRecord:
    """One row a call; times are seconds since its start."""

    id: str
    caller: str
    callee: str
    state: str = "failed"
    why: str = ""
    decisions: list[str] = field(default_factory=list)
    legs: list[LegRecord] = field(default_factory=list)
    answered_s: float | None = None
    duration_s: float = 0.0


@dataclass(frozen=True, slots=True)
class WriteRecord:
    """A call is over and every statistic of its legs has come in."""

    record: CallRecord
