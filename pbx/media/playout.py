"""A received stream as sound: jitter buffer, decoder and concealment, in frames of exactly 20 ms."""

import numpy as np

from pbx.media.codecs import CODECS, UndecodableError, make_decoder
from pbx.media.jitter import Gap, JitterBuffer
from pbx.media.samples import Samples, frame_size, silence


class Playout:
    """What one source sends in one codec.

    Attributes:
        buffer: its packets.
        undecodable: payloads that the codec could not read.
        is_silent: whether the last frame was a pause, or was before the first packet: all zero.
    """

    __slots__ = (
        "_codec",
        "_decoder",
        "_ready",
        "_silence",
        "_size",
        "_step",
        "buffer",
        "is_silent",
        "undecodable",
    )

    def __init__(self, codec: str, rate_hz: int) -> None:
        """Decode to 8,000 or 16,000 Hz.

        Raises:
            UsageError: no such codec or rate.
        """
        self._decoder = make_decoder(codec, rate_hz)
        self._codec = CODECS[codec]
        self._size = frame_size(rate_hz)
        self._silence = silence(self._size)
        self._silence.flags.writeable = False
        self._ready: Samples = self._silence[:0]
        self.buffer = JitterBuffer(self._codec.clock_hz)
        self.undecodable = 0
        self.is_silent = True

    @property
    def delay_s(self) -> float | None:
        """From when a packet's sound began to when it was taken, its way apart; None: nothing was."""
        buffer = self.buffer
        if buffer.delay_s is None:
            return None
        return buffer.step_ticks / self._codec.clock_hz + buffer.delay_s

    def push(self, sequence: int, timestamp: int, payload: bytes, now: float) -> None:
        """Take a packet of the codec's payload type that came at `now`."""
        self.buffer.push(sequence, timestamp, payload, now)

    def frame(self, now: float) -> Samples:
        """The next 20 ms, perhaps read-only; to be asked every 20 ms."""
        size = self._size
        if not len(self._ready):
            got = self.buffer.pop(now)
            samples = self._sound(got)
            self.is_silent = got is Gap.EMPTY
            if len(samples) == size:
                return samples
            self._ready = samples
        else:
            self.is_silent = False
        while len(self._ready) < size:
            got = self.buffer.pop(now)
            self.is_silent = self.is_silent and got is Gap.EMPTY
            self._ready = np.concatenate((self._ready, self._sound(got)))
        frame, self._ready = self._ready[:size], self._ready[size:]
        return frame

    def _sound(self, got: bytes | Gap) -> Samples:
        if isinstance(got, bytes):
            try:
                return self._decoder.decode(got)
            except UndecodableError:
                self.undecodable += 1
        if got is Gap.EMPTY:
            ticks = self.buffer.pause_ticks
            if ticks == self._codec.frame_ticks:
                return self._silence
            return silence(self._count(ticks))
        return self._decoder.conceal(self._count(self.buffer.step_ticks))

    def _count(self, ticks: int) -> int:
        """Samples in so many timestamp units, at least one."""
        return max(1, ticks * self._size // self._codec.frame_ticks)
