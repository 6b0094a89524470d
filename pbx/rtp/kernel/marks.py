"""Whose entries are whose: 32 bits on each entry, the ports it is for, and the name of the table.

    0x50 (8 bits) | server (16 bits) | worker (6 bits) | packets came through: original, reply (2 bits)

Several servers may run on one machine. One knows its own by its mark, and touches no entry but for its own
RTP ports.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

from pbx.rtp.kernel.conntrack import Entry
from pbx.rtp.kernel.nftables import PASSED

TABLES: Final = "pbx-"  # how the names of our tables begin
MOST_WORKERS: Final = 64
_FIRST: Final = 0x50 << 24
_WORKER_SHIFT: Final = 2
_ALL: Final = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Mark:
    """The entries of a server, or of one of its workers.

    Attributes:
        value, mask: what the marks of all of them have in common.
        low, high: the server's RTP ports.
    """

    value: int
    mask: int
    low: int
    high: int

    def owns(self, entry: Entry) -> bool:
        """Whether an entry is one of them."""
        flows = (entry.original, entry.reply)
        return (entry.mark & self.mask) == self.value and all(
            flow is not None and self.low <= flow.target[1] <= self.high for flow in flows
        )

    def of_worker(self, number: int) -> "Mark":
        """The entries of worker `number`."""
        return replace(self, value=self.value | number << _WORKER_SHIFT, mask=_ALL & ~sum(PASSED))

    def arguments(self) -> list[str]:
        """As words of a command line."""
        return [str(each) for each in (self.value, self.mask, self.low, self.high)]

    @staticmethod
    def parse(arguments: Sequence[str]) -> "Mark | None":
        """From words of a command line; none: no mark."""
        return Mark(*(int(each) for each in arguments)) if arguments else None


def server_mark(identity: str, low: int, high: int) -> Mark:
    """The mark of the server with this identity."""
    number = int.from_bytes(sha256(identity.encode()).digest()[:2], "big")
    return Mark(_FIRST | number << 8, _ALL & ~(MOST_WORKERS - 1 << _WORKER_SHIFT | sum(PASSED)), low, high)


def table_name(identity: str) -> str:
    """The name of that server's table."""
    return TABLES + sha256(identity.encode()).hexdigest()[:8]
