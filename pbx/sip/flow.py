"""How a message came, and so how an answer goes back (RFC 5626 §2: flow)."""

from typing import NamedTuple


class Flow(NamedTuple):
    """One path between us and a peer: for streams a connection, for UDP a pair of sockets' addresses.

    Addresses are IP literals, IPv6 without brackets and without a scope.
    """

    transport: str  # "UDP", "TCP" or "TLS"
    peer: tuple[str, int]
    local: tuple[str, int]  # a concrete address of ours, never a wildcard
    accepted: bool = False  # a stream that the peer opened: once gone, we cannot open it again

    @property
    def is_reliable(self) -> bool:
        """Whether the transport repeats lost data itself (RFC 3261 §17)."""
        return self.transport != "UDP"

    @property
    def is_secure(self) -> bool:
        return self.transport == "TLS"
