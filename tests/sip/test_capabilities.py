"""What a message says that its sender can."""

import pytest

from pbx.sip.capabilities import _remembered_tags, option_tags
from pbx.sip.headers import MAX_REMEMBERED, Headers

TAGS = {
    "none where the header is missing": ([], set()),
    "none where it is empty": ([("Supported", "")], set()),
    "all of a list, in lower case": (
        [("Supported", "100rel, Timer,replaces")],
        {"100rel", "timer", "replaces"},
    ),
    "of several lines": ([("Supported", "timer"), ("Supported", "100REL")], {"timer", "100rel"}),
    "of no other header": ([("Require", "100rel"), ("Supported", "timer")], {"timer"}),
}


@pytest.mark.parametrize(("items", "expected"), TAGS.values(), ids=TAGS)
def test_option_tags(items, expected):
    headers = Headers(items)
    assert option_tags(headers, "Supported") == expected
    assert option_tags(headers, "Supported") == expected


def test_texts_longer_than_any_phone_means_are_not_remembered():
    _remembered_tags.cache_clear()
    headers = Headers([("Supported", "timer," + "x" * MAX_REMEMBERED), ("Require", "100rel")])
    assert option_tags(headers, "Supported") == {"timer", "x" * MAX_REMEMBERED}
    assert option_tags(headers, "Require") == {"100rel"}
    assert _remembered_tags.cache_info().currsize == 1
