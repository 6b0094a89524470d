import numpy as np
import pytest

from pbx.media.codecs import CODECS, make_encoder
from pbx.media.playout import Playout
from pbx.media.samples import frame_size
from tests.support.sound import frames, likeness, voice


def listen(name, rate_hz, seconds=2.0, ptime=1, lost=()):
    """What 20 ms frames give of a voice sent in packets of `ptime` frames (G.711 and G.722 put together)."""
    encoder, playout = make_encoder(name, rate_hz), Playout(name, rate_hz)
    codec, heard = CODECS[name], []
    pieces = [encoder.encode(each) for each in frames(voice(rate_hz, seconds), frame_size(rate_hz))]
    payloads = [b"".join(pieces[at : at + ptime]) for at in range(0, len(pieces), ptime)]
    for step in range(len(pieces) + 20):
        now = step * 0.02
        number, rest = divmod(step, ptime)
        if rest == ptime - 1 and number < len(payloads) and number not in lost:
            playout.push(number, number * ptime * codec.frame_ticks, payloads[number], now)
        frame = playout.frame(now + 0.001)
        assert len(frame) == frame_size(rate_hz)
        assert not (playout.is_silent and frame.any())
        heard.append(frame)
    return playout, np.concatenate(heard)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000])
@pytest.mark.parametrize("name", CODECS)
def test_a_voice_is_heard(name, rate_hz):
    _, heard = listen(name, rate_hz)
    likeliest, late = likeness(voice(rate_hz, 2), heard, rate_hz)
    assert likeliest > (0.8 if name == "OPUS" else 0.95)
    assert late < 0.08


@pytest.mark.parametrize("ptime", [2, 3])
@pytest.mark.parametrize("name", ["PCMA", "G722"])
def test_longer_packets(name, ptime):
    playout, heard = listen(name, 8_000, ptime=ptime)
    assert likeness(voice(8_000, 2), heard, 8_000)[0] > 0.95
    assert playout.buffer.lost == 0


@pytest.mark.parametrize("name", CODECS)
def test_losses_are_concealed(name):
    playout, heard = listen(name, 8_000, lost=range(10, 95, 10))
    assert playout.buffer.lost == 9
    assert likeness(voice(8_000, 2), heard, 8_000)[0] > (0.7 if name == "OPUS" else 0.8)


def test_short_packets_and_pauses():
    """10 ms a packet, 200 ms of talk, 200 ms of nothing."""
    playout, silent = Playout("PCMU", 8_000), 0
    for step in range(100):
        now = step * 0.02
        if step // 10 % 2 == 0:
            for half in (0, 1):
                number = (step - step // 20 * 10) * 2 + half
                playout.push(number, (2 * step + half) * 80, b"\x10" * 80, now + half * 0.01)
        frame = playout.frame(now + 0.015)
        assert len(frame) == 160
        assert not (playout.is_silent and frame.any())
        silent += playout.is_silent
    assert playout.buffer.lost == 0
    assert 20 <= silent <= 55


def test_talk_that_begins_within_a_frame_is_not_silence():
    """10 ms a packet, after a pause that ends in the middle of 20 ms."""
    playout = Playout("PCMU", 8_000)
    for number in range(10):
        playout.push(number, number * 80, b"\x10" * 80, number * 0.01)
    for number in range(10, 20):
        playout.push(number, (number + 11) * 80, b"\x10" * 80, (number + 11) * 0.01)
    for step in range(30):
        frame = playout.frame(0.06 + step * 0.02)
        assert not (playout.is_silent and frame.any())


def test_what_cannot_be_read_is_counted_and_concealed():
    playout = Playout("OPUS", 8_000)
    for number in range(20):
        playout.push(number, number * 960, b"\xff" + bytes(9), number * 0.02)
        assert len(playout.frame(number * 0.02 + 0.001)) == 160
    assert playout.undecodable >= 15
