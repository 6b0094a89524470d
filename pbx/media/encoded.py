"""Sound that many hear, encoded once: a thousand plays of a prompt cost a look into a list for each frame."""

import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from pbx.errors import MediaError, UsageError
from pbx.media.codecs import CODECS, Encoder, make_encoder
from pbx.media.samples import Samples, frame_size

MAX_RUNS: Final = 4
FRAME_OVERHEAD: Final = sys.getsizeof(b"") + 8  # bytes that Python adds to each payload
MAX_BYTES: Final = 64 << 20
MAX_SOUNDS: Final = 500  # each keeps a file open


class EncodedSound:
    """One sound in one codec; frames are encoded when first asked for.

    Who starts in the middle has an encoder of his own: no call encodes more than one frame. An encoder's run
    ends where another one's frames begin.

    Attributes:
        count: the number of frames; the last one is filled up with silence.
        size: bytes of memory taken by the payloads so far.
    """

    __slots__ = ("_codec", "_frames", "_rate_hz", "_runs", "_samples", "_step", "count", "size")

    def __init__(self, samples: Samples, rate_hz: int, codec: str) -> None:
        """Keep `samples` (an array or a memory map), which are at `rate_hz`, to be encoded with `codec`.

        Raises:
            UsageError: no such codec or rate.
        """
        self._runs: OrderedDict[int, Encoder] = OrderedDict([(0, make_encoder(codec, rate_hz))])
        self._codec, self._rate_hz, self._samples = codec, rate_hz, samples
        self._step = frame_size(rate_hz)
        self.count = -(-len(samples) // self._step)
        self._frames: list[bytes | None] = [None] * self.count
        self.size = 8 * self.count

    def frame(self, number: int) -> bytes:
        """The payload of frame `number`, 0 to `count` - 1.

        Raises:
            UsageError: there is no such frame.
        """
        if not 0 <= number < self.count:
            raise UsageError(f"frame {number} of a sound of {self.count} frames")
        payload = self._frames[number]
        return payload if payload is not None else self._encode(number)

    def _encode(self, number: int) -> bytes:
        encoder = self._runs.pop(number, None)
        if encoder is None:
            encoder = make_encoder(self._codec, self._rate_hz)
            if len(self._runs) >= MAX_RUNS:
                self._runs.popitem(last=False)
        payload = encoder.encode(self._cut(number))
        self._frames[number] = payload
        self.size += len(payload) + FRAME_OVERHEAD
        if number + 1 < self.count and self._frames[number + 1] is None:
            self._runs[number + 1] = encoder
        return payload

    def _cut(self, number: int) -> Samples:
        start = number * self._step
        samples = np.asarray(self._samples[start : start + self._step], np.int16)
        missing = self._step - len(samples)
        return np.concatenate((samples, np.zeros(missing, np.int16))) if missing else samples


def read_samples(path: Path) -> Samples:
    """Map a file of raw 16-bit little-endian samples into memory.

    Raises:
        MediaError: it cannot be read.
    """
    try:
        if path.stat().st_size < 2:
            return np.zeros(0, np.int16)
        return np.memmap(path, "<i2", "r", shape=(path.stat().st_size // 2,))
    except OSError as error:
        raise MediaError(f"{path}: {error.strerror}") from error


class SoundCache:
    """Encoded sounds by file stem and codec; the longest unused go when all take more than `max_bytes`.

    A sound that is thrown out goes on for who plays it.
    """

    def __init__(self, max_bytes: int = MAX_BYTES, read: Callable[[Path], Samples] = read_samples) -> None:
        self._max_bytes = max_bytes
        self._read = read
        self._sounds: OrderedDict[tuple[str, str], EncodedSound] = OrderedDict()

    def get(self, stem: str, codec: str) -> EncodedSound:
        """The sound of `{stem}-8000.pcm` or `{stem}-16000.pcm`, whichever suits the codec.

        Raises:
            MediaError: the file cannot be read.
            UsageError: no such codec.
        """
        key = (stem, codec)
        sound = self._sounds.get(key)
        if sound is None:
            if (facts := CODECS.get(codec)) is None:
                raise UsageError(f"codec {codec!r} is none of {', '.join(CODECS)}")
            samples = self._read(Path(f"{stem}-{facts.rate_hz}.pcm"))
            sound = self._sounds[key] = EncodedSound(samples, facts.rate_hz, codec)
        self._sounds.move_to_end(key)
        self._shrink()
        return sound

    @property
    def size(self) -> int:
        """Bytes taken by all payloads."""
        return sum(sound.size for sound in self._sounds.values())

    def _shrink(self) -> None:
        total = self.size
        while (total > self._max_bytes or len(self._sounds) > MAX_SOUNDS) and len(self._sounds) > 1:
            _, sound = self._sounds.popitem(last=False)
            total -= sound.size
