"""Sound for tests: tones, something voice-like, and how alike two sounds are."""

import numpy as np
import soxr


def tone(frequency_hz, rate_hz, seconds, peak=8000.0):
    at = np.arange(round(rate_hz * seconds))
    return np.rint(peak * np.sin(2 * np.pi * frequency_hz / rate_hz * at)).astype(np.int16)


def voice(rate_hz, seconds, pitch_hz=125.0, peak=9000.0):
    """Harmonics of a wavering pitch under formants, in syllables of a quarter second."""
    at = np.arange(round(rate_hz * seconds)) / rate_hz
    phase = 2 * np.pi * pitch_hz * (at - 0.05 * np.cos(2 * np.pi * 1.3 * at) / (2 * np.pi * 1.3))
    sound = np.zeros(len(at))
    for number in range(1, int(3300 / pitch_hz)):
        frequency = number * pitch_hz
        strength = sum(np.exp(-(((frequency - formant) / 220) ** 2)) for formant in (500, 1500, 2500))
        sound += (strength + 0.02) * np.sin(number * phase)
    sound *= 0.3 + 0.7 * np.sin(2 * np.pi * 2 * at) ** 2
    return np.rint(peak * sound / np.abs(sound).max()).astype(np.int16)


def frames(samples, size):
    return [samples[at : at + size] for at in range(0, len(samples) - size + 1, size)]


def level_db(samples):
    """RMS in dB below a full-scale square wave."""
    return 20 * np.log10(np.sqrt(np.mean(np.square(samples.astype(float)))) / 32768 + 1e-9)


def likeness(sent, heard, rate_hz):
    """The correlation coefficient at the best delay of `heard`, and that delay in seconds (of 1/48000)."""
    sent, heard = (soxr.resample(each.astype(float), rate_hz, 48_000) for each in (sent, heard))
    size = len(sent) + len(heard)
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(sent, size))
    late = int(np.argmax(np.fft.irfft(spectrum, size)[: len(heard) // 2]))
    count = min(len(sent), len(heard) - late)
    return float(np.corrcoef(sent[:count], heard[late : late + count])[0, 1]), late / 48_000


def strength(heard, rate_hz, frequency_hz):
    """The amplitude of a frequency in a sound, its beginning left out."""
    heard = heard[len(heard) // 3 :].astype(float)
    at = np.arange(len(heard)) / rate_hz
    return 2 * abs(np.mean(heard * np.exp(-2j * np.pi * frequency_hz * at)))
