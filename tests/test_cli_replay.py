"""`pbx apply --dry-run --replay DAYS`: which recorded calls another office would route differently."""

import time

import pytest

from pbx.call.effects import CallRecord, LegRecord
from pbx.store.records import Records
from pbx.store.store import open_store
from tests.test_cli import Office
from tests.test_cli_explain import OFFICE

NOW = time.time()
DAY_S = 86_400.0


def make(place, caller, callee, *, age_s=3600.0, kind="internal", device="", trunk="", number="", member=""):
    """The row of a call that began so many seconds ago."""
    record = CallRecord(f"{place:016x}", caller, callee, "answered", kind=kind)
    record.caller_device, record.number, record.member = device, number, member
    record.legs = [LegRecord("A", caller, device, "caller", 200, trunk=trunk)]
    return {
        "id": record.id,
        "started_at": NOW - age_s,
        "caller": caller,
        "callee": callee,
        "state": record.state,
        "kind": kind,
        "body": record.as_row(),
    }


def by_phone(place, callee, **more):
    return make(place, "100", callee, device="100", **more)


def from_outside(place, caller="+6561112222", **more):
    more = {"trunk": "carrier", "number": "+6560001000", **more}
    return make(place, caller, "+6560001000", kind="inbound", **more)


CALLS = (
    by_phone(1, "101"),
    by_phone(2, "31234567", kind="outbound"),
    from_outside(3),
    from_outside(4, "anonymous"),
    make(5, "100", "31234567", device="desk", member="ann@acme.example", kind="outbound"),
    from_outside(6, trunk=""),
)


@pytest.fixture
def pbx(tmp_path):
    made = Office(tmp_path)
    made.apply(OFFICE)
    return made


def replay(pbx, text, *rows, days=7):
    """The calls that are routed differently: id -> outcomes before and after."""
    store = open_store(pbx.url)
    Records(store).add(rows)
    store.close()
    answer = pbx.json("apply", "--dry-run", "--replay", str(days), pbx.write(text))
    assert pbx.load()[1] == 1
    found = answer["replay"]
    return {int(each["id"], 16): (each["before"], each["after"]) for each in found["different"]}, found


RINGS = (
    "phone {} rings for 20 s; "
    "if nobody answers within 20 s: the caller is greeted and may leave a message for {}"
)
OUTSIDE = (
    '+6531234567 is called over trunk "carrier" (shown: +6560001000), paid by 100; '
    "if nobody answers: the caller is refused: 480 Temporarily Unavailable"
)
REFUSED = "the caller is refused: 403 Forbidden"
NO_COUNTRY = (
    "the caller hears the announcement call-country-not-allowed, "
    f'{REFUSED} (+6531234567 is in SG, which outbound rule "standard" does not list)'
)
CHANGES = {
    "nothing": ({}, {}),
    "what concerns no call": ({'label = "Ann"\n': 'label = "Bob"\n'}, {}),
    "a usage limit: nothing is used in either": ({"amount = 50.00": "amount = 40.00"}, {}),
    "the destination of a number": (
        {'destination = "extension:100"': 'destination = "extension:101"'},
        {place: (RINGS.format(100, 100), RINGS.format("desk", 101)) for place in (3, 4)},
    ),
    "who may be called": (
        {'country = "SG"\n[[rate]]': 'country = "VN"\n[[rate]]'},
        dict.fromkeys((2, 5), (OUTSIDE, NO_COUNTRY)),
    ),
    "a phone that is no more": (
        {'username = "desk"': 'username = "elsewhere"'},
        {
            1: (RINGS.format("desk", 101), RINGS.format("elsewhere", 101)),
            5: (OUTSIDE, "nobody calls: there is no phone desk"),
        },
    ),
    "a trunk that is no more": (
        {'name = "carrier"\n': 'name = "another"\n', '["carrier"]': '["another"]'},
        {
            2: (OUTSIDE, OUTSIDE.replace("carrier", "another")),
            3: (RINGS.format(100, 100), 'nobody calls: there is no trunk "carrier"'),
            4: (RINGS.format(100, 100), 'nobody calls: there is no trunk "carrier"'),
            5: (OUTSIDE, OUTSIDE.replace("carrier", "another")),
        },
    ),
    "no hot desking any more": (
        {"hot_desking = true\n": ""},
        {
            5: (
                OUTSIDE,
                f"the caller hears the announcement call-not-allowed, {REFUSED} "
                "(101 has no outbound rule: it calls nobody outside)",
            )
        },
    ),
}


@pytest.mark.parametrize(("changes", "expected"), CHANGES.values(), ids=CHANGES)
def test_what_would_be_routed_differently(pbx, changes, expected):
    text = OFFICE
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    different, found = replay(pbx, text, *CALLS)
    assert {place: tuple(each) for place, each in different.items()} == expected
    assert (found["calls"], found["not_replayed"]) == (6, 1)


def test_who_is_blocked(pbx):
    different, _ = replay(pbx, OFFICE + '[blocked]\nnumbers = ["+6561112222"]\n', *CALLS)
    assert set(different) == {3}
    assert different[3][1].startswith("the caller is refused: 603 Decline (the caller is on the block list")


def test_only_the_last_days_count(pbx):
    text = OFFICE.replace("extension:100", "extension:101")
    rows = from_outside(1, age_s=0.9 * DAY_S), from_outside(2, age_s=1.1 * DAY_S)
    different, found = replay(pbx, text, *rows, days=1)
    assert (set(different), found["calls"]) == ({1}, 1)


def test_in_words(pbx):
    store = open_store(pbx.url)
    Records(store).add([from_outside(1, "\x1b[31m"), by_phone(2, "101")])
    store.close()
    changed = pbx.write(OFFICE.replace("extension:100", "extension:101"))
    lines = pbx("apply", "--dry-run", "--replay", "1", changed).splitlines()
    assert lines[0].startswith("~ number +6560001000: destination")
    assert lines[1].endswith(r"  \x1b[31m -> +6560001000")
    assert lines[2:] == [
        f"  before: {RINGS.format(100, 100)}",
        f"  after:  {RINGS.format('desk', 101)}",
        "2 calls of the last day: 1 would be routed differently",
        "dry run: nothing was written",
    ]


def test_it_goes_with_a_dry_run_only(pbx):
    pbx("apply", "--replay", "7", pbx.write(OFFICE.replace("Ann", "Bob")), code=2)
    assert "--replay goes with --dry-run; nothing was changed" in pbx.stderr
    assert pbx.load()[1] == 1


def test_the_first_office_of_all(tmp_path):
    made = Office(tmp_path)
    said = made("apply", "--dry-run", "--replay", "7", made.write(OFFICE))
    assert "0 calls of the last 7 days: 0 would be routed differently" in said
