"""The codecs of the PBX: what is known of each, and encoders and decoders with one face.

G.722 and Opus work at 8,000 Hz as well as at 16,000 by themselves (G.722's lower band alone is the sound at
8,000 Hz); G.711 at 16,000 Hz goes through a half-band filter.
"""

from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

import numpy as np
from G722 import G722  # type: ignore[import-not-found]  # compiled, without types

from pbx.errors import UsageError
from pbx.immutable import immutable
from pbx.media.concealment import Concealer
from pbx.media.halfband import make_converter
from pbx.media.opus import OpusDecoder, OpusEncoder
from pbx.media.pcm import alaw2lin, lin2alaw, lin2ulaw, ulaw2lin
from pbx.media.samples import FRAME_MS, RATES_HZ, Samples, UndecodableError

__all__ = ["CODECS", "Codec", "Decoder", "Encoder", "UndecodableError", "make_decoder", "make_encoder"]

MAX_PAYLOAD: Final = 8 * 120  # bytes of G.711 and G.722, 64,000 bits a second: 120 ms
G722_BITS: Final = 64_000
G711_HZ: Final = 8_000


@immutable
class Codec:
    """Facts of one codec.

    Attributes:
        name: the encoding name in SDP.
        payload_type: the static one (RFC 3551 §6), or None.
        clock_hz: what an RTP timestamp counts; 8,000 for G.722 by an old mistake (RFC 3551 §4.5.2).
        rate_hz: of the samples that suit it best.
        silence: a payload of 20 ms without sound, or b"" where it depends on what went before.
    """

    name: str
    payload_type: int | None
    clock_hz: int
    rate_hz: int
    silence: bytes = b""

    @property
    def frame_ticks(self) -> int:
        """Timestamp units in 20 ms."""
        return self.clock_hz * FRAME_MS // 1000


CODECS: Final = {
    codec.name: codec
    for codec in (
        Codec("PCMU", 0, 8_000, 8_000, b"\xff" * 160),
        Codec("PCMA", 8, 8_000, 8_000, b"\xd5" * 160),
        Codec("G722", 9, 8_000, 16_000),
        Codec("OPUS", None, 48_000, 16_000),
    )
}


class Encoder(Protocol):
    """Samples become payloads."""

    def encode(self, samples: Samples) -> bytes:
        """The payload of one frame of 20 ms at the encoder's rate.

        Raises:
            UsageError: not 20 ms.
        """


class Decoder(Protocol):
    """Payloads become samples; those that come back may be read-only."""

    def decode(self, payload: bytes) -> Samples:
        """The samples of one payload, as many as it holds (10 to 60 ms mostly, 120 at most).

        Raises:
            UndecodableError: the codec cannot read it; count it as lost.
        """

    def conceal(self, count: int) -> Samples:
        """`count` samples in the place of a lost payload, or of one that cannot be read."""


def make_encoder(name: str, rate_hz: int) -> Encoder:
    """An encoder of samples at 8,000 or 16,000 Hz, for one stream.

    Raises:
        UsageError: no such codec or rate.
    """
    _check(name, rate_hz)
    return _ENCODERS[name](rate_hz)


def make_decoder(name: str, rate_hz: int) -> Decoder:
    """A decoder to samples at 8,000 or 16,000 Hz, for one stream.

    Raises:
        UsageError: no such codec or rate.
    """
    _check(name, rate_hz)
    return _DECODERS[name](rate_hz)


def _check(name: str, rate_hz: int) -> None:
    if name not in CODECS:
        raise UsageError(f"codec {name!r} is none of {', '.join(CODECS)}")
    if rate_hz not in RATES_HZ:
        raise UsageError(f"{rate_hz} Hz is neither 8000 nor 16000")


def _check_payload(payload: bytes) -> None:
    if not 0 < len(payload) <= MAX_PAYLOAD:
        raise UndecodableError(f"a payload of {len(payload)} bytes, allowed are 1 to {MAX_PAYLOAD}")


class _G711Encoder:
    __slots__ = ("_convert", "_law", "_size")

    def __init__(self, law: Callable[[bytes, int], bytes], rate_hz: int) -> None:
        self._law = law
        self._size = rate_hz * FRAME_MS // 1000
        converter = make_converter(rate_hz, G711_HZ)
        self._convert = converter.convert if converter is not None else None

    def encode(self, samples: Samples) -> bytes:
        if len(samples) != self._size:
            raise UsageError(f"a frame has {self._size} samples, not {len(samples)}")
        if self._convert is not None:
            samples = self._convert(samples)
        return self._law(samples.tobytes(), 2)


class _G711Decoder:
    __slots__ = ("_concealer", "_convert", "_law")

    def __init__(self, law: Callable[[bytes, int], bytes], rate_hz: int) -> None:
        self._law = law
        converter = make_converter(G711_HZ, rate_hz)
        self._convert = converter.convert if converter is not None else None
        self._concealer = Concealer(rate_hz)

    def decode(self, payload: bytes) -> Samples:
        _check_payload(payload)
        samples: Samples = np.frombuffer(self._law(payload, 2), np.int16)
        if self._convert is not None:
            samples = self._convert(samples)
        return self._concealer.take(samples)

    def conceal(self, count: int) -> Samples:
        return self._concealer.conceal(count)


class _G722Encoder:
    __slots__ = ("_coder", "_size")

    def __init__(self, rate_hz: int) -> None:
        self._coder = G722(rate_hz, G722_BITS)
        self._size = rate_hz * FRAME_MS // 1000

    def encode(self, samples: Samples) -> bytes:
        if len(samples) != self._size:
            raise UsageError(f"a frame has {self._size} samples, not {len(samples)}")
        return bytes(self._coder.encode(samples))


class _G722Decoder:
    __slots__ = ("_coder", "_concealer")

    def __init__(self, rate_hz: int) -> None:
        self._coder = G722(rate_hz, G722_BITS)
        self._concealer = Concealer(rate_hz)

    def decode(self, payload: bytes) -> Samples:
        _check_payload(payload)
        return self._concealer.take(np.frombuffer(self._coder.decode(payload), np.int16))

    def conceal(self, count: int) -> Samples:
        return self._concealer.conceal(count)


_ENCODERS: Final[dict[str, Callable[[int], Encoder]]] = {
    "PCMU": partial(_G711Encoder, lin2ulaw),
    "PCMA": partial(_G711Encoder, lin2alaw),
    "G722": _G722Encoder,
    "OPUS": OpusEncoder,
}
_DECODERS: Final[dict[str, Callable[[int], Decoder]]] = {
    "PCMU": partial(_G711Decoder, ulaw2lin),
    "PCMA": partial(_G711Decoder, alaw2lin),
    "G722": _G722Decoder,
    "OPUS": OpusDecoder,
}
