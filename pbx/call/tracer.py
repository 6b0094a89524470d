"""The SIP messages of extensions whose `debug` is on: all legs of their calls, their phones' REGISTERs.

Whose a message is may be known only later: the last ones of all dialogs wait for that, within limits.
"""

import re
from collections import OrderedDict, deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from math import inf
from typing import Any, Final, Protocol

from pbx.call.effects import CallRecord, Traced, TracedMessage
from pbx.sip.censor import censor
from pbx.sip.flow import Flow
from pbx.sip.message import Request, Response
from pbx.sip.transaction.types import Send

MOST_WAITING: Final = 4_000_000  # octets of messages whose call is not known
MOST_MESSAGES: Final = 500  # of one call; of one extension's phones in an hour
MOST_OCTETS: Final = 1_000_000
HOUR_S: Final = 3600.0
# A call's dialogs may say so long something after its end: timers B, F and J, doubled.
LINGER_S: Final = 64.0

# Without a step back: it looks at whatever a stranger sends, in the core.
_CALL_ID: Final = re.compile(rb"\r\n(?:call-id|i)[ \t]*+:([^\r\n]*+)", re.IGNORECASE)


class TracedCall(Protocol):
    """A Call."""

    id: str
    legs: list[Any]
    record: CallRecord


@dataclass(slots=True)
class _Subject:
    """A call, or the phones of an extension: what is kept together."""

    name: str
    is_traced: bool
    messages: int = 0
    octets: int = 0
    until: float = inf  # when counting begins anew
    dialogs: dict[str, None] = field(default_factory=dict)  # their Call-IDs, in order


@dataclass(slots=True)
class _Seen:
    data: bytes
    flow: Flow
    is_sent: bool
    at: float


class Tracer:
    """Sees every message while somebody is traced.

    Attributes:
        is_on: False: nobody is, and nothing has to be shown to it.
    """

    def __init__(self) -> None:
        self.is_on = False
        self._keys: frozenset[str] = frozenset()
        self._dialogs: dict[str, tuple[_Subject, str]] = {}  # Call-ID -> whose, and its leg
        self._subjects: dict[str, _Subject] = {}
        self._waiting: OrderedDict[str, list[_Seen]] = OrderedDict()
        self._waiting_octets = 0
        self._ended: deque[tuple[float, str]] = deque()  # when to forget a subject
        self._has_new = False  # an INVITE of an unknown dialog was seen in this step
        self._out: list[TracedMessage] = []

    def watch(self, keys: Collection[str]) -> None:
        """These extensions are traced from now on."""
        self._keys = frozenset(keys)
        self.is_on = bool(keys)
        if not self.is_on:
            for kept in (self._dialogs, self._subjects, self._waiting, self._ended, self._out):
                kept.clear()
            self._waiting_octets = 0

    def received(self, message: bytes | Request | Response, flow: Flow, now: float) -> None:
        """A message has come in."""
        data = message if isinstance(message, bytes) else message.render()
        self._saw(_Seen(data, flow, is_sent=False, at=now))

    def stepped(self, out: list[Any], calls: Iterable[TracedCall], now: float) -> None:
        """The end of a step: what is sent is seen; what is to be kept is appended to `out`."""
        for effect in out:
            if type(effect) is Send:
                self._saw(_Seen(effect.data, effect.flow, is_sent=True, at=now))
        if self._has_new:
            self._has_new = False
            for call in calls:
                self._claim_legs(call)
        while self._ended and self._ended[0][0] <= now:
            self._forget(self._ended.popleft()[1])
        if self._out:
            out.append(Traced(tuple(self._out)))
            self._out.clear()

    def ended(self, call: TracedCall, now: float) -> None:
        """A call is over; its dialogs may not be, yet."""
        self._claim_legs(call)
        for row in call.record.legs:
            self._claim(row.call_id, self._subject_of(call), row.name)
        self._ended.append((now + LINGER_S, call.id))

    def registered(self, call_id: str, key: str, username: str, now: float) -> None:
        """A REGISTER of an extension's phone is being answered."""
        if key not in self._keys:
            return
        name = f"register {key}"
        subject = self._subjects.setdefault(name, _Subject(name, is_traced=True, until=now + HOUR_S))
        if len(subject.dialogs) > MOST_MESSAGES:  # a phone that makes a new Call-ID each time
            self._forget_dialogs(subject)
        self._claim(call_id, subject, username)

    # --- inside --------------------------------------------------------------------------------------------

    def _saw(self, seen: _Seen) -> None:
        found = _CALL_ID.search(seen.data)
        call_id = found[1].strip().decode("utf-8", "surrogateescape") if found is not None else ""
        if not call_id:
            return
        known = self._dialogs.get(call_id)
        if known is not None and known[0].is_traced:
            self._keep(*known, seen)
            return
        if known is None and seen.data.startswith(b"INVITE "):
            self._has_new = True
        self._waiting.setdefault(call_id, []).append(seen)
        self._waiting_octets += len(seen.data)
        while self._waiting_octets > MOST_WAITING:
            _, oldest = self._waiting.popitem(last=False)
            self._waiting_octets -= sum(len(each.data) for each in oldest)

    def _claim_legs(self, call: TracedCall) -> None:
        subject = self._subject_of(call)
        for leg in call.legs:
            if leg.opening is not None:
                self._claim(leg.opening.call_id, subject, leg.name)

    def _subject_of(self, call: TracedCall) -> _Subject:
        subject = self._subjects.get(call.id)
        if subject is None:
            subject = self._subjects[call.id] = _Subject(call.id, is_traced=False)
        if not subject.is_traced and not self._keys.isdisjoint(_keys_of(call.record)):
            subject.is_traced = True
            for call_id in subject.dialogs:
                self._keep_waiting(call_id)
        return subject

    def _claim(self, call_id: str, subject: _Subject, leg: str) -> None:
        if not call_id or call_id in subject.dialogs:
            return
        was = self._dialogs.get(call_id)
        if was is not None:  # a leg that went over to another call
            was[0].dialogs.pop(call_id, None)
        self._dialogs[call_id] = (subject, leg)
        subject.dialogs[call_id] = None
        if subject.is_traced:
            self._keep_waiting(call_id)

    def _keep_waiting(self, call_id: str) -> None:
        subject, leg = self._dialogs[call_id]
        for seen in self._waiting.pop(call_id, ()):
            self._waiting_octets -= len(seen.data)
            self._keep(subject, leg, seen)

    def _keep(self, subject: _Subject, leg: str, seen: _Seen) -> None:
        if seen.at >= subject.until:
            subject.until, subject.messages, subject.octets = seen.at + HOUR_S, 0, 0
        if subject.messages >= MOST_MESSAGES or subject.octets >= MOST_OCTETS:
            return
        subject.messages += 1
        subject.octets += len(seen.data)
        text = censor(seen.data)
        self._out.append(TracedMessage(subject.name, seen.at, seen.is_sent, seen.flow, leg, text))

    def _forget(self, name: str) -> None:
        subject = self._subjects.pop(name, None)
        if subject is not None:
            self._forget_dialogs(subject)

    def _forget_dialogs(self, subject: _Subject) -> None:
        for call_id in subject.dialogs:
            del self._dialogs[call_id]
        subject.dialogs.clear()


def _keys_of(record: CallRecord) -> set[str]:
    """The extensions that take part in a call."""
    keys = {record.caller, record.callee, record.callee_key}
    for leg in record.legs:
        keys |= {leg.party, leg.payer}
    return keys
