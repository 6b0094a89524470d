"""A server of one thread as a simulation: what its socket holds, what each message costs, and who waits."""

import heapq
from collections import deque
from dataclasses import dataclass, field
from itertools import count

from pbx.sip.overload import WINDOW_S, Kind, Overload

BATCH = 32  # messages between two looks at the clock, as in net/udp.py
ROOM = 1800  # messages in the socket's buffer
HOLD_S = 1.0

# Shares of what a whole call costs; the rest of a call that was let in comes a round trip later.
COSTS = {"call": 0.13, "answered": 0.45, "callee": 0.12, "ack": 0.05, "bye": 0.13}
COSTS |= {"shed": 0.05, "shed ack": 0.03}

KINDS = {
    (False, "call"): Kind.STRANGER,
    (False, "answered"): Kind.ANSWERED,
    (True, "call"): Kind.KNOWN_CALL,
    (True, "answered"): Kind.KNOWN_ANSWERED_CALL,
}


@dataclass
class Simulation:
    """Calls at a rate that changes with time; `run` fills in what happened.

    Args:
        call_s: what one call costs the server.
        round_trip_s: between server and phones.
        is_challenged: False: phones send credentials at once.
        is_known: phones are registered from where they call.
    """

    call_s: float
    round_trip_s: float = 0.001
    is_challenged: bool = True
    is_known: bool = False
    overload: Overload = field(default_factory=Overload)
    done: list[float] = field(default_factory=list)  # when each call was answered
    shed: list[float] = field(default_factory=list)
    lost: int = 0
    waits: list[tuple[float, float]] = field(default_factory=list)  # of everything but new calls

    def run(self, rates: list[tuple[float, float]]) -> None:
        """`rates` are pairs of seconds and calls a second, one after the other."""
        order = count()
        coming: list[tuple[float, int, str]] = []
        start = 0.0
        for seconds, rate in rates:
            first = "call" if self.is_challenged else "answered"
            for number in range(int(seconds * rate)):
                heapq.heappush(coming, (start + number / rate, next(order), first))
            start += seconds
        queue: deque[tuple[float, str]] = deque()
        now, window_ends, least = 0.0, WINDOW_S, 0.0
        while coming or queue:
            if not queue:
                now, least = max(now, coming[0][0]), 0.0
            self._take(coming, queue, now)
            while window_ends <= now:
                self.overload.end_window(least if least is not None else 0.0)
                window_ends, least = window_ends + WINDOW_S, None
            if queue:
                self.overload.wait_s = now - queue[0][0]
            for _ in range(min(BATCH, len(queue))):
                came, kind = queue.popleft()
                now += self._serve(kind, now, now - came, coming, order)
                self._take(coming, queue, now)
            wait = now - queue[0][0] if queue else 0.0
            least = wait if least is None else min(least, wait)

    def _take(self, coming, queue, now):
        while coming and coming[0][0] <= now:
            came, _, kind = heapq.heappop(coming)
            if len(queue) < ROOM:
                queue.append((came, kind))
            else:
                self.lost += 1

    def _serve(self, kind, now, wait, coming, order):
        cost = COSTS[kind] * self.call_s

        def later(what, seconds):
            heapq.heappush(coming, (now + seconds, next(order), what))

        if kind in ("call", "answered"):
            if self.overload.sheds(KINDS[self.is_known, kind]):
                self.shed.append(now)
                later("shed ack", self.round_trip_s)
                return COSTS["shed"] * self.call_s
            later("answered" if kind == "call" else "callee", self.round_trip_s)
            return cost
        self.waits.append((now, wait))
        if kind == "callee":
            self.done.append(now)
            later("ack", self.round_trip_s)
            later("bye", HOLD_S)
        return cost
