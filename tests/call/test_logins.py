"""Who is logged in where: one phone a member, one member a phone; what ends a login (product §4)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.call.logins import Login, Logins, is_over, logout_at, may_be_at
from pbx.office.device import Device
from pbx.office.extension import Extension
from pbx.office.member import Member
from pbx.office.snapshot import Office

ANN, BOB, CY = "ann@acme.example", "bob@acme.example", "cy@acme.example"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
OFFICE = Office(
    members=(Member(ANN), Member(BOB), Member(CY)),
    extensions=(
        Extension("100", assignee=ANN, devices=(Device("ip_phone", "100"),)),
        Extension("101", assignee=BOB),
        Extension("200", hot_desking=True, devices=(Device("ip_phone", "200"), Device("mobile", "200m"))),
        Extension("201", hot_desking=True, devices=(Device("ip_phone", "201"),)),
    ),
)


def at(minutes: int) -> datetime:
    return NOON + timedelta(minutes=minutes)


def test_a_second_login_moves_it():
    logins = Logins()
    logins.login("200", ANN, at(0))
    logins.login("201", ANN, at(1))
    assert logins.all == (Login("201", ANN, at(1)),)
    assert (logins.member_at("200"), logins.member_at("201")) == ("", ANN)
    assert logins.phones_of(ANN) == ("201",)


def test_who_logs_in_where_another_is_takes_his_place():
    logins = Logins()
    logins.login("200", ANN, at(0))
    logins.login("200", BOB, at(1))
    assert logins.all == (Login("200", BOB, at(1)),)
    assert logins.phones_of(ANN) == ()


def test_logging_out():
    logins = Logins()
    logins.login("200", ANN, at(0))
    assert logins.logout("200")
    assert not logins.logout("200")
    assert (logins.all, logins.member_at("200"), logins.phones_of(ANN)) == ((), "", ())


@given(st.lists(st.tuples(st.sampled_from(["200", "201", "202"]), st.sampled_from([ANN, BOB, "", CY]))))
def test_both_sides_agree_whatever_happens(steps):
    logins = Logins()
    for minute, (device, member) in enumerate(steps):
        if member:
            logins.login(device, member, at(minute))
            assert logins.member_at(device) == member
        else:
            logins.logout(device)
            assert logins.member_at(device) == ""
        for each in logins.all:
            assert logins.phones_of(each.member) == (each.device,)
            assert logins.member_at(each.device) == each.member
    assert len({each.member for each in logins.all}) == len(logins.all)


@pytest.mark.parametrize(
    ("device", "member", "expected"),
    [
        ("200", ANN, True),
        ("100", ANN, False),
        ("300", ANN, False),
        ("200", CY, False),
        ("200", "dan@acme.example", False),
    ],
    ids=["yes", "no hot desk", "no such phone", "a member without extension", "no such member"],
)
def test_who_may_be_where(device, member, expected):
    assert may_be_at(OFFICE, device, member) is expected


def without(office: Office, kind: str) -> Office:
    hot_desk = office.extension("200")
    changed = {
        "members": {"members": office.members[1:]},
        "extensions": {"extensions": office.extensions[1:]},
        "desk": {"extensions": office.extensions[:2]},
        "phone": {
            "extensions": (*office.extensions[:2], replace(hot_desk, devices=hot_desk.devices[1:])),
        },
        "switch": {"extensions": (*office.extensions[:2], replace(hot_desk, hot_desking=False))},
    }
    return replace(office, **changed[kind])


@pytest.mark.parametrize(
    "kind",
    ["members", "extensions", "desk", "phone", "switch"],
    ids=["the member", "his extension", "the phone's extension", "the phone", "hot desking"],
)
def test_a_login_ends_with_what_it_is_made_of(kind):
    logins = Logins()
    logins.login("200", ANN, at(0))
    assert logins.swap_office(OFFICE) == ()
    assert logins.swap_office(without(OFFICE, kind)) == (Login("200", ANN, at(0)),)
    assert logins.all == ()


def test_what_was_saved_comes_back_as_far_as_the_office_has_it():
    logins = Logins()
    saved = [Login("201", ANN, at(5)), Login("200", ANN, at(1)), Login("100", BOB, at(2))]
    logins.restore(saved, OFFICE)
    assert logins.all == (Login("201", ANN, at(5)),)


ENDS = {
    "never": ("never", "UTC", NOON, None),
    "after eight hours": ("8h", "UTC", NOON, at(480)),
    "today at six": ("18:00", "UTC", NOON, at(360)),
    "six o'clock in Singapore is ten o'clock here: tomorrow": (
        *("18:00", "Asia/Singapore", NOON),
        datetime(2026, 11, 21, 10, tzinfo=UTC),
    ),
    "who logs in at six stays until tomorrow": ("18:00", "UTC", at(360), at(360 + 24 * 60)),
    "a minute before": ("18:00", "UTC", at(359), at(360)),
    "clocks go forward over it: half an hour after they did": (
        *("02:30", "Europe/Berlin", datetime(2026, 3, 28, 20, tzinfo=UTC)),
        datetime(2026, 3, 29, 1, 30, tzinfo=UTC),
    ),
    "clocks go back over it: the first time counts": (
        *("02:30", "Europe/Berlin", datetime(2026, 10, 24, 20, tzinfo=UTC)),
        datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
    ),
    "who logs in between the two stays until tomorrow": (
        *("02:30", "Europe/Berlin", datetime(2026, 10, 25, 1, tzinfo=UTC)),
        datetime(2026, 10, 26, 1, 30, tzinfo=UTC),
    ),
}


@pytest.mark.parametrize(("rule", "zone", "since", "end"), ENDS.values(), ids=ENDS)
def test_when_a_login_ends_by_itself(rule, zone, since, end):
    assert logout_at(since, rule, zone) == end
    if end is not None:
        assert not is_over(since, rule, zone, end - timedelta(seconds=1))
        assert is_over(since, rule, zone, end)


@given(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)))
def test_a_daily_logout_is_never_more_than_a_day_away(since):
    for zone in ("UTC", "Europe/Berlin", "Asia/Singapore", "America/New_York", "Pacific/Apia"):
        for rule in ("00:00", "02:30", "18:00", "23:59"):
            left = logout_at(since, rule, zone) - since
            assert timedelta() < left <= timedelta(hours=25)


def test_only_those_end_whose_time_has_come():
    logins = Logins()
    logins.login("200", ANN, at(0))
    logins.login("201", BOB, at(30))
    assert logins.expire("never", "UTC", at(10**6)) == ()
    assert logins.expire("1h", "UTC", at(59)) == ()
    assert logins.expire("1h", "UTC", at(60)) == (Login("200", ANN, at(0)),)
    assert logins.all == (Login("201", BOB, at(30)),)
