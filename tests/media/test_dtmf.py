"""The limits are those of ITU-T Q.24, table A-1: what any administration wants accepted or refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbx.errors import UsageError
from pbx.media.codecs import make_decoder, make_encoder
from pbx.media.dtmf import COLUMNS_HZ, KEYS, ROWS_HZ, Detector, make_digit
from pbx.media.samples import amplitude, to_samples
from tests.support.sound import frames, voice
from tests.support.speech import speak

SHUFFLED = "5A9#03D17*C48B26"


def hear(samples):
    detector, digits = Detector(), []
    for each in frames(np.concatenate((samples, np.zeros(800, np.int16))), 160):
        digits += detector.feed(each)
    return "".join(digits)


def dial(digits, on_ms=40, off_ms=40, low=-9.0, twist=2.0, low_off=0.0, high_off=0.0, noise=-80.0, seed=1):
    """Tones with any phase, at any place in the frames; `off` are deviations, levels in dBm0."""
    chance = np.random.default_rng(seed)
    parts = [np.zeros(chance.integers(160))]
    for digit in digits:
        row, column = divmod(KEYS.index(digit), 4)
        at = np.arange(on_ms * 8) / 8_000
        first, second = chance.random(2)
        parts += [
            amplitude(low) * np.sin(2 * np.pi * (ROWS_HZ[row] * (1 + low_off) * at + first))
            + amplitude(low + twist)
            * np.sin(2 * np.pi * (COLUMNS_HZ[column] * (1 + high_off) * at + second)),
            np.zeros(off_ms * 8),
        ]
    sound = np.concatenate(parts)
    return to_samples(sound + chance.normal(0, amplitude(noise) / np.sqrt(2), len(sound)))


ACCEPTED = {
    "40 ms on, 40 ms off": {},
    "100 ms": {"on_ms": 100, "off_ms": 70},
    "both 1.5 % high": {"low_off": 0.015, "high_off": 0.015},
    "both 1.5 % low": {"low_off": -0.015, "high_off": -0.015},
    "1.8 % apart": {"low_off": -0.018, "high_off": 0.018},
    "high 4 dB louder": {"twist": 4},
    "high 8 dB fainter": {"twist": -8},
    "loud": {"low": -1, "twist": 0},
    "faint": {"low": -34, "twist": 0},
    "15 dB above noise": {"noise": -22},
}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("how", ACCEPTED.values(), ids=ACCEPTED)
def test_accepted(how, seed):
    assert hear(dial(SHUFFLED, seed=seed, **how)) == SHUFFLED


REFUSED = {
    "25 ms": {"on_ms": 25, "off_ms": 60},
    "both 3.5 % high": {"low_off": 0.035, "high_off": 0.035, "on_ms": 80},
    "both 3.5 % low": {"low_off": -0.035, "high_off": -0.035, "on_ms": 80},
    "low 3 % high": {"low_off": 0.03, "on_ms": 80},
    "high 3 % high": {"high_off": 0.03, "on_ms": 80},
    "low 5 % low": {"low_off": -0.05, "on_ms": 80},
    "high 9 dB louder": {"twist": 9, "on_ms": 80},
    "high 13 dB fainter": {"twist": -13, "on_ms": 80},
    "too faint": {"low": -40, "on_ms": 80},
    "one tone": {"low": -90, "twist": 80, "on_ms": 80},
    "as much noise as tone": {"noise": -5, "on_ms": 80},
}


@pytest.mark.parametrize("how", REFUSED.values(), ids=REFUSED)
def test_refused(how):
    assert hear(dial(SHUFFLED, **how)) == ""


@pytest.mark.parametrize("seed", range(5))
def test_a_pause_makes_two_of_one_an_interruption_does_not(seed):
    assert hear(dial("5555", on_ms=60, off_ms=10, seed=seed)) == "5"
    assert hear(dial("5555", on_ms=60, off_ms=40, seed=seed)) == "5555"


def test_a_long_key_is_one_digit():
    assert hear(make_digit("7", 10_000)) == "7"


@pytest.mark.parametrize("name", ["PCMU", "PCMA", "G722", "OPUS"])
def test_through_codecs(name):
    encoder, decoder = make_encoder(name, 8_000), make_decoder(name, 8_000)
    sent = dial(SHUFFLED, on_ms=80, off_ms=60)
    heard = np.concatenate([decoder.decode(encoder.encode(each)) for each in frames(sent, 160)])
    assert hear(heard) == SHUFFLED


TEXTS = [
    "You have three new messages. To hear them, press one. For other options, press two.",
    "She said that nine of the twelve seats on the evening train to Oxford were still free on Thursday.",
    "Five, four, three, two, one, zero. Seven eight nine. Please hold the line, we will be with you soon.",
]


@pytest.mark.parametrize("voice_name", ["en-us", "en-us+f1", "en-us+f4", "de+f2", "es", "vi+f3"])
def test_speech_is_no_digit(voice_name):
    """Half a minute each; measured over 14 hours there was none either."""
    for pitch in (30, 50, 80):
        assert hear(speak(" ".join(TEXTS), voice_name, pitch=pitch)) == ""


def test_other_sounds_are_no_digits():
    chance = np.random.default_rng(3)
    assert hear(to_samples(chance.normal(0, 4000, 80_000))) == ""
    assert hear(voice(8_000, 10)) == ""
    assert hear(np.zeros(8_000, np.int16)) == ""
    assert hear(np.full(8_000, 20_000, np.int16)) == ""


def test_a_digit_over_speech_in_the_background():
    sound = speak(TEXTS[1])[:24_000] * 0.05
    sound[8_000:8_800] += make_digit("3", 100)
    assert hear(to_samples(sound)) == "3"


@pytest.mark.parametrize("rate_hz", [8_000, 16_000])
@pytest.mark.parametrize("digit", KEYS)
def test_made_and_heard(digit, rate_hz):
    made = make_digit(digit, 80, rate_hz)
    assert len(made) == rate_hz * 80 // 1000
    assert abs(int(made[0])) < 100 > abs(int(made[-1]))
    assert hear(made[:: rate_hz // 8_000]) == digit


@pytest.mark.parametrize(
    ("digit", "milliseconds", "rate_hz"),
    [("E", 80, 8_000), ("", 80, 8_000), ("12", 80, 8_000), ("1", 5, 8_000), ("1", 80, 44_100)],
)
def test_what_cannot_be_made(digit, milliseconds, rate_hz):
    with pytest.raises(UsageError, match=r"keys|Hz"):
        make_digit(digit, milliseconds, rate_hz)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from([40, 80, 160, 240, 480, 800]), min_size=1, max_size=200))
def test_how_it_is_cut_does_not_matter(sizes):
    sound = dial("15", on_ms=60)
    sound = np.concatenate((sound, np.zeros(sum(sizes), np.int16)))[: sum(sizes)]
    pieces, whole, at, digits = Detector(), Detector(), 0, []
    for size in sizes:
        digits += pieces.feed(sound[at : at + size])
        at += size
    assert digits == whole.feed(sound)


@pytest.mark.parametrize("count", [0, 41, 159])
def test_pieces_are_of_5_ms(count):
    with pytest.raises(UsageError, match=f"{count} samples"):
        Detector().feed(np.zeros(count, np.int16))
