import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pbx.errors import UsageError
from pbx.media.digit_events import EventReceiver, PressedOnce, plan_digit
from pbx.rtp.packet import MalformedPacketError
from pbx.rtp.telephone_event import DIGITS, TelephoneEvent, unpack

KEY_1, KEY_2 = 1, 2


def event(code, duration, end=False):
    return TelephoneEvent(code, end, 10, duration).pack()


# What comes: (seconds, timestamp, marker, payload); what is told.
CASES = {
    "one press of six packets": (
        [(0, 800, True, event(1, 160)), (0.02, 800, False, event(1, 320))]
        + [(0.04 + at / 50, 800, False, event(1, 480, True)) for at in range(3)],
        "1",
    ),
    "only its end arrives": ([(0, 800, False, event(1, 480, True))], "1"),
    "the end is lost, the next has its own timestamp": (
        [(0, 800, True, event(1, 160)), (0.3, 3200, True, event(1, 160))],
        "11",
    ),
    "end and the next one's start are lost": (
        [(0, 800, True, event(1, 160)), (0.3, 3200, False, event(1, 320))],
        "11",
    ),
    "a late end of the press before": (
        [
            (0, 800, True, event(1, 160)),
            (0.1, 1600, True, event(2, 160)),
            (0.11, 800, False, event(1, 480, True)),
        ],
        "12",
    ),
    "a sender that keeps its timestamp": (
        [(0, 800, True, event(1, 160, True)), (0.2, 800, True, event(2, 160))],
        "12",
    ),
    "and for the same key, after a while": (
        [(0, 800, True, event(1, 160, True)), (2.5, 800, True, event(1, 160))],
        "11",
    ),
    "a key that is held while packets are lost for long": (
        [(0, 800, True, event(1, 160)), (2.5, 800, False, event(1, 20_160))],
        "1",
    ),
    "longer than 0xFFFF: goes on 0xFFFF later without marker": (
        [
            (0, 800, True, event(1, 0xFFFF)),
            (0.02, 800 + 0xFFFF, False, event(1, 160)),
            (0.04, 800 + 0xFFFF, False, event(1, 320, True)),
        ],
        "1",
    ),
    "the same, the last packets of the segment lost": (
        [(0, 800, True, event(1, 64_000)), (0.2, 800 + 0xFFFF, False, event(1, 320))],
        "1",
    ),
    "not so after the end, or with a marker": (
        [
            (0, 800, True, event(1, 480, True)),
            (1.9, 800 + 0xFFFF, False, event(1, 160)),
            (1.95, 800 + 2 * 0xFFFF, True, event(1, 160)),
        ],
        "111",
    ),
    "the timestamps go round": (
        [
            (0, 0xFFFFFF00, True, event(1, 160)),
            (0.1, 0x300, True, event(2, 160)),
            (0.11, 0xFFFFFF00, False, event(1, 320)),
        ],
        "12",
    ),
    "timestamps that begin anew are followed after two seconds": (
        [
            (0, 1_000_000, True, event(1, 160, True)),
            (1, 100, True, event(2, 160)),
            (2.1, 9_000, True, event(3, 160)),
        ],
        "13",
    ),
    "without duration it is no press": (
        [(0, 800, True, event(1, 0)), (0.02, 800, False, event(1, 160))],
        "1",
    ),
    "a hook flash and tones are no keys": (
        [(0, 800, True, event(16, 160)), (0.02, 900, True, event(70, 160))],
        "",
    ),
}


@pytest.mark.parametrize(("packets", "expected"), CASES.values(), ids=CASES)
def test_received(packets, expected):
    receiver = EventReceiver()
    told = [receiver.receive(timestamp, marker, payload, now) for now, timestamp, marker, payload in packets]
    assert "".join(filter(None, told)) == expected


def test_held():
    receiver = EventReceiver()
    assert not receiver.is_held(0)
    receiver.receive(800, True, event(1, 160), 0)
    assert receiver.is_held(0.1)
    assert not receiver.is_held(0.25)  # its end was lost
    receiver.receive(800, False, event(1, 320, True), 0.26)
    assert not receiver.is_held(0.26)
    receiver.receive(800, False, event(1, 240), 0.27)  # late
    assert not receiver.is_held(0.27)


presses = st.tuples(st.sampled_from(DIGITS), st.integers(40, 9_000), st.integers(40, 5_000))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(presses, min_size=1, max_size=6),
    st.integers(0, 2**32 - 1),
    st.sampled_from([8_000, 48_000]),
    st.data(),
)
def test_whatever_is_lost_doubled_or_swapped_each_press_is_told_once(keys, start, clock_hz, data):
    """As long as one packet of each segment arrives, and none comes after the next press has begun.

    And that is not just where the next segment would begin: with all ends and starts lost nobody could tell.
    """
    receiver, told, now, last = EventReceiver(clock_hz), "", 0.0, -1
    for digit, down_ms, up_ms in keys:
        plan = plan_digit(digit, down_ms, clock_hz)
        base = start + round(now * clock_hz)
        assume(last < 0 or not 0 <= last + 0xFFFF - base <= clock_hz // 50)
        last = base + plan[-1].timestamp_offset
        kept = []
        for segment in sorted({each.timestamp_offset for each in plan}):
            packets = [each for each in plan if each.timestamp_offset == segment]
            some = data.draw(st.lists(st.sampled_from(packets), min_size=1, max_size=8))
            kept += sorted(some, key=lambda each: each.at_ms)
        for at in range(len(kept) - 1):
            if kept[at].timestamp_offset == kept[at + 1].timestamp_offset and data.draw(st.booleans()):
                kept[at], kept[at + 1] = kept[at + 1], kept[at]
        for each in kept:
            timestamp = (base + each.timestamp_offset) % 2**32
            told += receiver.receive(timestamp, each.marker, each.payload, now + each.at_ms / 1000) or ""
        now += (plan[-1].at_ms + up_ms) / 1000
    assert told == "".join(digit for digit, _, _ in keys)


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.booleans(), st.binary(max_size=9), st.floats(0, 10))))
def test_hostile(packets):
    receiver = EventReceiver()
    for timestamp, marker, payload, now in packets:
        try:
            told = receiver.receive(timestamp, marker, payload, now)
        except MalformedPacketError:
            assert len(payload) < 4
        else:
            assert told is None or told in DIGITS
    assert not hasattr(receiver, "__dict__")


def test_plan():
    assert [
        (each.at_ms, each.timestamp_offset, each.marker, unpack(each.payload)) for each in plan_digit("#", 60)
    ] == [
        (0, 0, True, TelephoneEvent(11, False, 10, 160)),
        (20, 0, False, TelephoneEvent(11, False, 10, 320)),
        (40, 0, False, TelephoneEvent(11, True, 10, 480)),
        (60, 0, False, TelephoneEvent(11, True, 10, 480)),
        (80, 0, False, TelephoneEvent(11, True, 10, 480)),
    ]


def test_plan_of_a_long_key_has_segments():
    plan = plan_digit("5", 3_000, 48_000)
    segments = sorted({each.timestamp_offset for each in plan})
    assert segments == [0, 0xFFFF, 2 * 0xFFFF]
    last_of = {each.timestamp_offset: unpack(each.payload) for each in plan}
    assert [(last_of[each].duration_ticks, last_of[each].end) for each in segments] == [
        (0xFFFF, False),
        (0xFFFF, False),
        (144_000 - 2 * 0xFFFF, True),
    ]
    assert sum(each.marker for each in plan) == 1


def test_short_keys_are_long_enough():
    assert unpack(plan_digit("1", 5)[-1].payload).duration_ticks == 320


@pytest.mark.parametrize("digit", ["", "E", "12"])
def test_no_plan(digit):
    with pytest.raises(UsageError, match="keys"):
        plan_digit(digit, 100)


# A call is taken out of the kernel within a press: seconds, where it was seen, key, timestamp; what is told.
SEEN_TWICE = {
    "by the kernel's log, then by the worker": ([(0, "log", "2", 800), (0.04, "worker", "2", 800)], "2"),
    "by the worker, then by the kernel's log": ([(0, "worker", "2", 800), (0.04, "log", "2", 800)], "2"),
    "pressed again, after that": (
        [(0, "log", "2", 800), (0.04, "worker", "2", 800), (0.5, "worker", "2", 4800)],
        "22",
    ),
    "another key of a sender that keeps its timestamp": (
        [(0, "log", "2", 800), (0.3, "worker", "3", 800), (0.6, "worker", "3", 800)],
        "233",
    ),
    "by the worker, which tells it when the log has told the next ones": (
        [(0, "log", "#", 800), (0.2, "log", "#", 4000), (0.4, "log", "2", 7200), (0.5, "worker", "#", 800)],
        "##2",
    ),
    "twice by each of them": (
        [
            (0, "log", "#", 800),
            (0.2, "log", "#", 4000),
            (0.5, "worker", "#", 800),
            (0.5, "worker", "#", 4000),
        ],
        "##",
    ),
    "long after": ([(0, "log", "2", 800), (9, "worker", "2", 800)], "22"),
    "as a tone, which has no timestamp": ([(0, "worker", "2", None), (0.3, "worker", "2", None)], "22"),
}


@pytest.mark.parametrize(("seen", "told"), SEEN_TWICE.values(), ids=SEEN_TWICE)
def test_a_press_that_is_seen_in_two_places_is_told_once(seen, told):
    once = PressedOnce()
    assert "".join(key for now, where, key, at in seen if once.is_new(where, "a", key, at, now)) == told


def test_presses_are_known_for_each_endpoint_and_not_for_ever():
    once = PressedOnce()
    assert once.is_new("log", "a", "2", 800, 0.0)
    assert once.is_new("worker", "b", "2", 800, 0.0)
    for number in range(PressedOnce.MOST):
        once.is_new("log", f"other {number}", "1", 1, 0.0)
    assert once.is_new("worker", "a", "2", 800, 0.1)
