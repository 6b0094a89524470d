"""One recording: the samples of one voice or two, until somebody stops it, it is full, or all are silent."""

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import numpy as np

from pbx.media.halfband import Converter, make_converter
from pbx.media.samples import FRAME_MS, RATES_HZ, Samples, frame_size, silence
from pbx.media.silence import SilenceDetector

BLOCK_S: Final = 1.0  # what a crash costs
TAIL_S: Final = 0.3  # of the silence that ended it
FRAME_S: Final = FRAME_MS / 1000
MOST_APART: Final = 25  # frames of one side, before the other counts as silent


class Writer(Protocol):
    """A WAV file, somewhere else: its calls return at once and are carried out in order."""

    def append(self, samples: Samples, right: Samples | None) -> None: ...
    def close(self, done: Callable[[str], None]) -> None:
        """`done` gets what went wrong, or "" """
        ...


class Recorder:
    """Collects 20 ms from each channel in turn.

    Args:
        voices: who is recorded, the left one first; anything that can be compared.
    """

    def __init__(
        self, voices: Sequence[Any], writer: Writer, rate_hz: int, *, max_s: float, silence_s: float
    ) -> None:
        self.voices = tuple(voices)
        self.rate_hz = rate_hz
        self.why = ""  # it is over
        self._writer = writer
        self._frame = frame_size(rate_hz)
        self._most = round(max_s * rate_hz) if max_s else None
        self._silence_s = silence_s
        self._detectors = [SilenceDetector() for _ in voices]
        self._converters: dict[int, Converter] = {}  # by channel, where its sound comes at another rate
        self._waiting: list[list[Samples]] = [[] for _ in voices]
        self._block: list[list[Samples]] = []
        self._held: list[list[Samples]] = []  # silence that may be the end
        self._count = 0  # samples in the file or on their way

    @property
    def seconds(self) -> float:
        return self._count / self.rate_hz

    def add(self, voice: Any, samples: Samples) -> None:
        """20 ms of one voice, at whatever rate."""
        if self.why:
            return
        waiting, channel = self._waiting, self.voices.index(voice)
        if len(samples) != self._frame:
            samples = self._convert(channel, samples)
        waiting[channel].append(samples)
        if len(waiting[channel]) > MOST_APART:  # the other one is gone: its side is silent
            for each in waiting:
                if not each:
                    each.append(silence(self._frame))
        if all(waiting):
            self._take([each.pop(0) for each in waiting])

    def _convert(self, channel: int, samples: Samples) -> Samples:
        """A room has one rate, and a recording that came along with somebody another one."""
        if channel not in self._converters:
            narrow, wide = RATES_HZ
            made = make_converter(narrow if self.rate_hz == wide else wide, self.rate_hz)
            assert made is not None  # the rates differ
            self._converters[channel] = made
        return self._converters[channel].convert(samples)

    def _take(self, frame: list[Samples]) -> None:
        if self._silence_s:
            silent_s = min(detector.feed(each) for detector, each in zip(self._detectors, frame, strict=True))
            if silent_s > 0:
                self._hold(frame, silent_s)
                return
            self._release()
        self._keep(frame)

    def _hold(self, frame: list[Samples], silent_s: float) -> None:
        """This may be the end."""
        self._held.append(frame)
        if silent_s >= self._silence_s:
            del self._held[round(TAIL_S / FRAME_S) :]
            self._release()
            self.stop("silence")
        elif self._most is not None and self._count + len(self._held) * self._frame > self._most:
            self._release()

    def _release(self) -> None:
        held, self._held = self._held, []
        for each in held:
            self._keep(each)

    def _keep(self, frame: list[Samples]) -> None:
        if self.why:
            return
        if self._most is not None and self._count + self._frame > self._most:
            self.why = "full"
            return
        self._block.append(frame)
        self._count += self._frame
        if len(self._block) * FRAME_S >= BLOCK_S:
            self._flush()

    def _flush(self) -> None:
        if self._block:
            left, *right = (np.concatenate(each) for each in zip(*self._block, strict=True))
            self._writer.append(left, right[0] if right else None)
            self._block = []

    def stop(self, why: str) -> None:
        """Nothing more is to be kept; `close` it then."""
        if not self.why:
            self._release()
        self.why = self.why or why

    def close(self, done: Callable[[str], None]) -> None:
        """Let the rest be written; `done` gets what went wrong, or "" """
        self._flush()
        self._writer.close(done)
