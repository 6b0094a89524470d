"""Which lines belong together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.sdp.pairing import pair

A0, A1, A2, V0 = ("audio", 0), ("audio", 1), ("audio", 2), ("video", 0)
CASES = {
    "the same": ([A0, V0], [A0, V0], [0, 1]),
    "another order": ([A0, V0], [V0, A0], [1, 0]),
    "less on the right": ([A0, V0], [A0], [0, None]),
    "more on the right": ([A0], [V0, A0, A1], [1]),
    "by ordinal, not by place": ([A0, A1], [A1, A0], [1, 0]),
    "no such ordinal: the next free of the kind": ([A1], [V0, A0], [1]),
    "but none that belongs to another": ([A2, A0], [A0, A1], [1, 0]),
    "never another kind": ([A0], [V0], [None]),
    "nothing": ([], [A0], []),
}


@pytest.mark.parametrize(("left", "right", "expected"), CASES.values(), ids=CASES)
def test_pair(left, right, expected):
    assert pair(left, right) == expected


KEYS = st.lists(st.tuples(st.sampled_from(["audio", "video"]), st.integers(0, 3)), unique=True)


@given(KEYS, KEYS)
def test_none_is_given_twice_and_as_many_as_can_be(left, right):
    found = pair(left, right)
    given_out = [place for place in found if place is not None]
    assert len(set(given_out)) == len(given_out)
    assert all(right[place][0] == key[0] for key, place in zip(left, found, strict=True) if place is not None)
    for kind in ("audio", "video"):
        both = min(sum(key[0] == kind for key in side) for side in (left, right))
        assert sum(right[place][0] == kind for place in given_out) == both
