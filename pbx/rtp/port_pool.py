"""Even/odd UDP port pairs (RFC 3550 §11): handed out in a shuffled circle, rested before reuse."""

from collections import deque
from collections.abc import Callable, Collection
from heapq import heappop, heappush
from math import inf
from typing import Final

from pbx.entropy import Entropy
from pbx.errors import NoPortError, UsageError

REST_S: Final = 5.0
QUARANTINE_S: Final = 180.0
LOOKS_A_SECOND: Final = 50  # a pair that is handed out is looked at: 1 ms of CPU, enough for 25 calls
TRUST_S: Final = 600.0  # above that, one that was ours, or nobody's, so short a time ago is not


class PortPool:
    """The RTP ports of the server, each standing for itself and the odd port after it.

    A freed pair rests, so that late packets of the last call never reach the next one; a pair that another
    program holds is put in quarantine.
    """

    def __init__(
        self,
        first: int,
        last: int,
        entropy: Entropy,
        *,
        rest_s: float = REST_S,
        is_free: Callable[[int], bool] = lambda _port: True,
        looked_at: float = -inf,
        in_use: Collection[int] = (),
        looks_a_second: int = LOOKS_A_SECOND,
    ) -> None:
        """
        Args:
            first, last: both ports of a pair lie between them.
            is_free: whether nobody else has a pair right now; a pair that is not free is passed over. To ask
                takes longer than all else here: above `looks_a_second` it is asked only about pairs
                that neither were ours nor were found free within TRUST_S.
            looked_at, in_use: when all ports were looked at, and which of them somebody had then.
        """
        ports = list(range(first + first % 2, last, 2))
        for index in range(len(ports) - 1, 0, -1):  # Fisher and Yates: the next port cannot be guessed
            other = entropy.below(index + 1)
            ports[index], ports[other] = ports[other], ports[index]
        self._rest_s, self._is_free, self._looks_a_second = rest_s, is_free, looks_a_second
        known = {port for port in ports if port not in in_use and port + 1 not in in_use}
        self._free = deque(  # and until when each is trusted
            (port, looked_at + TRUST_S if port in known else -inf) for port in ports
        )
        self._resting: list[tuple[float, int, float]] = []  # from when it is free, until when it is trusted
        self._taken: set[int] = set()
        self._looks_until = -inf  # the second that is counted
        self._looks = 0

    def __len__(self) -> int:
        """How many pairs are taken."""
        return len(self._taken)

    @property
    def available(self) -> int:
        """How many pairs could be taken, those still resting included."""
        return len(self._free) + len(self._resting)

    def take(self, now: float) -> int:
        """An even port that is ours until freed.

        Raises:
            NoPortError: every pair is taken, resting, or somebody else's.
        """
        free, resting = self._free, self._resting
        while resting and resting[0][0] <= now:
            _, port, trusted = heappop(resting)
            free.append((port, trusted))
        while free:
            port, trusted = free.popleft()
            if (self._is_hurried(now) and now < trusted) or self._is_free(port):
                self._taken.add(port)
                return port
            heappush(resting, (now + QUARANTINE_S, port, -inf))
        raise NoPortError(f"all RTP ports are in use: {len(self._taken)} taken, {len(self._resting)} resting")

    def _is_hurried(self, now: float) -> bool:
        if now >= self._looks_until:
            self._looks_until, self._looks = now + 1.0, 0
        self._looks += 1
        return self._looks > self._looks_a_second

    def free(self, port: int, now: float) -> None:
        """Give a pair back; it rests first."""
        self._rest(port, now + self._rest_s, now + TRUST_S)

    def quarantine(self, port: int, now: float, seconds: float = QUARANTINE_S) -> None:
        """Give back a pair that could not be bound: somebody else has it for now."""
        self._rest(port, now + seconds, -inf)

    def _rest(self, port: int, until: float, trusted: float) -> None:
        if port not in self._taken:
            raise UsageError(f"port {port} was not taken")
        self._taken.remove(port)
        heappush(self._resting, (until, port, trusted))
