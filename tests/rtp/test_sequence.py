from statistics import mean

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pbx.rtp.sequence import Reception, unwrap


@given(near=st.integers(0, 2**40), step=st.integers(-0x8000, 0x7FFF))
@example(near=0x10000, step=-0x8000)
@example(near=0xFFFF, step=0x7FFF)
def test_any_step_under_half_the_circle_is_found_again(near, step):
    assert unwrap((near + step) & 0xFFFF, near) == near + step


def received(sequences, ssrc=7):
    reception = Reception(8000)
    for sequence in sequences:
        reception.receive(ssrc, sequence & 0xFFFF, sequence * 160 & 0xFFFFFFFF, sequence * 0.02)
    return reception


LOSSES = {
    "nothing came": ([], 0),
    "all came": (range(100, 200), 0),
    "over the end of the numbers": (range(65_500, 65_600), 0),
    "three holes": ([1, 2, 4, 6, 8], 3),
    "a hole over the end": ([65_534, 65_537], 2),
    "late is not lost": ([1, 2, 4, 3, 5], 0),
    "twice is one less": ([1, 2, 2, 3], -1),
    "a sender that began anew loses nothing": ([1, 2, 4, 30_000, 30_001], 1),
    "one that jumped back neither": ([30_000, 30_001, 5, 6], 0),
}


@pytest.mark.parametrize(("sequences", "lost"), LOSSES.values(), ids=LOSSES)
def test_lost(sequences, lost):
    assert received(sequences).lost == lost


def test_another_source_adds_to_what_was_lost():
    reception = received([1, 2, 4])
    reception.receive(8, 500, 0, 1.0)
    reception.receive(8, 502, 0, 1.0)
    assert (reception.lost, reception.ssrc) == (2, 8)


@settings(max_examples=100)
@given(st.integers(0, 0xFFFF), st.sets(st.integers(1, 400)), st.randoms(use_true_random=False))
def test_loss_is_found_whatever_the_start_and_the_order(start, missing, random):
    sequences = [start + step for step in range(402) if step not in missing]
    for at in range(1, len(sequences) - 6, 5):  # neighbours change places, the first packet stays first
        window = sequences[at : at + 5]
        random.shuffle(window)
        sequences[at : at + 5] = window
    assert received(sequences).lost == len(missing)


def test_even_spacing_has_no_jitter():
    assert received(range(100)).jitter_s == pytest.approx(0.0, abs=1e-9)


def test_jitter_nears_the_mean_deviation():
    reception = Reception(8000)
    for sequence in range(400):  # every other packet 5 ms late: each spacing is off by 5 ms
        reception.receive(7, sequence, sequence * 160, sequence * 0.02 + 0.005 * (sequence % 2))
    assert reception.jitter_s == pytest.approx(0.005, rel=0.01)


@pytest.mark.parametrize(
    "late_ms", [(0, 5), (0, 0, 6), (0, 0, 0, 8), (0, 3, 6, 9), (9, 0, 0, 0, 0, 0)], ids=str
)
def test_jitter_is_seen_in_patterns_though_few_packets_are_looked_at(late_ms):
    reception, period = Reception(8000), len(late_ms)
    deviations = [abs(late_ms[at] - late_ms[at - 1]) / 1000 for at in range(period)]
    found = []
    for sequence in range(4000):
        late_s = late_ms[sequence % period] / 1000
        reception.receive(7, sequence, sequence * 160, sequence * 0.02 + late_s)
        found.append(reception.jitter_s)
    assert mean(found[1000:]) == pytest.approx(mean(deviations), rel=0.05)


def test_timestamps_that_go_round_or_begin_anew_are_no_jitter():
    reception = Reception(8000)
    for sequence, ticks in enumerate([2**32 - 160, 0, 160, 1_000_000, 1_000_160]):
        reception.receive(7, sequence, ticks, sequence * 0.02)
    assert reception.jitter_s == pytest.approx(0.0, abs=1e-6)


def test_an_event_keeps_its_timestamp_and_is_no_jitter():
    reception = received(range(10))
    for sequence in range(10, 20):
        reception.receive(7, sequence, None, sequence * 0.02)
    reception.receive(7, 20, 20 * 160, 20 * 0.02)
    assert (reception.lost, reception.jitter_s) == (0, pytest.approx(0.0, abs=1e-9))


def test_another_rate_keeps_the_jitter_in_seconds():
    reception = Reception(8000)
    reception.jitter_ticks = 80.0
    reception.set_rate(48_000)
    assert reception.jitter_s == pytest.approx(0.01)


def test_what_was_not_seen_for_a_while_is_not_lost():
    reception = Reception(8000)
    for sequence in (1, 2, 4):
        reception.receive(7, sequence, None, 0.0)
    reception.begin_anew()
    assert reception.lost == 1
    for sequence in (900, 901, 903):
        reception.receive(7, sequence, None, 0.0)
    assert reception.lost == 2
