import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbx.rtp.packet import MalformedPacketError
from pbx.rtp.telephone_event import TelephoneEvent, unpack

events = st.builds(
    TelephoneEvent, st.integers(0, 255), st.booleans(), st.integers(0, 63), st.integers(0, 0xFFFF)
)


@settings(max_examples=100)
@given(events)
def test_round_trip(event):
    assert unpack(event.pack()) == event


@given(st.binary(max_size=3))
def test_too_short(payload):
    with pytest.raises(MalformedPacketError):
        unpack(payload)


def test_redundant_older_events_are_left():
    assert unpack(bytes.fromhex("05 8a 0320 04 8a 0320")) == TelephoneEvent(5, True, 10, 800)


CODES = {0: "0", 9: "9", 10: "*", 11: "#", 12: "A", 15: "D", 16: None, 255: None}


@pytest.mark.parametrize(("code", "digit"), CODES.items())
def test_digits(code, digit):
    assert TelephoneEvent(code, False, 10, 0).digit == digit
