"""What is played for lost frames by codecs without their own way (after ITU-T G.711 Appendix I).

The last period of the voice is repeated and fades within 60 ms; the first good frame is blended in.
"""

from typing import Final

import numpy as np

from pbx.media.samples import Floats, Samples, silence, to_samples

LOWEST_HZ: Final = 66  # a voice's pitch lies between these
HIGHEST_HZ: Final = 400
FLAT_S: Final = 0.010  # unchanged for so long,
GONE_S: Final = 0.060  # silent from then on
BLEND_S: Final = 0.004


class Concealer:
    """Follows one stream of decoded samples."""

    __slots__ = ("_filled", "_past", "_period", "_rate_hz", "_recent")

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._recent: Samples = silence(0)
        self._past: Samples = silence(0)
        self._period: Floats | None = None
        self._filled = 0

    def take(self, samples: Samples) -> Samples:
        """A good frame: itself, or blended with what was played for the lost ones before it."""
        if self._filled:
            samples = self._blend(samples)
            self._period = None
            self._filled = 0
        self._past, self._recent = self._recent, samples
        return samples

    def conceal(self, count: int) -> Samples:
        """`count` samples for a lost frame."""
        if self._period is None:
            self._period = self._find_period()
        made = to_samples(self._continue(count))
        self._filled += count
        return made

    def _continue(self, count: int) -> Floats:
        assert self._period is not None
        at = np.arange(self._filled, self._filled + count)
        gain = np.clip((GONE_S - at / self._rate_hz) / (GONE_S - FLAT_S), 0.0, 1.0)
        return np.asarray(self._period[at % len(self._period)] * gain, np.float64)

    def _blend(self, samples: Samples) -> Samples:
        count = min(int(BLEND_S * self._rate_hz), len(samples))
        rise = (np.arange(count) + 0.5) / count
        blended = np.array(samples)
        blended[:count] = to_samples(self._continue(count) * (1 - rise) + samples[:count] * rise)
        return blended

    def _find_period(self) -> Floats:
        """The last period, its end blended into what came before it so that it repeats without a click."""
        heard = np.concatenate((self._past, self._recent)).astype(np.float64)
        longest, shortest = self._rate_hz // LOWEST_HZ, self._rate_hz // HIGHEST_HZ
        window = len(heard) - longest
        if window < longest:
            return np.zeros(longest)
        latest = heard[-window:]
        likeness = np.correlate(heard, latest, "valid")[: longest - shortest + 1]
        squares = np.cumsum(np.concatenate(([0.0], heard * heard)))
        energy = squares[window:] - squares[:-window]
        best = int(np.argmax(likeness / np.sqrt(energy[: len(likeness)] + 1.0)))
        lag = longest - best
        period = heard[-lag:].copy()
        overlap = lag // 4
        rise = (np.arange(overlap) + 0.5) / overlap
        period[-overlap:] = period[-overlap:] * (1 - rise) + heard[-lag - overlap : -lag] * rise
        return period
