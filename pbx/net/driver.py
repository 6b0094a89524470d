"""The one place where a pure machine meets the clock: steps in, effects out, one timer armed."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, Protocol, TypeVar

from twisted.logger import Logger

from pbx.sip.flow import Flow
from pbx.sip.message import Request, Response
from pbx.sip.parser import MalformedMessageError
from pbx.sip.transaction.types import Send

EffectT = TypeVar("EffectT")
Effect_co = TypeVar("Effect_co", covariant=True)

# A failed `expire` leaves the deadline in the past: without a rest it would be tried in a tight loop.
RETRY_S: Final = 0.5
# When the process has stood still for longer, the sockets are read before deadlines end what waits in them.
LATE_S: Final = 0.02

log: Final = Logger()


class Machine(Protocol[Effect_co]):
    """What a driver runs."""

    @property
    def deadline(self) -> float | None:
        """When `expire` wants to be called, or None."""
        ...

    def expire(self, now: float) -> Sequence[Effect_co]:
        """Everything that fell due; called early, it does nothing."""
        ...


class SipMachine(Machine[Effect_co], Protocol[Effect_co]):
    """What stands behind the SIP sockets."""

    def receive(self, data: bytes, flow: Flow, now: float) -> Sequence[Effect_co]:
        """A datagram came in, unparsed."""
        ...

    def screen_batch(
        self, batch: Sequence[tuple[bytes, Flow]], wait_s: float, now: float
    ) -> "tuple[Sequence[Send], Sequence[Passed[Effect_co]]]":
        """Such datagrams came in, in overload, and have waited for so long.

        Returns:
            What is answered at once, and the steps for all others, in their order.
        """
        ...

    def receive_message(self, message: Request | Response, flow: Flow, now: float) -> Sequence[Effect_co]:
        """A whole message came in over a stream."""
        ...

    def receive_malformed(self, error: MalformedMessageError, flow: Flow, now: float) -> Sequence[Effect_co]:
        """Something else than a message came over a stream, which ends after it when its framing is lost."""
        ...

    def flow_lost(self, flow: Flow, why: str, now: float) -> Sequence[Effect_co]:
        """A stream is gone, could not be opened, or (UDP) the system refused to send. `why` is in words."""
        ...

    def keeps(self, flow: Flow) -> bool:
        """Whether a registration or a call lives on this stream, so that silence is no reason to cut it."""
        ...


class Timer(Protocol):
    """A call that is due later (IDelayedCall)."""

    def cancel(self) -> None: ...


class Scheduler(Protocol):
    """The part of a reactor that is a clock (IReactorTime)."""

    def seconds(self) -> float: ...

    def callLater(  # noqa: N802
        self,
        delay: float,
        callable: Callable[..., Any],  # noqa: A002
        *args: object,
        **kw: object,
    ) -> Timer: ...


# Takes what it was handed in with, and then the time.
Step = Callable[..., Sequence[EffectT]]

# A step that is still to be taken, and what it is handed.
Passed = tuple[Step[EffectT], bytes, Flow]


class Driver(Generic[EffectT]):
    """Runs a machine: steps in, effects out, one timer armed. A failed step hurts no other.

    Args:
        machine, clock: what is run, and by which time.
        perform: carries out one effect.
        flush: is called when steps are over: what `perform` has gathered can leave.
    """

    def __init__(
        self,
        machine: Machine[EffectT],
        clock: Scheduler,
        perform: Callable[[EffectT], None],
        flush: Callable[[], None] | None = None,
    ) -> None:
        self._machine, self._clock, self._perform, self._flush = machine, clock, perform, flush
        self._seconds = clock.seconds
        self._steps: deque[tuple[Step[EffectT], tuple[Any, ...]]] = deque()
        self._running = False
        self._stopped = False
        self._timer: Timer | None = None
        self._armed = 0.0
        self._rest_until = 0.0

    def run(self, step: Step[EffectT], *args: Any) -> None:
        """Take `step` now, or, when called from within an effect, as soon as that step is done."""
        self.take(step, *args)
        self.settle()

    def take(self, step: Step[EffectT], *args: Any) -> None:
        """As `run`, but one of several in a row: `settle` is called after the last."""
        if self._stopped:
            return
        if self._running:
            self._steps.append((step, args))
            return
        self._running = True
        perform = self._perform
        while True:
            try:
                effects = step(*args, self._seconds())
            except Exception:
                log.failure("step failed")
                effects = ()
            for effect in effects:
                try:
                    perform(effect)
                except Exception:
                    log.failure("effect failed: {effect}", effect=type(effect).__name__)
            if not self._steps:
                break
            step, args = self._steps.popleft()
        self._running = False

    def settle(self) -> None:
        """All steps that were due are taken: let go of what they gathered, and see to the timer."""
        if self._running or self._stopped:
            return
        if self._flush is not None:
            self._flush()
        deadline = self._machine.deadline
        # An armed timer may fire for nothing: cheaper than moving it at each step.
        if deadline is not None and (self._timer is None or deadline < self._armed):
            self._arm(deadline)

    def stop(self) -> None:
        """Take no further step and no longer wake up."""
        self._stopped = True
        self._steps.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, deadline: float) -> None:
        deadline = max(deadline, self._rest_until)
        if self._timer is not None:
            if self._armed <= deadline:
                return
            self._timer.cancel()
        self._armed = deadline
        self._timer = self._clock.callLater(max(0.0, deadline - self._clock.seconds()), self._wake)

    def _wake(self) -> None:
        if self._clock.seconds() - self._armed > LATE_S:
            self._timer = self._clock.callLater(0.0, self._fall_due)
        else:
            self._fall_due()

    def _fall_due(self) -> None:
        self._timer = None
        self.run(self._expire)

    def _expire(self, now: float) -> Sequence[EffectT]:
        self._rest_until = now + RETRY_S  # holds only if the next line raises
        effects = self._machine.expire(now)
        self._rest_until = 0.0
        return effects
