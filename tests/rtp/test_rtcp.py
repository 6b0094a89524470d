import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbx.rtp.packet import MalformedPacketError
from pbx.rtp.rtcp import (
    Report,
    ReportBlock,
    RoundTrip,
    SenderInfo,
    ntp_of,
    pack_description,
    pack_report,
    reports,
)

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


def test_a_sender_report_is_laid_out_as_in_rfc_3550_6_4_1():
    sender = SenderInfo(0x11223344_80000001, 0x01020304, 5, 800)
    block = ReportBlock(0xA1B2C3D4, 0.5, -2, 0x00010002, 33, 0x33448000, 1.5)
    assert pack_report(7, sender, (block,)) == bytes.fromhex(
        "81 c8 000c 00000007"  # V=2, P=0, RC=1; PT=200; 13 words less one; SSRC of sender
        "11223344 80000001"  # NTP timestamp
        "01020304 00000005 00000320"  # RTP timestamp, packet count, octet count
        "a1b2c3d4 80 fffffe"  # SSRC of the source; half was lost; cumulative -2
        "00010002 00000021 33448000 00018000"  # highest, jitter, LSR, DLSR in 1/65536 s
    )
    assert sender.sr_id == 0x33448000


def test_a_receiver_report_is_laid_out_as_in_rfc_3550_6_4_2():
    assert pack_report(7, None, ()) == bytes.fromhex("80 c9 0001 00000007")


@pytest.mark.parametrize(
    ("cname", "expected"),
    [
        ("a.b", "81 ca 0003 00000007 01 03 612e62 000000"),
        ("ab", "81 ca 0003 00000007 01 02 6162 00000000"),  # full words still end with a null octet
        ("", "81 ca 0002 00000007 01 00 0000"),
    ],
)
def test_a_description_is_laid_out_as_in_rfc_3550_6_5_1(cname, expected):
    assert pack_description(7, cname) == bytes.fromhex(expected)


def test_figures_that_do_not_fit_are_cut_as_the_rfc_says():
    block = ReportBlock(1, 1.0, 1 << 30, 1 << 33, 0, 0, 0.0)
    (report,) = reports(pack_report(7, SenderInfo(0, 1 << 32, 1 << 33, 1 << 34), (block,)))
    assert report.blocks == (ReportBlock(1, 255 / 256, (1 << 23) - 1, 0, 0, 0, 0.0),)


def test_time_as_ntp_has_it():
    assert ntp_of(1.5) == 0x1_80000000
    assert ntp_of(2.0**32 + 1.0) == 0x1_00000000  # goes round


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
