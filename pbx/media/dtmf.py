"""Digits as tones (ITU-T Q.23, Q.24): heard in the sound of a call, and made.

The detector looks at 25 ms of sound every 5 ms, under a Hann window, and takes a digit when three looks in
a row show it: 36 ms of a digit suffice, 27 ms do not. It is over when eight looks in a row do not show it: an
interruption of 10 ms does not make two digits of one, a pause of 40 ms does. A frequency is measured by how
far its phase turns in 10 ms, more exactly than the 40 Hz that 25 ms of sound can tell apart.
"""

from math import atan2, pi, sin
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pbx.errors import UsageError
from pbx.media.samples import RATES_HZ, Samples, amplitude, edges, silence, to_samples

ROWS_HZ: Final = (697.0, 770.0, 852.0, 941.0)
COLUMNS_HZ: Final = (1209.0, 1336.0, 1477.0, 1633.0)
KEYS: Final = "123A456B789C*0#D"

RATE_HZ: Final = 8_000
LOOK: Final = 200  # samples
STEP: Final = 40  # samples from one look to the next
TURN: Final = 2  # looks over which the phase is followed
LOOKS_NEEDED: Final = 3
LOOKS_MISSED: Final = 8

LOWEST_DBM0: Final = -36.0  # of each of the two frequencies
HIGH_ABOVE_LOW_DB: Final = 6.0  # forward twist: 4 dB are to be accepted (Q.24 table A-1)
LOW_ABOVE_HIGH_DB: Final = 10.0  # reverse twist: 8 dB are to be accepted
PURITY: Final = 0.85  # the part of all energy that the two frequencies have
LEAD_DB: Final = 8.0  # of a frequency above the others of its group
DEVIATION: Final = 0.025  # of a frequency: 1.5 % are to be accepted, 3.5 % to be refused
STEADY_DB: Final = 3.0  # change of level over TURN looks
LOW_DBM0: Final = -9.0  # level of the lower frequency of what is sent
TWIST_DB: Final = 2.0  # and how much louder the higher one is

Waves: TypeAlias = NDArray[np.float64]  # the real parts of the eight frequencies, then the imaginary ones


def _ratio(db: float) -> float:
    return float(10.0 ** (db / 10))


_LEAST: Final = amplitude(LOWEST_DBM0) ** 2
_FAINT: Final = 2 * _LEAST
_FORWARD: Final = _ratio(HIGH_ABOVE_LOW_DB)
_REVERSE: Final = _ratio(LOW_ABOVE_HIGH_DB)
_TRAIL: Final = _ratio(-LEAD_DB)
_STEADY: Final = _ratio(STEADY_DB)

_NOMINAL_HZ: Final = ROWS_HZ + COLUMNS_HZ
_FREQUENCIES: Final = np.array(_NOMINAL_HZ)
_WINDOW: Final = np.hanning(LOOK + 1)[:LOOK]
# The energy that a pure tone of amplitude 1 has under the window is made 1.
_ENERGY: Final = 2 * _WINDOW**2 / (_WINDOW**2).sum()
_PHASES: Final = 2 * pi / RATE_HZ * np.outer(np.arange(LOOK), _FREQUENCIES)
_WAVES: Final = np.exp(-1j * _PHASES) * (2 * _WINDOW / _WINDOW.sum())[:, None]
_MATRIX: Final = np.ascontiguousarray(np.hstack((_WAVES.real, _WAVES.imag)))
_UNTURN: Final[list[complex]] = np.exp(-2j * pi * TURN * STEP / RATE_HZ * _FREQUENCIES).tolist()
_HZ_A_RADIAN: Final = RATE_HZ / (2 * pi * TURN * STEP)


def _places(count: int) -> NDArray[np.intp]:
    return STEP * np.arange(count)[:, None] + np.arange(LOOK)


_PLACES: Final = _places(16)


class Detector:
    """Hears the digits in one stream at 8,000 Hz."""

    __slots__ = ("_candidate", "_held", "_missed", "_past", "_seen", "_waves")

    def __init__(self) -> None:
        self._past: Samples = silence(LOOK - STEP)
        self._waves = np.zeros((TURN, 16))
        self._candidate = self._held = ""
        self._seen = self._missed = 0

    def feed(self, samples: Samples) -> list[str]:
        """The digits that begin in the next samples, mostly none.

        Args:
            samples: at 8,000 Hz, a multiple of 5 ms.

        Raises:
            UsageError: another number of samples.
        """
        if not len(samples) or len(samples) % STEP:
            raise UsageError(f"{len(samples)} samples, not a multiple of {STEP}")
        heard = np.concatenate((self._past, samples))
        self._past = heard[len(samples) :]
        count = len(samples) // STEP
        looks = heard.astype(np.float64).take(_PLACES[:count] if count <= len(_PLACES) else _places(count))
        energies = (looks * looks) @ _ENERGY
        if energies.max() < _FAINT:
            self._waves = np.zeros((TURN, 16))
            return [digit for _ in range(count) if (digit := self._count(""))]
        waves = np.concatenate((self._waves, looks @ _MATRIX))
        self._waves = waves[-TURN:]
        squares = waves * waves
        powers = squares[TURN:, :8] + squares[TURN:, 8:]
        tonal = (powers.sum(1) > energies * 0.5).tolist()
        return [
            digit
            for at in range(count)
            if (
                digit := self._count(
                    _digit(powers[at].tolist(), waves[at], waves[at + TURN], float(energies[at]))
                    if tonal[at]
                    else ""
                )
            )
        ]

    def _count(self, digit: str) -> str:
        """The digit again when, by this look, a new one has begun."""
        self._seen = self._seen + 1 if digit == self._candidate else 1
        self._candidate = digit
        if digit and digit == self._held:
            self._missed = 0
            return ""
        self._missed += 1
        if self._missed >= LOOKS_MISSED:
            self._held = ""
        if not digit or self._seen < LOOKS_NEEDED:
            return ""
        self._held, self._missed = digit, 0
        return digit


def _digit(powers: list[float], before: Waves, now: Waves, energy: float) -> str:
    """The digit that a look shows that has these waves `now` and had others `before`; or nothing."""
    if energy < _FAINT:
        return ""
    low, high = powers[:4], powers[4:]
    row, column = low.index(max(low)), high.index(max(high))
    if (
        low[row] < _LEAST
        or high[column] < _LEAST
        or sorted(low)[2] > low[row] * _TRAIL
        or sorted(high)[2] > high[column] * _TRAIL
    ):
        return ""
    low_tone = _measure(row, low[row], before, now)
    high_tone = _measure(column + 4, high[column], before, now)
    if high_tone > low_tone * _FORWARD or low_tone > high_tone * _REVERSE:
        return ""
    return KEYS[4 * row + column] if low_tone + high_tone > energy * PURITY else ""


def _measure(at: int, power: float, before: Waves, now: Waves) -> float:
    """The true power of the frequency found near number `at`; 0 when it is too far off, or comes or goes."""
    was = complex(before[at], before[at + 8])
    if not power / _STEADY < abs(was) ** 2 < power * _STEADY:
        return 0.0
    turn = complex(now[at], now[at + 8]) * was.conjugate() * _UNTURN[at]
    off_hz = atan2(turn.imag, turn.real) * _HZ_A_RADIAN
    if abs(off_hz) > DEVIATION * _NOMINAL_HZ[at]:
        return 0.0
    # Beside its middle the window's response is lower: sinc(x) / (1 - x^2), x in units of 1 / LOOK.
    x = off_hz * LOOK / RATE_HZ
    response = sin(pi * x) / (pi * x * (1 - x * x)) if abs(x) > 0.01 else 1.0
    return power / (response * response)


def make_digit(digit: str, milliseconds: int, rate_hz: int = RATE_HZ) -> Samples:
    """The tones of one key, with edges of 2 ms; the higher one is 2 dB louder (ITU-T Q.23 §6).

    Args:
        digit: one of 0 to 9, *, #, A to D.
        milliseconds: how long, at least 10.
        rate_hz: 8,000 or 16,000.

    Raises:
        UsageError: no such digit or rate, or too short.
    """
    if len(digit) != 1 or digit not in KEYS:
        raise UsageError(f"{digit!r} is none of the keys {KEYS}")
    if rate_hz not in RATES_HZ or milliseconds < 10:
        raise UsageError(f"{milliseconds} ms at {rate_hz} Hz; at least 10 ms, at 8000 or 16000 Hz")
    key = KEYS.index(digit)
    at = np.arange(rate_hz * milliseconds // 1000)
    low = amplitude(LOW_DBM0) * np.sin(2 * pi * ROWS_HZ[key // 4] / rate_hz * at)
    high = amplitude(LOW_DBM0 + TWIST_DB) * np.sin(2 * pi * COLUMNS_HZ[key % 4] / rate_hz * at)
    return to_samples((low + high) * edges(len(at), rate_hz))
