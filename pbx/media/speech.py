"""The speech process: `python -m pbx.media.speech FD CACHE LIMIT_S [COMMAND ...]`.

Speaks, decodes, mixes and encodes, one job at a time, and ends when the core closes its end. numpy,
soundfile, soxr and eSpeak NG are loaded here and nowhere in the core.
"""

import hashlib
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np

from pbx.media import music, sound, tones
from pbx.media.engine import run_command
from pbx.media.espeak import Espeak
from pbx.media.jobs import HELLO, MAX_FRAME, Decoder, encode
from pbx.media.prompt import RenderError, SoundError, Voice
from pbx.media.sound import RATE_HZ, Sound

GAP_S: Final = 0.15  # between two things that are spoken
TAIL_S: Final = 0.1
NICE: Final = 5  # audio in progress goes before audio to come
CHUNK: Final = 1 << 16
MAX_CACHE_BYTES: Final = 300_000_000
MAX_AGE_S: Final = 60 * 86_400.0
SPARE_S: Final = 2 * 3600.0
PRUNE_EACH: Final = 100  # sounds


class Workshop:
    """Carries out jobs. A job is a mapping of plain values, its answer another."""

    def __init__(self, cache: Path, command: Sequence[str] = (), limit_s: float = 30.0) -> None:
        """
        Args:
            cache: the folder that is kept from growing without end.
            command: speaks instead of eSpeak NG, for at most `limit_s` each text.
        """
        self._cache, self._command, self._limit_s = cache, command, limit_s
        self._count = 0
        self._espeak: Espeak | None = None
        self._jobs: Mapping[str, Callable[..., dict[str, Any]]] = {
            "render": self.render,
            "mp3": self.encode_mp3,
            "hash": self.hash,
        }

    def perform(self, job: dict[str, Any]) -> dict[str, Any]:
        """The answer to a job: its results, or `error` in words and the `kind` of it."""
        what = job.pop("do")
        try:
            return self._jobs[what](**job)
        except (RenderError, SoundError) as error:
            return {"error": str(error), "kind": "sound" if isinstance(error, SoundError) else "render"}
        except (OSError, MemoryError) as error:
            return {"error": f"{type(error).__name__}: {error}", "kind": "render"}

    def render(self, steps: Sequence[Sequence[Any]], background: str, stem: str) -> dict[str, Any]:
        """Write `{stem}-16000.pcm` and `{stem}-8000.pcm`."""
        whole = self._assemble(steps)
        if background:
            whole = sound.mix(whole, sound.read(background))
        if len(whole) == 0:
            whole = np.zeros(sound.FRAME, np.float32)
        for rate_hz in (16_000, 8_000):
            write_whole(Path(f"{stem}-{rate_hz}.pcm"), sound.to_pcm(whole, rate_hz))
        self._count += 1
        if self._count % PRUNE_EACH == 1:
            prune(self._cache, time.time())
        return {"seconds": len(whole) / RATE_HZ}

    def hash(self, paths: Sequence[str]) -> dict[str, Any]:
        """The content of files, each as a hash."""
        return {"hashes": [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths]}

    def encode_mp3(self, path: str) -> dict[str, Any]:
        return {"mp3": sound.to_mp3(path)}

    def _assemble(self, steps: Sequence[Sequence[Any]]) -> Sound:
        pieces: list[Sound] = []
        was_spoken = False
        for kind, *values in steps:
            if kind == "speech" and was_spoken:
                pieces.append(np.zeros(int(GAP_S * RATE_HZ), np.float32))
            was_spoken = kind == "speech"
            pieces.append(self._make(kind, values))
        if was_spoken:
            pieces.append(np.zeros(int(TAIL_S * RATE_HZ), np.float32))
        return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)

    def _make(self, kind: str, values: Sequence[Any]) -> Sound:
        match kind:
            case "speech":
                text, *voice = values
                return sound.level(sound.trim(self.speak(text, Voice(*voice))))
            case "file":
                return sound.level(sound.read(values[0]))
            case "silence":
                return np.zeros(round(values[0] * RATE_HZ), np.float32)
            case "tone":
                return sound.tone(*values)
            case "call tone":
                name, country = values
                return sound.as_sound(tones.make_tone(name, country, RATE_HZ) / 32768)
            case "music":
                return sound.level(music.compose(), sound.BED_DBFS)
        raise RenderError(f"a step of an unknown sort: {kind}")

    def speak(self, text: str, voice: Voice) -> Sound:
        """A text as sound at RATE_HZ, as the engine makes it."""
        if self._command:
            wav = run_command(self._command, text, voice, self._limit_s)
            try:
                return sound.decode(wav)
            except SoundError as error:
                raise RenderError(f"{self._command[0]}: {error}") from None
        if self._espeak is None:
            self._espeak = Espeak()
        return sound.resample(self._espeak.speak(text, voice), self._espeak.rate_hz, RATE_HZ)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)  # a full disk is not to be fuller for it
        raise


def prune(cache: Path, now: float) -> None:
    """Delete what was not used for MAX_AGE_S, and the oldest until MAX_CACHE_BYTES are left.

    What was used within SPARE_S stays in any case: somebody may be about to play it.
    """
    try:
        files = sorted(
            ((each.stat(), Path(each)) for each in os.scandir(cache)), key=lambda file: file[0].st_mtime
        )
    except FileNotFoundError:
        return
    size = sum(stat.st_size for stat, _ in files)
    for stat, path in files:
        age = now - stat.st_mtime
        if age < SPARE_S or (age < MAX_AGE_S and size <= MAX_CACHE_BYTES):
            return
        path.unlink(missing_ok=True)
        size -= stat.st_size


def main(fd: int, cache: Path, limit_s: float, command: Sequence[str]) -> None:
    """The process."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.setpriority(os.PRIO_PROCESS, 0, max(NICE, os.getpriority(os.PRIO_PROCESS, 0)))
    resource.setrlimit(
        resource.RLIMIT_CORE, (0, 0)
    )  # a crash of the library is expected, its memory of no use
    workshop = Workshop(cache, command, limit_s)
    decoder = Decoder(MAX_FRAME)
    with (
        socket.socket(fileno=fd) as core,
        suppress(ConnectionError),
    ):  # the core is gone: nobody waits any more
        core.sendall(encode(HELLO))
        while data := core.recv(CHUNK):
            for job in decoder.feed(data):
                core.sendall(encode(workshop.perform(job)))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), sys.argv[4:])
