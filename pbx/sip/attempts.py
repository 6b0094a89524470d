"""Who has failed to authenticate too often (product §1, [limits] failed_auth)."""

from collections import deque
from ipaddress import IPv6Address
from typing import Final, TypeVar

LONGEST_NAME: Final = 64  # no device has a longer one
_V6_HOST_BITS: Final = 64
K = TypeVar("K")


def network_of(address: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 from which an IPv6 host takes its addresses."""
    if ":" not in address:
        return address
    value = IPv6Address(address.partition("%")[0])
    if (mapped := value.ipv4_mapped) is not None:
        return str(mapped)
    return str(IPv6Address(int(value) >> _V6_HOST_BITS << _V6_HOST_BITS)) + "/64"


class AttemptLimiter:
    """Refuses an address after `failed` wrong passwords within `window_s` seconds.

    Where a phone is registered only the failing account is refused, and only from there: neither a mistyped
    password nor a guesser far away silences an office. A refused request must be refused even when its
    password is right, or else guessing would go on; so ask `is_refused` after the check, with its username:

        outcome = authenticator.check(...)
        if limiter.is_refused(address, outcome.username, now, is_registered): refuse
        elif it is wrong: limiter.record(address, outcome.username, now)

    Memory is bounded: those who failed longest ago are forgotten first.
    """

    def __init__(self, failed: int = 10, window_s: float = 300.0, capacity: int = 10_000) -> None:
        self.failed = failed  # 0: nobody is ever refused
        self.window_s = window_s
        self._capacity = capacity
        # The last `failed` wrong attempts of each, those who failed longest ago first.
        self._networks: dict[str, deque[float]] = {}
        self._accounts: dict[tuple[str, str], deque[float]] = {}

    def __len__(self) -> int:
        """How many addresses and accounts are remembered."""
        return len(self._networks) + len(self._accounts)

    def record(self, address: str, username: str | None, now: float) -> None:
        """Note a wrong username or password."""
        if self.failed <= 0:
            return
        network = network_of(address)
        self._note(self._networks, network, now)
        if username is not None and len(username) <= LONGEST_NAME:
            self._note(self._accounts, (network, username), now)

    def succeeded(self, address: str, username: str) -> None:
        """Forget the mistakes of an account that has found its password; those of the address stay."""
        if self._accounts:
            self._accounts.pop((network_of(address), username), None)

    def is_over(self, address: str, now: float) -> bool:
        """Whether so many mistakes came from an address, of whatever accounts."""
        return bool(self._networks) and self._is_over(self._networks.get(network_of(address)), now)

    def is_refused(self, address: str, username: str | None, now: float, is_registered: bool) -> bool:
        """Whether a request is to be refused unheard.

        Args:
            address: where it comes from.
            username: whom its credentials name, None without any.
            now: monotonic seconds.
            is_registered: a phone is registered from this address (LocationService.is_registered_from).
        """
        if not self._networks:
            return False
        network = network_of(address)
        if not is_registered:
            return self._is_over(self._networks.get(network), now)
        return username is not None and self._is_over(self._accounts.get((network, username)), now)

    def _is_over(self, times: deque[float] | None, now: float) -> bool:
        return times is not None and len(times) == self.failed and times[0] > now - self.window_s

    def _note(self, table: dict[K, deque[float]], key: K, now: float) -> None:
        times = table.pop(key, None)
        if times is None:
            times = deque(maxlen=self.failed)
        times.append(now)
        table[key] = times  # at the end again
        for _ in range(2):  # two out for one in, so that no sweep is ever needed
            oldest = next(iter(table))
            if len(table) <= self._capacity and table[oldest][-1] > now - self.window_s:
                break
            del table[oldest]
