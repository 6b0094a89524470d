"""INVITE server transaction (RFC 3261 §17.2.1, figure 7, as corrected by RFC 6026 §8.7 and §8.8)."""

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import ClassVar, Final, TypeAlias

from pbx.sip.flow import Flow
from pbx.sip.message import Request, Response
from pbx.sip.transaction.key import TransactionKey
from pbx.sip.transaction.timers import Timers
from pbx.sip.transaction.types import (
    Effect,
    Ended,
    Ignored,
    RequestIn,
    Send,
    State,
    TimedOut,
    TransportFailed,
)

Input = IntEnum(
    "Input", "REQUEST ACK PROVISIONAL SUCCESS REFUSAL TIMER_G TIMER_H TIMER_I TIMER_L TRANSPORT_ERROR"
)
Given: TypeAlias = Response | RequestIn | TransportFailed | None


class InviteServerTransaction:
    """Answers every copy of one INVITE, repeats a refusal until its ACK, hides repetitions after a 2xx."""

    __slots__ = (
        "_data",
        "_interval",
        "_last",
        "_timer_h",
        "answered_tag",
        "deadline",
        "flow",
        "key",
        "merge_id",
        "state",
        "timers",
    )

    name: ClassVar = "INVITE server"

    def __init__(self, key: TransactionKey, flow: Flow, timers: Timers) -> None:
        self.key, self.flow, self.timers = key, flow, timers
        self.state = State.PROCEEDING
        self.deadline: float | None = None
        self.merge_id: tuple[str, str, int, str] | None = None
        self.answered_tag: str | None = None  # the final response's To tag; kept only for peers of RFC 2543
        self._last: Response | None = None
        self._data = b""
        self._interval = timers.g
        self._timer_h = 0.0

    def start(self, invite: Request, _now: float) -> list[Effect]:
        """Send 100 at once: whoever is called answers later than in 200 ms (§17.2.1)."""
        self._data = render_trying(invite)
        return [Send(self._data, self.flow)]

    def receive_request(self, now: float) -> list[Effect]:
        return self._step(Input.REQUEST, now)

    def receive_ack(self, ack: Request, flow: Flow, now: float) -> list[Effect]:
        return self._step(Input.ACK, now, RequestIn(ack, None, flow))

    def respond(self, response: Response, now: float) -> list[Effect]:
        """Send a response; a 2xx is sent each time it is handed in, its repetition being the user's work."""
        status = response.status
        kind = Input.PROVISIONAL if status < 200 else Input.SUCCESS if status < 300 else Input.REFUSAL
        return self._step(kind, now, response)

    def transport_failed(self, why: str, now: float) -> list[Effect]:
        return self._step(Input.TRANSPORT_ERROR, now, TransportFailed(self.key, why))

    def expire(self, now: float) -> list[Effect]:
        if self.deadline is None or self.deadline > now:
            return []
        if self.state is State.ACCEPTED:
            return self._step(Input.TIMER_L, now)
        if self.state is State.CONFIRMED:
            return self._step(Input.TIMER_I, now)
        return self._step(Input.TIMER_H if self._timer_h <= now else Input.TIMER_G, now)

    def _step(self, kind: Input, now: float, given: Given = None) -> list[Effect]:
        if (row := TRANSITIONS.get((self.state, kind))) is None:
            return [Ignored(self.key, f"{kind.name} in {self.state.name}")]
        action, self.state = row
        return action(self, now, given)

    def _send(self, _now: float, given: Given) -> list[Effect]:
        assert isinstance(given, Response)
        if given is not self._last:
            self._last, self._data = given, given.render()
        return [Send(self._data, self.flow)]

    def _repeat(self, _now: float, _given: Given) -> list[Effect]:
        return [Send(self._data, self.flow)]

    def _accept(self, now: float, given: Given) -> list[Effect]:
        self.deadline = now + self.timers.l
        self._remember_tag(given)
        effects = self._send(now, given)
        # Mostly the ACK comes at once: keep nothing for half a minute that nobody asks for again.
        self._last, self._data = None, b""
        return effects

    def _complete(self, now: float, given: Given) -> list[Effect]:
        self._remember_tag(given)
        self._timer_h = self.deadline = now + self.timers.h
        if not self.flow.is_reliable:
            self.deadline = min(now + self._interval, self._timer_h)
        return self._send(now, given)

    def _remember_tag(self, given: Given) -> None:
        if self.key.is_rfc2543:
            assert isinstance(given, Response)
            self.answered_tag = given.to.tag

    def _repeat_slower(self, now: float, _given: Given) -> list[Effect]:
        self._interval = min(2 * self._interval, self.timers.t2)
        self.deadline = min(now + self._interval, self._timer_h)
        return [Send(self._data, self.flow)]

    def _confirm(self, now: float, _given: Given) -> list[Effect]:
        self.deadline = now + (0.0 if self.flow.is_reliable else self.timers.i)
        self._last, self._data = None, b""
        return []

    def _absorb(self, _now: float, _given: Given) -> list[Effect]:
        return []

    def _tell(self, _now: float, given: Given) -> list[Effect]:
        assert isinstance(given, RequestIn | TransportFailed)
        return [given]

    def _time_out(self, _now: float, _given: Given) -> list[Effect]:
        self.deadline = None
        return [TimedOut(self.key), Ended(self.key)]

    def _end(self, _now: float, _given: Given) -> list[Effect]:
        self.deadline = None
        return [Ended(self.key)]


def render_trying(invite: Request) -> bytes:
    """The 100 (Trying) to `invite` (§8.2.6), without a Response in between, at which nobody would look."""
    headers = invite.headers
    lines = ["SIP/2.0 100 Trying"]
    lines += ["Via: " + via for via in headers.get_all("Via")]
    for name in ("From", "To", "Call-ID", "CSeq", "Timestamp"):
        if (value := headers.get(name)) is not None:
            lines.append(f"{name}: {value}")
    lines.append("Content-Length: 0\r\n\r\n")
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")


_Tx = InviteServerTransaction
_Action: TypeAlias = Callable[[InviteServerTransaction, float, Given], list[Effect]]
TRANSITIONS: Final[Mapping[tuple[State, Input], tuple[_Action, State]]] = {
    (State.PROCEEDING, Input.REQUEST): (_Tx._repeat, State.PROCEEDING),
    (State.PROCEEDING, Input.PROVISIONAL): (_Tx._send, State.PROCEEDING),
    (State.PROCEEDING, Input.SUCCESS): (_Tx._accept, State.ACCEPTED),
    (State.PROCEEDING, Input.REFUSAL): (_Tx._complete, State.COMPLETED),
    (State.PROCEEDING, Input.TRANSPORT_ERROR): (_Tx._tell, State.PROCEEDING),
    (State.ACCEPTED, Input.REQUEST): (_Tx._absorb, State.ACCEPTED),
    (State.ACCEPTED, Input.ACK): (_Tx._tell, State.ACCEPTED),
    (State.ACCEPTED, Input.SUCCESS): (_Tx._send, State.ACCEPTED),
    (State.ACCEPTED, Input.TIMER_L): (_Tx._end, State.TERMINATED),
    (State.ACCEPTED, Input.TRANSPORT_ERROR): (_Tx._tell, State.ACCEPTED),
    (State.COMPLETED, Input.REQUEST): (_Tx._repeat, State.COMPLETED),
    (State.COMPLETED, Input.ACK): (_Tx._confirm, State.CONFIRMED),
    (State.COMPLETED, Input.TIMER_G): (_Tx._repeat_slower, State.COMPLETED),
    (State.COMPLETED, Input.TIMER_H): (_Tx._time_out, State.TERMINATED),
    (State.COMPLETED, Input.TRANSPORT_ERROR): (_Tx._tell, State.COMPLETED),
    (State.CONFIRMED, Input.ACK): (_Tx._absorb, State.CONFIRMED),
    (State.CONFIRMED, Input.TIMER_I): (_Tx._end, State.TERMINATED),
}
