"""Our registration at a carrier: every input in every state, refresh, back-off, and the next target."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pbx.entropy import SeededEntropy
from pbx.sip.flow import Flow
from pbx.sip.registration import (
    BASE_S,
    EXPIRES_S,
    LOST_S,
    MAX_S,
    REFUSED_S,
    TRANSITIONS,
    Input,
    Registration,
    SendRegister,
    State,
)
from tests.support.messages import make_answer, make_register

US = ("192.0.2.1", 5060)
FIRST, SECOND, THIRD = (Flow("UDP", (f"198.51.100.{n}", 5060), US) for n in (1, 2, 3))
CONTACT = "sip:acme@192.0.2.1:5060"


def make(*targets):
    machine = Registration(SeededEntropy(3))
    machine.targets = targets
    return machine


def answer(machine, status, now, **headers):
    response = make_answer(make_register(), status, **headers)
    return machine.receive_response(response, machine._attempt, CONTACT, now)


def sent(effects):
    """The REGISTERs among effects, in short."""
    return [(each.flow.peer[0][-1], each.expires_s) for each in effects if isinstance(each, SendRegister)]


def test_it_is_refreshed_before_what_was_granted_is_over():
    machine = make(FIRST)
    assert sent(machine.go(100.0)) == [("1", EXPIRES_S)]
    assert answer(machine, 200, 101.0, Contact=f"<{CONTACT}>;expires=300") == []
    assert machine.state is State.REGISTERED
    assert machine.expires_at == 401.0
    assert 101 + 240 <= machine.deadline <= 101 + 270
    assert machine.expire(machine.deadline - 0.1) == []
    assert sent(machine.expire(machine.deadline)) == [("1", EXPIRES_S)]
    assert machine.expires_at == 401.0  # it is still there


GRANTED = {
    "what our Contact says": ({"Contact": f"<sip:other@h>;expires=9, <{CONTACT}>;expires=120"}, 120),
    "what Expires says": ({"Contact": f"<{CONTACT}>", "Expires": "90"}, 90),
    "what the only Contact says, rewritten on its way": (
        {"Contact": "<sip:acme@203.0.113.1>;expires=60"},
        60,
    ),
    "what we asked for": ({}, EXPIRES_S),
    "the longest of several, rewritten on their way: ours is the newest": (
        {"Contact": "<sip:old@203.0.113.1>;expires=3, <sip:acme@203.0.113.1>;expires=80"},
        80,
    ),
    "nonsense is what we asked for": ({"Contact": f"<{CONTACT}>;expires=soon"}, EXPIRES_S),
    "a Contact that is none": ({"Contact": "<<", "Expires": "70"}, 70),
    "a year is a day": ({"Expires": "31536000"}, 86_400),
}


@pytest.mark.parametrize(("headers", "seconds"), GRANTED.values(), ids=GRANTED)
def test_how_long_the_binding_lives(headers, seconds):
    machine = make(FIRST)
    machine.go(0.0)
    answer(machine, 200, 0.0, **headers)
    assert machine.expires_at == seconds


@pytest.mark.parametrize("seconds", [0, 9])
def test_a_binding_that_hardly_lives_is_a_failure(seconds):
    machine = make(FIRST, SECOND)
    machine.go(0.0)
    brief = {"Contact": f"<{CONTACT}>;expires={seconds}"}
    assert sent(answer(machine, 200, 0.5, **brief)) == [("2", EXPIRES_S)]
    assert answer(machine, 200, 1.0, **brief) == []
    assert machine.state is State.WAITING
    assert machine.why == f"200 OK for {seconds} s only"
    assert machine.expires_at == 0.0
    assert 1 + BASE_S / 2 <= machine.deadline <= 1 + BASE_S
    machine.expire(machine.deadline)
    answer(machine, 200, 100.0)
    assert (machine.state, machine.why) == (State.REGISTERED, "")


def test_the_end_of_a_binding_is_no_failure():
    machine = make(FIRST, SECOND)
    machine.go(0.0)
    answer(machine, 200, 0.5)
    machine.stop(1.0)
    assert sent(answer(machine, 200, 1.5, Contact=f"<{CONTACT}>;expires=0")) == []
    assert machine.state is State.GONE


def test_too_brief_asks_for_longer_once_in_a_round():
    machine = make(FIRST)
    machine.go(0.0)
    assert sent(answer(machine, 423, 0.1, Min_Expires="1800")) == [("1", 1800)]
    assert sent(answer(machine, 423, 0.2, Min_Expires="3600")) == []
    assert machine.state is State.REFUSED
    assert sent(machine.expire(machine.deadline)) == [("1", 1800)]  # remembered


@pytest.mark.parametrize("headers", [{}, {"Min_Expires": "60"}, {"Min_Expires": "x"}])
def test_too_brief_without_sense_is_a_refusal(headers):
    machine = make(FIRST)
    machine.go(0.0)
    assert answer(machine, 423, 0.1, **headers) == []
    assert machine.state is State.REFUSED


@pytest.mark.parametrize("status", [401, 403, 404, 407, 480, 603])
def test_a_refusal_is_tried_again_slowly(status):
    machine = make(FIRST, SECOND)
    machine.go(0.0)
    assert answer(machine, status, 1.0) == []
    assert (machine.state, machine.status) == (State.REFUSED, status)
    assert str(status) in machine.why
    assert 1 + REFUSED_S / 2 <= machine.deadline <= 1 + REFUSED_S
    assert len(sent(machine.expire(machine.deadline))) == 1


@pytest.mark.parametrize("status", [408, 500, 503, 504])
def test_a_failure_goes_to_the_next_target_then_waits(status):
    machine = make(FIRST, SECOND)
    machine.go(0.0)
    assert sent(answer(machine, status, 1.0)) == [("2", EXPIRES_S)]
    assert answer(machine, status, 2.0) == []
    assert machine.state is State.WAITING
    assert 2 + BASE_S / 2 <= machine.deadline <= 2 + BASE_S
    assert sent(machine.expire(machine.deadline)) == [("1", EXPIRES_S)]


def test_it_stays_where_it_is_registered_and_goes_on_from_there():
    machine = make(FIRST, SECOND)
    machine.go(0.0)
    answer(machine, 503, 1.0)
    answer(machine, 200, 2.0)
    machine.targets = (THIRD, FIRST, SECOND)  # the DNS says it in another order
    assert sent(machine.expire(machine.deadline)) == [("2", EXPIRES_S)]
    assert sent(answer(machine, 503, 900.0)) == [("3", EXPIRES_S)]


@given(failures=st.integers(1, 40), seed=st.integers(0, 2**32))
@example(failures=40, seed=0)
def test_pauses_double_up_to_half_an_hour(failures, seed):
    machine = Registration(SeededEntropy(seed))
    machine.targets, now = (FIRST,), 0.0
    machine.go(now)
    for round_ in range(failures):
        answer(machine, 503, now)
        longest = min(MAX_S, BASE_S * 2**round_)
        assert longest / 2 - 1e-6 <= machine.deadline - now <= longest + 1e-6
        now = machine.deadline
        assert len(sent(machine.expire(now))) == 1
    answer(machine, 200, now)
    machine.expire(machine.deadline)
    answer(machine, 503, now)
    assert machine.deadline - now <= BASE_S + 1e-6  # begins anew after a success


def test_retry_after_is_the_least_pause_whoever_of_the_targets_says_it():
    machine = make(FIRST, SECOND)
    machine.go(0.0)
    answer(machine, 503, 1.0, Retry_After="500 (maintenance)")
    answer(machine, 408, 2.0)
    assert machine.deadline == 502.0
    machine.expire(502.0)
    answer(machine, 408, 503.0)
    answer(machine, 408, 504.0)
    assert machine.deadline <= 504 + 2 * BASE_S


def test_a_lost_connection_is_made_good_but_not_at_any_rate():
    machine = make(FIRST)
    machine.go(0.0)
    answer(machine, 200, 0.0)
    machine.lose(5.0)
    assert LOST_S <= machine.deadline <= LOST_S + 1
    machine.expire(machine.deadline)
    answer(machine, 200, 31.0)
    machine.lose(200.0)
    assert 200 <= machine.deadline <= 201


def test_another_target_that_answers_is_better_than_one_that_does_not():
    machine = make(FIRST, SECOND)
    machine.go(0.0)
    answer(machine, 200, 0.0)
    assert machine.move(FIRST, 1.0) == []
    assert sent(machine.move(SECOND, 1.0)) == [("2", EXPIRES_S)]


def test_leaving_takes_the_binding_back():
    machine = make(FIRST)
    machine.go(0.0)
    answer(machine, 200, 0.0)
    assert sent(machine.stop(1.0)) == [("1", 0)]
    assert (machine.state, machine.expires_at, machine.deadline) == (State.LEAVING, 0.0, None)
    answer(machine, 503, 2.0)
    assert machine.state is State.GONE


def test_what_an_earlier_attempt_brings_counts_no_more():
    machine = make(FIRST)
    machine.go(0.0)
    machine.go(1.0)
    late = make_answer(make_register(), 403)
    machine.receive_response(late, 1, CONTACT, 2.0)
    assert machine.state is State.REGISTERING
    assert machine.receive_response(make_answer(make_register(), 100), 2, CONTACT, 2.0) == []


def test_without_any_way_it_waits():
    machine = make()
    machine.go(0.0)
    assert (machine.state, machine.status) == (State.WAITING, 0)
    first = machine.deadline
    machine.expire(first)
    assert machine.state is State.WAITING
    assert machine.deadline > first


@pytest.mark.parametrize("left", [(), (FIRST,)], ids=["no way", "fewer ways"])
def test_what_is_too_brief_is_asked_for_longer_where_it_was_though_that_is_no_way_any_more(left):
    machine = make(FIRST, SECOND)
    machine.go(0.0)
    assert sent(answer(machine, 503, 1.0)) == [("2", 600)]
    machine.targets = left
    assert sent(answer(machine, 423, 2.0, Min_Expires="1800")) == [("2", 1800)]


def walk(kind, machine, now):
    """Let `kind` happen."""
    if kind is Input.GO:
        machine.targets = (FIRST, SECOND)
        machine.go(now)
    elif kind is Input.NOWHERE:
        machine.targets = ()
        machine.go(now)
    elif kind is Input.LOST:
        machine.lose(now)
    elif kind is Input.STOP:
        machine.stop(now)
    elif kind is Input.TIMER:
        machine.targets = machine.targets or (FIRST,)
        machine.expire(machine.deadline if machine.deadline is not None else now)
    else:
        status = {Input.ACCEPTED: 200, Input.TOO_BRIEF: 423, Input.REFUSED: 403, Input.NEXT: 500}.get(
            kind, 408
        )
        if kind is Input.FAILED:
            machine._next = len(machine.targets)
        answer(machine, status, now, Min_Expires="1800")


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("kind", Input)
def test_every_input_in_every_state(state, kind):
    machine = make(FIRST, SECOND)
    machine.flow = FIRST
    machine.state = state
    machine.deadline = 5.0 if state in (State.REGISTERED, State.WAITING, State.REFUSED) else None
    walk(kind, machine, 10.0)
    if (
        kind is Input.TIMER
        and machine.deadline is None
        and state not in (State.REGISTERED, State.WAITING, State.REFUSED)
    ):
        assert machine.state is state  # no timer runs
        return
    if state is State.LEAVING and kind in (Input.TOO_BRIEF, Input.REFUSED, Input.NEXT):
        kind = Input.FAILED  # whatever the answer is, we are off
    row = TRANSITIONS.get((state, kind))
    assert machine.state is (row[1] if row is not None else state)


@given(st.lists(st.tuples(st.sampled_from(list(Input)), st.floats(0.1, 5000)), max_size=40))
def test_whatever_comes_it_tries_again_or_is_gone(script):
    machine, now = make(FIRST, SECOND), 0.0
    for kind, pause in script:
        now += pause
        walk(kind, machine, now)
        is_waiting = machine.state in (State.REGISTERED, State.WAITING, State.REFUSED)
        assert (machine.deadline is not None) == is_waiting
        assert machine.deadline is None or machine.deadline <= now + 86_401


def test_two_registrations_are_not_refreshed_at_one_moment():
    deadlines = []
    for seed in range(8):
        machine = Registration(SeededEntropy(seed))
        machine.targets = (FIRST,)
        machine.go(0.0)
        answer(machine, 200, 0.0)
        deadlines.append(machine.deadline)
    assert all(one != other for one, other in pairwise(sorted(deadlines)))
