"""Logins at hot-desk phones and requests for caller IDs, in both databases."""

from dataclasses import replace

import pytest

from pbx.office.device import Device
from pbx.office.extension import Extension
from pbx.office.member import Member
from pbx.office.snapshot import Office
from pbx.store.caller_ids import CallerIds, DecidedError, Request
from pbx.store.hot_desk import HotDesk, LoginRow

ANN, BOB = LoginRow("200", "ann@acme.example", 2000.5), LoginRow("201", "bob@acme.example", 1000.0)
FIRST = Request("a", "100", "+6591234567", "pending", 1000.0)
SECOND = Request("b", "101", "+6591234567", "pending", 2000.0)


@pytest.fixture
def requests(store):
    kept = CallerIds(store)
    for request in (SECOND, FIRST):
        assert kept.add(request) == request
    return kept


def test_logins_are_replaced_as_a_whole(store):
    logins = HotDesk(store)
    assert logins.load() == []
    logins.replace([ANN, BOB])
    assert logins.load() == [BOB, ANN]
    logins.replace([ANN])
    assert logins.load() == [ANN]
    logins.replace([])
    assert logins.load() == []


def test_requests_come_back_the_oldest_first(requests):
    assert requests.all() == [FIRST, SECOND]
    assert requests.approved() == {}


def test_who_asks_again_has_the_request_that_there_is(requests):
    assert requests.add(replace(FIRST, id="c", requested_at=3000.0)) == FIRST
    requests.decide("a", "rejected", "ann@acme.example", 1500.0)
    again = replace(FIRST, id="c", requested_at=3000.0)
    assert requests.add(again) == again


def test_what_is_approved_may_be_shown_until_it_is_rejected(requests):
    approved = requests.decide("a", "approved", "ann@acme.example", 1500.0)
    assert approved == replace(FIRST, state="approved", decided_at=1500.0, decided_by="ann@acme.example")
    assert requests.approved() == {"100": {"+6591234567"}}
    requests.decide("a", "rejected", "bob@acme.example", 1600.0)
    assert requests.approved() == {}


def test_nothing_is_decided_twice(requests):
    requests.decide("a", "rejected", "ann@acme.example", 1500.0)
    for request_id, state, why in (
        ("a", "approved", "request a is rejected already"),
        ("x", "approved", "there is no request x"),
    ):
        with pytest.raises(DecidedError, match=why):
            requests.decide(request_id, state, "ann@acme.example", 1600.0)
    requests.decide("b", "approved", "ann@acme.example", 1500.0)
    with pytest.raises(DecidedError, match="request b is approved already"):
        requests.decide("b", "approved", "ann@acme.example", 1600.0)


def test_what_belongs_to_nobody_any_more_goes_with_the_office(store, requests):
    logins = HotDesk(store)
    logins.replace([ANN, BOB])
    members = (Member("ann@acme.example"), Member("bob@acme.example"))
    desks = tuple(Extension(key, devices=(Device("ip_phone", key),)) for key in ("100", "200", "201"))
    store.save(Office(members=members, extensions=desks))
    assert (logins.load(), requests.all()) == ([BOB, ANN], [FIRST])
    store.save(Office(members=members[:1], extensions=desks))
    assert logins.load() == [ANN]
    store.save(Office(members=members[:1], extensions=desks[2:]))
    assert (logins.load(), requests.all()) == ([], [])
