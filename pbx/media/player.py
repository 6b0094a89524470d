"""One playing of a rendered sound to one peer; what codecs make of the sound is shared by all (`encoded`)."""

from pathlib import Path
from typing import Final

from pbx.errors import MediaError
from pbx.media.encoded import EncodedSound, SoundCache, read_samples
from pbx.media.samples import RATES_HZ, Samples, frame_size

SAMPLE_BYTES: Final = 2


class Player:
    """Plays `{stem}-8000.pcm` and `{stem}-16000.pcm`, frame by frame."""

    def __init__(self, cache: SoundCache, stem: str, *, loop: bool = False) -> None:
        """
        Raises:
            MediaError: there is no such sound, or nothing in it.
        """
        self._cache, self._stem, self._loop = cache, stem, loop
        self._samples: dict[int, Samples] = {}  # mapped when asked for: each keeps a file open
        self._count = min(_count_frames(stem, rate_hz) for rate_hz in RATES_HZ)
        if not self._count:
            raise MediaError(f"nothing is in {stem}")
        self._encoded: dict[str, EncodedSound] = {}
        self._at = 0

    @property
    def is_over(self) -> bool:
        """All has been played."""
        return self._at >= self._count and not self._loop

    def payload(self, codec: str) -> bytes:
        """The next 20 ms, encoded.

        Raises:
            MediaError: it was thrown away meanwhile, and this codec was not asked for before.
        """
        encoded = self._encoded.get(codec)
        if encoded is None:
            encoded = self._encoded[codec] = self._cache.get(self._stem, codec)
        return encoded.frame(self._next())

    def samples(self, rate_hz: int) -> Samples:
        """The next 20 ms; raises as `payload`."""
        if rate_hz not in self._samples:
            self._samples[rate_hz] = read_samples(_path(self._stem, rate_hz))
        size = frame_size(rate_hz)
        start = self._next() * size
        return self._samples[rate_hz][start : start + size]

    def _next(self) -> int:
        at = self._at % self._count
        self._at += 1
        return at


def _path(stem: str, rate_hz: int) -> Path:
    return Path(f"{stem}-{rate_hz}.pcm")


def _count_frames(stem: str, rate_hz: int) -> int:
    path = _path(stem, rate_hz)
    try:
        return path.stat().st_size // SAMPLE_BYTES // frame_size(rate_hz)
    except OSError as error:
        raise MediaError(f"{path}: {error.strerror}") from error
