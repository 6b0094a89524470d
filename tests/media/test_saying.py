"""Values as text: what each language makes of the same moment, duration and digits."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.media.prompt import Digits, Duration, Moment, Number
from pbx.media.saying import TABLES, language_of, say

NOW = datetime(2026, 11, 5, 16, 0, tzinfo=ZoneInfo("Asia/Singapore"))  # a Thursday


def moment(*when):
    return Moment(datetime(*when, tzinfo=NOW.tzinfo), NOW)


SAID = {
    "today": (moment(2026, 11, 5, 15, 5), "en", "today at 3 oh 5 p.m."),
    "a full hour": (moment(2026, 11, 5, 9, 0), "en", "today at 9 a.m."),
    "midnight, yesterday": (moment(2026, 11, 4, 0, 0), "en", "yesterday at 12 a.m."),
    "this week": (moment(2026, 11, 2, 13, 30), "en", "Monday at 1 30 p.m."),
    "six days ago": (moment(2026, 10, 30, 13, 30), "en", "Friday at 1 30 p.m."),
    "a week ago": (moment(2026, 10, 29, 13, 30), "en", "Thursday, October 29th, at 1 30 p.m."),
    "last year": (moment(2025, 2, 21, 21, 9), "en", "February 21st, 2025, at 9 oh 9 p.m."),
    "tomorrow": (moment(2026, 11, 6, 8, 15), "en", "Friday, November 6th, at 8 15 a.m."),
    "without a now": (Moment(NOW), "en", "November 5th, 2026, at 4 p.m."),
    "German": (moment(2026, 10, 1, 1, 30), "de", "am Donnerstag, dem ersten Oktober, um ein Uhr 30"),
    "French": (moment(2026, 11, 5, 1, 5), "fr", "aujourd'hui à une heure 5"),
    "Spanish": (moment(2026, 11, 5, 13, 5), "es", "hoy a la una y 5 de la tarde"),
    "Chinese, two o'clock": (moment(2026, 11, 5, 14, 5), "zh", "今天下午两点零5分"),
    "Chinese, a year by its digits": (moment(2025, 2, 21, 9, 0), "zh-SG", "2 0 2 5年2月21日，上午9点"),
    "Malay": (moment(2026, 11, 4, 20, 10), "ms", "semalam, pukul 8 10 minit malam"),
    "Indonesian": (moment(2026, 11, 4, 20, 10), "id", "kemarin, pukul 20 lewat 10 menit"),
    "Vietnamese": (moment(2026, 11, 4, 20, 10), "vi", "hôm qua lúc 8 giờ 10 phút tối"),
    "no seconds": (Duration(0), "en", "0 seconds"),
    "one second": (Duration(1.2), "en", "1 second"),
    "a delay": (Duration(0.12), "de", "120 Millisekunden"),
    "a minute and more": (Duration(62), "en", "1 minute and 2 seconds"),
    "minutes": (Duration(120), "en", "2 minutes"),
    "after hours no seconds": (Duration(7385), "fr", "2 heures et 3 minutes"),
    "two of a thing, in Chinese": (Duration(120), "zh", "两分钟"),
    "a short number": (Digits("100"), "en", "1 0 0"),
    "four keys stay together": (Digits("1001"), "en", "1 0 0 1"),
    "eight keys": (Digits("65310112"), "en", "6 5 3 1, 0 1 1 2"),
    "keys with names": (Digits("*72#"), "de", "Stern 7 2 Raute"),
    "other characters are left out": (Digits("+65 (31)-0"), "en", "plus 6 5, 3 1 0"),
    "a number": (Number(17), "vi", "17"),
    "less than nothing": (Number(-3), "de", "minus 3"),
}


@pytest.mark.parametrize(("value", "language", "text"), SAID.values(), ids=SAID)
def test_said(value, language, text):
    assert say(value, language) == text


def test_without_words_for_it_a_moment_is_said_in_english():
    assert language_of(Moment(NOW), "it") == "en"
    assert language_of(Number(3), "it") == "it"
    assert language_of(Moment(NOW), "de") == "de"


@given(st.sampled_from(TABLES), st.integers(-400, 400), st.integers(0, 1439))
def test_every_moment_can_be_said(language, days, minute):
    when = datetime(2026, 11, 5, tzinfo=NOW.tzinfo) + timedelta(days=days, minutes=minute)
    text = say(Moment(when, NOW), language)
    assert text
    assert "{" not in text


@given(st.sampled_from(TABLES), st.floats(0, 1e6))
def test_every_duration_can_be_said(language, seconds):
    text = say(Duration(seconds), language)
    assert text
    assert "{" not in text
