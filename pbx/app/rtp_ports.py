"""The RTP ports that calls get, and those of them that other programs hold."""

from collections.abc import Callable
from typing import Final

from twisted.logger import Logger

from pbx.config_values import PortRange
from pbx.entropy import Entropy
from pbx.media.probe import is_pair_free, ports_in_use
from pbx.rtp.port_pool import PortPool

log: Final = Logger()


def make_port_pool(ports: PortRange, entropy: Entropy, now: float) -> PortPool:
    """All pairs of `[rtp] ports`; those that others hold when their turn comes are passed over."""
    in_use = ports_in_use()
    return PortPool(
        ports.low,
        ports.high + 1,
        entropy,
        is_free=Look(is_pair_free),
        looked_at=float("-inf") if in_use is None else now,
        in_use=in_use or (),
    )


def count_pairs_in_use(ports: PortRange) -> int:
    """How many pairs of `[rtp] ports` any program has, this one too; 0 where the kernel does not tell."""
    in_use = ports_in_use() or frozenset()
    return sum(port in in_use or port + 1 in in_use for port in range(ports.low, ports.high + 1, 2))


class Look:
    """Whether a pair is free; the first that is not is warned of, the others only a verbose log tells."""

    def __init__(self, is_free: Callable[[int], bool]) -> None:
        self._is_free = is_free
        self._has_warned = False

    def __call__(self, port: int) -> bool:
        if self._is_free(port):
            return True
        if self._has_warned:
            log.debug("RTP port {port} or the next is held by another program, too", port=port)
        else:
            self._has_warned = True
            log.warn(
                "RTP port {port} or the next is held by another program: such pairs are passed over; "
                "`pbx doctor` counts them",
                port=port,
            )
        return False
