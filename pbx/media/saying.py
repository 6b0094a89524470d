"""Numbers, digits, moments and durations as text in a language, to be read by its voice.

Pure; the words are in pbx/assets/saying. Whole numbers stay in digits: by their phonemes the voices of all
languages with a table here read them rightly.
"""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, Final

from pbx.languages import DEFAULT_LANGUAGE
from pbx.media.prompt import Digits, Duration, Moment, Number, Spoken

TABLES: Final = ("en", "zh", "ms", "id", "vi", "de", "fr", "es")
UNITS: Final = (("hour", 3600), ("minute", 60), ("second", 1))
WEEK: Final = 7


def language_of(value: Spoken, language: str) -> str:
    """In which language a value is said that is asked for in `language`: English where we lack the words.

    Any voice reads digits and numbers.
    """
    has_words = isinstance(value, Number | Digits) or language.partition("-")[0] in TABLES
    return language if has_words else DEFAULT_LANGUAGE


def say(value: Spoken, language: str) -> str:
    """The text of a value, for a voice that speaks `language_of` it."""
    table = _table(language)
    match value:
        case Number(value=number):
            return str(table["minus"]).format(-number) if number < 0 else str(number)
        case Digits(text=text):
            return _digits(text, table["keys"])
        case Moment():
            return _moment(value, table)
        case Duration(seconds=seconds):
            return _duration(seconds, table["duration"])


def _table(language: str) -> Mapping[str, Any]:
    base = language.partition("-")[0]
    return _load(base if base in TABLES else DEFAULT_LANGUAGE)


@cache
def _load(language: str) -> Mapping[str, Any]:
    file = resources.files("pbx") / "assets" / "saying" / f"{language}.toml"
    return tomllib.loads(file.read_text("utf-8"))


def _digits(text: str, words: Mapping[str, str]) -> str:
    """Keys one by one, with a breath after each third or fourth; other characters are left out."""
    keys = [words.get(key, key) for key in text.upper() if key in words or key in "0123456789ABCD"]
    size = 4 if len(keys) <= 4 or (len(keys) % 4 == 0 and len(keys) % 3) else 3
    return ", ".join(" ".join(keys[at : at + size]) for at in range(0, len(keys), size))


def _moment(moment: Moment, table: Mapping[str, Any]) -> str:
    words, when = table["moment"], moment.when
    pattern = "other"
    if moment.now is not None:
        ago = (moment.now.date() - when.date()).days
        near = {0: "today", 1: "yesterday"}.get(ago)
        week = "this_week" if 0 < ago < WEEK else None
        pattern = near or week or ("this_year" if moment.now.year == when.year else "other")
    days = words.get("days", ())
    year = " ".join(str(when.year)) if words.get("year_by_digits") else str(when.year)
    return str(words[pattern]).format(
        time=_time(when.hour, when.minute, table["time"]),
        weekday=words["weekdays"][when.weekday()],
        month=words["months"][when.month - 1],
        day=days[when.day - 1] if when.day <= len(days) else when.day,
        year=year,
    )


def _time(hour: int, minute: int, words: Mapping[str, Any]) -> str:
    periods = {int(start): word for start, word in words.get("periods", {"0": ""}).items()}
    period = periods[max(start for start in periods if start <= hour)]
    shown = (hour - 1) % 12 + 1 if words.get("twelve_hours") else hour
    said = words.get("hours", {}).get(str(shown)) or words.get("hour", "{}").format(shown)
    pattern = "full_hour" if minute == 0 else "few_minutes" if minute < 10 else "time"
    return str(words[pattern]).format(hour=said, minute=minute, period=period)


def _duration(seconds: float, words: Mapping[str, Any]) -> str:
    """At most two units: after hours the seconds are left out."""
    if 0 < seconds < 1:
        return _count(max(1, round(seconds * 1000)), "millisecond", words)
    left = max(0, round(seconds))
    if left >= 3600:
        left -= left % 60
    parts: list[str] = []
    for unit, size in UNITS:
        count, left = divmod(left, size)
        if count or (unit == "second" and not parts):
            parts.append(_count(count, unit, words))
    return str(words["and"]).join(parts)


def _count(count: int, unit: str, words: Mapping[str, Any]) -> str:
    if count == 1:
        return str(words[unit])
    return str(words[f"{unit}s"]).format(words.get("counts", {}).get(str(count), count))
