"""Call records: kept, found, and forgotten."""

import pytest

from pbx.errors import PbxError
from pbx.store.records import BATCH, Records, Wanted
from pbx.store.store import UnusableError


@pytest.fixture
def records(store):
    return Records(store)


def leg(party: str, **more: str) -> dict[str, str]:
    return {"party": party, **more}


def record(number: int, **changes: object) -> dict[str, object]:
    row = {"id": f"call-{number}", "started_at": 1000.0 + number, "caller": "100", "callee": "101"}
    body = {"legs": [leg("100"), leg("101")]}
    return {**row, "state": "answered", "kind": "internal", "body": body, **changes}


def ids(records: Records, wanted: Wanted | None = None, **limits: int) -> list[str]:
    return [row["id"] for row in records.read(wanted or Wanted(), **limits)]


def test_a_call_that_is_recorded_twice_is_there_once(records):
    records.add([record(2), record(1)])
    records.add([record(2, state="failed"), record(3), record(3, state="busy")])
    assert [(row["id"], row["state"]) for row in records.read(Wanted())] == [
        ("call-3", "busy"),
        ("call-2", "failed"),
        ("call-1", "answered"),
    ]
    assert ids(records, Wanted(extension="101")) == ["call-3", "call-2", "call-1"]


def test_no_records_are_no_work(records):
    records.add([])
    assert ids(records) == []


@pytest.mark.parametrize(
    ("callee", "kept"),
    {
        "a long one is cut": ("9" * 300, "9" * 255),
        "a zero byte, which PostgreSQL refuses": ("1\0002", "1\ufffd2"),
        "half a character": ("1\udc80", "1?"),
        "no ASCII": ("日本", "日本"),
    }.values(),
)
def test_whatever_a_stranger_dials_can_be_recorded(records, callee, kept):
    records.add([record(1, callee=callee, body={"why": callee[:3]})])
    assert [row["callee"] for row in records.read(Wanted())] == [kept]


def test_what_no_database_takes_is_unusable_which_is_not_the_same_as_gone(records):
    with pytest.raises(UnusableError):
        records.add([record(1, body={"what": object()})])
    assert ids(records) == []


CALLS = [
    record(1),
    record(2, state="busy", caller="+6531234567", kind="inbound", body={"legs": [leg("", trunk="carrier")]}),
    record(3, callee="+8490", kind="outbound", body={"legs": [leg("100"), leg("", payer="105", trunk="a")]}),
    record(4, callee="102", body={"legs": [leg("100")], "callee_key": "102"}),
]
FILTERS = {
    "everything": (Wanted(), [4, 3, 2, 1]),
    "since, included": (Wanted(since=1003.0), [4, 3]),
    "until, not included": (Wanted(until=1003.0), [2, 1]),
    "by caller": (Wanted(caller="+6531234567"), [2]),
    "by callee": (Wanted(callees=("+8490",)), [3]),
    "by what was dialled for one callee": (Wanted(callees=("+8490", "0102", "102")), [4, 3]),
    "by state": (Wanted(state="busy"), [2]),
    "by kind": (Wanted(kind="outbound"), [3]),
    "by trunk": (Wanted(trunk="carrier"), [2]),
    "a trunk that is named like an extension": (Wanted(trunk="100"), []),
    "by who called": (Wanted(extension="100"), [4, 3, 1]),
    "by who was called": (Wanted(extension="101"), [2, 1]),
    "by who paid": (Wanted(extension="105"), [3]),
    "by who was called and had no phone": (Wanted(extension="102"), [4]),
    "all at once": (Wanted(since=1002.0, until=1004.0, extension="100", trunk="a", kind="outbound"), [3]),
    "nothing": (Wanted(extension="999"), []),
}


@pytest.mark.parametrize(("wanted", "expected"), FILTERS.values(), ids=FILTERS)
def test_filters(records, wanted, expected):
    records.add(CALLS)
    assert ids(records, wanted) == [f"call-{number}" for number in expected]


@pytest.mark.parametrize("page", [1, 2, 3, 7, 100])
def test_pages_lose_and_repeat_nothing_even_of_one_moment(records, page):
    rows = [record(number, started_at=1000.0 + number // 4) for number in range(10, 30)]
    records.add(rows)
    expected = sorted((row["started_at"], row["id"]) for row in rows)[::-1]
    assert [(row["started_at"], row["id"]) for row in records.read(Wanted(), page=page)] == expected
    assert ids(records, page=page, limit=5) == [name for _, name in expected[:5]]
    assert ids(records, Wanted(extension="101"), page=page) == [name for _, name in expected]


def test_reading_goes_on_while_calls_come_and_go(records):
    records.add(record(number) for number in range(10, 20))
    reading = records.read(Wanted(), page=3)
    assert next(reading)["id"] == "call-19"
    records.add([record(50)])
    records.tidy(before=1012.0)
    assert [row["id"] for row in reading] == [f"call-{number}" for number in range(18, 11, -1)]


def test_a_call_is_found_by_the_beginning_of_its_id(records):
    records.add([record(1), record(12), record(2, id="other")])
    assert records.find("oth")["id"] == "other"
    assert records.find("call-1")["id"] == "call-1"  # whole, though another begins so
    with pytest.raises(PbxError, match="more than one call's id begins with 'call'"):
        records.find("call")
    for missing in ("x", "", "%", "oth_r"):
        with pytest.raises(PbxError, match="no call has the id"):
            records.find(missing)


def test_old_calls_are_forgotten_a_batch_at_a_time(records):
    records.add(record(number) for number in range(BATCH + 10))
    assert records.tidy(before=1000.0 + BATCH + 5) == BATCH
    assert records.tidy(before=1000.0 + BATCH + 5) == 5
    assert records.tidy(before=1000.0 + BATCH + 5) == 0
    assert ids(records) == [f"call-{BATCH + number}" for number in range(9, 4, -1)]
    assert ids(records, Wanted(extension="101"))[-1] == f"call-{BATCH + 5}"
