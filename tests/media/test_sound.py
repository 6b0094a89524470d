"""Levels, mixing and files. RMS levels are in dB of full scale."""

import io
from contextlib import suppress

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from pbx.media import music, sound
from pbx.media.prompt import SoundError
from pbx.media.sound import CEILING, RATE_HZ, as_sound


def noise(seconds, amplitude=0.1):
    return as_sound(np.random.default_rng(1).normal(0, amplitude, int(seconds * RATE_HZ)))


def sine(seconds, frequency=440.0, amplitude=0.5):
    return as_sound(np.sin(np.arange(int(seconds * RATE_HZ)) * 2 * np.pi * frequency / RATE_HZ) * amplitude)


def file_of(samples, rate_hz=RATE_HZ, **more):
    target = io.BytesIO()
    soundfile.write(target, samples, rate_hz, **more)
    return target.getvalue()


@settings(max_examples=50)
@given(st.floats(-60, 0), st.integers(0, 1 << 30))
def test_no_sample_is_above_the_ceiling_and_the_level_is_right(db, seed):
    random = np.random.default_rng(seed)
    bursts = np.repeat(random.choice([0.02, 0.3, 1.0], 50), RATE_HZ // 50)
    loud = as_sound(random.normal(0, 0.3, RATE_HZ) * bursts * 10 ** (db / 20))
    levelled = sound.level(loud)
    assert np.abs(levelled).max() <= CEILING + 1e-6
    if db > -30:
        assert sound.active_level(levelled) == pytest.approx(sound.LEVEL_DBFS, abs=1.5)


def test_pauses_do_not_count_for_the_level():
    spoken = np.concatenate([noise(1), np.zeros(RATE_HZ * 5, np.float32), noise(1)])
    assert sound.active_level(spoken) == pytest.approx(sound.active_level(noise(2)), abs=0.2)


def test_silence_stays_silence():
    silence = np.zeros(RATE_HZ, np.float32)
    assert not sound.level(silence).any()
    assert len(sound.trim(silence)) == 0


def test_speech_is_trimmed_at_its_ends():
    spoken = np.concatenate([np.zeros(RATE_HZ), noise(1), np.zeros(RATE_HZ)])
    assert len(sound.trim(as_sound(spoken))) == pytest.approx(RATE_HZ, abs=RATE_HZ * 0.03)


def test_a_bed_is_repeated_and_turned_down_under_speech():
    speech = np.concatenate([np.zeros(RATE_HZ * 2), sine(2, 1000), np.zeros(RATE_HZ * 2)])
    bed = sine(1, 300)
    mixed = sound.mix(as_sound(speech), bed)
    assert len(mixed) == len(speech)

    def bed_level(start_s):
        piece = mixed[int(start_s * RATE_HZ) :][: RATE_HZ // 2]
        spectrum = np.abs(np.fft.rfft(piece * np.hanning(len(piece))))
        return 20 * np.log10(spectrum[150] / len(piece) * 4 / np.sqrt(2))

    alone, under, again = bed_level(0.5), bed_level(3.0), bed_level(5.2)
    assert alone == pytest.approx(sound.BED_DBFS, abs=0.5)
    assert alone - under == pytest.approx(14, abs=1)
    assert again == pytest.approx(alone, abs=0.5)


def test_the_level_of_tones():
    for frequencies in ((1000.0,), (440.0, 480.0)):
        tone = sound.tone(frequencies, 1.0, -13.0)
        rms = 20 * np.log10(np.sqrt(np.square(tone).mean()))
        assert rms == pytest.approx(-13 - 3.14 - 3.01, abs=0.2)
    assert len(sound.tone((), 0.5, 0.0)) == RATE_HZ // 2


def test_pcm_at_both_rates():
    wave = sine(1, amplitude=1.0)
    for rate_hz in (8000, 16000):
        samples = np.frombuffer(sound.to_pcm(wave, rate_hz), "<i2")
        assert len(samples) == rate_hz
        assert np.abs(samples.astype(int)).max() == pytest.approx(32767, abs=400)


def test_the_music_is_calm_long_and_always_the_same():
    piece = music.compose()
    assert len(piece) == 48 * RATE_HZ
    assert np.array_equal(piece, music.compose())
    assert np.abs(piece).max() <= 0.8
    levels = sound.frame_levels(piece)
    assert np.median(levels) > 0.03
    assert abs(float(piece[0]) - float(piece[-1])) < 0.05  # no click where it begins again
    spectrum = np.abs(np.fft.rfft(piece))
    heard = np.fft.rfftfreq(len(piece), 1 / RATE_HZ) < 3400
    assert np.square(spectrum[heard]).sum() / np.square(spectrum).sum() > 0.99


MP3 = {"format": "MP3", "subtype": "MPEG_LAYER_III"}
WRONG = {
    "empty": (b"", "the file is empty"),
    "no sound file": (b"%PDF-1.7 " * 1000, "no mp3 file"),
    "a text that is called so": (b"hello", "no mp3 file"),
    "another sort": (file_of(noise(1), format="WAV"), "of the sort wav; it has to be mp3"),
    "too large": (b"x" * 5_000_001, "5,000,001 bytes; at most 5,000,000"),
    "too long": (file_of(np.zeros(601 * 8000), 8000, **MP3), "longer than 10 minutes"),
}


@pytest.mark.parametrize(("content", "says"), WRONG.values(), ids=WRONG)
def test_files_that_cannot_be_used(content, says):
    with pytest.raises(SoundError, match=says):
        sound.check(content, "mp3")


@pytest.mark.parametrize(
    ("kind", "rate_hz", "more"),
    [
        ("mp3", 44100, MP3),
        ("wav", 8000, {"format": "WAV"}),
        ("flac", 48000, {"format": "FLAC"}),
        ("ogg", 22050, {"format": "OGG", "subtype": "VORBIS"}),
    ],
)
def test_files_that_can(kind, rate_hz, more):
    stereo = np.stack([noise(1), noise(1)], axis=1)
    content = file_of(stereo, rate_hz, **more)
    facts = sound.check(content)
    assert (facts.format, facts.rate_hz, facts.channels) == (kind, rate_hz, 2)
    assert facts.seconds == pytest.approx(len(stereo) / rate_hz, abs=0.1)
    assert len(sound.decode(content)) == pytest.approx(facts.seconds * RATE_HZ, abs=10)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 1 << 30), st.integers(0, 60), st.sampled_from([MP3, {"format": "WAV"}, {"format": "FLAC"}])
)
def test_a_damaged_file_is_read_or_refused(seed, count, more):
    random = np.random.default_rng(seed)
    content = bytearray(file_of(noise(0.3), **more))
    for at in random.integers(0, len(content), count):
        content[at] = random.integers(0, 256)
    content = bytes(content[: random.integers(1, len(content) + 1)])
    with suppress(SoundError):
        sound.decode(content)


def test_mp3_for_mail(tmp_path):
    path = tmp_path / "a.wav"
    stereo = np.stack([sine(2.5, 400), sine(2.5, 900)], axis=1)
    soundfile.write(path, stereo, RATE_HZ)
    decoded, rate_hz = soundfile.read(io.BytesIO(sound.to_mp3(str(path))))
    assert rate_hz == sound.MP3_RATE_HZ
    assert decoded.shape[1] == 2
    assert len(decoded) / rate_hz == pytest.approx(2.5, abs=0.2)
    for channel, frequency in ((0, 400), (1, 900)):
        spectrum = np.abs(np.fft.rfft(decoded[:, channel]))
        assert spectrum.argmax() * rate_hz / len(decoded) == pytest.approx(frequency, abs=2)
