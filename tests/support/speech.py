"""Speech for tests, by eSpeak NG. One process must not use it from two threads."""

import ctypes
from functools import cache

import espeakng_loader
import numpy as np
import soxr

AUDIO_OUTPUT_SYNCHRONOUS = 2
CHARS_UTF8 = 1
RATE, PITCH = 1, 3  # espeakRATE (words a minute), espeakPITCH (0 to 100)
CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)

_heard = []


@CALLBACK
def _take(samples, count, _events):
    if samples and count:
        _heard.append(np.ctypeslib.as_array(samples, (count,)).copy())
    return 0


@cache
def _library():
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    rate_hz = library.espeak_Initialize(
        AUDIO_OUTPUT_SYNCHRONOUS, 200, espeakng_loader.get_data_path().encode(), 0
    )
    library.espeak_SetSynthCallback(_take)
    return library, rate_hz


def speak(text, voice="en", rate_hz=8_000, words_a_minute=170, pitch=50):
    """`text` as samples."""
    library, own_hz = _library()
    if library.espeak_SetVoiceByName(voice.encode()):
        raise ValueError(f"no voice {voice}")
    library.espeak_SetParameter(RATE, words_a_minute, 0)
    library.espeak_SetParameter(PITCH, pitch, 0)
    _heard.clear()
    data = text.encode()
    library.espeak_Synth(data, ctypes.c_size_t(len(data) + 1), 0, 1, 0, CHARS_UTF8, None, None)
    sound = soxr.resample(np.concatenate(_heard).astype(np.float64), own_hz, rate_hz)
    return np.clip(sound, -32768, 32767).astype(np.int16)
