"""Voices that hear one another."""

import pytest

from pbx.media.codecs import CODECS
from pbx.media.orders import Mix, Play, Played, Record
from tests.support.sound import level_db, likeness, strength, tone, voice
from tests.support.stage import Stage, write_sound

QUIET_DB = -60


@pytest.fixture
def stage():
    return Stage()


PAIRS = [("PCMU", "G722"), ("PCMU", "OPUS"), ("PCMA", "PCMU"), ("G722", "OPUS")]


@pytest.mark.parametrize("codecs", PAIRS, ids="-".join)
def test_two_without_a_common_codec(stage, codecs):
    said = {}
    for name, codec, hertz in zip("ab", codecs, (110.0, 150.0), strict=True):
        stage.open(name, codec)
        stage.order(Mix(name, "call"))
        said[name] = voice(CODECS[codec].rate_hz, 2.0, hertz)
    stage.run(2.2, **said)
    for speaker, listener in ("ab", "ba"):
        narrow = 8_000
        sent, heard = said[speaker], stage.phones[listener].heard()
        sent, heard = (
            each if CODECS[stage.phones[name].codec].rate_hz == narrow else each[::2]
            for name, each in ((speaker, sent), (listener, heard))
        )
        alike, late = likeness(sent, heard, narrow)
        assert alike > 0.85
        assert late < 0.12


def test_three_hear_each_other_and_not_themselves(stage):
    hertz = {"a": 500, "b": 800, "c": 1100}
    for name in hertz:
        stage.open(name, "PCMU")
        stage.order(Mix(name, "room"))
    stage.run(1.5, **{name: tone(each, 8_000, 1.5, peak=4000) for name, each in hertz.items()})
    for listener in hertz:
        heard = stage.phones[listener].heard()
        for speaker, each in hertz.items():
            amplitude = strength(heard, 8_000, each)
            assert amplitude < 50 if speaker == listener else 3500 < amplitude < 4500


def test_muted_one_hears_and_is_not_heard(stage):
    for name in "ab":
        stage.open(name)
    stage.order(Mix("a", "room", muted=True), Mix("b", "room"))
    stage.run(1.0, a=tone(500, 8_000, 1.0), b=tone(800, 8_000, 1.0))
    assert level_db(stage.phones["b"].heard()) < QUIET_DB
    assert strength(stage.phones["a"].heard(), 8_000, 800) > 6000


def test_who_has_left_neither_hears_nor_is_heard(stage):
    for name in "abc":
        stage.open(name)
        stage.order(Mix(name, "room"))
    stage.run(0.5, a=tone(500, 8_000, 0.5))
    stage.order(Mix("a", ""))
    stage.run(0.2)
    before = {name: len(stage.phones[name].packets) for name in "ab"}
    stage.run(1.0, a=tone(500, 8_000, 1.0), c=tone(800, 8_000, 1.0))
    assert level_db(stage.phones["a"].heard(since=before["a"])) < QUIET_DB
    assert strength(stage.phones["b"].heard(since=before["b"]), 8_000, 500) < 50
    assert strength(stage.phones["b"].heard(since=before["b"]), 8_000, 800) > 6000


def test_rooms_are_apart_and_one_goes_from_one_to_another(stage):
    for name, room in zip("abc", "xyy", strict=True):
        stage.open(name)
        stage.order(Mix(name, room))
    stage.run(0.5, b=tone(500, 8_000, 0.5))
    assert level_db(stage.phones["a"].heard()) < QUIET_DB
    stage.order(Mix("b", "x"))
    before = len(stage.phones["c"].packets)
    stage.run(1.0, b=tone(500, 8_000, 1.0))
    assert strength(stage.phones["a"].heard()[4_000:], 8_000, 500) > 6000
    assert level_db(stage.phones["c"].heard(since=before)[800:]) < QUIET_DB
    assert sorted(stage.studio._rooms) == ["x", "y"]


def test_alone_one_hears_silence_and_by_echo_himself(stage):
    stage.open("a", "G722")
    stage.order(Mix("a", "room"))
    stage.run(0.5, a=tone(500, 16_000, 0.5))
    assert level_db(stage.phones["a"].heard()) < QUIET_DB
    stage.order(Mix("a", "room", echo=True))
    stage.run(1.0, a=tone(500, 16_000, 1.0))
    assert strength(stage.phones["a"].heard()[8_000:], 16_000, 500) > 5000
    stage.order(Mix("a", "room"))
    before = len(stage.phones["a"].packets)
    stage.run(0.5, a=tone(500, 16_000, 0.5))
    assert level_db(stage.phones["a"].heard(since=before + 5)) < QUIET_DB


def test_a_sound_is_played_over_what_is_said(stage, tmp_path):
    stem = write_sound(tmp_path, tone(1200, 16_000, 1.0, peak=5000))
    for name in "ab":
        stage.open(name)
        stage.order(Mix(name, "room"))
    stage.order(Play("a", "p", stem))
    stage.run(1.1, b=tone(500, 8_000, 1.1, peak=5000))
    heard = stage.phones["a"].heard()[:8_000]
    assert strength(heard, 8_000, 1200) > 4000
    assert strength(heard, 8_000, 500) > 4000
    assert level_db(stage.phones["b"].heard()) < QUIET_DB
    assert stage.take(Played) == [Played("a", "p", "ended")]


def test_a_filler_that_waits_is_not_heard_and_the_room_is(stage, tmp_path):
    for name in "ab":
        stage.open(name)
        stage.order(Mix(name, "room"))
    stage.order(Play("a", "p", write_sound(tmp_path, tone(1200, 16_000, 1.0)), is_filler=True))
    stage.run(0.5, b=tone(500, 8_000, 0.5))
    assert len(stage.phones["a"].packets) == 25
    assert strength(stage.phones["a"].heard(), 8_000, 500) > 6000


def test_who_waits_hears_music_in_place_of_what_is_said(stage, tmp_path):
    for name in "ab":
        stage.open(name)
        stage.order(Mix(name, "room"))
    stage.order(Play("a", "p", write_sound(tmp_path, tone(1200, 16_000, 1.0)), loop=True))
    stage.run(1.5, b=tone(500, 8_000, 1.5))
    heard = stage.phones["a"].heard()
    assert strength(heard, 8_000, 1200) > 4000
    assert strength(heard, 8_000, 500) < 50


@pytest.mark.parametrize("plays_itself", [True, False], ids=["has music of its own", "has none"])
def test_a_filler_for_a_phone_that_holds(stage, tmp_path, plays_itself):
    for name in "ab":
        stage.open(name)
        stage.order(Mix(name, "room"))
    stem = write_sound(tmp_path, tone(1200, 16_000, 1.0))
    stage.order(Play("a", "p", stem, loop=True, is_filler=True))
    stage.run(2.0, b=tone(500, 8_000, 2.0, peak=5000 if plays_itself else 0))
    heard = stage.phones["a"].heard()[8_000:]
    assert (strength(heard, 8_000, 1200) > 4000) == (not plays_itself)
    assert (strength(heard, 8_000, 500) > 4000) == plays_itself
    assert stage.take(Played) == [Played("a", "p", "not needed")] * plays_itself


def test_loud_ones_together_do_not_wrap(stage):
    for name in "abcd":
        stage.open(name)
        stage.order(Mix(name, "room"))
    loud = tone(500, 8_000, 0.5, peak=30_000)
    stage.run(0.5, a=loud, b=loud, c=loud)
    assert strength(stage.phones["d"].heard(), 8_000, 500) > 30_000


def test_wide_as_long_as_somebody_profits(stage):
    stage.open("a", "PCMU")
    stage.open("b", "PCMA")
    stage.open("c", "OPUS")
    rates = []
    for order in (Mix("a", "room"), Mix("b", "room"), Mix("c", "room"), Mix("c", "")):
        stage.order(order)
        stage.run(0.1, a=voice(8_000, 0.1))
        rates.append(stage.studio._voices["a"].rate_hz)
    assert rates == [8_000, 8_000, 16_000, 8_000]
    assert stage.failed == []


def test_another_codec_in_the_middle(stage):
    for name in "ab":
        stage.open(name)
        stage.order(Mix(name, "room"))
    stage.run(0.5, a=tone(500, 8_000, 0.5))
    for codec in ("G722", "OPUS", "PCMA"):
        stage.agree("a", codec)
        stage.phones["a"].use(codec)
        rate_hz = CODECS[codec].rate_hz
        before = len(stage.phones["b"].packets)
        stage.run(1.0, a=tone(500, rate_hz, 1.0), b=tone(800, 8_000, 1.0))
        assert strength(stage.phones["b"].heard(since=before), 8_000, 500) > 5000
        assert strength(stage.phones["a"].heard(codec), rate_hz, 800) > 4000
    assert stage.failed == []


def test_a_recording_keeps_its_rate_in_a_wider_room(stage):
    """It began before he entered, and another one in there is wide already."""
    stage.open("a", "PCMU")
    stage.open("b", "G722")
    stage.order(Mix("b", "room"), Record("b", "wide", "/wide"), Record("a", "narrow", "/narrow"))
    stage.run(0.5, a=tone(500, 8_000, 0.5))
    stage.order(Mix("a", "room"))
    stage.run(1.0, a=tone(500, 8_000, 1.0), b=tone(800, 16_000, 1.0))
    stage.close("a")
    stage.run(0.2)
    stage.close("b")
    wide, narrow = stage.files.made
    assert (wide.rate_hz, narrow.rate_hz) == (16_000, 8_000)
    assert narrow.seconds == pytest.approx(1.5, abs=0.05)
    assert wide.seconds == pytest.approx(1.7, abs=0.05)
    assert strength(narrow.side(), 8_000, 500) > 6000
    assert strength(wide.side()[10_000:22_000], 16_000, 800) > 6000


def test_both_sides_of_a_joined_call_whose_rates_differ(stage):
    stage.open("a", "PCMU")
    stage.open("b", "G722")
    stage.join("a", "b")
    stage.order(Record("a", "r", "/file", "b"))
    stage.run(1.0, a=tone(500, 8_000, 1.0), b=tone(800, 16_000, 1.0))
    stage.close("a")
    (writer,) = stage.files.made
    assert (writer.rate_hz, writer.channels) == (16_000, 2)
    assert strength(writer.side(0), 16_000, 500) > 6000
    assert strength(writer.side(1), 16_000, 800) > 6000
