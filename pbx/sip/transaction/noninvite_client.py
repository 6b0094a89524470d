"""Non-INVITE client transaction (RFC 3261 §17.1.2, figure 6)."""

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
    ResponseIn,
    Send,
    State,
    TimedOut,
    TransportFailed,
)

Input = IntEnum("Input", "PROVISIONAL FINAL TIMER_E TIMER_F TIMER_K TRANSPORT_ERROR")
Given: TypeAlias = Response | TransportFailed | None
_NEVER: Final = float("inf")


class NonInviteClientTransaction:
    """Repeats a request until its final response, and absorbs repetitions of that until timer K."""

    __slots__ = ("_data", "_interval", "_timer_e", "_timer_f", "deadline", "flow", "key", "state", "timers")

    name: ClassVar = "non-INVITE client"

    def __init__(self, key: TransactionKey, request: Request, flow: Flow, timers: Timers) -> None:
        self.key, self.flow, self.timers = key, flow, timers
        self.state = State.TRYING
        self.deadline: float | None = None
        self._data = request.render()
        self._interval = timers.e
        self._timer_e = self._timer_f = _NEVER

    def start(self, now: float, give_up_s: float = _NEVER) -> list[Effect]:
        """Send the request for the first time; time out after `give_up_s`, at the latest by timer F."""
        self._timer_f = now + min(self.timers.f, give_up_s)
        self._timer_e = _NEVER if self.flow.is_reliable else now + self._interval
        self.deadline = min(self._timer_e, self._timer_f)
        return [Send(self._data, self.flow)]

    def receive_response(self, response: Response, now: float) -> list[Effect]:
        return self._step(Input.PROVISIONAL if response.status < 200 else Input.FINAL, now, response)

    def transport_failed(self, why: str, now: float) -> list[Effect]:
        return self._step(Input.TRANSPORT_ERROR, now, TransportFailed(self.key, why))

    def expire(self, now: float) -> list[Effect]:
        if self.deadline is None or self.deadline > now:
            return []
        if self.state is State.COMPLETED:
            return self._step(Input.TIMER_K, now)
        return self._step(Input.TIMER_F if self._timer_f <= now else Input.TIMER_E, now)

    def _step(self, kind: Input, now: float, given: Given = None) -> list[Effect]:
        if (row := TRANSITIONS.get((self.state, kind))) is None:
            return [Ignored(self.key, f"{kind.name} in {self.state.name}")]
        action, self.state = row
        return action(self, now, given)

    def _repeat(self, now: float, _given: Given) -> list[Effect]:
        return self._repeat_after(min(2 * self._interval, self.timers.t2), now)

    def _repeat_slowly(self, now: float, _given: Given) -> list[Effect]:
        return self._repeat_after(self.timers.t2, now)

    def _repeat_after(self, interval: float, now: float) -> list[Effect]:
        self._interval = interval
        self._timer_e = now + interval
        self.deadline = min(self._timer_e, self._timer_f)
        return [Send(self._data, self.flow)]

    def _pass_on(self, _now: float, given: Given) -> list[Effect]:
        assert isinstance(given, Response)
        return [ResponseIn(given, self.key)]

    def _complete(self, now: float, given: Given) -> list[Effect]:
        self.deadline = now + (0.0 if self.flow.is_reliable else self.timers.k)
        self._data = b""
        return self._pass_on(now, given)

    def _absorb(self, _now: float, _given: Given) -> list[Effect]:
        return []

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


_Tx = NonInviteClientTransaction
_Action: TypeAlias = Callable[[NonInviteClientTransaction, float, Given], list[Effect]]
TRANSITIONS: Final[Mapping[tuple[State, Input], tuple[_Action, State]]] = {
    (State.TRYING, Input.PROVISIONAL): (_Tx._pass_on, State.PROCEEDING),
    (State.TRYING, Input.FINAL): (_Tx._complete, State.COMPLETED),
    (State.TRYING, Input.TIMER_E): (_Tx._repeat, State.TRYING),
    (State.TRYING, Input.TIMER_F): (_Tx._time_out, State.TERMINATED),
    (State.TRYING, Input.TRANSPORT_ERROR): (_Tx._fail, State.TERMINATED),
    (State.PROCEEDING, Input.PROVISIONAL): (_Tx._pass_on, State.PROCEEDING),
    (State.PROCEEDING, Input.FINAL): (_Tx._complete, State.COMPLETED),
    (State.PROCEEDING, Input.TIMER_E): (_Tx._repeat_slowly, State.PROCEEDING),
    (State.PROCEEDING, Input.TIMER_F): (_Tx._time_out, State.TERMINATED),
    (State.PROCEEDING, Input.TRANSPORT_ERROR): (_Tx._fail, State.TERMINATED),
    (State.COMPLETED, Input.FINAL): (_Tx._absorb, State.COMPLETED),
    (State.COMPLETED, Input.TIMER_K): (_Tx._end, State.TERMINATED),
}
