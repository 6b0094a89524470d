import pytest

from pbx.office.prefixes import Prefixes

TABLE = Prefixes([("+84", "Vietnam"), ("+8493", "a network"), ("+84", "Vietnam again"), ("+1", "America")])
LONGEST = {
    "one prefix": ("+12025550123", "America"),
    "the longest of two": ("+84938812345", "a network"),
    "the shorter where the longer does not fit": ("+84912345678", "Vietnam"),
    "the prefix itself": ("+8493", "a network"),
    "a part of a prefix": ("+8", None),
    "no prefix": ("+6531234567", None),
    "nothing": ("", None),
}


@pytest.mark.parametrize(("number", "row"), LONGEST.values(), ids=LONGEST)
def test_the_longest_prefix_counts(number, row):
    assert TABLE.longest(number) == row


def test_an_empty_prefix_is_that_of_every_number():
    assert Prefixes([("", "all"), ("1", "one")]).longest("2") == "all"


def test_an_empty_table_has_nothing():
    assert Prefixes([]).longest("1") is None
