"""Sound for the phones' microphones, and a judge for what their ears recorded.

A recording is read while it still grows, so that a test can wait until a tone is heard instead of
sleeping. Frames are 50 ms; a frame carries a tone when most of its energy lies at that tone.
"""

import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tests.phones.support.waiting import PATIENCE_S, wait_until

Samples = NDArray[np.float64]

FRAME_S: Final = 0.05
HEADER_BYTES: Final = 44
QUIET: Final = 60.0  # RMS of 16-bit samples below which a frame is silence
SHARE: Final = 0.6  # of a frame's energy that must lie at the tone
BLOCK_S: Final = 0.6
SLIP_S: Final = 0.3


def tone(frequency: float, seconds: float, rate: int, amplitude: float = 8000.0) -> Samples:
    """A sine wave: n = seconds * rate samples in 16-bit units."""
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)


def speech(seed: int, seconds: float, rate: int) -> Samples:
    """Something that changes as speech does: voiced syllables with moving pitch and formants, and pauses.

    Two seeds give two texts that don't correlate.
    """
    chance = np.random.default_rng(seed)
    total = int(seconds * rate)
    text = np.zeros(total)
    at = 0
    while at < total:
        length = min(int(chance.uniform(0.12, 0.3) * rate), total - at)
        time = np.arange(length) / rate
        pitch = chance.uniform(90, 220) * (1 + chance.uniform(-0.2, 0.2) * time / 0.2)
        formants = chance.uniform((350, 1100), (850, 2300))
        phase = 2 * np.pi * np.cumsum(pitch) / rate
        syllable = np.zeros(length)
        for harmonic in range(1, int(3400 / pitch.max())):
            weight = np.exp(-(((harmonic * pitch[:, None] - formants) / 180) ** 2)).sum(axis=1)
            syllable += weight * np.sin(harmonic * phase + chance.uniform(0, 2 * np.pi))
        text[at : at + length] = syllable * np.hanning(length)
        at += length + int(chance.uniform(0.0, 0.08) * rate)
    return 9000.0 * text / np.abs(text).max()


def write_wav(path: Path, samples: Samples, rate: int) -> Path:
    """Write 16-bit mono."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.clip(samples, -32768, 32767).astype("<i2").tobytes())
    return path


def write_tone(path: Path, frequency: float, rate: int, seconds: float = 20.0) -> Path:
    """A WAV of one tone; whole periods, so that it can be played in a loop."""
    return write_wav(path, tone(frequency, seconds, rate), rate)


def read_wav(path: Path) -> tuple[Samples, int]:
    """Samples and rate of a 16-bit WAV, also of one that is still being written."""
    raw = path.read_bytes() if path.exists() else b""
    if len(raw) < HEADER_BYTES:
        return np.zeros(0), 8000
    channels = int.from_bytes(raw[22:24], "little") or 1
    rate = int.from_bytes(raw[24:28], "little") or 8000
    start = raw.find(b"data", 12, 4096)
    start = start + 8 if start >= 0 else HEADER_BYTES
    usable = (len(raw) - start) // (2 * channels) * 2 * channels
    samples = np.frombuffer(raw[start : start + max(usable, 0)], "<i2").astype(np.float64)
    return samples.reshape(-1, channels)[:, 0], rate


def tone_shares(samples: Samples, rate: int, frequency: float) -> Samples:
    """For each 50 ms frame the part (0 to 1) of its energy within 40 Hz of `frequency`; 0 for silence."""
    length = int(FRAME_S * rate)
    count = len(samples) // length
    if count == 0:
        return np.zeros(0)
    frames = samples[: count * length].reshape(count, length)
    frames = frames - frames.mean(axis=1, keepdims=True)
    energy = np.abs(np.fft.rfft(frames * np.hanning(length), axis=1)) ** 2
    near = np.abs(np.fft.rfftfreq(length, 1 / rate) - frequency) <= 40.0
    whole = energy.sum(axis=1)
    loud = np.sqrt((frames**2).mean(axis=1)) > QUIET
    shares = np.zeros(count)
    shares[loud] = energy[loud][:, near].sum(axis=1) / whole[loud]
    return shares


@dataclass(frozen=True, slots=True)
class ToneVerdict:
    """How a tone was heard, from the first frame of it to the last."""

    frequency: float
    seconds: float  # from its first frame to its last
    share: float  # of these frames that carry it
    holes: int  # gaps of two frames and more
    longest_hole_s: float

    def __str__(self) -> str:
        return (
            f"{self.frequency:g} Hz for {self.seconds:.2f} s, in {self.share:.0%} of the frames, "
            f"{self.holes} holes (longest {self.longest_hole_s:.2f} s)"
        )


def judge_tone(samples: Samples, rate: int, frequency: float) -> ToneVerdict:
    """Measure `frequency` in a recording; `seconds` is 0.0 when it isn't there."""
    heard = tone_shares(samples, rate, frequency) > SHARE
    where = np.flatnonzero(heard)
    if len(where) == 0:
        return ToneVerdict(frequency, 0.0, 0.0, 0, 0.0)
    inside = heard[where[0] : where[-1] + 1]
    gaps = np.diff(where) - 1
    return ToneVerdict(
        frequency,
        len(inside) * FRAME_S,
        float(inside.mean()),
        int((gaps >= 2).sum()),
        float(gaps.max(initial=0)) * FRAME_S,
    )


def speech_match(heard: Samples, spoken: Samples, rate: int) -> float:
    """How well 0.6 s blocks of `heard` agree with `spoken`, played in a loop: the median correlation.

    All blocks lie at one common offset, give or take what a starved phone's jitter buffer slips by.
    """
    block, slip = int(BLOCK_S * rate), int(SLIP_S * rate)
    if len(heard) < 2 * block or not heard.any():
        return 0.0
    offset = int(np.argmax(correlate(np.tile(spoken, 2 + len(heard) // len(spoken)), heard)[: len(spoken)]))
    looped = np.tile(spoken, 3 + len(heard) // len(spoken))
    matches = []
    for start in range(0, len(heard) - block, block):
        one = heard[start : start + block]
        around = looped[max(0, offset + start - slip) : offset + start + block + slip]
        place = int(np.argmax(correlate(around, one)[: len(around) - block + 1]))
        other = around[place : place + block]
        if one.std() > QUIET and other.std() > QUIET:
            matches.append(float(np.corrcoef(one, other)[0, 1]))
    return float(np.median(matches)) if matches else 0.0


def contains(heard: Samples, spoken: Samples, rate: int) -> float:
    """How well the best place in `heard` agrees with `spoken`: the median correlation of 0.3 s blocks."""
    block, slip = int(0.3 * rate), int(SLIP_S * rate)
    if len(heard) < len(spoken) or not heard.any():
        return 0.0
    offset = int(np.argmax(correlate(heard, spoken)[: len(heard) - len(spoken) + 1]))
    matches = []
    for start in range(0, len(spoken) - block, block):
        one = spoken[start : start + block]
        around = heard[max(0, offset + start - slip) : offset + start + block + slip]
        place = int(np.argmax(correlate(around, one)[: len(around) - block + 1]))
        other = around[place : place + block]
        if one.std() > QUIET:
            matches.append(float(np.corrcoef(one, other)[0, 1]) if other.std() > 0 else 0.0)
    return float(np.median(matches)) if matches else 0.0


def correlate(long: Samples, short: Samples) -> Samples:
    """The inner product of `short` with `long` from each place of `long`."""
    size = 1 << int(np.ceil(np.log2(len(long) + len(short))))
    product = np.fft.rfft(long, size) * np.conj(np.fft.rfft(short, size))
    return np.fft.irfft(product, size)


class Ear:
    """What one phone has heard in one call: the WAV files (one after the other) that its recorder writes."""

    def __init__(
        self,
        recordings: Callable[[], Sequence[Path]],
        owner: str,
        own_tone: float | None = None,
        begins_s: float = 0.0,
        real_rate: int = 0,
    ) -> None:
        self.recordings = recordings
        self.owner = owner
        self.own_tone = own_tone
        self.begins_s = begins_s
        self.real_rate = real_rate  # of a program that writes a wrong one into the header

    def heard(self, start_s: float = 0.0, end_s: float | None = None) -> tuple[Samples, int]:
        """Samples and rate of what was recorded between two times."""
        parts = [
            (samples, rate)
            for path in self.recordings()
            for samples, rate in [read_wav(path)]
            if len(samples)
        ]
        if not parts:
            return np.zeros(0), 8000
        rate = parts[0][1]
        samples = np.concatenate([part for part, its_rate in parts if its_rate == rate])
        rate = self.real_rate or rate
        samples = samples[int(self.begins_s * rate) :]
        return samples[int(start_s * rate) : None if end_s is None else int(end_s * rate)], rate

    def seconds(self) -> float:
        """How much has been recorded so far."""
        samples, rate = self.heard()
        return len(samples) / rate

    def verdict(self, frequency: float, start_s: float = 0.0) -> ToneVerdict:
        return judge_tone(*self.heard(start_s), frequency)

    def bursts(self, frequency: float, start_s: float = 0.0) -> list[float]:
        """How long each burst of `frequency` was, in seconds, but for one that goes on."""
        heard = tone_shares(*self.heard(start_s), frequency) > SHARE
        edges = np.flatnonzero(np.diff(np.concatenate(([False], heard)).astype(int)))
        return [float(end - begin) * FRAME_S for begin, end in zip(edges[::2], edges[1::2], strict=False)]

    def wait_bursts(
        self, frequency: float, length_s: float, count: int, start_s: float = 0.0, timeout: float = PATIENCE_S
    ) -> None:
        """Wait for so many bursts of about that length after `start_s`, and of no other."""

        def heard() -> bool:
            bursts = [each for each in self.bursts(frequency, start_s) if each > 2 * FRAME_S]
            return len(bursts) >= count and all(abs(each - length_s) <= 0.1 for each in bursts[1:-1])

        try:
            wait_until(f"{self.owner} hears {count} bursts of {frequency:g} Hz", heard, timeout, 0.1)
        except AssertionError as late:
            raise AssertionError(f"{late}; heard: {self.bursts(frequency, start_s)}") from None

    def wait_tone(
        self, frequency: float, seconds: float = 1.0, start_s: float = 0.0, timeout: float = PATIENCE_S
    ) -> None:
        """Wait until `frequency` was heard for `seconds` after `start_s` of the recording."""
        try:
            wait_until(
                f"{self.owner} hears {frequency:g} Hz for {seconds:g} s",
                lambda: self._heard_s(frequency, start_s) >= seconds,
                timeout,
                poll=0.1,
            )
        except AssertionError as late:
            raise AssertionError(f"{late}; heard after {start_s:.2f} s: {self.describe(start_s)}") from None

    def wait_clean(self, frequency: float, seconds: float = 1.0, start_s: float = 0.0) -> None:
        """Wait until the tone was clean for so long, and nobody hears himself.

        On a machine that is busy a phone's sound may be torn before that.
        """

        def clean() -> bool:
            begin = max(start_s, self.seconds() - seconds - 2 * FRAME_S)
            try:
                self.assert_clean(frequency, seconds - 0.2, begin)
            except AssertionError:
                return False
            return True

        try:
            wait_until(f"{self.owner} hears {frequency:g} Hz, clean for {seconds:g} s", clean, poll=0.1)
        except AssertionError as late:
            raise AssertionError(f"{late}; heard {self.verdict(frequency, start_s)}") from None
        self.assert_not_itself(frequency, start_s)

    def assert_clean(self, frequency: float, least_s: float = 1.0, start_s: float = 0.0) -> None:
        """The tone is there, at least 85 % of the time and with few holes, and nobody hears himself."""
        verdict = self.verdict(frequency, start_s)
        said = f"{self.owner} heard {verdict}"
        assert verdict.seconds >= least_s, f"{said}, not {least_s:g} s; {self.describe(start_s)}"
        assert verdict.share >= 0.85, said
        assert verdict.holes <= 1 + verdict.seconds / 2, said
        self.assert_not_itself(frequency, start_s)

    def assert_not_itself(self, frequency: float, start_s: float = 0.0) -> None:
        """Its own tone isn't heard, unless it is the one that is listened for."""
        if self.own_tone is not None and self.own_tone != frequency:
            own = self.verdict(self.own_tone, start_s)
            assert own.seconds * own.share <= 0.1, f"{self.owner} hears himself: {own}"

    def assert_silent(self, frequency: float, start_s: float = 0.0, end_s: float | None = None) -> None:
        """`frequency` is not heard between the two times (a frame or two may straddle the borders)."""
        samples, rate = self.heard(start_s, end_s)
        heard = float((tone_shares(samples, rate, frequency) > SHARE).sum() * FRAME_S)
        assert heard <= 0.1, f"{self.owner} still hears {frequency:g} Hz, {heard:.2f} s of it"

    def describe(self, start_s: float = 0.0) -> str:
        """The loudest frequencies, for failure messages."""
        samples, rate = self.heard(start_s)
        if len(samples) == 0:
            return "nothing was recorded"
        level = float(np.sqrt((samples**2).mean()))
        spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
        loudest = int(np.argmax(spectrum)) * rate / len(samples)
        return f"{len(samples) / rate:.2f} s, level {level:.0f}, loudest at {loudest:.0f} Hz"

    def _heard_s(self, frequency: float, start_s: float) -> float:
        return float((tone_shares(*self.heard(start_s), frequency) > SHARE).sum() * FRAME_S)
