"""What the relay is told: numbers to rewrite, digits, and which lines belong together."""

import pytest

from pbx.sdp.formats import STATIC, Format, make_format
from pbx.sdp.stream import Stream, pair_streams, payload_map
from tests.sdp.builders import PORT_A, PORT_B, sdp, side, through
from tests.sdp.builders import audio as audio_line


def fmt(number: int, encoding: str) -> Format:
    made = make_format(number, encoding)
    assert made is not None
    return made


def stream(*formats: Format, ordinal: int = 0, kind: str = "audio", active: bool = True) -> Stream:
    return Stream(0, kind, ordinal, active, receive=formats, send=formats)


PCMA, OPUS, OPUS_B = STATIC[8], fmt(96, "opus/48000/2"), fmt(111, "opus/48000/2")
DIGITS, DIGITS_B, WIDE = (
    fmt(101, "telephone-event/8000"),
    fmt(96, "telephone-event/8000"),
    fmt(102, "telephone-event/48000"),
)
MAPS = {
    "the same numbers": ((PCMA, DIGITS), (PCMA, DIGITS), {}),
    "another order": ((PCMA, DIGITS), (DIGITS, PCMA), {}),
    "another number": ((PCMA, OPUS), (PCMA, OPUS_B), {96: 111}),
    "crossed numbers": ((OPUS, DIGITS), (OPUS_B, DIGITS_B), {96: 111, 101: 96}),
    "what the other has not is left alone": ((PCMA, OPUS), (PCMA,), {}),
}


@pytest.mark.parametrize(("source", "sink", "expected"), MAPS.values(), ids=MAPS)
def test_payload_map(source, sink, expected):
    assert payload_map(stream(*source), stream(*sink)) == expected


EVENTS = {
    "none": ((PCMA,), None),
    "one": ((PCMA, DIGITS), 101),
    "with the clock of the first codec": ((OPUS, DIGITS, WIDE), 102),
    "or of another first codec": ((PCMA, WIDE, DIGITS), 101),
    "none has it: the first": ((fmt(97, "speex/16000"), WIDE, DIGITS), 102),
    "no codec at all: the first": ((DIGITS, WIDE), 101),
}


@pytest.mark.parametrize(("formats", "expected"), EVENTS.values(), ids=EVENTS)
def test_telephone_event(formats, expected):
    assert stream(*formats).telephone_event == expected
    assert stream(*formats).telephone_event_send == expected


def test_the_numbers_of_an_answer_are_what_is_sent_and_ours_what_is_received():
    a, b, _, _ = through(
        sdp(*audio_line("96 101")),
        sdp("m=audio 6000 RTP/AVP 120 101", "a=rtpmap:120 opus/48000/2", "a=rtpmap:101 telephone-event/8000"),
    )
    (from_a, from_b) = (a.streams()[0], b.streams()[0])
    assert from_b.codecs == {96: "opus/48000/2", 101: "telephone-event/8000"}
    assert payload_map(from_a, from_b) == {96: 120}
    assert payload_map(from_b, from_a) == {}


def test_two_callers_of_different_calls_are_translated():
    """Alice and Carol are joined by a transfer; each keeps the numbers of her own call."""
    alice, carol = side(seed=1), side(seed=2)
    wanted = alice.receive_offer(sdp(*audio_line("96 101")))
    body = sdp("m=audio 7000 RTP/AVP 111 96", "a=rtpmap:111 opus/48000/2", "a=rtpmap:96 telephone-event/8000")
    content = carol.receive_offer(body)
    alice.make_answer(content, [PORT_A])
    carol.make_answer(wanted, [PORT_B])
    ((from_alice, from_carol),) = pair_streams(alice.streams(), carol.streams())
    assert payload_map(from_alice, from_carol) == {96: 111, 101: 96}
    assert payload_map(from_carol, from_alice) == {111: 96, 96: 101}


def test_only_active_streams_are_paired():
    a = [stream(PCMA), stream(PCMA, ordinal=1, active=False), stream(kind="video")]
    b = [stream(PCMA, active=False), stream(PCMA, ordinal=1), stream(kind="video")]
    assert pair_streams(a, b) == [(a[0], b[1]), (a[2], b[2])]
