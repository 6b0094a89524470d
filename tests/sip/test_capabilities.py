"""What a message says that its sender can."""

import pytest

from pbx.sip.capabilities import option_tags
from pbx.sip.headers import Headers

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
