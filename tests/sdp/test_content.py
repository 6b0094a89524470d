"""Directions, holding, and choosing codecs."""

from itertools import product

import pytest

from pbx.sdp.content import (
    DIRECTIONS,
    INACTIVE,
    RECEIVING,
    RECVONLY,
    REVERSED,
    SENDING,
    SENDONLY,
    SENDRECV,
    Content,
    Line,
    hold,
    make_content,
    narrow,
    with_codecs,
    with_direction,
)
from pbx.sdp.formats import STATIC, make_format


@pytest.mark.parametrize(("one", "other"), list(product(DIRECTIONS.values(), repeat=2)))
def test_narrowing_leaves_what_both_allow(one, other):
    both = narrow(one, other)
    assert (both in SENDING) == (one in SENDING and other in SENDING)
    assert (both in RECEIVING) == (one in RECEIVING and other in RECEIVING)


@pytest.mark.parametrize("direction", DIRECTIONS.values())
def test_the_reverse_sends_what_was_received(direction):
    assert (REVERSED[direction] in SENDING) == (direction in RECEIVING)
    assert REVERSED[REVERSED[direction]] == direction


def content(*directions: str) -> Content:
    return Content(tuple(Line("audio", place, direction=each) for place, each in enumerate(directions)))


def test_hold_keeps_sending_where_there_was_sending():
    held = hold(content(SENDRECV, RECVONLY, SENDONLY, INACTIVE))
    assert [line.direction for line in held.lines] == [SENDONLY, INACTIVE, SENDONLY, INACTIVE]


def test_hold_may_stop_everything():
    assert hold(content(SENDRECV), INACTIVE) == content(INACTIVE)


def test_resuming_sets_the_direction():
    assert with_direction(content(SENDONLY, INACTIVE)) == content(SENDRECV, SENDRECV)


HELD = {
    "sendrecv": (content(SENDRECV), False),
    "sendonly": (content(SENDONLY), True),
    "inactive": (content(INACTIVE), True),
    "one line of two": (content(INACTIVE, RECVONLY), False),
    "all that are not rejected": (Content((Line("audio", direction=INACTIVE), Line("video").off())), True),
}


@pytest.mark.parametrize(("held", "expected"), HELD.values(), ids=HELD)
def test_is_held(held, expected):
    assert held.is_held is expected


PCMU, PCMA, G722 = STATIC[0], STATIC[8], STATIC[9]
DIGITS, WIDE_DIGITS = make_format(101, "telephone-event/8000"), make_format(102, "telephone-event/48000")
OPUS = make_format(96, "opus/48000/2")


def names(line: Line | None) -> list[int]:
    assert line is not None
    return [each.payload_type for each in line.formats]


CHOSEN = {
    "in the order of the list": (["PCMA", "PCMU"], [8, 0, 101]),
    "letters do not matter": (["pcmu"], [0, 101]),
    "digits go with the clock of the codecs": (["opus"], [96, 102]),
    "none of them: left alone": (["GSM"], [96, 0, 8, 9, 101, 102]),
}


@pytest.mark.parametrize(("wanted", "expected"), CHOSEN.values(), ids=CHOSEN)
def test_with_codecs(wanted, expected):
    line = Line("audio", formats=(OPUS, PCMU, PCMA, G722, DIGITS, WIDE_DIGITS))
    picture = Line("video", formats=(make_format(98, "H264/90000"),))
    chosen = with_codecs(Content((line, picture)), wanted)
    assert names(chosen.line("audio")) == expected
    assert chosen.line("video") == picture


def test_a_line_is_found_by_kind_and_ordinal():
    both = content(SENDRECV, INACTIVE)
    assert both.line("audio", 1) is both.lines[1]
    assert both.line("video") is None


def test_content_of_our_own():
    own = make_content((8, 0), SENDONLY).lines[0]
    assert names(own) == [8, 0, 101]
    assert (own.kind, own.direction, own.ptime_ms) == ("audio", SENDONLY, 20)
    assert names(make_content((0,), telephone_event=None).lines[0]) == [0]
