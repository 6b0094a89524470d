"""Samples: what sound is in this system, mono signed 16-bit at 8,000 or 16,000 Hz, in frames of 20 ms."""

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pbx.errors import MediaError

Samples: TypeAlias = NDArray[np.int16]
Floats: TypeAlias = NDArray[np.float64]

FRAME_MS: Final = 20
RATES_HZ: Final = (8_000, 16_000)
LOUDEST: Final = 32_767

# A full-scale sine is +3.14 dBm0 in A-law, +3.17 in µ-law (ITU-T G.711 tables 1 and 2).
FULL_SCALE_DBM0: Final = 3.14


class UndecodableError(MediaError):
    """A payload that its codec cannot read."""


def frame_size(rate_hz: int) -> int:
    """Samples in 20 ms."""
    return rate_hz * FRAME_MS // 1000


def silence(count: int) -> Samples:
    """`count` samples of nothing."""
    return np.zeros(count, np.int16)


def to_samples(values: Floats) -> Samples:
    """Rounded and kept within 16 bits."""
    return np.clip(np.rint(values), -LOUDEST - 1, LOUDEST).astype(np.int16)


def amplitude(dbm0: float) -> float:
    """The peak of a sine of this level, in samples."""
    return float(LOUDEST * 10.0 ** ((dbm0 - FULL_SCALE_DBM0) / 20))


def edges(count: int, rate_hz: int, seconds: float = 0.002) -> Floats:
    """The factors that let `count` samples rise and fall smoothly instead of with a click."""
    edge = min(int(rate_hz * seconds), count // 2)
    factors = np.ones(count)
    rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(edge) + 0.5) / max(edge, 1))
    factors[:edge] = rise
    factors[count - edge :] = rise[::-1]
    return factors
