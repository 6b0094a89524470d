"""Work on whole sounds: reading, levels, mixing, writing. Pure but for the files.

A sound is mono float32 samples from -1 to 1, at RATE_HZ unless said otherwise. Belongs to the speech process
(and to `pbx apply`, which checks uploads): the core imports no numpy.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import soundfile  # type: ignore[import-untyped]  # it has no types
import soxr  # type: ignore[import-untyped]  # it has no types
from numpy.typing import NDArray

from pbx.media.prompt import MAX_FILE_BYTES, MAX_FILE_S, SoundError, SoundFacts

Sound: TypeAlias = NDArray[np.float32]

RATE_HZ: Final = 16_000  # at which sounds are worked on; the telephone's wider rate
FRAME: Final = RATE_HZ // 50  # 20 ms

LEVEL_DBFS: Final = -19.0  # RMS of the frames with something in them; of full scale 1.0
CEILING: Final = 10 ** (-1 / 20)  # no sample is above: resampling and codecs need a little room
MOST_GAIN: Final = 10 ** (30 / 20)  # near-silence is not made loud
ACTIVE_DB: Final = 25.0  # a frame so far below the loudest has nothing in it
QUIET: Final = 10 ** (-50 / 20)  # what is trimmed off the ends of speech
MARGIN_S: Final = 0.01
BED_DBFS: Final = -26.0
DUCK: Final = 10 ** (-14 / 20)  # of the bed, under speech
ATTACK_S, RELEASE_S = 0.12, 0.6
FULL_SCALE_DBM0: Final = 3.14  # a full-scale sine, ITU-T G.711 §5

FORMATS: Final = {"MP3": "mp3", "WAV": "wav", "WAVEX": "wav", "OGG": "ogg", "FLAC": "flac"}
RATES_HZ: Final = range(4_000, 192_001)
MAX_CHANNELS: Final = 8
MP3_RATE_HZ: Final = 16_000


def as_sound(samples: Any) -> Sound:
    """Samples of any precision."""
    return np.asarray(samples, np.float32)


def check(content: bytes, wanted: str = "") -> SoundFacts:
    """Whether a file may be used as a prompt, by decoding all of it.

    Args:
        content: of the file.
        wanted: the format that it has to have, "" = any that we read.

    Raises:
        SoundError: it is empty, too large, broken, too long or another sort of file; the text says which.
    """
    if not content:
        raise SoundError("the file is empty")
    if len(content) > MAX_FILE_BYTES:
        raise SoundError(f"the file has {len(content):,} bytes; at most {MAX_FILE_BYTES:,} are allowed")
    with _opened(io.BytesIO(content), wanted) as file:
        count = sum(len(block) for block in _blocks(file))
        if count == 0:
            raise SoundError("the file has no sound in it")
        return SoundFacts(FORMATS[file.format], count / file.samplerate, file.samplerate, file.channels)


def read(path: str) -> Sound:
    """The sound of a file, all channels together.

    Raises:
        SoundError: it cannot be used, as with `check`.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise SoundError(f"{path}: {error.strerror or error}") from None
    try:
        return decode(content)
    except SoundError as error:
        raise SoundError(f"{path}: {error}") from None


def decode(content: bytes) -> Sound:
    """The sound of a file's content, all channels together.

    Raises:
        SoundError: it cannot be used, as with `check`.
    """
    if not content:
        raise SoundError("the file is empty")
    with _opened(io.BytesIO(content)) as file:
        stream = soxr.ResampleStream(file.samplerate, RATE_HZ, 1, dtype="float32")
        pieces = [stream.resample_chunk(block.mean(axis=1)) for block in _blocks(file)]
        pieces.append(stream.resample_chunk(np.zeros(0, np.float32), last=True))
    sound: Sound = np.concatenate(pieces)
    if len(sound) == 0:
        raise SoundError("the file has no sound in it")
    return np.nan_to_num(sound, nan=0.0, posinf=0.0, neginf=0.0)


def _opened(stream: io.BytesIO, wanted: str = "") -> Any:
    kinds = wanted or "mp3, wav, ogg or flac"
    try:
        file = soundfile.SoundFile(stream)
    except soundfile.LibsndfileError as error:
        raise SoundError(f"this is no {kinds} file ({error.error_string.rstrip('.')})") from None
    found = FORMATS.get(file.format)
    if found is None or (wanted and found != wanted):
        raise SoundError(f"this is a file of the sort {found or file.format}; it has to be {kinds}")
    if file.samplerate not in RATES_HZ or file.channels > MAX_CHANNELS:
        raise SoundError(
            f"{file.samplerate} Hz and {file.channels} channels;"
            f" allowed are {RATES_HZ[0]} to {RATES_HZ[-1]} Hz and up to {MAX_CHANNELS} channels"
        )
    return file


def _blocks(file: Any) -> Iterator[NDArray[np.float32]]:
    """The file a second at a time, (n, channels)."""
    most, count = int(MAX_FILE_S * file.samplerate), 0
    try:
        while len(block := file.read(file.samplerate, dtype="float32", always_2d=True)):
            count += len(block)
            if count > most:
                raise SoundError(f"it plays longer than {MAX_FILE_S / 60:.0f} minutes, which is the most")
            yield block
    except soundfile.LibsndfileError as error:
        where = f"after {count / file.samplerate:.1f} s"
        raise SoundError(f"the file is broken {where} ({error.error_string.rstrip('.')})") from None


def resample(sound: Sound, rate_hz: int, wanted_hz: int) -> Sound:
    """The same at another rate."""
    if rate_hz == wanted_hz or len(sound) == 0:
        return sound
    changed: Sound = soxr.resample(sound, rate_hz, wanted_hz)
    return changed


def trim(sound: Sound) -> Sound:
    """Speech without the silence before and after it."""
    loud = np.flatnonzero(np.abs(sound) > QUIET)
    if len(loud) == 0:
        return sound[:0]
    margin = int(MARGIN_S * RATE_HZ)
    return sound[max(0, loud[0] - margin) : loud[-1] + 1 + margin]


def frame_levels(sound: Sound) -> NDArray[np.float64]:
    """The RMS of each frame, the last one padded with silence."""
    padded = np.zeros(-(-len(sound) // FRAME) * FRAME)
    padded[: len(sound)] = sound
    levels: NDArray[np.float64] = np.sqrt(np.square(padded.reshape(-1, FRAME)).mean(axis=1))
    return levels


def is_active(sound: Sound) -> NDArray[np.bool_]:
    """Which frames have something in them."""
    levels = frame_levels(sound)
    if len(levels) == 0:
        return np.zeros(0, np.bool_)
    active: NDArray[np.bool_] = levels > max(levels.max() * 10 ** (-ACTIVE_DB / 20), QUIET / 4)
    return active


def active_level(sound: Sound) -> float:
    """The RMS in dB of full scale over the frames that have something in them; -inf of silence.

    The idea of ITU-T P.56 in its simplest form: pauses do not count.
    """
    active = is_active(sound)
    if not active.any():
        return -np.inf
    return float(10 * np.log10(np.square(frame_levels(sound)[active]).mean()))


def level(sound: Sound, dbfs: float = LEVEL_DBFS) -> Sound:
    """The sound at a level as `active_level` measures it. Peaks are held below CEILING, not cut off."""
    now = active_level(sound)
    if now == -np.inf:
        return sound
    gain = min(10 ** ((dbfs - now) / 20), MOST_GAIN)
    return limit(as_sound(sound * gain))


def limit(sound: Sound) -> Sound:
    """Turn down around peaks above CEILING, with ramps of 5 ms that are over before the peak comes."""
    if len(sound) == 0 or np.abs(sound).max() <= CEILING:
        return sound
    step = RATE_HZ // 200
    blocks = -(-len(sound) // step)
    padded = np.zeros(blocks * step, np.float32)
    padded[: len(sound)] = sound
    peaks = np.abs(padded.reshape(blocks, step)).max(axis=1)
    allowed = CEILING / np.maximum(peaks, CEILING)
    # An edge between two blocks suits both, so what lies on the line between two edges suits the block.
    edges = np.concatenate([allowed[:1], np.minimum(allowed[:-1], allowed[1:]), allowed[-1:]])
    gains = np.interp(np.arange(len(sound)) / step, np.arange(blocks + 1), edges)
    return as_sound(sound * gains)


def mix(speech: Sound, bed: Sound) -> Sound:
    """Speech over a bed, which is repeated for as long as it takes and turned down under speech."""
    if len(speech) == 0 or len(bed) == 0:
        return speech
    under = np.resize(level(bed, BED_DBFS), len(speech))
    active = is_active(speech)
    gains = np.empty(len(active) + 1)
    gains[0] = gain = 1.0
    down, up = (1 - DUCK) * 0.02 / ATTACK_S, (1 - DUCK) * 0.02 / RELEASE_S
    ahead = np.append(active[1:], False) | active  # it begins one frame before the speech does
    for at, is_speech in enumerate(ahead):
        gain = max(DUCK, gain - down) if is_speech else min(1.0, gain + up)
        gains[at + 1] = gain
    ramp = np.interp(np.arange(len(speech)) / FRAME, np.arange(len(gains)), gains)
    return limit(as_sound(speech + under * ramp))


def tone(frequencies: tuple[float, ...], seconds: float, dbm0: float) -> Sound:
    """Sines at once, as `prompt.Tone` says."""
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    if not frequencies:
        return np.zeros(len(times), np.float32)
    amplitude = 10 ** ((dbm0 - FULL_SCALE_DBM0) / 20) / np.sqrt(len(frequencies))
    sound = sum(np.sin(2 * np.pi * frequency * times) for frequency in frequencies) * amplitude
    ramp = np.minimum(1, np.minimum(times, seconds - times) / 0.004)  # no click
    return as_sound(sound * ramp)


def to_pcm(sound: Sound, rate_hz: int) -> bytes:
    """Little-endian int16 samples at a rate."""
    scaled = np.rint(resample(sound, RATE_HZ, rate_hz) * 32767)
    return np.clip(scaled, -32767, 32767).astype("<i2").tobytes()


def to_mp3(path: str) -> bytes:
    """A sound file as MP3, for mail; stereo stays stereo.

    Raises:
        SoundError: it cannot be read or encoded.
    """
    target = io.BytesIO()
    try:
        with (
            Path(path).open("rb") as raw,
            soundfile.SoundFile(raw) as source,
            soundfile.SoundFile(
                target, "w", MP3_RATE_HZ, source.channels, format="MP3", subtype="MPEG_LAYER_III"
            ) as sink,
        ):
            stream = soxr.ResampleStream(source.samplerate, MP3_RATE_HZ, source.channels, dtype="float32")
            is_last = False
            while not is_last:
                block = source.read(source.samplerate, dtype="float32", always_2d=True)
                is_last = len(block) < source.samplerate
                sink.write(stream.resample_chunk(block, last=is_last))
    except soundfile.LibsndfileError as error:
        raise SoundError(f"{path}: {error.error_string}") from None
    except OSError as error:
        raise SoundError(f"{path}: {error.strerror or error}") from None
    return target.getvalue()
