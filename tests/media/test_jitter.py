import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbx.errors import UsageError
from pbx.media.jitter import MAX_PACKETS, MOST_S, Gap, JitterBuffer

LOST, EMPTY = Gap.LOST, Gap.EMPTY
TICKS = 160


def payload(number):
    return number.to_bytes(4, "big")


def packets(count, start=0, pauses=(), ptime_s=0.02):
    """(sent at, number, timestamp) of `count` packets; `pauses`: (before which, how many packets long)."""
    longer = dict(pauses)
    at = 0
    for number in range(start, start + count):
        at += longer.get(number, 0)
        yield at * ptime_s, number, at * round(ptime_s * 8_000)
        at += 1


def play(sent, delay=lambda _number: 0.03, seconds=None, sequence=0, timestamp=0, buffer=None, step_s=0.02):
    """All packets through a buffer, popped every `step_s`; what came out, and the buffer."""
    buffer = buffer or JitterBuffer(8_000)
    arrivals = sorted(
        (at + each, number, ticks) for at, number, ticks in sent if (each := delay(number)) is not None
    )
    end = seconds if seconds is not None else arrivals[-1][0] + 0.5
    out, next_one = [], 0
    for pop in range(round(end / step_s)):
        now = pop * step_s
        while next_one < len(arrivals) and arrivals[next_one][0] <= now:
            at, number, ticks = arrivals[next_one]
            buffer.push((number + sequence) & 0xFFFF, (ticks + timestamp) & 0xFFFFFFFF, payload(number), at)
            next_one += 1
        got = buffer.pop(now)
        out.append(got if isinstance(got, Gap) else int.from_bytes(got, "big"))
        assert len(buffer) <= MAX_PACKETS
    return out, buffer


def numbers(out):
    return [each for each in out if not isinstance(each, Gap)]


def strip(out):
    """Without the gaps before the first and after the last packet."""
    at = [where for where, each in enumerate(out) if not isinstance(each, Gap)]
    return out[at[0] : at[-1] + 1]


def test_a_regular_stream_comes_out_40_ms_late():
    out, buffer = play(packets(100))
    assert out[:4] == [EMPTY] * 4
    assert strip(out) == list(range(100))
    assert out.index(0) * 0.02 <= 0.03 + 0.06
    assert (buffer.lost, buffer.late, buffer.dropped) == (0, 0, 0)
    assert out[-3:] == [EMPTY] * 3


def test_the_end_is_concealed_before_it_is_a_pause():
    out, _ = play(packets(10))
    after = out[out.index(9) + 1 :]
    assert after[:4] == [LOST] * 3 + [EMPTY]
    assert set(after[3:]) == {EMPTY}


def test_a_lost_packet_has_its_place():
    out, buffer = play(packets(20), lambda number: None if number in (7, 12, 13) else 0.03)
    expected = [LOST if number in (7, 12, 13) else number for number in range(20)]
    assert strip(out) == expected
    assert buffer.lost == 3


def test_reordered_and_doubled_packets():
    sent = [each for each in packets(50) for _ in range(2)]
    out, buffer = play(sent, lambda number: 0.03 + (0.025 if number % 5 == 3 else 0))
    assert numbers(out) == list(range(50))
    assert buffer.late == 50


@pytest.mark.parametrize("pause", [1, 2, 5, 50, 500])
def test_pauses_of_silence_suppression_come_out_as_they_were(pause):
    out, buffer = play(packets(40, pauses=[(20, pause)]))
    assert numbers(out) == list(range(40))
    between = out[out.index(19) + 1 : out.index(20)]
    assert abs(len(between) - pause) <= 1
    assert buffer.lost == 0


def test_a_spike_makes_it_deeper_and_it_recovers():
    def delay(number):  # what is sent during a stall of 150 ms comes in a lump
        return 0.03 + max(0.0, 0.15 - (number - 100) * 0.02) if number >= 100 else 0.03

    out, buffer = play(packets(1_000), delay)
    assert len(numbers(out)) >= 990
    at_once = out.index(200) - out.index(99)
    assert at_once >= 105  # deeper by the stall
    assert out.index(999) - out.index(0) <= 1_001 + 2  # and shallow again
    assert buffer.target_s < 0.12


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1 << 30),
    jitter_s=st.floats(0, 0.12),
    sequence=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFFFFFF),
)
def test_with_jitter_it_loses_nothing_after_it_has_learnt(seed, jitter_s, sequence, timestamp):
    chance = random.Random(seed)
    out, buffer = play(
        packets(800), lambda _: 0.02 + chance.random() * jitter_s, sequence=sequence, timestamp=timestamp
    )
    got = numbers(out)
    assert got == sorted(set(got))
    assert len([each for each in got if each >= 300]) >= 500 * 0.985
    assert buffer.target_s <= MOST_S


@pytest.mark.parametrize("drift", [-400e-6, 400e-6])
def test_clocks_that_drift(drift):
    """Over ten minutes; a quarter of a second in all."""
    out, buffer = play(packets(30_000), lambda number: 0.25 + number * 0.02 * drift)
    assert len(numbers(out)) >= 29_980
    assert buffer.target_s < 0.06


def test_loss_and_jitter_keep_the_order():
    chance = random.Random(7)
    out, buffer = play(
        packets(2_000), lambda _: None if chance.random() < 0.1 else 0.02 + chance.random() * 0.06
    )
    got = numbers(out)
    assert got == sorted(got)
    assert len(got) > 1_700
    assert 150 < buffer.lost < 300


JUMPS = {
    "sequence": (30_000, 0),
    "timestamp ahead": (0, 1_000_000),
    "timestamp back": (0, -1_000_000),
    "both": (20_000, 77_777_777),
}


@pytest.mark.parametrize(("sequence", "timestamp"), JUMPS.values(), ids=JUMPS)
def test_a_jump_is_followed_at_once(sequence, timestamp):
    buffer, out = JitterBuffer(8_000), []
    for number in range(100):
        jumps = number >= 50
        buffer.push(
            (number + 100 + jumps * sequence) & 0xFFFF,
            (number * TICKS + 5_000_000 + jumps * timestamp) & 0xFFFFFFFF,
            payload(number),
            number * 0.02,
        )
        out.append(buffer.pop(number * 0.02 + 0.001))
    got = [int.from_bytes(each, "big") for each in out if isinstance(each, bytes)]
    assert got == sorted(got)
    assert len([each for each in got if each >= 50]) >= 46
    assert len(got) >= 90


def test_a_pause_without_timestamps_running_on():
    buffer = JitterBuffer(8_000)
    for number in range(100):
        now = number * 0.02 + (10 if number >= 50 else 0)
        buffer.push(number, number * TICKS, payload(number), now)
        got = buffer.pop(now + 0.001)
        if number % 50 > 5:
            assert isinstance(got, bytes)


@pytest.mark.parametrize("stood_s", [0.1, 0.3, 1.0, 1.9, 2.5])
def test_after_a_pause_in_which_its_timestamps_stood_jitter_is_met_as_before(stood_s):
    """Or after its way has become so much longer."""
    noise = random.Random(1)
    delays = [noise.uniform(0.03, 0.07) + stood_s * (number >= 200) for number in range(2_000)]
    out, buffer = play(packets(2_000), delays.__getitem__)
    after = out[out.index(600) : out.index(1_999)]
    assert sum(isinstance(each, Gap) for each in after) == 0
    assert buffer.target_s < (0.12 if stood_s == 0.1 else 0.06)


def test_reset_is_for_another_source():
    buffer = JitterBuffer(8_000)
    for number in range(5):
        buffer.push(number, number * TICKS, b"a", number * 0.02)
    buffer.reset()
    assert buffer.pop(0.2) is EMPTY
    buffer.push(9, 0, b"b", 0.2)
    buffer.pop(0.22)
    assert buffer.pop(0.26) == b"b"


def test_events_between_are_not_lost():
    buffer, out = JitterBuffer(8_000), []
    for number in range(40):
        now = number * 0.02
        if 10 <= number < 15:
            buffer.skip(number)
        else:
            buffer.push(number, number * TICKS, payload(number), now)
        out.append(buffer.pop(now + 0.001))
    assert buffer.lost == 0
    between = out[out.index(payload(9)) + 1 : out.index(payload(15))]
    assert len(between) == 5
    assert buffer.late == 0


@pytest.mark.parametrize("ptime_ms", [10, 30, 60])
def test_other_packet_times_are_learnt(ptime_ms):
    step_s = ptime_ms / 1000
    out, buffer = play(packets(100, ptime_s=step_s), step_s=step_s)
    assert buffer.step_ticks == 8 * ptime_ms
    assert strip(out) == list(range(100))


@pytest.mark.parametrize("ticks", [1, 19])
def test_no_packet_is_shorter_than_any_codec_makes_them(ticks):
    """Else one who counts samples one by one has them concealed one by one, for as long as his call lasts."""
    buffer = JitterBuffer(8_000)
    for number in range(10):
        buffer.push(number, number * ticks, b"\xff", number * 0.001)
    assert buffer.step_ticks == TICKS


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.integers(0, 0xFFFF), st.integers(0, 20)),
            st.one_of(st.integers(0, 0xFFFFFFFF), st.integers(0, 5_000)),
            st.floats(0, 0.5),
            st.sampled_from(["push", "skip", "pop", "pop"]),
        ),
        max_size=300,
    )
)
def test_hostile(steps):
    buffer, now, pushed = JitterBuffer(8_000), 0.0, 0
    taken = []
    for sequence, timestamp, later, what in steps:
        now += later
        if what == "push":
            buffer.push(sequence, timestamp, payload(pushed), now)
            pushed += 1
        elif what == "skip":
            buffer.skip(sequence)
        else:
            got = buffer.pop(now)
            taken += [got] if isinstance(got, bytes) else []
        assert len(buffer) <= MAX_PACKETS
        assert len(buffer._skipped) <= MAX_PACKETS
        assert 0.02 <= buffer.target_s <= MOST_S
    assert len(set(taken)) == len(taken) <= pushed


def test_too_many_packets_push_out_the_oldest():
    buffer = JitterBuffer(8_000)
    for number in range(MAX_PACKETS + 20):
        buffer.push(number, number * TICKS, payload(number), 0.02 * number)
    assert len(buffer) == MAX_PACKETS
    assert buffer.dropped == 20


def test_no_clock():
    with pytest.raises(UsageError, match="0 Hz"):
        JitterBuffer(0)


@pytest.mark.parametrize("stall_s", [0.5, 1.0, 1.3, 1.6, 1.9, 2.5, 5.0])
def test_after_a_stall_of_the_machine_the_stream_is_heard_again(stall_s):
    """Nothing is read or played meanwhile, and then all that came is there at once."""
    buffer, missed = JitterBuffer(8_000), round(stall_s * 50)
    for number in range(50):
        buffer.push(number, number * TICKS, payload(number), number * 0.02)
        buffer.pop(number * 0.02)
    now = 1.0 + stall_s
    for number in range(50, 50 + missed):
        buffer.push(number, number * TICKS, payload(number), now)
    out = []
    for number in range(50 + missed, 300 + missed):
        now += 0.02
        buffer.push(number, number * TICKS, payload(number), now)
        out.append(buffer.pop(now))
    heard = sum(not isinstance(each, Gap) for each in out[50:])
    assert heard > 190
