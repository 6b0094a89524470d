"""Voices that hear one another; one that is alone with the PBX has a room of its own."""

from typing import Final

from pbx.media.mixer import mix
from pbx.media.samples import RATES_HZ, frame_size, silence
from pbx.media.voice import NARROW_HZ, WIDE_HZ, Voice

SILENCE: Final = {rate_hz: silence(frame_size(rate_hz)) for rate_hz in RATES_HZ}


class Room:
    """Ticked each 20 ms: hears all its voices, then speaks to each. Only one with a name mixes them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.phase = 0
        self.is_echoing = False
        self.voices: list[Voice] = []

    def enter(self, voice: Voice) -> None:
        """One voice more."""
        self.voices.append(voice)
        voice.is_among_others = bool(self.name)
        voice.listen()
        self.tune()

    def leave(self, voice: Voice) -> None:
        """One voice less."""
        self.voices.remove(voice)
        self.tune()

    def tune(self) -> None:
        """Choose the rate: wide where somebody profits from it, but as a recording has begun."""
        wide = any(voice.is_wide for voice in self.voices)
        recorded = [recorder.rate_hz for voice in self.voices for recorder in voice.recorders]
        rate_hz = recorded[0] if recorded else WIDE_HZ if wide else NARROW_HZ
        for voice in self.voices:
            voice.set_rate(rate_hz)

    def tick(self, now: float) -> list[tuple[Voice, str]]:
        """20 ms more.

        Returns:
            Keys that were heard as tones, and whose they are.
        """
        digits: list[tuple[Voice, str]] = []
        voices = tuple(self.voices)
        for voice in voices:
            if voice.is_listening:
                digits += [(voice, digit) for digit in voice.take(now)]
        if not self.name:
            for voice in voices:
                voice.put(None, now)
        elif len(voices) == 1:
            (voice,) = voices
            voice.put(voice.heard if self.is_echoing else SILENCE[voice.rate_hz], now)
        else:
            said = {voice: voice.heard for voice in voices if not (voice.is_muted or voice.is_silent)}
            mixed = mix(said, voices, frame_size(voices[0].rate_hz))
            for voice in voices:
                voice.put(mixed[voice], now)
        return digits
