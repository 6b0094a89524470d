"""Keys that a peer presses as tones, heard in its packets as they are numbered, whenever they come.

What is played out follows a clock: a worker that was late conceals what still waits in its socket, and a tone
is torn in two, or too short. Keys have no use for that: they are heard beside the jitter buffer, in all that
was said.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np

from pbx.media import dtmf
from pbx.media.codecs import CODECS, UndecodableError, make_decoder
from pbx.media.samples import Samples, frame_size, silence

PATIENCE: Final = 5  # packets that wait for one that is missing,
PATIENCE_S: Final = 0.1  # and for how long
MAX_DROPOUT: Final = 3_000  # sequence numbers (RFC 3550 A.1); further on it is another stream
MAX_MISORDER: Final = 100
PAUSE_S: Final = 0.2  # of a longer one no more than this is looked at


class ToneKeys:
    """Hears the keys in what one source sends in one codec. Nothing here grows."""

    __slots__ = (
        "_clock_hz",
        "_decoder",
        "_detector",
        "_held",
        "_keys",
        "_next",
        "_position",
        "_rest",
        "_since",
    )

    def __init__(self, codec: str) -> None:
        """
        Raises:
            UsageError: no such codec.
        """
        self._decoder = make_decoder(codec, dtmf.RATE_HZ)
        self._clock_hz = CODECS[codec].clock_hz
        self._detector = dtmf.Detector()
        self._keys: list[str] = []
        self._next: int | None = None  # the number of the packet whose turn it is
        self._held: dict[int, tuple[int, bytes | None]] = {}  # timestamp and payload of those after it
        self._since = 0.0  # when the last one came
        self._position = 0  # the timestamp of its sound, if nothing is left out
        self._rest: Samples = silence(0)

    def push(self, sequence: int, timestamp: int, payload: bytes | None, now: float) -> None:
        """Take a packet that came at `now`; without a payload one that is no sound, and is not lost."""
        after = 0 if self._next is None else self._next
        step = ((sequence - after + 0x8000) & 0xFFFF) - 0x8000
        if self._next is None or not -MAX_MISORDER < step < MAX_DROPOUT:
            self._held.clear()
            self._next, self._position, step = sequence, timestamp, 0
            after = sequence
        if step < 0 or after + step in self._held:
            return
        self._held[after + step] = timestamp, payload
        self._since = now
        self._listen(PATIENCE)

    def take(self, now: float) -> list[str]:
        """The keys that have been heard; to be asked now and then."""
        if self._held and now - self._since > PATIENCE_S:
            self._listen(0)
        keys, self._keys = self._keys, []
        return keys

    def _listen(self, patience: int) -> None:
        """Hear what is in order, and what no more than `patience` packets wait for is lost."""
        assert self._next is not None
        while self._held:
            number, is_lost = self._next, False
            if number not in self._held:
                if len(self._held) <= patience:
                    return
                number, is_lost = min(self._held), True
            timestamp, payload = self._held.pop(number)
            self._next = number + 1
            if payload is not None:
                for samples in self._sounds(timestamp, payload, is_lost):
                    self._hear(samples)

    def _sounds(self, timestamp: int, payload: bytes, is_lost: bool) -> Iterator[Samples]:
        """What was said before a packet and is missing, and what it says."""
        gap = ((timestamp - self._position + 0x8000_0000) & 0xFFFF_FFFF) - 0x8000_0000
        missing = min(max(gap, 0) * dtmf.RATE_HZ // self._clock_hz, int(PAUSE_S * dtmf.RATE_HZ))
        if missing:
            yield self._decoder.conceal(missing) if is_lost else silence(missing)
        try:
            samples = self._decoder.decode(payload)
        except UndecodableError:
            samples = self._decoder.conceal(frame_size(dtmf.RATE_HZ))
        self._position = timestamp + len(samples) * self._clock_hz // dtmf.RATE_HZ
        yield samples

    def _hear(self, samples: Samples) -> None:
        heard = np.concatenate((self._rest, samples))
        whole = len(heard) - len(heard) % dtmf.STEP
        self._rest = heard[whole:]
        if whole:
            self._keys += self._detector.feed(heard[:whole])
