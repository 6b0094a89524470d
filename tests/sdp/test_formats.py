"""Payload types: the static table, reading an rtpmap, agreeing on numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.sdp.formats import READY, STATIC, Format, common, make_format, settle


def fmt(number: int, encoding: str, *parameters: str, feedback: tuple[str, ...] = ()) -> Format:
    made = make_format(number, encoding, parameters, feedback)
    assert made is not None
    return made


PCMU, PCMA, G722, G729 = (STATIC[number] for number in (0, 8, 9, 18))
OPUS, DIGITS = fmt(96, "opus/48000/2", "useinbandfec=1"), fmt(101, "telephone-event/8000", "0-16")

READ = {
    "a static type needs no rtpmap": (0, None, "PCMU/8000"),
    "G.722's clock is 8000, whatever it samples at": (9, None, "G722/8000"),
    "a static type with its rtpmap": (8, "PCMA/8000", "PCMA/8000"),
    "in other letters it is the same": (8, "pcma/8000", "PCMA/8000"),
    "one channel may be said": (8, "PCMA/8000/1", "PCMA/8000"),
    "two channels are another codec": (11, "L16/44100/2", "L16/44100/2"),
    "an rtpmap outweighs the table": (0, "GSM/8000", "GSM/8000"),
    "leading zeros do not count": (97, "iLBC/08000", "ILBC/8000"),
    "a dynamic type by its rtpmap": (127, "opus/48000/2", "OPUS/48000/2"),
    "a dynamic type without rtpmap is unknown": (96, None, None),
    "an unassigned static type too": (77, None, None),
    "no rate": (96, "opus", None),
    "an empty rate": (96, "opus/", None),
    "rate 0": (96, "opus/0", None),
    "a rate of letters": (96, "opus/fast", None),
    "a name with a blank": (96, "my codec/8000", None),
    "a name that is not ASCII": (96, "öpus/48000", None),
    "channels with a blank": (96, "opus/48000/2 x", None),
    "no name": (96, "/8000", None),
    "nothing": (96, "", None),
}


@pytest.mark.parametrize(("number", "encoding", "codec"), READ.values(), ids=READ)
def test_read(number, encoding, codec):
    made = make_format(number, encoding)
    assert (made and made.codec) == codec


def test_a_format_knows_its_name_and_clock():
    assert (OPUS.name, OPUS.rate_hz, OPUS.is_auxiliary) == ("OPUS", 48000, False)
    assert (DIGITS.name, DIGITS.rate_hz, DIGITS.is_auxiliary) == ("TELEPHONE-EVENT", 8000, True)


def test_the_ready_made_are_what_reading_gives():
    for written, ready in READY.items():
        number, _, encoding = written.partition(" ")
        assert ready == make_format(int(number), encoding or None)


H264_1 = fmt(98, "H264/90000", "profile-level-id=42e01f;packetization-mode=1")
H264_0 = fmt(99, "H264/90000", "profile-level-id=42e01f;packetization-mode=0")
COMMON = {
    "the same numbers, in the wanted order": ([PCMU, PCMA, DIGITS], [PCMA, DIGITS], [PCMA, DIGITS]),
    "what was not offered is left out": ([PCMU, DIGITS], [G722, PCMU, DIGITS], [PCMU, DIGITS]),
    "nothing in common": ([PCMU], [PCMA], []),
    "other numbers give way to the offered ones": (
        [fmt(111, "opus/48000/2"), fmt(110, "telephone-event/8000")],
        [OPUS, DIGITS],
        [fmt(111, "opus/48000/2", "useinbandfec=1"), fmt(110, "telephone-event/8000", "0-16")],
    ),
    "numbers crossed": (
        [fmt(96, "telephone-event/8000"), fmt(101, "opus/48000/2")],
        [OPUS, DIGITS],
        [fmt(101, "opus/48000/2", "useinbandfec=1"), fmt(96, "telephone-event/8000", "0-16")],
    ),
    "the same number, another codec": ([fmt(96, "iLBC/8000")], [OPUS], []),
    "the same name, another clock": ([fmt(101, "telephone-event/48000")], [DIGITS], []),
    "the same name, other channels": ([fmt(96, "opus/48000")], [OPUS], []),
    "of two alike the one with the same parameters": (
        [H264_1, H264_0],
        [H264_0._replace(payload_type=120)],
        [H264_0],
    ),
    "two alike under other numbers stay two": (
        [H264_1, H264_0],
        [H264_0._replace(payload_type=120), H264_1._replace(payload_type=121)],
        [H264_0, H264_1],
    ),
    "without the same parameters the first free": (
        [H264_1, H264_0],
        [fmt(120, "H264/90000", "a"), fmt(121, "H264/90000", "b")],
        [fmt(98, "H264/90000", "a"), fmt(99, "H264/90000", "b")],
    ),
    "an own number is not taken by another format first": (
        [H264_1, H264_0],
        [fmt(120, "H264/90000", "a"), H264_1],
        [fmt(99, "H264/90000", "a"), H264_1],
    ),
    "a static type offered as dynamic": ([fmt(97, "PCMA/8000")], [PCMA], [fmt(97, "PCMA/8000")]),
    "the number a retransmission refers to follows": (
        [fmt(98, "VP8/90000"), fmt(99, "rtx/90000", "apt=98")],
        [fmt(120, "VP8/90000"), fmt(121, "rtx/90000", "apt=120; rtx-time=200")],
        [fmt(98, "VP8/90000"), fmt(99, "rtx/90000", "apt=98;rtx-time=200")],
    ),
    "the numbers in a redundancy list follow": (
        [fmt(98, "opus/48000/2"), fmt(99, "red/48000/2")],
        [fmt(120, "opus/48000/2"), fmt(121, "red/48000/2", "120/120")],
        [fmt(98, "opus/48000/2"), fmt(99, "red/48000/2", "98/98")],
    ),
    "feedback only as offered": (
        [fmt(98, "VP8/90000", feedback=("nack", "ccm fir"))],
        [fmt(98, "VP8/90000", feedback=("nack", "goog-remb"))],
        [fmt(98, "VP8/90000", feedback=("nack",))],
    ),
}


@pytest.mark.parametrize(("offered", "wanted", "expected"), COMMON.values(), ids=COMMON)
def test_common(offered, wanted, expected):
    assert common(offered, wanted) == tuple(expected)


SETTLE = {
    "nothing is known yet": ([OPUS, DIGITS], {}, [OPUS, DIGITS]),
    "all as before": ([PCMA, DIGITS], {8: "PCMA/8000", 101: "TELEPHONE-EVENT/8000"}, [PCMA, DIGITS]),
    "a number that meant something else goes to where the codec was": (
        [PCMA, DIGITS],
        {101: "OPUS/48000/2", 110: "TELEPHONE-EVENT/8000"},
        [PCMA, fmt(110, "telephone-event/8000", "0-16")],
    ),
    "or to a free number": (
        [DIGITS],
        {101: "OPUS/48000/2", 96: "ILBC/8000"},
        [fmt(97, "telephone-event/8000", "0-16")],
    ),
    "a free number is none that another format wants": (
        [DIGITS, fmt(96, "iLBC/8000")],
        {101: "OPUS/48000/2"},
        [fmt(97, "telephone-event/8000", "0-16"), fmt(96, "iLBC/8000")],
    ),
    "with all dynamic numbers gone, below them": (
        [DIGITS],
        dict.fromkeys(range(96, 128), "X/8000"),
        [fmt(35, "telephone-event/8000", "0-16")],
    ),
    "with no number left the format is left out": (
        [PCMA, DIGITS],
        dict.fromkeys((*range(96, 128), *range(35, 64)), "X/8000"),
        [PCMA],
    ),
}


@pytest.mark.parametrize(("wanted", "history", "expected"), SETTLE.values(), ids=SETTLE)
def test_settle(wanted, history, expected):
    assert settle(wanted, history) == tuple(expected)


CODECS = st.sampled_from(
    ["PCMU/8000", "opus/48000/2", "telephone-event/8000", "H264/90000", "rtx/90000", "red/8000"]
)
FORMATS = st.lists(
    st.builds(
        fmt,
        st.integers(0, 127),
        CODECS,
        st.sampled_from(["", "apt=98", "98/99", "x=1"]),
    ),
    max_size=6,
    unique_by=lambda each: each.payload_type,
)


@given(FORMATS, FORMATS)
def test_the_common_formats_are_offered_ones_each_once(offered, wanted):
    found = common(offered, wanted)
    pairs = [(each.payload_type, each.codec) for each in found]
    assert len(set(pairs)) == len(pairs)
    assert set(pairs) <= {(each.payload_type, each.codec) for each in offered}
    codecs = {each.codec for each in offered}
    assert {each.codec for each in found} == {each.codec for each in wanted if each.codec in codecs}


@given(FORMATS, FORMATS)
def test_a_settled_number_never_meant_another_codec(wanted, before):
    history = {each.payload_type: each.codec for each in before}
    found = settle(wanted, history)
    assert [each.codec for each in found] == [each.codec for each in wanted]
    assert len({each.payload_type for each in found}) == len(found)
    assert all(history.get(each.payload_type, each.codec) == each.codec for each in found)
