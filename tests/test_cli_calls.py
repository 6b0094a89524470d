"""`pbx calls` without a running server."""

import csv
import io
import json
import socket
import threading
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from pbx.app.calls import parse_callee, parse_moment, parse_party, write_csv
from pbx.call.effects import CallRecord, LegRecord
from pbx.cli import main
from pbx.errors import PbxError
from pbx.rtp.statistics import EndpointStats
from pbx.store.records import Records
from pbx.store.store import open_store
from pbx.store.traces import Traces
from tests.test_cli import OFFICE, Office

NOON = 1_800_000_000.0  # 2027-01-15 08:00 UTC
HEARD = EndpointStats(packets_in=990, lost=10, packets_out=1000, lost_out=0, jitter_s=0.002, payload_type=8)


def make(place: int, /, **changes: object) -> dict[str, object]:
    """The row that the server writes of a call."""
    record = CallRecord(f"{place:016x}", "100", "101", "answered", "101: hung up", ["101 rings: 101"])
    record.answered_s, record.duration_s, record.caller_name = 4.0, 67.4, "Ann"
    record.legs = [
        LegRecord(
            "A", "100", "100", "caller", 200, 4.0, 67.4, "", {"1": HEARD}, codec="PCMA", call_id="abc@phone"
        ),
        LegRecord("B1", "101", "101", "callee", 200, 4.0, 67.4, "hung up"),
    ]
    for name, value in changes.items():
        setattr(record, name, value)
    return {
        "id": record.id,
        "started_at": NOON + place,
        "caller": record.caller,
        "callee": record.callee,
        "state": record.state,
        "kind": record.kind,
        "body": record.as_row(),
    }


OUTSIDE = [
    LegRecord("A", "100", "100", "caller", 200, 9.0, 61.0),
    LegRecord("B1", "", "", "callee", 503, None, 2.0, number="+6531234567", trunk="first", payer="100"),
    LegRecord(
        "B2", "", "", "callee", 200, 9.0, 61.0, "", {}, "+6531234567", "carrier", "G722", "100", "0.24"
    ),
]


@pytest.fixture
def pbx(tmp_path):
    made = Office(tmp_path)
    made.apply(OFFICE.replace('name = "Acme"', 'name = "Acme"\ntimezone = "Asia/Singapore"\ncountry = "SG"'))
    store = open_store(made.url)
    Records(store).add(
        [
            make(1),
            make(2, state="unanswered", callee="102", answered_s=None, legs=[], caller_name="\x1b[31mEve"),
            make(3, kind="outbound", callee="+6531234567", legs=OUTSIDE, answered_s=9.0, duration_s=61.0),
            make(4, kind="inbound", caller="", caller_name="=1+1", number="+6560001000", state="busy"),
        ]
    )
    store.close()
    return made


def test_list(pbx):
    assert pbx("calls").splitlines() == [
        "ID               WHEN                KIND     STATE         TALK  FROM -> TO",
        "0000000000000004 2027-01-15 16:00:04 inbound  busy          1:03  a withheld number (=1+1) -> 101",
        "0000000000000003 2027-01-15 16:00:03 outbound answered      0:52  100 (Ann) -> +6531234567",
        r"0000000000000002 2027-01-15 16:00:02 internal unanswered       -  100 (\x1b[31mEve) -> 102",
        "0000000000000001 2027-01-15 16:00:01 internal answered      1:03  100 (Ann) -> 101",
    ]


FILTERS = {
    "limit": (["--limit", "2"], [4, 3]),
    "all": (["--limit", "0"], [4, 3, 2, 1]),
    "from a time": (["--from", "2027-01-15 16:00:03"], [4, 3]),
    "a day": (["--from", "2027-01-15", "--to", "2027-01-15"], [4, 3, 2, 1]),
    "the next day": (["--from", "2027-01-16"], []),
    "to a time of another zone": (["--to", "2027-01-15T08:00:03+00:00"], [2, 1]),
    "caller": (["--caller", "100", "--kind", "internal"], [2, 1]),
    "callee as in the country": (["--callee", "3123 4567"], [3]),
    "extension": (["--extension", "101"], [4, 1]),
    "trunk": (["--trunk", "carrier"], [3]),
    "a trunk that was tried": (["--trunk", "first"], [3]),
    "state": (["--state", "unanswered"], [2]),
}


@pytest.mark.parametrize(("words", "expected"), FILTERS.values(), ids=FILTERS)
def test_filters(pbx, words, expected):
    assert [int(each["id"], 16) for each in pbx.json("calls", *words)] == expected


def test_nothing_found(pbx):
    assert pbx("calls", "--trunk", "none") == "no calls\n"
    assert pbx.json("calls", "--trunk", "none") == []
    assert pbx("calls", "--csv", "--trunk", "none").startswith("when,id,kind,")


def test_what_is_no_time_is_an_error(pbx):
    pbx("calls", "--from", "yesterday", code=2)
    assert "'yesterday' is no date or time: allowed are 2026-11-30, 2026-11-30 14:05" in pbx.stderr


def test_json_holds_everything(pbx):
    call = pbx.json("calls")[-1]
    assert (call["id"], call["when"]) == ("0000000000000001", "2027-01-15T16:00:01.000+08:00")
    assert call["decisions"] == ["101 rings: 101"]
    assert call["legs"][0]["media"]["1"]["packets_in"] == 990
    quality = call["legs"][0]["quality"]["1"]
    assert (quality["in"]["packets"], quality["in"]["loss"]) == (1000, 0.01)
    assert (quality["in"]["mos"], quality["out"]["mos"]) == (4.33, 4.41)


WARNED = {
    "it has written them": ({"ok": True}, None),
    "it cannot write": ({"ok": False}, "cannot write: its newest calls are missing"),
    "it is confused": ({"error": "no command"}, "the newest calls may be missing here: no command"),
}


@pytest.mark.parametrize(("answer", "warning"), WARNED.values(), ids=WARNED)
def test_a_running_server_writes_its_newest_calls_first(pbx, answer, warning):
    asked = []

    def be_server(listening):
        connection, _ = listening.accept()
        with connection:
            asked.append(json.loads(connection.makefile("rb").readline())["cmd"])
            connection.sendall(json.dumps(answer).encode() + b"\n")

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(pbx.folder / "data" / "control.sock"))
        listening.listen()
        server = threading.Thread(target=be_server, args=(listening,))
        server.start()
        done = CliRunner().invoke(main, ["calls", "--csv", "--config", str(pbx.folder / "pbx.toml")])
        server.join()
    assert asked == ["flush"]
    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) == 5
    assert done.stderr == "" if warning is None else warning in done.stderr


def test_csv(pbx):
    rows = list(csv.DictReader(io.StringIO(pbx("calls", "--csv"))))
    assert [row["id"][-1] for row in rows] == ["4", "3", "2", "1"]
    assert (rows[0]["caller_name"], rows[0]["number"]) == ("'=1+1", "+6560001000")
    assert (rows[1]["trunk"], rows[1]["payer"], rows[1]["cost"]) == ("first carrier", "100", "0.24")
    assert (rows[1]["answered_by"], rows[1]["waited_s"], rows[1]["talked_s"]) == (
        "+6531234567",
        "9.0",
        "52.0",
    )
    assert (rows[2]["talked_s"], rows[2]["caller_name"]) == ("", r"\x1b[31mEve")
    assert (rows[3]["mos"], rows[3]["answered_by"], rows[3]["why"]) == ("4.33", "101", "101: hung up")


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("\uff1d1+1", "'\uff1d1+1"),  # as wide as a Chinese character: a spreadsheet takes it for the other
        ("Eve;=1+1", "Eve;'=1+1"),  # where a semicolon separates
        ("+6531234567", "+6531234567"),
        ("Ann; Bob", "Ann; Bob"),
        ("a=b", "a=b"),
    ],
)
def test_no_name_is_a_formula_for_a_spreadsheet(name, cell):
    out = io.StringIO()
    write_csv([make(5, caller_name=name)], ZoneInfo("UTC"), out)
    assert next(csv.DictReader(io.StringIO(out.getvalue())))["caller_name"] == cell


def test_show(pbx):
    assert pbx("calls", "show", "0000000000000001").splitlines() == [
        "call 0000000000000001: 100 (Ann) dials 101: internal, answered",
        "  began      2027-01-15 16:00:01 (Asia/Singapore)",
        "  waited     4.0 s, then talked 1:03",
        "  ended      101: hung up",
        "  happened   1. 101 rings: 101",
        "  leg A      caller 100 at 100, 200",
        "             answered after 4.0 s, ended after 67.4 s",
        "             Call-ID abc@phone",
        "             media 1 PCMA is heard: 1000 packets, 1.0 % lost, jitter 2 ms, delay 24 ms, MOS 4.33",
        "             media 1 PCMA hears: 1000 packets, 0.0 % lost, jitter 0 ms, delay 20 ms, MOS 4.41",
        "  leg B1     callee 101 at 101, 200",
        "             answered after 4.0 s, ended after 67.4 s: hung up",
    ]


def test_show_an_outside_call(pbx):
    lines = pbx("calls", "show", "0000000000000003").splitlines()
    assert "  leg B2     callee +6531234567 by carrier, 200" in lines
    assert "             paid by 100: 0.24" in lines
    assert "             paid by 100: nothing" in lines


def test_show_as_json_by_the_beginning_of_an_id(pbx):
    assert pbx.json("calls", "show", "0000000000000003")["kind"] == "outbound"
    pbx("calls", "show", "00", code=2)
    assert "more than one call's id begins with '00': give more of it" in pbx.stderr
    pbx("calls", "show", "nobody", code=2)
    assert "no call has the id 'nobody': `pbx calls` shows them" in pbx.stderr


def trace(pbx, subject: str) -> None:
    store = open_store(pbx.url)
    texts = (
        "INVITE sip:101@pbx SIP/2.0\r\nCSeq: 1 INVITE\r\n\r\n",
        "SIP/2.0 200 OK\r\nCSeq: 1 INVITE\r\n\r\n",
    )
    Traces(store).add(
        {
            "subject": subject,
            "at": NOON + number,
            "is_sent": bool(number),
            "transport": "UDP",
            "peer": "192.0.2.9:5061",
            "local": "192.0.2.1:5060",
            "leg": "A",
            "text": text,
        }
        for number, text in enumerate(texts)
    )
    store.close()


def test_ladder_and_capture_file(pbx):
    pbx("calls", "show", "0000000000000001", "--ladder", code=2)
    assert "no SIP messages are kept; they are for 24 hours, of extensions with debug = true" in pbx.stderr
    trace(pbx, "0000000000000001")
    assert "traced     2 SIP messages" in pbx("calls", "show", "0000000000000001")
    assert pbx("calls", "show", "0000000000000001", "--ladder").splitlines()[2:] == [
        "    +0.000  |---------- INVITE 101 ---------->|",
        "    +1.000  |<------ 200 OK to INVITE --------|",
    ]
    assert len(pbx.json("calls", "show", "0000000000000001", "--ladder")) == 2
    target = pbx.folder / "call.pcap"
    assert (
        pbx("calls", "show", "0000000000000001", "--pcap", str(target)) == f"written: {target} (2 messages)\n"
    )
    assert target.read_bytes()[:4] == bytes.fromhex("d4c3b2a1")
    pbx("calls", "show", "0000000000000001", "--pcap", str(target), code=2)
    assert "is there already; nothing was written" in pbx.stderr


def test_registrations(pbx):
    pbx("calls", "registrations", "100", code=2)
    trace(pbx, "register 100")
    assert "INVITE" in pbx("calls", "registrations", "100")


def test_thousands(pbx):
    """Pages lose and repeat nothing; bench/records.py has the memory that a million takes."""
    store = open_store(pbx.url)
    Records(store).add(make(number) for number in range(10, 3010))
    store.close()
    lines = pbx("calls", "--csv", "--limit", "0").splitlines()
    assert len(lines) == 1 + 3004
    assert len({line.split(",")[1] for line in lines}) == 3005
    assert len(json.loads(pbx("calls", "--json", "--limit", "2999"))) == 2999


SINGAPORE = ZoneInfo("Asia/Singapore")
MOMENTS = {
    "a day begins at its midnight": ("2026-11-30", False, "2026-11-30T00:00:00+08:00"),
    "and ends at the next": ("2026-11-30", True, "2026-12-01T00:00:00+08:00"),
    "a time is itself at both ends": ("2026-11-30 14:05", True, "2026-11-30T14:05:00+08:00"),
    "with a zone of its own": ("2026-11-30T14:05:00+01:00", False, "2026-11-30T14:05:00+01:00"),
}


@pytest.mark.parametrize(("text", "is_end", "expected"), MOMENTS.values(), ids=MOMENTS)
def test_moments(text, is_end, expected):
    assert parse_moment(text, SINGAPORE, is_end=is_end) == datetime.fromisoformat(expected).timestamp()


@pytest.mark.parametrize("text", ["", "noon", "2026-13-01", "99999-01-01"])
def test_no_moments(text):
    with pytest.raises(PbxError, match="is no date or time"):
        parse_moment(text, SINGAPORE, is_end=True)


CALLEES = {
    "a key": ("100", ("100",)),
    "a code": ("*97", ("*97",)),
    "a national number": ("3123 4567", ("3123 4567", "+6531234567", "006531234567", "31234567", "031234567")),
    "an international one": ("+84912345678", ("+84912345678", "0084912345678")),
    "none": ("", ()),
}


@pytest.mark.parametrize(("text", "expected"), CALLEES.values(), ids=CALLEES)
def test_a_callee_is_looked_for_in_every_form_that_is_dialled(text, expected):
    assert parse_callee(text, "SG") == expected


@pytest.mark.parametrize("text", ["31234567", "+6531234567", "006531234567"])
def test_calls_to_a_number_that_was_dialled_nationally(pbx, text):
    store = open_store(pbx.url)
    Records(store).add([make(5, kind="outbound", callee="31234567", legs=OUTSIDE)])
    store.close()
    assert [row["id"] for row in json.loads(pbx("calls", "--callee", text, "--json"))] == [
        "0000000000000005",
        "0000000000000003",
    ]


def test_parties():
    assert [parse_party(text, "SG") for text in ("100", "31234567", "+65 3123 4567", "*97", "")] == [
        "100",
        "+6531234567",
        "+6531234567",
        "*97",
        "",
    ]
