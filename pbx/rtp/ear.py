"""Who in the PBX hears what passes an endpoint."""

from collections.abc import Callable
from typing import Protocol, TypeAlias

Heard: TypeAlias = Callable[[bytes, float], None]  # an RTP packet, and when it came


class Ear(Protocol):
    """Who hears what the peer of an endpoint says, beside or instead of a joined peer."""

    @property
    def delay_s(self) -> float | None:
        """How long it keeps what it hears, as `EndpointStats.playout_s`."""
        ...

    def hear(self, packet: bytes, now: float) -> None:
        """An RTP packet, decrypted, with the peer's payload types."""
        ...
