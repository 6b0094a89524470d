"""One playing of a rendered sound to one peer; what codecs make of the sound is shared by all (`encoded`)."""

from pathlib import Path

from pbx.errors import MediaError
from pbx.media.encoded import EncodedSound, SoundCache, read_samples
from pbx.media.samples import RATES_HZ, Samples, frame_size


class Player:
    """Plays `{stem}-8000.pcm` and `{stem}-16000.pcm`, frame by frame."""

    def __init__(self, cache: SoundCache, stem: str, *, loop: bool = False) -> None:
        """
        Raises:
            MediaError: there is no such sound, or nothing in it.
        """
        self._cache, self._stem, self._loop = cache, stem, loop
        self._samples = {rate_hz: read_samples(Path(f"{stem}-{rate_hz}.pcm")) for rate_hz in RATES_HZ}
        self._count = min(len(samples) // frame_size(rate_hz) for rate_hz, samples in self._samples.items())
        if not self._count:
            raise MediaError(f"nothing is in {stem}")
        self._encoded: dict[str, EncodedSound] = {}
        self._at = 0

    @property
    def is_over(self) -> bool:
        """All has been played."""
        return self._at >= self._count and not self._loop

    def payload(self, codec: str) -> bytes:
        """The next 20 ms, encoded."""
        encoded = self._encoded.get(codec)
        if encoded is None:
            encoded = self._encoded[codec] = self._cache.get(self._stem, codec)
        return encoded.frame(self._next())

    def samples(self, rate_hz: int) -> Samples:
        """The next 20 ms."""
        size = frame_size(rate_hz)
        start = self._next() * size
        return self._samples[rate_hz][start : start + size]

    def _next(self) -> int:
        at = self._at % self._count
        self._at += 1
        return at
