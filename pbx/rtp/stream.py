"""What one peer sends, and the short way that it takes through an endpoint. The hot path of the hot path."""

from collections.abc import Callable
from struct import Struct
from typing import Any, Final

from pbx.rtp.packet import DEFAULT_CLOCK_RATE, HEADER_SIZE, MAX_PACKET
from pbx.rtp.sequence import JITTER_EVERY, JITTER_GAIN, MAX_DEVIATION, MAX_DROPOUT, Reception

_HEADER: Final = Struct(
    "!HHII"
)  # first two bytes as one number: they are the same in most packets of a stream
unpack_head = _HEADER.unpack_from

# Where a packet lies while it is passed on: one at a time, so one place for all.
_PACKET: Final = bytearray(MAX_PACKET)
_FIRST: Final = tuple(memoryview(_PACKET)[:size] for size in range(MAX_PACKET + 1))  # its first `size` bytes


class Stream(Reception):
    """What one peer sends, and the short way it takes: most packets of most calls go through `relay`.

    `packets` and `octets` count what went this way since the endpoint last looked.
    """

    __slots__ = ("head", "octets", "packets", "recv_into", "send", "send_again", "take")

    recv_into: Callable[[bytearray], int]
    send: Callable[[bytes | memoryview], int]
    send_again: Callable[[bytes | memoryview], bool]
    take: Callable[[bytes, float], None]

    def __init__(self) -> None:
        super().__init__(DEFAULT_CLOCK_RATE)
        self.head = -1  # how packets begin that need no second look
        self.packets = self.octets = 0
        self.clear()

    def relay(self, now: float) -> None:
        """Pass on a packet of the known peer as it is."""
        recv_into, send = self.recv_into, self.send  # looked up as methods they would take longer
        try:
            size = recv_into(_PACKET)
        except OSError:
            return
        head, sequence, timestamp, ssrc = unpack_head(_PACKET)
        highest = self.highest
        step = (sequence - highest) & 0xFFFF
        if head != self.head or ssrc != self.ssrc or step >= MAX_DROPOUT or size < HEADER_SIZE:
            self.take(bytes(_FIRST[size]), now)
            return
        self.highest = highest + step
        if not sequence % JITTER_EVERY:
            transit = now * self.rate_hz - timestamp
            deviation = abs(transit - self.transit_ticks)
            if deviation < MAX_DEVIATION:
                self.jitter_ticks += (deviation - self.jitter_ticks) * JITTER_GAIN
            self.transit_ticks = transit
        self.packets += 1
        self.octets += size
        try:
            send(_FIRST[size])
        except OSError:
            self.send_again(_FIRST[size])

    def clear(self) -> None:
        """Hold on to nothing, and go no way."""
        self.recv_into = self.send = self.send_again = self.take = _nowhere


def _nowhere(*_: Any) -> Any:
    raise BlockingIOError
