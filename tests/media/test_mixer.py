import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pbx.media.mixer import add, mix

SIZE = 8
frame = arrays(np.int16, SIZE, elements=st.integers(-32_768, 32_767))
rooms = st.dictionaries(st.integers(0, 9), frame, max_size=8)


@given(rooms, st.sets(st.integers(0, 9), max_size=10))
def test_each_hears_all_others(frames, listeners):
    heard = mix(frames, listeners, SIZE)
    assert heard.keys() == listeners
    for who, samples in heard.items():
        expected = sum(
            (each.astype(np.int64) for key, each in frames.items() if key != who), np.zeros(SIZE, np.int64)
        )
        assert samples.dtype == np.int16
        assert np.array_equal(samples, np.clip(expected, -32_768, 32_767))


def test_two_hear_each_other_as_they_are():
    one, two = np.arange(SIZE, dtype=np.int16), np.ones(SIZE, np.int16)
    heard = mix({"a": one, "b": two}, ["a", "b"], SIZE)
    assert heard["a"] is two
    assert heard["b"] is one


@given(frame, frame)
def test_add(one, other):
    assert np.array_equal(add(one, other), np.clip(one.astype(np.int64) + other, -32_768, 32_767))
