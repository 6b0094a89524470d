"""What the exchange asks of the world, beside `Send` and the orders to the media workers."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any, Final, Literal

from pbx.call.logins import Login
from pbx.call.usage_ledger import Charge, Reached
from pbx.immutable import immutable
from pbx.office.rate import Rate
from pbx.rtp.statistics import EndpointStats
from pbx.sip.flow import Flow

MOST_KEPT: Final = 500  # sentences, and legs, of one call: who transfers without end fills no memory
LONGEST_SAID: Final = 2000  # characters: all whom a large group rings are named


@immutable
class Note:
    """A milestone for the log; `fields` are values of its format `text`."""

    level: str
    text: str
    fields: dict[str, Any]


@immutable
class SaveBindings:
    """The bindings of one device changed: they survive a restart."""

    username: str
    is_urgent: bool = False  # the phone is in another place now, and more than a refresh would be lost


@immutable
class SaveLogins:
    """Who is logged in at which hot-desk phone has changed: these are all, and they survive a restart."""

    logins: tuple[Login, ...]


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
    number: str = ""  # outside, in E.164
    trunk: str = ""  # name of the trunk or gateway
    codec: str = ""  # of its audio, as SDP names it
    payer: str = ""  # key of the extension whose usage limit counts it
    cost: str = ""  # decimal, in the office's currency; "" = not counted
    call_id: str = ""  # of its SIP dialog
    because: str = ""  # the decision by which it rang
    rule: str = ""  # the outbound rule that let it out

    def as_row(self) -> dict[str, Any]:
        """All of it as plain values."""
        row = _fields_of_leg(self)
        row["media"] = {name: _fields_of_stats(stats) for name, stats in self.media.items()}
        return row


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
    callee_key: str = ""  # of the extension that was called
    recordings: list[str] = field(default_factory=list)
    kind: Literal["internal", "inbound", "outbound"] = "internal"
    caller_name: str = ""
    caller_device: str = ""  # SIP user, "" = outside
    member: str = ""  # email of who was logged in at a hot-desk phone, or gave his PIN
    number: str = ""  # the number of ours that was called from outside

    def tell(self, *sentences: str) -> None:
        """Keep what was decided or has happened, as long as there is room."""
        for sentence in sentences:
            if len(self.decisions) < MOST_KEPT:
                self.decisions.append(sentence[:LONGEST_SAID])
            elif len(self.decisions) == MOST_KEPT:
                self.decisions.append("and more, which is not kept")

    def as_row(self) -> dict[str, Any]:
        """All of it as plain values: what `dataclasses.asdict` gives, in a tenth of its time."""
        row = _fields_of_call(self)
        row["decisions"] = self.decisions.copy()
        row["recordings"] = self.recordings.copy()
        row["legs"] = [leg.as_row() for leg in self.legs]
        return row


def _reader(kind: type[Any]) -> Callable[[Any], dict[str, Any]]:
    """What makes a dict of the fields of one dataclass."""
    names = [each.name for each in fields(kind)]
    values = attrgetter(*names)
    return lambda record: dict(zip(names, values(record), strict=True))


_fields_of_stats = _reader(EndpointStats)
_fields_of_leg = _reader(LegRecord)
_fields_of_call = _reader(CallRecord)


@immutable
class Missed:
    """Nobody took a call to the extension `key`; `caller` and `caller_name` are what may be shown."""

    key: str
    caller: str
    caller_name: str
    rang_s: float


@immutable
class EmergencyDialled:
    """An emergency number was dialled: the office's staff are told.

    Attributes:
        key: of the extension whose phone it is, not of who is logged in there.
        device: SIP user of the phone.
        shown: the caller ID, "" = none.
    """

    key: str
    device: str
    dialled: str
    shown: str


@immutable
class WriteRecord:
    """A call is over and every statistic of its legs has come in."""

    record: CallRecord


@immutable
class OpenUsage:
    """A leg that an extension pays for is answered: should the server die, it is charged all the same.

    Attributes:
        leg: unique, the call's id, a dot and the leg's name: UsageLedger knows it by the same name.
        at: when, monotonic.
    """

    leg: str
    call: str
    key: str
    month: str
    number: str
    rate: Rate
    at: float


@immutable
class ChargeUsage:
    """Such a leg is over. It is asked for before the WriteRecord of its call, and kept before that."""

    charge: Charge


@immutable
class UsageReached:
    """Whoever is responsible for an extension is told by mail."""

    reached: Reached


@immutable
class TracedMessage:
    """One SIP message, without credentials.

    Attributes:
        subject: the id of its call, or "register " and an extension's key.
        at: monotonic.
        leg: its name, or the SIP user of the phone that registers.
    """

    subject: str
    at: float
    is_sent: bool
    flow: Flow
    leg: str
    text: str


@immutable
class Traced:
    """Messages to be kept for a day."""

    messages: tuple[TracedMessage, ...]
