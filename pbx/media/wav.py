"""WAV files that grow (RIFF, 16-bit PCM): whatever stops the process, what was flushed can be played.

The sound is written first, its length in the header after it, once a second. So the header never says more
than there is; `store.sound_files.repair` makes it say all of it.
"""

import os
from pathlib import Path
from struct import Struct
from typing import Final

import numpy as np

from pbx.errors import MediaError, UsageError
from pbx.media.samples import Samples

HEADER: Final = Struct("<4sI4s4sIHHIIHH4sI")
SAMPLE_BYTES: Final = 2
MAX_DATA: Final = 0xFFFFFFFF - HEADER.size  # bytes; 37 hours of stereo at 8,000 Hz
MONO: Final = 1
STEREO: Final = 2


class WavError(MediaError):
    """A file that cannot be written."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path}: {why}")


def make_header(rate_hz: int, channels: int, data_bytes: int) -> bytes:
    """The 44 bytes before the samples."""
    block = channels * SAMPLE_BYTES
    whole = HEADER.size - 8 + data_bytes
    return HEADER.pack(
        b"RIFF",
        whole,
        b"WAVE",
        b"fmt ",
        16,
        1,
        channels,
        rate_hz,
        rate_hz * block,
        block,
        16,
        b"data",
        data_bytes,
    )


class WavWriter:
    """Writes one file; a second of sound is kept back at most.

    Its methods write to the disk: call them where waiting for it hurts nobody, or live with what the page
    cache costs (20 microseconds a second of sound, mostly).
    """

    def __init__(self, path: Path, rate_hz: int, channels: int = MONO) -> None:
        """Make the file, which must not exist yet.

        Raises:
            WavError: it cannot be made.
        """
        self.path, self.rate_hz, self.channels = path, rate_hz, channels
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._written = 0
        self._second = rate_hz * channels * SAMPLE_BYTES
        try:
            self._fd: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise WavError(path, error.strerror or repr(error)) from error
        try:
            self._write(make_header(rate_hz, channels, 0), 0)
        except WavError:
            self.close()
            raise

    def append(self, samples: Samples, right: Samples | None = None) -> None:
        """More sound: of a mono file its samples, of a stereo file those of its left and right side.

        Raises:
            UsageError: one side too many or too few, sides of different length, or the file is closed.
            WavError: the disk is full, or the file too long.
        """
        if (right is not None) != (self.channels == STEREO):
            raise UsageError(f"{self.path} has {self.channels} channels")
        if self._fd is None:
            raise UsageError(f"{self.path} is closed")
        if right is not None:
            if len(right) != len(samples):
                raise UsageError(f"{len(samples)} samples on the left, {len(right)} on the right")
            samples = np.column_stack((samples, right))
        self._waiting.append(samples.astype("<i2", copy=False).tobytes())
        self._waiting_bytes += samples.nbytes
        if self._waiting_bytes >= self._second:
            self.flush()

    def flush(self) -> None:
        """Give what waits to the kernel.

        Raises:
            WavError: the disk is full, or the file too long.
        """
        if not self._waiting or self._fd is None:
            return
        data = b"".join(self._waiting)
        if self._written + len(data) > MAX_DATA:
            raise WavError(self.path, "a WAV file holds no more than 4 GiB")
        self._write(data, HEADER.size + self._written)
        self._waiting, self._waiting_bytes = [], 0
        self._written += len(data)
        self._write(make_header(self.rate_hz, self.channels, self._written), 0)

    def close(self) -> None:
        """Flush and end; a second time does nothing.

        Raises:
            WavError: the disk is full; the file is closed all the same.
        """
        if self._fd is None:
            return
        try:
            self.flush()
        finally:
            os.close(self._fd)
            self._fd = None

    def _write(self, data: bytes, at: int) -> None:
        assert self._fd is not None
        try:
            while data:
                written = os.pwrite(self._fd, data, at)
                data, at = data[written:], at + written
        except OSError as error:
            raise WavError(self.path, error.strerror or repr(error)) from error
