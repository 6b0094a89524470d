"""RFC 3261 §20.43: the Warning header's value."""

import pytest

from pbx.sdp.errors import INCOMPATIBLE_MEDIA_FORMAT, SdpError

CASES = {
    "plain words": ("no codec fits", '305 pbx.example "no codec fits"'),
    "quotes and backslashes are escaped": ('say "a\\b"', '305 pbx.example "say \\"a\\\\b\\""'),
    "no line break gets out": ("a\r\nVia: b", '305 pbx.example "a??Via: b"'),
    "what is not ASCII is spelt out": ("é", '305 pbx.example "\\\\xe9"'),
    "a stray byte too": ("\udce9", '305 pbx.example "\\\\udce9"'),
}


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES)
def test_warning(text, expected):
    assert SdpError(text, INCOMPATIBLE_MEDIA_FORMAT).warning("pbx.example") == expected


def test_it_is_a_488_and_says_why():
    error = SdpError("x" * 1000)
    assert (error.status, error.reason, error.code) == (488, "Not Acceptable Here", 399)
    assert len(str(error)) < 300
