from itertools import pairwise

import numpy as np
import pytest

from pbx.errors import ConfigError, UsageError
from pbx.media.samples import FULL_SCALE_DBM0
from pbx.media.tones import (
    TONES,
    find_cadence,
    make_period,
    make_tone,
    parse_cadence,
    read_table,
    shipped_table,
)
from tests.support.sound import level_db

COUNTRIES = sorted(
    {
        "SG",
        "MY",
        "ID",
        "VN",
        "TH",
        "CN",
        "HK",
        "TW",
        "JP",
        "KR",
        "IN",
        "AU",
        "NZ",
        "PH",
        "GB",
        "IE",
        "DE",
        "AT",
    }
    | {"CH", "FR", "ES", "IT", "PT", "NL", "BE", "SE", "NO", "DK", "FI", "PL", "CZ", "RU", "TR", "US", "CA"}
    | {"MX", "BR", "AR", "CL", "ZA", "AE", "SA", "IL"}
)


def spectrum_peaks(samples, rate_hz, count):
    """The strongest frequencies in Hz, strongest first."""
    strength = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 4 * rate_hz))
    found = []
    for _ in range(count):
        at = int(np.argmax(strength))
        found.append(at / 4)
        strength[max(0, at - 40) : at + 40] = 0
    return found


@pytest.mark.parametrize("country", COUNTRIES)
def test_every_tone_of_a_country(country):
    assert country in shipped_table()
    for name in TONES:
        cadence = find_cadence(name, country)
        samples = make_tone(name, country, 8_000)
        seconds = sum(element.seconds for element in cadence)
        assert seconds <= len(samples) / 8_000 < seconds + 0.021
        assert len(samples) % 160 == 0
        first = samples[: round(cadence[0].seconds * 8_000)]
        assert level_db(first) == pytest.approx(-13 - FULL_SCALE_DBM0 - 3.01, abs=1.2)
        # From period to period it goes on without a click.
        twice = np.concatenate((samples, samples)).astype(int)
        edge = np.abs(np.diff(twice[len(samples) - 4 : len(samples) + 4])).max()
        assert edge < 400


SOME = {
    ("ringback", "US"): {440, 480},
    ("busy", "US"): {480, 620},
    ("ringback", "GB"): {400, 450},
    ("ringback", "DE"): {425},
    ("information", "FR"): {950, 1400, 1800},
}


@pytest.mark.parametrize("rate_hz", [8_000, 16_000])
@pytest.mark.parametrize(("which", "expected"), SOME.items(), ids=map(" ".join, SOME))
def test_frequencies(which, expected, rate_hz):
    samples = make_tone(*which, rate_hz)
    heard = samples[: round(rate_hz * 0.98)] if "information" in which else samples[: round(rate_hz * 0.38)]
    assert {round(each / 5) * 5 for each in spectrum_peaks(heard, rate_hz, len(expected))} == expected


def test_singapore_s_ringback_swings():
    samples = make_tone("ringback", "SG", 8_000)[: 8_000 * 4 // 10]
    levels = [level_db(samples[at : at + 40]) for at in range(200, 2_800, 40)]
    assert max(levels) - min(levels) > 15
    assert 7 <= sum(a < -30 <= b for a, b in pairwise(levels)) <= 8


def test_of_other_countries_it_is_the_usual_one():
    assert find_cadence("busy", "XX") == find_cadence("busy", "") == parse_cadence("425/0.5 0/0.5")
    assert find_cadence("ringback", "us") == parse_cadence("440+480/2 0/4")


MISTAKES = {
    "": "more than nothing",
    "425": "'425' is not like",
    "425/": "is not like",
    "425/1 x": "'x' is not like",
    "425/-1": "is not like",
    "100/1": "100 Hz is not within",
    "425+3900/1": "3900 Hz",
    "425/0": "more than nothing",
    "425/100 0/30": "120 s at most",
}


@pytest.mark.parametrize(("text", "why"), MISTAKES.items())
def test_a_mistake_is_told(text, why):
    with pytest.raises(ConfigError, match=why):
        parse_cadence(text)


FULL = "".join(f'{name} = "425/1"\n' for name in TONES)
BAD_TABLES = {
    "x =": "Invalid value",
    "XX = 3": "a table of tones",
    f"[default]\n{FULL}[XX]\nbuzz = '425/1'": "XX.buzz",
    f"[default]\n{FULL}[XX]\nbusy = 1": "XX.busy",
    f"[default]\n{FULL}[XX]\nbusy = 'a'": "XX.busy",
    "[default]\nbusy = '425/1'": "lacks ringback",
}


@pytest.mark.parametrize(("text", "why"), BAD_TABLES.items())
def test_a_table_s_mistake_says_where(text, why):
    with pytest.raises(ConfigError, match=why):
        read_table(text)


def test_unknown():
    with pytest.raises(UsageError, match="buzz"):
        find_cadence("buzz", "SG")
    with pytest.raises(UsageError, match="44100"):
        make_period(parse_cadence("425/1"), 44_100)
