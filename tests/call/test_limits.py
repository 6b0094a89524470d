"""The limits of pbx.toml on new calls, each alone and where they meet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.call.limits import SET_UPS, Brake, CallFacts, Cause, refuse_call

CASES = {
    "nothing is the matter": (CallFacts(), None),
    "one below the limit of calls": (CallFacts(calls=499, most_calls=500), None),
    "at it": (CallFacts(calls=500, most_calls=500), Cause.CALLS),
    "above it, as emergency calls make it": (CallFacts(calls=501, most_calls=500), Cause.CALLS),
    "no limit of calls": (CallFacts(calls=10**6, most_calls=0), None),
    "the brake": (CallFacts(is_braked=True), Cause.CALLS_PER_SECOND),
    "one below what a device may hold": (CallFacts(set_ups=SET_UPS - 1), None),
    "a device with too many": (CallFacts(set_ups=SET_UPS), Cause.DEVICE),
    "calls and brake": (CallFacts(calls=5, most_calls=5, is_braked=True), Cause.CALLS),
    "device and calls: it is told of itself": (
        CallFacts(calls=5, most_calls=5, set_ups=SET_UPS),
        Cause.DEVICE,
    ),
    "all of them": (CallFacts(calls=5, most_calls=5, is_braked=True, set_ups=SET_UPS), Cause.DEVICE),
    "emergency at the limit of calls": (CallFacts(is_emergency=True, calls=5, most_calls=5), None),
    "emergency under the brake": (CallFacts(is_emergency=True, is_braked=True), None),
    "emergency from a device with too many": (CallFacts(is_emergency=True, set_ups=SET_UPS), None),
    "emergency against all of them": (
        CallFacts(is_emergency=True, calls=5, most_calls=5, is_braked=True, set_ups=10 * SET_UPS),
        None,
    ),
}


@pytest.mark.parametrize(("facts", "cause"), CASES.values(), ids=CASES)
def test_what_stands_against_a_call(facts, cause):
    assert refuse_call(facts) is cause


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.booleans(), st.integers(0, 10**6))
def test_nothing_stands_against_an_emergency_call(calls, most_calls, is_braked, set_ups):
    assert refuse_call(CallFacts(True, calls, most_calls, is_braked, set_ups)) is None


def test_the_brake_lets_a_second_of_calls_go_at_once_and_then_its_rate():
    brake = Brake(4)
    taken = []
    for tick in range(100):  # 10 calls a second are wanted, for 10 s
        now = 50.0 + tick / 10
        if not brake.is_on(now):
            brake.take()
            taken.append(now)
    assert [now - 50.0 for now in taken[:4]] == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert 4 * 9.9 <= len(taken) <= 4 * 10.9


def test_no_brake():
    brake = Brake(0)
    for _ in range(1000):
        assert not brake.is_on(1.0)
        brake.take()


def test_emergency_calls_owe_the_brake_nothing():
    brake = Brake(1)
    for _ in range(50):
        brake.take()
    assert brake.is_on(0.0)
    assert not brake.is_on(1.0)
