"""Finding the description in a body, multipart or not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.sdp.body import extract_sdp, is_optional

SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n"


def multipart(*parts: bytes, boundary: bytes = b"b1", preamble: bytes = b"", end: bytes = b"--\r\n") -> bytes:
    return (
        preamble
        + b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
        + b"--"
        + boundary
        + end
    )


SDP_PART = b"Content-Type: application/sdp\r\n\r\n" + SDP
TEXT_PART = b"Content-Type: text/plain\r\n\r\nhello"
INNER = b"Content-Type: multipart/alternative; boundary=b2\r\n\r\n" + multipart(
    TEXT_PART, SDP_PART, boundary=b"b2"
)

MIXED = "multipart/mixed;boundary=b1"
CASES = {
    "the body itself": ("application/sdp", SDP, SDP),
    "in other letters, with a parameter": ("Application/SDP; charset=utf-8", SDP, SDP),
    "the first part": (MIXED, multipart(SDP_PART, TEXT_PART), SDP),
    "the second part": (MIXED, multipart(TEXT_PART, SDP_PART), SDP),
    "of two the first": (MIXED, multipart(SDP_PART, SDP_PART + b"m=audio 0 RTP/AVP 0\r\n"), SDP),
    "behind a preamble": (MIXED, multipart(SDP_PART, preamble=b"for old readers\r\n"), SDP),
    "a quoted boundary": ('multipart/mixed; boundary="b1"', multipart(SDP_PART), SDP),
    "BOUNDARY after another parameter": ("multipart/mixed; a=b; BOUNDARY = b1", multipart(SDP_PART), SDP),
    "a part with more headers": (
        MIXED,
        multipart(b"Content-Disposition: session\r\ncontent-type:\r\n application/sdp\r\n\r\n" + SDP),
        SDP,
    ),
    "blanks behind the delimiter": (MIXED, b"--b1 \t\r\n" + SDP_PART + b"\r\n--b1--", SDP),
    "a part without its end": (MIXED, b"--b1\r\n" + SDP_PART, SDP),
    "a multipart within": (MIXED, multipart(TEXT_PART, INNER), SDP),
    "another boundary that begins alike": (MIXED, multipart(SDP_PART, boundary=b"b11"), None),
    "behind the last delimiter": (MIXED, multipart(TEXT_PART) + multipart(SDP_PART), None),
    "no type": (None, SDP, None),
    "an empty type": ("", SDP, None),
    "an empty body": ("application/sdp", b"", None),
    "another type": ("application/pidf+xml", SDP, None),
    "parts without headers": (MIXED, multipart(b"\r\n" + SDP), None),
    "no such part": (MIXED, multipart(TEXT_PART), None),
    "no boundary": ("multipart/mixed", multipart(SDP_PART), None),
    "an empty boundary": ("multipart/mixed;boundary=", multipart(SDP_PART), None),
    "a boundary too long": ("multipart/mixed;boundary=" + "b" * 71, SDP, None),
    "a boundary that is not ASCII": ("multipart/mixed;boundary=é", SDP, None),
}


@pytest.mark.parametrize(("content_type", "body", "expected"), CASES.values(), ids=CASES)
def test_extract(content_type, body, expected):
    assert extract_sdp(content_type, body) == expected


def test_a_nest_of_multiparts_is_not_followed_for_ever():
    body, content_type = SDP, b"application/sdp"
    for depth in range(5):
        boundary = b"n%d" % depth
        body = multipart(b"Content-Type: " + content_type + b"\r\n\r\n" + body, boundary=boundary)
        content_type = b"multipart/mixed;boundary=" + boundary
    assert extract_sdp(content_type.decode(), body) is None


@given(st.text(max_size=40).map("multipart/mixed;".__add__) | st.just(MIXED), st.binary(max_size=200))
def test_rubbish_is_no_description(content_type, body):
    found = extract_sdp(content_type, b"--b1\r\n" + body)
    assert found is None or found in body


ISUP = b"Content-Type: application/ISUP\r\nContent-Disposition: signal ;Handling = optional\r\n\r\n\x01\x02"
OPTIONAL = {
    "no word of it": ("text/plain", None, b"hello", False),
    "required": ("text/plain", "render;handling=required", b"hello", False),
    "optional": ("text/plain", 'render; handling="optional"', b"hello", True),
    "each part": (MIXED, None, multipart(ISUP, ISUP), True),
    "one part of two": (MIXED, None, multipart(ISUP, TEXT_PART), False),
    "no parts": (MIXED, None, b"--b1--", False),
    "the whole": (MIXED, "signal;handling=optional", multipart(TEXT_PART), True),
}


@pytest.mark.parametrize(("content_type", "disposition", "body", "expected"), OPTIONAL.values(), ids=OPTIONAL)
def test_what_may_be_passed_over(content_type, disposition, body, expected):
    assert is_optional(content_type, disposition, body) is expected
