"""INVITE client transaction (RFC 3261 §17.1.1, figure 5, as corrected by RFC 6026 §8.4)."""

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import ClassVar, Final, TypeAlias

from pbx.sip.flow import Flow
from pbx.sip.headers import Headers
from pbx.sip.message import Request, Response
from pbx.sip.transaction.key import TransactionKey
from pbx.sip.transaction.timers import Timers
from pbx.sip.transaction.types import (
    Effect,
    Ended,
    Ignored,
    ResponseIn,
    Send,
    State,
    TimedOut,
    TransportFailed,
)

Input = IntEnum("Input", "PROVISIONAL SUCCESS REFUSAL CANCEL TIMER_A TIMER_B TIMER_D TIMER_M TRANSPORT_ERROR")
Given: TypeAlias = Response | TransportFailed | None
_NEVER: Final = float("inf")


class InviteClientTransaction:
    """Repeats an INVITE until a response comes, acknowledges a refusal, passes on each 2xx until timer M."""

    __slots__ = (
        "_data",
        "_interval",
        "_request",
        "_timer_a",
        "_timer_b",
        "deadline",
        "flow",
        "key",
        "state",
        "timers",
    )

    name: ClassVar = "INVITE client"

    def __init__(self, key: TransactionKey, request: Request, flow: Flow, timers: Timers) -> None:
        self.key, self.flow, self.timers = key, flow, timers
        self.state = State.CALLING
        self.deadline: float | None = None
        self._request: Request | None = request  # until there is no more refusal to acknowledge
        self._data = request.render()  # what is repeated: the INVITE, later the ACK
        self._interval = timers.a
        self._timer_a = self._timer_b = _NEVER

    def start(self, now: float, give_up_s: float = _NEVER) -> list[Effect]:
        """Send the INVITE for the first time; time out after a silence of `give_up_s`, at most timer B."""
        self._timer_b = now + min(self.timers.b, give_up_s)
        self._timer_a = _NEVER if self.flow.is_reliable else now + self._interval
        self.deadline = min(self._timer_a, self._timer_b)
        return [Send(self._data, self.flow)]

    def receive_response(self, response: Response, now: float) -> list[Effect]:
        status = response.status
        kind = Input.PROVISIONAL if status < 200 else Input.SUCCESS if status < 300 else Input.REFUSAL
        return self._step(kind, now, response)

    def cancel(self, now: float) -> list[Effect]:
        """A CANCEL is on its way: wait no longer than timer B for the final response (§9.1)."""
        return self._step(Input.CANCEL, now)

    def transport_failed(self, why: str, now: float) -> list[Effect]:
        return self._step(Input.TRANSPORT_ERROR, now, TransportFailed(self.key, why))

    def expire(self, now: float) -> list[Effect]:
        if self.deadline is None or self.deadline > now:
            return []
        if self.state is State.ACCEPTED:
            return self._step(Input.TIMER_M, now)
        if self.state is State.COMPLETED:
            return self._step(Input.TIMER_D, now)
        return self._step(Input.TIMER_B if self._timer_b <= now else Input.TIMER_A, now)

    def _step(self, kind: Input, now: float, given: Given = None) -> list[Effect]:
        if (row := TRANSITIONS.get((self.state, kind))) is None:
            return [Ignored(self.key, f"{kind.name} in {self.state.name}")]
        action, self.state = row
        return action(self, now, given)

    def _repeat(self, now: float, _given: Given) -> list[Effect]:
        self._interval *= 2
        self._timer_a = now + self._interval
        self.deadline = min(self._timer_a, self._timer_b)
        return [Send(self._data, self.flow)]

    def _proceed(self, _now: float, given: Given) -> list[Effect]:
        self.deadline = None
        self._data = b""
        return self._pass_on(_now, given)

    def _pass_on(self, _now: float, given: Given) -> list[Effect]:
        assert isinstance(given, Response)
        return [ResponseIn(given, self.key)]

    def _limit(self, now: float, _given: Given) -> list[Effect]:
        self._timer_b = self.deadline = now + self.timers.b
        return []

    def _accept(self, now: float, given: Given) -> list[Effect]:
        self.deadline = now + self.timers.m
        self._request, self._data = None, b""
        return self._pass_on(now, given)

    def _complete(self, now: float, given: Given) -> list[Effect]:
        assert isinstance(given, Response)
        assert self._request is not None  # dropped only here and on a 2xx
        self._data = make_ack(self._request, given).render()
        self._request = None
        self.deadline = now + (0.0 if self.flow.is_reliable else self.timers.d)
        return [Send(self._data, self.flow), ResponseIn(given, self.key)]

    def _acknowledge(self, _now: float, _given: Given) -> list[Effect]:
        return [Send(self._data, self.flow)]

    def _time_out(self, _now: float, _given: Given) -> list[Effect]:
        self.deadline = None
        return [TimedOut(self.key), Ended(self.key)]

    def _fail(self, _now: float, given: Given) -> list[Effect]:
        assert isinstance(given, TransportFailed)
        self.deadline = None
        return [given, Ended(self.key)]

    def _end(self, _now: float, _given: Given) -> list[Effect]:
        self.deadline = None
        return [Ended(self.key)]


def make_ack(invite: Request, response: Response) -> Request:
    """The ACK of a non-2xx response (RFC 3261 §17.1.1.3): it belongs to the INVITE's transaction."""
    headers = Headers([("Via", invite.headers.get("Via") or ""), ("Max-Forwards", "70")])
    for route in invite.headers.get_all("Route"):
        headers.add("Route", route)
    headers.add("From", invite.headers.get("From") or "")
    headers.add("To", response.headers.get("To") or "")
    headers.add("Call-ID", invite.call_id)
    headers.add("CSeq", f"{invite.cseq.number} ACK")
    return Request("ACK", invite.uri, headers, b"")


_Tx = InviteClientTransaction
_Action: TypeAlias = Callable[[InviteClientTransaction, float, Given], list[Effect]]
TRANSITIONS: Final[Mapping[tuple[State, Input], tuple[_Action, State]]] = {
    (State.CALLING, Input.PROVISIONAL): (_Tx._proceed, State.PROCEEDING),
    (State.CALLING, Input.SUCCESS): (_Tx._accept, State.ACCEPTED),
    (State.CALLING, Input.REFUSAL): (_Tx._complete, State.COMPLETED),
    (State.CALLING, Input.TIMER_A): (_Tx._repeat, State.CALLING),
    (State.CALLING, Input.TIMER_B): (_Tx._time_out, State.TERMINATED),
    (State.CALLING, Input.TRANSPORT_ERROR): (_Tx._fail, State.TERMINATED),
    (State.PROCEEDING, Input.PROVISIONAL): (_Tx._pass_on, State.PROCEEDING),
    (State.PROCEEDING, Input.SUCCESS): (_Tx._accept, State.ACCEPTED),
    (State.PROCEEDING, Input.REFUSAL): (_Tx._complete, State.COMPLETED),
    # Nothing is being sent here, so a lost connection is no failure: the response may come by another one
    # (§18.2.2). After a CANCEL timer B runs once more (§9.1).
    (State.PROCEEDING, Input.CANCEL): (_Tx._limit, State.PROCEEDING),
    (State.PROCEEDING, Input.TIMER_B): (_Tx._time_out, State.TERMINATED),
    (State.ACCEPTED, Input.SUCCESS): (_Tx._pass_on, State.ACCEPTED),
    (State.ACCEPTED, Input.TIMER_M): (_Tx._end, State.TERMINATED),
    (State.COMPLETED, Input.REFUSAL): (_Tx._acknowledge, State.COMPLETED),
    (State.COMPLETED, Input.TIMER_D): (_Tx._end, State.TERMINATED),
    (State.COMPLETED, Input.TRANSPORT_ERROR): (_Tx._fail, State.TERMINATED),
}
