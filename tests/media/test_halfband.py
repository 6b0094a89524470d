import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.errors import UsageError
from pbx.media.halfband import Doubler, Halver, make_converter
from tests.support.sound import level_db, tone


def run(converter, samples, size):
    return np.concatenate([converter.convert(samples[at : at + size]) for at in range(0, len(samples), size)])


@pytest.mark.parametrize("frequency_hz", [50, 300, 1000, 3000, 3400])
def test_up_and_down_again_is_the_same_27_samples_later(frequency_hz):
    sent = tone(frequency_hz, 8_000, 0.5, peak=20_000)
    doubled = run(Doubler(), sent, 160)
    assert np.abs(doubled[228:4028].astype(int) - tone(frequency_hz, 16_000, 1)[200:4000] * 2.5).max() < 40
    back = run(Halver(), doubled, 320)
    assert np.abs(back[127:].astype(int) - sent[100:-27]).max() < 40


@pytest.mark.parametrize("frequency_hz", [4600, 5000, 6000, 7500])
def test_what_8000_hz_cannot_hold_is_taken_out(frequency_hz):
    sent = tone(frequency_hz, 16_000, 0.5)
    assert level_db(run(Halver(), sent, 320)[200:]) < level_db(sent) - 55


@given(st.lists(st.integers(1, 50), min_size=1, max_size=8))
def test_how_it_is_cut_does_not_matter(sizes):
    sound = tone(700, 8_000, 0.05)[: sum(sizes)]
    for make, step in ((Doubler, 1), (Halver, 2)):
        converter, at, parts = make(), 0, []
        for size in sizes:
            part = sound[at : at + size * step]
            parts.append(converter.convert(part[: len(part) // step * step]))
            at += size * step
        whole = make().convert(sound[: len(sound) // step * step])
        assert np.array_equal(np.concatenate(parts), whole)


def test_full_scale_does_not_wrap():
    square = np.where(np.arange(800) % 40 < 20, 32767, -32768).astype(np.int16)
    doubled = Doubler().convert(square)
    assert np.abs(np.diff(doubled.astype(int))).max() < 65_536
    assert doubled.max() == 32767


def test_rates():
    assert make_converter(8_000, 8_000) is None
    with pytest.raises(UsageError, match="48000"):
        make_converter(48_000, 8_000)
    with pytest.raises(UsageError, match="161"):
        Halver().convert(np.zeros(161, np.int16))
