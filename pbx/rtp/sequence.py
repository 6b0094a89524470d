"""Sequence numbers beyond 16 bits and what they tell about a stream (RFC 3550 A.1, A.3, A.8)."""

from math import inf
from typing import Final

HALF: Final = 0x8000
CIRCLE: Final = 0x10000
MAX_DROPOUT: Final = 3000
MAX_DEVIATION: Final = 80_000.0  # ticks; beyond it is no jitter: the timestamps began anew, or went round

# Jitter is measured at each fifth packet, against the fifth before it: two transit times differ as much over
# five packets as over one (RFC 3550 A.8), and the gain makes up for the four left out. Five, because what
# senders repeat, they repeat every two, three, four or six packets: each place of the pattern gets its turn.
JITTER_EVERY: Final = 5
JITTER_GAIN: Final = 1 - (1 - 1 / 16) ** JITTER_EVERY


def unwrap(sequence: int, near: int) -> int:
    """The extended sequence number whose low 16 bits are `sequence` and that lies nearest to `near`."""
    return near + ((sequence - near + HALF) & 0xFFFF) - HALF


class Reception:
    """Loss and jitter of what one source sends.

    A new SSRC, or a jump no loss explains (A.1), starts the count of what is expected anew; what was lost
    until then stays counted.
    """

    __slots__ = (
        "_base",
        "_before",
        "_is_anew",
        "highest",
        "jitter_ticks",
        "rate_hz",
        "received",
        "ssrc",
        "transit_ticks",
    )

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self.ssrc: int | None = None
        self.highest = 0
        self.received = 0
        self.jitter_ticks = 0.0
        self.transit_ticks = -inf
        self._base = 0
        self._before = 0
        self._is_anew = False

    @property
    def lost(self) -> int:
        """Packets expected less packets received: below zero when duplicates came (A.3)."""
        if self.ssrc is None:
            return self._before
        return self._before + self.highest - self._base + 1 - self.received

    @property
    def lost_of_source(self) -> int:
        """The same since the present source began."""
        return self.lost - self._before

    @property
    def jitter_s(self) -> float:
        """The mean deviation of the packets' spacing (A.8)."""
        return self.jitter_ticks / self.rate_hz

    def receive(self, ssrc: int, sequence: int, timestamp_ticks: int | None, now: float) -> None:
        """Count a packet that came at `now`; None for a timestamp that says nothing of its spacing.

        (An RFC 4733 event keeps the timestamp of its start, §2.2.)
        """
        if ssrc != self.ssrc or self._is_anew:
            self._begin(ssrc, sequence)
        step = ((sequence - self.highest + HALF) & 0xFFFF) - HALF
        if not -MAX_DROPOUT < step < MAX_DROPOUT:
            self._begin(ssrc, sequence)
        elif step > 0:
            self.highest += step
        self.received += 1
        if timestamp_ticks is None or sequence % JITTER_EVERY:
            return
        transit = now * self.rate_hz - timestamp_ticks
        deviation = abs(transit - self.transit_ticks)
        if deviation < MAX_DEVIATION:
            self.jitter_ticks += (deviation - self.jitter_ticks) * JITTER_GAIN
        self.transit_ticks = transit

    def set_rate(self, rate_hz: int) -> None:
        """Another payload type begins, whose timestamps have nothing to do with the last one's."""
        self.transit_ticks = -inf
        self.jitter_ticks *= rate_hz / self.rate_hz
        self.rate_hz = rate_hz

    def begin_anew(self) -> None:
        """For a while the stream was not seen: what is missing since then is not lost."""
        self._is_anew = True

    def _begin(self, ssrc: int, sequence: int) -> None:
        self._before = self.lost
        self._is_anew = False
        self.ssrc = ssrc
        self._base = self.highest = sequence
        self.received = 0
        self.transit_ticks = -inf
