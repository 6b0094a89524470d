"""Call progress tones of the world's networks (ITU-T E.180): the table, and one period of any as samples."""

import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import Final

import numpy as np

from pbx.errors import ConfigError, UsageError
from pbx.immutable import immutable
from pbx.media.samples import FRAME_MS, RATES_HZ, Floats, Samples, amplitude, edges, to_samples

RINGBACK: Final = "ringback"
BUSY: Final = "busy"
CONGESTION: Final = "congestion"
INFORMATION: Final = "information"  # the special information tone, before an announcement
WAITING: Final = "waiting"  # another call waits
RECORDING: Final = "recording"  # the call is being recorded
CONFIRMATION: Final = "confirmation"  # a code was taken
TONES: Final = (RINGBACK, BUSY, CONGESTION, INFORMATION, WAITING, RECORDING, CONFIRMATION)

DEFAULT: Final = "default"
LEVEL_DBM0: Final = -13.0  # E.180 §2 recommends -10 with 5 dB either way
EDGE_S: Final = 0.004
SWING: Final = 0.9  # depth of modulation
LONGEST_S: Final = 120.0
LOWEST_HZ: Final = 200
HIGHEST_HZ: Final = 3_600

_ELEMENT: Final = re.compile(r"(\d{1,4})((?:\+\d{1,4})*)(?:\*(\d{1,3}))?/(\d{1,3}(?:\.\d{1,4})?)")


@immutable
class Element:
    """A stretch of one period.

    Attributes:
        frequencies_hz: at once; none for silence.
        swing_hz: of the modulation, 0 for none.
    """

    frequencies_hz: tuple[int, ...]
    swing_hz: int
    seconds: float


Cadence = tuple[Element, ...]
Table = dict[str, dict[str, Cadence]]


def parse_cadence(text: str, key: str = "tone") -> Cadence:
    """Read one period, such as "400+450/0.4 0/0.2 400+450/0.4 0/2".

    Raises:
        ConfigError: it is none; `key` says which.
    """
    elements = []
    for word in text.split():
        if (match := _ELEMENT.fullmatch(word)) is None:
            raise ConfigError(key, text, f"{word!r} is not like 425/0.5, 440+480/2, 425*24/0.4 or 0/1")
        first, more, swing, seconds = match.groups()
        frequencies = tuple(int(each) for each in (first + more).split("+"))
        if frequencies == (0,):
            frequencies = ()
        for each in frequencies:
            if not LOWEST_HZ <= each <= HIGHEST_HZ:
                raise ConfigError(key, text, f"{each} Hz is not within {LOWEST_HZ} and {HIGHEST_HZ}")
        elements.append(Element(frequencies, int(swing or 0), float(seconds)))
    if not 0 < sum(element.seconds for element in elements) <= LONGEST_S:
        raise ConfigError(key, text, f"a period takes more than nothing and {LONGEST_S:.0f} s at most")
    return tuple(elements)


def read_table(text: str) -> Table:
    """Read a table of tones by country in TOML; its countries have all tones then.

    Raises:
        ConfigError: it cannot be read; the message says where.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError("tones", "", str(error)) from error
    table: Table = {}
    for country, tones in data.items():
        if not isinstance(tones, dict):
            raise ConfigError(country, tones, "a country is a table of tones")
        table[country] = {}
        for name, cadence in tones.items():
            key = f"{country}.{name}"
            if name not in TONES or not isinstance(cadence, str):
                raise ConfigError(key, cadence, f"a tone is a text, and one of {', '.join(TONES)}")
            table[country][name] = parse_cadence(cadence, key)
    missing = [name for name in TONES if name not in table.get(DEFAULT, {})]
    if missing:
        raise ConfigError(DEFAULT, "", f"lacks {', '.join(missing)}")
    return {country: table[DEFAULT] | tones for country, tones in table.items()}


@cache
def shipped_table() -> Table:
    """The table in pbx/assets/tones.toml."""
    return read_table((files("pbx") / "assets" / "tones.toml").read_text(encoding="utf-8"))


def find_cadence(name: str, country: str) -> Cadence:
    """A tone of the country with this ISO code; of no country we know, the usual European one.

    Raises:
        UsageError: no such tone.
    """
    if name not in TONES:
        raise UsageError(f"tone {name!r} is none of {', '.join(TONES)}")
    table = shipped_table()
    return table.get(country.upper(), table[DEFAULT])[name]


def make_period(cadence: Cadence, rate_hz: int) -> Samples:
    """One period, to be played over and over: a multiple of 20 ms, filled up with silence.

    Every stretch rises and falls within 4 ms, and is as strong as a sine of LEVEL_DBM0, however many
    frequencies it has.

    Raises:
        UsageError: another rate than 8,000 or 16,000.
    """
    if rate_hz not in RATES_HZ:
        raise UsageError(f"{rate_hz} Hz is neither 8000 nor 16000")
    parts = [_make_stretch(element, rate_hz) for element in cadence]
    frame = rate_hz * FRAME_MS // 1000
    parts.append(np.zeros(-sum(map(len, parts)) % frame))
    return to_samples(np.concatenate(parts))


def make_tone(name: str, country: str, rate_hz: int) -> Samples:
    """One period of a country's tone, as of `find_cadence` and `make_period`."""
    return make_period(find_cadence(name, country), rate_hz)


def _make_stretch(element: Element, rate_hz: int) -> Floats:
    at = np.arange(round(element.seconds * rate_hz)) / rate_hz
    if not element.frequencies_hz:
        return np.zeros(len(at))
    waves = np.array([np.sin(2 * np.pi * each * at) for each in element.frequencies_hz]).sum(0)
    waves *= amplitude(LEVEL_DBM0) / np.sqrt(len(element.frequencies_hz))
    if element.swing_hz:
        swing = 1 - SWING * np.cos(2 * np.pi * element.swing_hz * at)
        waves *= swing / np.sqrt(1 + SWING**2 / 2)
    return np.asarray(waves * edges(len(at), rate_hz, EDGE_S), np.float64)
