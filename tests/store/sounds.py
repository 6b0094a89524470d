"""WAV files as a writer leaves them: finished, or killed at some octet."""

import struct
from pathlib import Path

RATE = 8000


def wav(seconds: float, *, is_finished: bool = True, channels: int = 1) -> bytes:
    """A WAV file of silence; unfinished, its sizes are 0."""
    frame = 2 * channels
    data = bytes(round(seconds * RATE) * frame)
    sizes = (36 + len(data), len(data)) if is_finished else (0, 0)
    form = struct.pack("<HHIIHH", 1, channels, RATE, RATE * frame, frame, 16)
    return (
        b"RIFF"
        + struct.pack("<I", sizes[0])
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + form
        + b"data"
        + (struct.pack("<I", sizes[1]) + data)
    )


def write(path: Path, data: bytes) -> Path:
    """Write a file, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
