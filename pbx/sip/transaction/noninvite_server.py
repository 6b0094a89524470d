"""Non-INVITE server transaction (RFC 3261 §17.2.2, figure 8; transport errors by RFC 6026 §8.8)."""

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import ClassVar, Final, TypeAlias

from pbx.sip.flow import Flow
from pbx.sip.message import Response
from pbx.sip.transaction.key import TransactionKey
from pbx.sip.transaction.timers import Timers
from pbx.sip.transaction.types import Effect, Ended, Ignored, Send, State, TransportFailed

Input = IntEnum("Input", "REQUEST PROVISIONAL FINAL TIMER_J TRANSPORT_ERROR")
Given: TypeAlias = Response | bytes | TransportFailed | None


class NonInviteServerTransaction:
    """Answers every copy of one request, until timer J."""

    __slots__ = ("_data", "_last", "deadline", "flow", "key", "merge_id", "state", "timers")

    name: ClassVar = "non-INVITE server"

    def __init__(self, key: TransactionKey, flow: Flow, timers: Timers) -> None:
        self.key, self.flow, self.timers = key, flow, timers
        self.state = State.TRYING
        self.deadline: float | None = None
        self.merge_id: tuple[str, str, int, str] | None = None
        self._last: Response | None = None
        self._data = b""

    def receive_request(self, now: float) -> list[Effect]:
        return self._step(Input.REQUEST, now)

    def respond(self, response: Response, now: float) -> list[Effect]:
        if response.status < 200:
            return self._step(Input.PROVISIONAL, now, response)
        return self.answer(response.render(), now)

    def answer(self, data: bytes, now: float) -> list[Effect]:
        """The final response, rendered."""
        return self._step(Input.FINAL, now, data)

    def transport_failed(self, why: str, now: float) -> list[Effect]:
        return self._step(Input.TRANSPORT_ERROR, now, TransportFailed(self.key, why))

    def expire(self, now: float) -> list[Effect]:
        due = self.deadline is not None and self.deadline <= now
        return self._step(Input.TIMER_J, now) if due else []

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

    def _complete(self, now: float, given: Given) -> list[Effect]:
        assert isinstance(given, bytes)
        flow = self.flow
        # Zero on reliable transports, where nothing is repeated.
        self.deadline = now + (0.0 if flow.is_reliable else self.timers.j)
        self._last, self._data = None, given
        return [Send(given, flow)]

    def _tell(self, _now: float, given: Given) -> list[Effect]:
        assert isinstance(given, TransportFailed)
        return [given]

    def _end(self, _now: float, _given: Given) -> list[Effect]:
        self.deadline = None
        return [Ended(self.key)]


_Tx = NonInviteServerTransaction
_Action: TypeAlias = Callable[[NonInviteServerTransaction, float, Given], list[Effect]]
TRANSITIONS: Final[Mapping[tuple[State, Input], tuple[_Action, State]]] = {
    (State.TRYING, Input.PROVISIONAL): (_Tx._send, State.PROCEEDING),
    (State.TRYING, Input.FINAL): (_Tx._complete, State.COMPLETED),
    (State.PROCEEDING, Input.REQUEST): (_Tx._repeat, State.PROCEEDING),
    (State.PROCEEDING, Input.PROVISIONAL): (_Tx._send, State.PROCEEDING),
    (State.PROCEEDING, Input.FINAL): (_Tx._complete, State.COMPLETED),
    # Figure 8 ends here; RFC 6026 §8.8 does not, so that a copy of the request is not taken for a new one.
    (State.PROCEEDING, Input.TRANSPORT_ERROR): (_Tx._tell, State.PROCEEDING),
    (State.COMPLETED, Input.REQUEST): (_Tx._repeat, State.COMPLETED),
    (State.COMPLETED, Input.TIMER_J): (_Tx._end, State.TERMINATED),
    (State.COMPLETED, Input.TRANSPORT_ERROR): (_Tx._tell, State.COMPLETED),
}
