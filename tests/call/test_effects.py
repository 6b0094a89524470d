"""Call records as they are stored."""

from dataclasses import asdict

from pbx.call.effects import CallRecord, LegRecord
from pbx.rtp.statistics import EndpointStats


def make_record():
    stats = EndpointStats(packets_in=7, jitter_s=0.25, ssrc=5, source=("192.0.2.9", 4000))
    caller = LegRecord(
        "A", "100", "100", "caller", 200, 1.5, 9.0, "hung up", {"1": stats, "2": EndpointStats()}
    )
    callee = LegRecord("B1", "101", "101", "callee")
    return CallRecord("id", "100", "101", "answered", "bye", ["101 rings"], [caller, callee], 1.5, 9.0)


def test_a_row_is_all_of_the_record():
    for record in (make_record(), CallRecord("id", "100", "101")):
        assert record.as_row() == asdict(record)


def test_a_row_stays_as_it_is_when_the_record_changes():
    record = make_record()
    row = record.as_row()
    record.decisions.append("transferred")
    record.legs[0].status = 487
    record.legs[0].media["3"] = EndpointStats()
    assert row == make_record().as_row()
