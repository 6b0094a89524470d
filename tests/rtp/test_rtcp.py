import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbx.rtp.packet import MalformedPacketError
from pbx.rtp.rtcp import Report, ReportBlock, RoundTrip, reports

BLOCK = ReportBlock(0x1234, 0.25, 17, 70_000, 80, 0xABCD1234, 1.5)
SDES = bytes.fromhex("81 ca 0003 00000007 01 03 612e62 000000")

ROUND_TRIPS = {
    "an empty receiver report": Report(7, None, ()),
    "a receiver report": Report(7, None, (BLOCK,)),
    "a sender report": Report(7, 0xABCD1234, (BLOCK, ReportBlock(1, 0.0, -3, 0, 0, 0, 0.0))),
}


@pytest.mark.parametrize("report", ROUND_TRIPS.values(), ids=ROUND_TRIPS)
def test_round_trip_of_reports(report):
    assert list(reports(report.pack())) == [report]


def test_other_packets_of_a_compound_are_passed_over():
    first, second = Report(7, 1, (BLOCK,)), Report(8, None, ())
    assert list(reports(first.pack() + SDES + second.pack())) == [first, second]


MALFORMED = {
    "not RTCP": b"\x00\xc8\x00\x00",
    "half a head": b"\x80\xc8",
    "longer than its datagram": Report(7, None, (BLOCK,)).pack()[:-4],
    "more blocks than there are": b"\x82" + Report(7, None, (BLOCK,)).pack()[1:],
    "a sender report without its middle": bytes.fromhex("80 c8 0001 00000007"),
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_malformed(data):
    with pytest.raises(MalformedPacketError):
        list(reports(data))


@settings(max_examples=200)
@given(st.binary(max_size=80) | st.binary(max_size=80).map(lambda rest: b"\x81\xc9\0\7" + rest))
def test_any_bytes_raise_only_their_own_error(data):
    with contextlib.suppress(MalformedPacketError):
        list(reports(data))


def echo(sr_id, delay_s=0.0):
    return ReportBlock(1, 0.0, 0, 0, 0, sr_id, delay_s)


def test_the_round_trip_is_without_the_time_the_peer_kept_the_report():
    way = RoundTrip()
    way.sent(5, 10.0)
    way.received(echo(5, delay_s=2.0), 12.25)
    assert way.seconds == 0.25


def test_a_clock_that_runs_fast_gives_no_negative_round_trip():
    way = RoundTrip()
    way.sent(5, 10.0)
    way.received(echo(5, delay_s=2.1), 12.0)
    assert way.seconds == 0.0


def test_an_echo_of_nothing_says_nothing():
    way = RoundTrip()
    way.sent(0, 10.0)
    way.received(echo(0), 11.0)  # "no report received yet"
    way.received(echo(9), 11.0)
    assert way.seconds is None


def test_only_the_latest_reports_are_kept():
    way = RoundTrip()
    for sr_id in range(1, 100):
        way.sent(sr_id, float(sr_id))
    way.received(echo(99 - RoundTrip.KEPT), 200.0)
    assert way.seconds is None
    way.received(echo(99), 100.0)
    assert way.seconds == 1.0
