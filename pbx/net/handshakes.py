"""The brake on TLS handshakes: each costs the core a signature, and who asks for one next to nothing."""

from typing import Final, Protocol

from twisted.logger import Logger

from pbx.net.driver import Scheduler, Timer

SHARE: Final = 1 / 3  # of the core's time that handshakes may take while some wait
LONGEST_PAUSE_S: Final = 0.1  # also after a step in which the machine stood still

log: Final = Logger()


class Waiting(Protocol):
    """A connection that has something to read before its handshake is done."""

    def go_on(self) -> None: ...


class Handshakes:
    """Makes one step at a time, and leaves the core to others for a while after each, in proportion to it.

    Networks have their turns one after the other, and in each who came first: however many one asks for,
    those of another wait for one of them only.
    """

    def __init__(self, clock: Scheduler) -> None:
        self._clock = clock
        self._waiting: dict[str, dict[Waiting, None]] = {}  # by network, in the order of their turns
        self._pause: Timer | None = None

    def wait(self, network: str, who: Waiting) -> None:
        """`who` goes on when its turn has come: now, if nobody had his just before."""
        self._waiting.setdefault(network, {})[who] = None
        if self._pause is None:
            self._next()

    def leave(self, network: str, who: Waiting) -> None:
        """`who` is gone."""
        if (queue := self._waiting.get(network)) is not None:
            queue.pop(who, None)
            if not queue:
                del self._waiting[network]

    def _next(self) -> None:
        self._pause = None
        if not self._waiting:
            return
        network = next(iter(self._waiting))
        queue = self._waiting.pop(network)
        who = next(iter(queue))
        del queue[who]
        if queue:
            self._waiting[network] = queue  # behind the others
        began = self._clock.seconds()
        with log.failuresHandled("a step of a TLS handshake failed"):
            who.go_on()
        took_s = self._clock.seconds() - began
        pause_s = min(LONGEST_PAUSE_S, max(0.0, took_s / SHARE - took_s))
        self._pause = self._clock.callLater(pause_s, self._next)
