"""Values that never change: equal and hashed by what they hold, and no place to put anything else."""

from dataclasses import field, fields

import pytest

from pbx.immutable import immutable


@immutable
class Point:
    x: int
    y: int = 0
    names: list[str] = field(default_factory=list, compare=False)


def test_values_are_equal_by_their_fields():
    assert Point(1) == Point(1, 0, ["corner"])
    assert hash(Point(1)) == hash(Point(1, 0))
    assert Point(1) != Point(2)
    assert len({Point(1), Point(1), Point(0, 1)}) == 2


def test_they_are_dataclasses_with_slots():
    assert [each.name for each in fields(Point)] == ["x", "y", "names"]
    assert repr(Point(1)) == "Point(x=1, y=0, names=[])"
    with pytest.raises(AttributeError):
        Point(1).z = 3
