import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbx.rtp.packet import MalformedPacketError, Packet, is_rtcp, is_rtp, set_payload_type, unpack

PLAIN = bytes.fromhex("80 00 0001 000000a0 00000007") + b"sound"

packets = st.builds(
    Packet,
    payload_type=st.integers(0, 127).filter(lambda pt: not 64 <= pt <= 95),
    sequence=st.integers(0, 0xFFFF),
    timestamp_ticks=st.integers(0, 0xFFFFFFFF),
    ssrc=st.integers(0, 0xFFFFFFFF),
    payload=st.binary(max_size=40),
    marker=st.booleans(),
    csrcs=st.lists(st.integers(0, 0xFFFFFFFF), max_size=15).map(tuple),
    extension=st.none() | st.tuples(st.integers(0, 0xFFFF), st.integers(0, 3).map(lambda n: b"ext!" * n)),
)


@settings(max_examples=100)
@given(packets)
def test_round_trip(packet):
    assert unpack(packet.pack()) == packet


@settings(max_examples=200)
@given(st.binary(max_size=60) | st.binary(max_size=48).map(lambda rest: b"\xbf\x00" + rest))
def test_any_bytes_raise_only_their_own_error(data):
    with contextlib.suppress(MalformedPacketError):
        unpack(data)


def test_padding_is_cut_off():
    assert unpack(b"\xa0" + PLAIN[1:] + b"\0\0\3").payload == b"sound"


MALFORMED = {
    "shorter than a header": PLAIN[:11],
    "version 1": b"\x40" + PLAIN[1:],
    "an RTCP packet type": b"\x80\xc8" + PLAIN[2:],
    "fewer contributing sources than counted": b"\x8f" + PLAIN[1:],
    "extension longer than the packet": b"\x90" + PLAIN[1:12] + b"\0\0\0\7abcd",
    "extension without its head": b"\x90" + PLAIN[1:12] + b"\0",
    "padding of length 0": b"\xa0" + PLAIN[1:] + b"\0",
    "padding longer than the payload": b"\xa0" + PLAIN[1:] + b"\x09",
    "padding announced in an empty packet": b"\xa0" + PLAIN[1:12],
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_malformed(data):
    with pytest.raises(MalformedPacketError):
        unpack(data)


KINDS = {
    "RTP": (PLAIN, True, False),
    "RTP with marker": (b"\x80\x80" + PLAIN[2:], True, False),
    "sender report": (b"\x80\xc8" + PLAIN[2:], False, True),
    "receiver report without blocks": (bytes.fromhex("80 c9 0001 00000007"), False, True),
    "STUN": (bytes.fromhex("0001 0000 2112a442") + bytes(12), False, False),
    "a keep-alive": (b"\r\n\r\n", False, False),
    "nothing": (b"", False, False),
}


@pytest.mark.parametrize(("data", "rtp", "rtcp"), KINDS.values(), ids=KINDS)
def test_kinds_on_one_port(data, rtp, rtcp):
    assert (is_rtp(data), is_rtcp(data)) == (rtp, rtcp)


@pytest.mark.parametrize("marker", [False, True])
def test_only_the_payload_type_is_changed(marker):
    packet = Packet(101, 1, 2, 3, b"x", marker=marker)
    assert unpack(set_payload_type(packet.pack(), 96)) == Packet(96, 1, 2, 3, b"x", marker=marker)
