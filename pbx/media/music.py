"""The music on hold, made by us: calm broken chords, always the same."""

from typing import Final

import numpy as np

from pbx.media.sound import RATE_HZ, Sound, as_sound

BEAT_S: Final = 0.75
BEATS: Final = 4  # of a bar
# A chord for each bar, as MIDI notes: bass, then what is broken above it. 16 bars of 3 s.
CHORDS: Final = (
    *((48, 64, 67, 71), (45, 60, 64, 67), (41, 60, 65, 69), (43, 59, 62, 65)),
    *((48, 64, 67, 74), (52, 59, 64, 67), (41, 57, 60, 64), (43, 57, 60, 62)),
    *((45, 60, 64, 69), (52, 59, 62, 67), (41, 60, 64, 69), (48, 60, 64, 67)),
    *((50, 60, 65, 69), (43, 59, 62, 67), (48, 62, 64, 67), (43, 59, 62, 65)),
)
PATTERN: Final = (1, 2, 3, 2, 1, 2, 3, 2)  # quavers: which note of the chord
MELODY: Final = (76, 0, 72, 0, 69, 0, 71, 74, 79, 0, 76, 0, 72, 71, 69, 74, 72, 0, 74, 0, 76, 0, 72, 67)


def compose() -> Sound:
    """One round of 48 s, whose end fades into its beginning."""
    bar = BEAT_S * BEATS
    length = round(bar * len(CHORDS) * RATE_HZ)
    piece = np.zeros(length)
    for at, (bass, *_) in enumerate(CHORDS):
        _add(piece, at * bar, bass, bar * 1.1, 0.5, 0.7)
        for index, which in enumerate(PATTERN):
            _add(piece, at * bar + index * BEAT_S / 2, CHORDS[at][which], 1.6, 0.28, 0.35)
    for index, note in enumerate(MELODY):
        if note:
            _add(piece, index * length / RATE_HZ / len(MELODY) + BEAT_S, note, 2.6, 0.42, 0.8)
    return as_sound(piece / np.abs(piece).max() * 0.8)


def _add(piece: "np.ndarray[tuple[int], np.dtype[np.float64]]", start_s: float, note: int, length_s: float,
         loudness: float, decay_s: float) -> None:  # fmt: skip
    """A soft struck tone; what rings past the end rings at the beginning."""
    times = np.arange(round(length_s * RATE_HZ)) / RATE_HZ
    frequency = 440 * 2 ** ((note - 69) / 12)
    partials = ((1, 1.0), (2, 0.32), (3, 0.12), (4, 0.05))
    wave = sum(
        share * np.sin(2 * np.pi * frequency * order * times) * np.exp(-times * order / decay_s / 2)
        for order, share in partials
    )
    edge = np.minimum(1, np.minimum(times / 0.012, (length_s - times) / 0.05))
    places = (np.arange(len(times)) + round(start_s * RATE_HZ)) % len(piece)
    piece[places] += loudness * wave * edge
