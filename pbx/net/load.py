"""How long what comes in waits for its turn: the measure of overload."""

from collections.abc import Callable, Sequence
from typing import Protocol

from pbx.net.driver import Scheduler, Timer
from pbx.sip.flow import Flow
from pbx.sip.overload import WINDOW_S


class LoadUser(Protocol):
    """Who wants to know."""

    def end_window(self, least_s: float) -> bool:
        """Whether there is overload."""
        ...


Screen = Callable[[Sequence[tuple[bytes, Flow]], float], None]


class Queue(Protocol):
    """A socket that knows how long its datagrams waited."""

    screen: Screen | None

    def take_wait(self) -> float: ...


class LoadGauge:
    """Tells, at the end of each window, the least wait of the worst socket, or how late the timer is.

    The kernel's stamps say how long a datagram lay in its socket. Streams have none; but each readable one
    has its turn in every round of the reactor, and so have timers: a late timer is a long round.
    """

    def __init__(self, clock: Scheduler, user: LoadUser, screen: Screen) -> None:
        """Make it.

        Args:
            screen: takes what comes in while there is overload.
        """
        self._clock, self._user, self._screen = clock, user, screen
        self._queues: Sequence[Queue] = ()
        self._timer: Timer | None = None
        self._due = 0.0

    def start(self, queues: Sequence[Queue]) -> None:
        """Begin; `queues` are looked at in every window."""
        self._queues = queues
        self._arm()

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        self._due = self._clock.seconds() + WINDOW_S
        self._timer = self._clock.callLater(WINDOW_S, self._end_window)

    def _end_window(self) -> None:
        late_s = max(0.0, self._clock.seconds() - self._due)
        is_overload = self._user.end_window(max([late_s, *(queue.take_wait() for queue in self._queues)]))
        for queue in self._queues:
            queue.screen = self._screen if is_overload else None
        self._arm()
