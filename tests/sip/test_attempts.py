"""The limiter of wrong passwords (product §1, [limits] failed_auth)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbx.sip.attempts import AttemptLimiter, network_of

PHONE, OTHER = "192.0.2.7", "192.0.2.8"


def fail(limiter, times, address=PHONE, username="100", now=0.0):
    for _ in range(times):
        limiter.record(address, username, now)


def test_a_name_that_no_device_can_have_is_not_remembered():
    """Ten thousand of 60 kB would fill the memory."""
    limiter = AttemptLimiter(10)
    for number in range(10):
        limiter.record(PHONE, f"{number}{'x' * 60_000}", 0.0)
    assert len(limiter) == 1
    assert limiter.is_refused(PHONE, None, 1.0, is_registered=False)


CASES = {
    "ten wrong passwords are enough": (10, {"now": 1.0}, True),
    "nine are not": (9, {"now": 1.0}, False),
    "the whole address is refused, whoever asks": (10, {"username": "101", "now": 1.0}, True),
    "and without credentials too": (10, {"username": None, "now": 1.0}, True),
    "another address is not": (10, {"address": OTHER, "now": 1.0}, False),
    "until five minutes are over": (10, {"now": 299.9}, True),
    "and no longer": (10, {"now": 300.0}, False),
    "where a phone is registered, the account that fails is refused": (
        10,
        {"now": 1.0, "registered": True},
        True,
    ),
    "but no other account": (10, {"username": "101", "now": 1.0, "registered": True}, False),
    "nor a request without credentials": (10, {"username": None, "now": 1.0, "registered": True}, False),
    "nor that account from elsewhere": (10, {"address": OTHER, "now": 1.0, "registered": True}, False),
    "nine of an account are not enough either": (9, {"now": 1.0, "registered": True}, False),
}


@pytest.mark.parametrize(("failures", "request_", "expected"), CASES.values(), ids=CASES)
def test_who_is_refused(failures, request_, expected):
    limiter = AttemptLimiter(10)
    fail(limiter, failures)
    asked = {"address": PHONE, "username": "100", "registered": False, **request_}
    assert (
        limiter.is_refused(asked["address"], asked["username"], asked["now"], asked["registered"]) is expected
    )


def test_the_window_slides():
    limiter = AttemptLimiter(3)
    for moment in (0.0, 100.0, 200.0):
        limiter.record(PHONE, "100", moment)
    assert limiter.is_refused(PHONE, "100", 299.0, False)
    assert not limiter.is_refused(PHONE, "100", 300.0, False)
    limiter.record(PHONE, "100", 300.0)
    assert limiter.is_refused(PHONE, "100", 399.0, False)


def test_different_names_of_one_address_add_up_but_not_where_a_phone_is_registered():
    limiter = AttemptLimiter(3)
    for username in ("100", "101", "102"):
        limiter.record(PHONE, username, 0.0)
    assert limiter.is_refused(PHONE, "100", 1.0, False)
    assert not limiter.is_refused(PHONE, "100", 1.0, True)


def test_a_user_who_finds_the_password_starts_anew_and_the_address_does_not():
    limiter = AttemptLimiter(3)
    fail(limiter, 3)
    limiter.succeeded(PHONE, "100")
    assert not limiter.is_refused(PHONE, "100", 1.0, True)
    assert limiter.is_refused(PHONE, "100", 1.0, False)


def test_a_failure_without_a_name_counts_for_its_address():
    limiter = AttemptLimiter(2)
    fail(limiter, 2, username=None)
    assert limiter.is_refused(PHONE, None, 1.0, False)


def test_zero_refuses_nobody_and_remembers_nothing():
    limiter = AttemptLimiter(0)
    fail(limiter, 100)
    assert not limiter.is_refused(PHONE, "100", 0.0, False)
    assert len(limiter) == 0


NETWORKS = {
    "192.0.2.7": "192.0.2.7",
    "2001:db8:0:1::7": "2001:db8:0:1::/64",
    "2001:db8:0:1:ffff:ffff:ffff:ffff": "2001:db8:0:1::/64",
    "2001:db8:0:2::7": "2001:db8:0:2::/64",
    "::ffff:192.0.2.7": "192.0.2.7",
    "fe80::1%eth0": "fe80::/64",
    "::1": "::/64",
}


@pytest.mark.parametrize(("address", "network"), NETWORKS.items())
def test_what_counts_as_one_address(address, network):
    assert network_of(address) == network


def test_an_ipv6_host_gains_nothing_by_changing_its_address():
    limiter = AttemptLimiter(10)
    for host in range(10):
        limiter.record(f"2001:db8::{host:x}", "100", 0.0)
    assert limiter.is_refused("2001:db8::ffff", "100", 1.0, False)
    assert not limiter.is_refused("2001:db8:0:1::1", "100", 1.0, False)


def test_memory_is_bounded_and_who_failed_last_is_kept():
    limiter = AttemptLimiter(1, capacity=100)
    for host in range(1000):
        limiter.record(f"10.0.{host // 256}.{host % 256}", f"user{host}", 0.0)
    assert len(limiter) <= 200
    assert limiter.is_refused("10.0.3.231", "x", 1.0, False)
    assert not limiter.is_refused("10.0.0.0", "x", 1.0, False)


def test_who_fails_again_is_remembered_longer():
    limiter = AttemptLimiter(1, capacity=3)
    for host in (1, 2, 3, 1, 4):
        limiter.record(f"192.0.2.{host}", "100", 0.0)
    refused = [host for host in range(1, 5) if limiter.is_refused(f"192.0.2.{host}", "100", 1.0, False)]
    assert refused == [1, 3, 4]


def test_a_flood_of_names_does_not_make_an_address_forgotten():
    limiter = AttemptLimiter(3, capacity=10)
    fail(limiter, 3, address=OTHER)
    for number in range(1000):
        limiter.record(PHONE, f"user{number}", 1.0)
    assert limiter.is_refused(OTHER, "100", 2.0, False)


def test_what_is_over_is_forgotten():
    limiter = AttemptLimiter(3)
    for host in range(50):
        limiter.record(f"192.0.2.{host}", "100", 0.0)
    for host in range(50, 100):
        limiter.record(f"192.0.2.{host}", "100", 1000.0)
    assert len(limiter) == 2 * 50


@given(
    st.lists(
        st.tuples(st.floats(0, 100), st.sampled_from([PHONE, OTHER]), st.sampled_from("abc")), max_size=60
    ),
    st.integers(1, 5),
)
@settings(max_examples=100)
def test_refused_exactly_when_the_last_window_holds_enough(steps, allowed):
    limiter = AttemptLimiter(allowed, window_s=50.0)
    now, seen = 0.0, []
    for pause, address, username in steps:
        now += pause
        recent = [(a, u) for when, a, u in seen if when > now - 50.0]
        by_address = sum(a == address for a, _ in recent) >= allowed
        by_account = sum(one == (address, username) for one in recent) >= allowed
        assert limiter.is_refused(address, username, now, False) == by_address
        assert limiter.is_refused(address, username, now, True) == by_account
        limiter.record(address, username, now)
        seen.append((now, address, username))
