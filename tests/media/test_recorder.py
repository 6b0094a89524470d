"""Recordings, frame by frame, into a file in memory."""

import numpy as np
import pytest

from pbx.media.recorder import MOST_APART, TAIL_S, Recorder
from pbx.media.samples import frame_size, silence
from tests.support.sound import frames, likeness, tone, voice
from tests.support.stage import Writer

LEFT, RIGHT = "left", "right"


def make(*voices, rate_hz=8_000, max_s=0.0, silence_s=0.0):
    voices = voices or (LEFT,)
    writer = Writer("/file", rate_hz, len(voices))
    return Recorder(voices, writer, rate_hz, max_s=max_s, silence_s=silence_s), writer


def feed(recorder, voice, samples, rate_hz=8_000):
    for frame in frames(samples, frame_size(rate_hz)):
        recorder.add(voice, frame)


def closed(recorder, writer):
    troubles = []
    recorder.close(troubles.append)
    assert troubles == [writer.trouble]
    assert recorder.seconds == pytest.approx(writer.seconds)
    return writer


def test_all_of_it_until_stopped():
    recorder, writer = make()
    said = voice(8_000, 2.5)
    feed(recorder, LEFT, said)
    assert writer.seconds == 2.0  # a crash costs less than a second
    recorder.stop("stopped")
    feed(recorder, LEFT, said)
    assert np.array_equal(closed(recorder, writer).side(), said)
    assert recorder.why == "stopped"


def test_nothing_came():
    recorder, writer = make()
    recorder.stop("closed")
    assert closed(recorder, writer).blocks == []
    assert recorder.seconds == 0.0


def test_it_is_never_longer_than_allowed():
    recorder, writer = make(max_s=1.05)
    feed(recorder, LEFT, voice(8_000, 2.0))
    assert (recorder.why, closed(recorder, writer).seconds) == ("full", 1.04)


def test_silence_ends_it_and_is_not_kept():
    recorder, writer = make(silence_s=1.0)
    said = voice(8_000, 1.0)
    feed(recorder, LEFT, np.concatenate((said, silence(8_000 * 3))))
    assert recorder.why == "silence"
    assert closed(recorder, writer).seconds == pytest.approx(1.0 + TAIL_S, abs=0.1)
    assert np.array_equal(writer.side()[:8_000], said)


def test_pauses_are_kept_in_full():
    recorder, writer = make(silence_s=1.0)
    said = np.concatenate((voice(8_000, 1.0), silence(6_400), voice(8_000, 0.5)))
    feed(recorder, LEFT, said)
    recorder.stop("stopped")
    assert np.array_equal(closed(recorder, writer).side(), said)


@pytest.mark.parametrize("why", ["stopped", "closed"])
def test_so_is_the_silence_before_somebody_stops_it(why):
    recorder, writer = make(silence_s=5.0)
    feed(recorder, LEFT, silence(8_000))
    recorder.stop(why)
    assert (recorder.why, closed(recorder, writer).seconds) == (why, 1.0)


def test_who_says_nothing_at_all():
    recorder, writer = make(silence_s=2.0, max_s=60.0)
    feed(recorder, LEFT, silence(8_000 * 4))
    assert (recorder.why, closed(recorder, writer).seconds) == ("silence", TAIL_S)


def test_it_is_full_in_the_middle_of_a_pause():
    recorder, writer = make(silence_s=60.0, max_s=2.0)
    feed(recorder, LEFT, np.concatenate((voice(8_000, 0.5), silence(8_000 * 3))))
    assert (recorder.why, closed(recorder, writer).seconds) == ("full", 2.0)


def test_both_sides_in_step():
    recorder, writer = make(LEFT, RIGHT)
    left, right = voice(8_000, 1.5), tone(440, 8_000, 1.5)
    for one, other in zip(frames(left, 160), frames(right, 160), strict=True):
        recorder.add(LEFT, one)
        recorder.add(RIGHT, other)
    recorder.stop("stopped")
    closed(recorder, writer)
    assert np.array_equal(writer.side(0), left)
    assert np.array_equal(writer.side(1), right)


def test_silence_is_when_neither_side_speaks():
    recorder, writer = make(LEFT, RIGHT, silence_s=1.0)
    talk = voice(8_000, 3.0)
    for one, other in zip(frames(silence(len(talk)), 160), frames(talk, 160), strict=True):
        recorder.add(LEFT, one)
        recorder.add(RIGHT, other)
    assert recorder.why == ""
    recorder.stop("stopped")
    assert np.array_equal(closed(recorder, writer).side(1), talk)


def test_a_side_that_is_gone_is_silent():
    recorder, writer = make(LEFT, RIGHT)
    said = voice(8_000, 2.0)
    feed(recorder, LEFT, said)
    recorder.stop("stopped")
    assert closed(recorder, writer).seconds >= 2.0 - 0.02 * (MOST_APART + 1)
    assert not writer.side(1).any()
    assert np.array_equal(writer.side(0), said[: len(writer.side(0))])


@pytest.mark.parametrize(("from_hz", "to_hz"), [(16_000, 8_000), (8_000, 16_000)])
def test_a_voice_whose_rate_is_another_one_keeps_its_pitch(from_hz, to_hz):
    recorder, writer = make(rate_hz=to_hz)
    feed(recorder, LEFT, tone(1000, from_hz, 1.0), from_hz)
    recorder.stop("stopped")
    assert closed(recorder, writer).seconds == 1.0
    assert likeness(tone(1000, to_hz, 0.9), writer.side(), to_hz)[0] > 0.99
