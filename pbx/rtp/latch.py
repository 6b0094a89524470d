"""Who the peer of an endpoint is: which source address its stream is taken from.

Ranks of sources:

- EXACT: the address and port SDP announced;
- HOST: another port of the announced host (a phone that sends from another socket);
- SIGNALLING: the host that the peer signals from (a phone behind NAT);
- OTHER: any other address (a phone whose NAT has several).

The first source that sends valid RTP is the peer. After that only a source of better rank takes its place:
a stranger that came first is dispelled by the announced peer, and the peer that came first by nobody. All but
EXACT count for symmetric peers only. Who signals from the announced host has no NAT before it: there is no
OTHER then. `relatch` opens the choice again: the known source keeps the stream if it goes on sending; when it
says nothing for RELATCH_GRACE_S, the next source of any rank gets it.
"""

from enum import IntEnum
from functools import lru_cache
from ipaddress import ip_address
from typing import Final, TypeAlias

Address: TypeAlias = tuple[str, int]

LAST_PORT: Final = 65535
RELATCH_GRACE_S: Final = 0.5


class Rank(IntEnum):
    """How well a source fits what was announced; smaller is better."""

    EXACT = 0
    HOST = 1
    SIGNALLING = 2
    OTHER = 3
    NONE = 4


def normalize(address: Address) -> Address | None:
    """The address as the kernel writes it; None where nobody can be: no such port, a wildcard, no literal."""
    host, port = address
    literal = _compressed(host)
    return (literal, port) if literal is not None and 0 < port <= LAST_PORT else None


@lru_cache(maxsize=4096)  # phones stay where they are, and the same few are asked about in every call
def _compressed(host: str) -> str | None:
    try:
        literal = ip_address(host)
    except ValueError:
        return None
    return None if literal.is_unspecified else literal.compressed


class Latch:
    """One endpoint's choice of source."""

    __slots__ = ("_loose_since", "announced", "is_symmetric", "rank", "signalling", "source")

    def __init__(self) -> None:
        self.announced: Address | None = None
        self.is_symmetric = False
        self.signalling: str | None = None
        self.source: Address | None = None
        self.rank = Rank.NONE
        self._loose_since: float | None = None

    @property
    def is_fixed(self) -> bool:
        """Whether the peer was heard, and no relatch is under way."""
        return self.source is not None and self._loose_since is None

    @property
    def target(self) -> Address | None:
        """Where the peer's stream goes: to where it comes from, before that to where it was announced."""
        return self.source or self.announced

    def announce(
        self,
        announced: Address | None,
        *,
        is_symmetric: bool,
        relatch: bool,
        now: float,
        signalling: str = "",
    ) -> None:
        """SDP told the peer's address. One that changed ends the choice made before, in any case.

        Args:
            signalling: the host that the peer signals from, "" = not known.
        """
        announced = announced and normalize(announced)
        moved = announced is not None and announced != self.announced and self.announced is not None
        self.announced = announced or self.announced
        self.is_symmetric, self.signalling = is_symmetric, _compressed(signalling)
        if moved:
            self.source, self.rank, self._loose_since = None, Rank.NONE, None
        elif self.source is not None:
            self.rank = self._rank(self.source)
            if self.rank is Rank.NONE:
                self.source = None
            if relatch:
                self._loose_since = now

    def restore(self, source: Address) -> None:
        """The choice was made before, by a worker that is no more."""
        self.source, self.rank = source, self._rank(source)

    def may_accept(self, source: Address, now: float) -> bool:
        """Whether `source` would be taken for the peer, should what it sends be valid."""
        if source == self.source:
            return True
        rank = self._rank(source)
        if rank is Rank.NONE:
            return False
        if self._loose_since is not None and now - self._loose_since >= RELATCH_GRACE_S:
            return True
        return rank < self.rank

    def accept(self, source: Address) -> bool:
        """`source` sent valid RTP, and may be accepted: it is the peer now. True when it was not before."""
        changed = source != self.source
        self.source, self.rank, self._loose_since = source, self._rank(source), None
        return changed

    def _rank(self, source: Address) -> Rank:
        if source == self.announced:
            return Rank.EXACT
        if not self.is_symmetric:
            return Rank.NONE
        announced = self.announced[0] if self.announced is not None else None
        if source[0] == announced:
            return Rank.HOST
        if source[0] == self.signalling:
            return Rank.SIGNALLING
        return Rank.NONE if announced is not None and announced == self.signalling else Rank.OTHER
