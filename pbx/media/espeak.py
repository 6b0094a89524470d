"""eSpeak NG by ctypes on the library in the package espeakng_loader. Belongs to the speech process alone.

The library keeps its state in globals: one thread, one text at a time. Functions and constants are those of
speak_lib.h of eSpeak NG 1.52.
"""

import ctypes
from typing import Any, Final

import espeakng_loader  # type: ignore[import-untyped]  # it has no types
import numpy as np

from pbx.languages import VOICES
from pbx.media.prompt import RenderError, Voice
from pbx.media.sound import Sound, as_sound

FEMALE: Final = "+f2"  # of the variants in voices/!v the one that was understood best
WORDS_PER_MINUTE: Final = 175  # of every voice
RATE_STEP: Final = 1.12
PITCH_STEP: Final = 10  # of 0 to 99; 50 is the voice's own
NATURAL: Final = 5

_RETRIEVAL: Final = 1  # AUDIO_OUTPUT_RETRIEVAL: samples by callback, at once
_NO_EXIT: Final = 0x8000  # espeakINITIALIZE_DONT_EXIT
_RATE, _PITCH = 1, 3  # espeakRATE, espeakPITCH
_UTF8: Final = 1  # espeakCHARS_UTF8
_BY_CHARACTER: Final = 1  # POS_CHARACTER

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class _VoiceFound(ctypes.Structure):
    _fields_ = (("name", ctypes.c_char_p), ("languages", ctypes.c_char_p), ("identifier", ctypes.c_char_p))


class Espeak:
    """The synthesiser, loaded once in a process."""

    def __init__(self) -> None:
        self._library: Any = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path().encode()
        self.rate_hz: int = self._library.espeak_Initialize(_RETRIEVAL, 0, data, _NO_EXIT)
        if self.rate_hz <= 0:
            raise RenderError("eSpeak NG does not start")
        self._library.espeak_GetCurrentVoice.restype = ctypes.POINTER(_VoiceFound)
        self._pieces: list[bytes] = []
        self._callback = _Callback(self._take)  # kept: the library holds only its address
        self._library.espeak_SetSynthCallback(self._callback)

    def speak(self, text: str, voice: Voice) -> Sound:
        """The text as sound, at `rate_hz`.

        Raises:
            RenderError: no such voice, or nothing came of it.
        """
        name = voice_name(voice)
        # The library leaves out a variant that is not there, in silence: what it chose tells.
        if self._library.espeak_SetVoiceByName(name.encode()) != 0 or self._chosen() != name:
            raise RenderError(f"eSpeak NG has no voice {name}")
        words = round(WORDS_PER_MINUTE * RATE_STEP ** (voice.rate - NATURAL))
        self._library.espeak_SetParameter(_RATE, words, 0)
        self._library.espeak_SetParameter(_PITCH, 50 + PITCH_STEP * (voice.pitch - NATURAL), 0)
        encoded = text.encode()
        self._pieces.clear()
        failed = self._library.espeak_Synth(encoded, len(encoded) + 1, 0, _BY_CHARACTER, 0, _UTF8, None, None)
        self._library.espeak_Synchronize()
        if failed:
            raise RenderError(f"eSpeak NG refused a text of {len(text)} characters (error {failed})")
        samples = np.frombuffer(b"".join(self._pieces), dtype="<i2")
        self._pieces.clear()
        return as_sound(samples) / np.float32(32768)

    def _chosen(self) -> str:
        return str(self._library.espeak_GetCurrentVoice().contents.identifier.decode())

    def _take(self, samples: Any, count: int, _events: object) -> int:
        if samples and count > 0:
            self._pieces.append(ctypes.string_at(samples, 2 * count))
        return 0


def voice_name(voice: Voice) -> str:
    """The library's name of a voice: "gmw/de+f2".

    Raises:
        RenderError: a language that has none.
    """
    if voice.language not in VOICES:
        raise RenderError(f'no voice speaks "{voice.language}"; there are {", ".join(sorted(VOICES))}')
    return VOICES[voice.language] + (FEMALE if voice.gender == "female" else "")
