"""libopus, called directly: the package's own wrapper copies each frame three times over."""

from ctypes import CFUNCTYPE, POINTER, byref, c_char_p, c_int, c_int32, c_void_p
from typing import Any, Final

import numpy as np
from opuslib_next.api import libopus  # type: ignore[import-untyped]  # ships no types

from pbx.errors import MediaError, UsageError
from pbx.media.samples import Samples, UndecodableError, frame_size

APPLICATION_VOIP: Final = 2048
SET_BITRATE: Final = 4002
SET_COMPLEXITY: Final = 4010
SET_INBAND_FEC: Final = 4012
SET_DTX: Final = 4016
MAX_PACKET: Final = 1275  # bytes of one frame (RFC 6716 §3.4, R2)
MAX_MS: Final = 120  # of one packet (R5)

BITRATE: Final = {
    8_000: 16_000,
    16_000: 24_000,
}  # bits a second (RFC 7587 §3.1.1: narrowband 8-12, wideband 16-20)
COMPLEXITY: Final = 0  # of 10: half the cost of 5, and at these bit rates speech loses nothing one hears


def _function(name: str, result: Any, *arguments: Any) -> Any:
    return CFUNCTYPE(result, *arguments)((name, libopus))


_new_encoder = _function("opus_encoder_create", c_void_p, c_int32, c_int, c_int, POINTER(c_int))
_free_encoder = _function("opus_encoder_destroy", None, c_void_p)
_encode = _function("opus_encode", c_int32, c_void_p, c_void_p, c_int, c_void_p, c_int32)
_set_encoder = _function("opus_encoder_ctl", c_int, c_void_p, c_int, c_int)
_new_decoder = _function("opus_decoder_create", c_void_p, c_int32, c_int, POINTER(c_int))
_free_decoder = _function("opus_decoder_destroy", None, c_void_p)
_decode = _function("opus_decode", c_int, c_void_p, c_char_p, c_int32, c_void_p, c_int, c_int)
_words = _function("opus_strerror", c_char_p, c_int)


class OpusError(MediaError):
    """libopus refused; its words."""

    def __init__(self, what: str, code: int) -> None:
        super().__init__(f"Opus {what}: {_words(code).decode()}")


class OpusEncoder:
    """Mono, one packet for each frame of 20 ms; no in-band FEC, no DTX."""

    def __init__(self, rate_hz: int) -> None:
        self._state = None
        code = c_int()
        self._state = _new_encoder(rate_hz, 1, APPLICATION_VOIP, byref(code))
        if code.value:
            raise OpusError(f"encoder at {rate_hz} Hz", code.value)
        for setting, value in (
            (SET_BITRATE, BITRATE[rate_hz]),
            (SET_COMPLEXITY, COMPLEXITY),
            (SET_INBAND_FEC, 0),
            (SET_DTX, 0),
        ):
            if code := _set_encoder(self._state, setting, value):
                raise OpusError(f"encoder setting {setting} = {value}", code)
        self._size = frame_size(rate_hz)
        self._packet = np.empty(MAX_PACKET, np.uint8)
        self._address = self._packet.ctypes.data

    def encode(self, samples: Samples) -> bytes:
        """One packet.

        Raises:
            UsageError: not 20 ms.
            OpusError: libopus refuses.
        """
        if len(samples) != self._size:
            raise UsageError(f"Opus takes frames of {self._size} samples, not {len(samples)}")
        frame = np.ascontiguousarray(samples, np.int16)
        length = _encode(self._state, frame.ctypes.data, self._size, self._address, MAX_PACKET)
        if length < 0:
            raise OpusError("frame not encoded", length)
        return self._packet[:length].tobytes()

    def __del__(self) -> None:
        if self._state is not None:
            _free_encoder(self._state)
            self._state = None


class OpusDecoder:
    """Packets of any length, mono or stereo, as mono samples."""

    def __init__(self, rate_hz: int) -> None:
        self._state = None
        code = c_int()
        self._state = _new_decoder(rate_hz, 1, byref(code))
        if code.value:
            raise OpusError(f"decoder at {rate_hz} Hz", code.value)
        self._step = rate_hz // 400  # libopus counts in 2.5 ms
        self._samples = np.empty(rate_hz * MAX_MS // 1000, np.int16)
        self._address = self._samples.ctypes.data

    def decode(self, packet: bytes) -> Samples:
        """The samples of one packet, 2.5 to 120 ms.

        Raises:
            UndecodableError: it is none.
        """
        if not packet:
            raise UndecodableError("an empty Opus packet")
        return self._run(packet, len(packet), len(self._samples))

    def conceal(self, count: int) -> Samples:
        """`count` samples in the place of a lost packet (libopus makes whole steps of 2.5 ms)."""
        most, parts = len(self._samples), []
        while count > 0:
            room = min(-(-count // self._step) * self._step, most)
            parts.append(self._run(None, 0, room)[:count])
            count -= room
        return np.concatenate(parts) if parts else self._samples[:0]

    def _run(self, packet: bytes | None, length: int, room: int) -> Samples:
        count = _decode(self._state, packet, length, self._address, room, 0)
        if count < 0:
            raise UndecodableError(f"Opus packet of {length} bytes: {_words(count).decode()}")
        return self._samples[:count].copy()

    def __del__(self) -> None:
        if self._state is not None:
            _free_decoder(self._state)
            self._state = None
