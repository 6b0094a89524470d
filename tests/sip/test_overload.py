"""Overload control: when it begins and ends, whom it turns away, and what is left of a server's capacity."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.sip.overload import CALM, LIMITS_S, PATIENCE, TARGET_S, Kind, Overload
from tests.sip.overload_server import COSTS, Simulation

LONG, SHORT = TARGET_S * 2, TARGET_S / 2

WINDOWS = {
    "no queue": ([0.0] * 50, False),
    "a queue at the target": ([TARGET_S] * 50, False),
    "one garbage collection": ([0.0, 0.3, 0.0], False),
    "one that takes two windows": ([0.0, 0.3, 0.2, 0.0], False),
    "bursts, each worked off": ([LONG, LONG, 0.0] * 20, False),
    "a queue that stands": ([LONG] * PATIENCE, True),
    "a queue that stood, and is short for a moment": ([LONG] * PATIENCE + [SHORT] * (CALM - 1), True),
    "short, but long again in between": (
        [LONG] * PATIENCE + ([SHORT] * (CALM - 1) + [LONG]) * 3,
        True,
    ),
    "a queue that stood, and is gone": ([LONG] * PATIENCE + [SHORT] * CALM, False),
}


@pytest.mark.parametrize(("windows", "is_on"), WINDOWS.values(), ids=WINDOWS)
def test_overload_is_a_queue_that_stands(windows, is_on):
    overload = Overload()
    for least in windows:
        overload.end_window(least)
    assert overload.is_on is is_on


def in_overload() -> Overload:
    overload = Overload()
    for _ in range(PATIENCE):
        overload.end_window(1.0)
    return overload


SHED = {
    "nobody waits": (0.0, set()),
    "as long as may be": (TARGET_S, set()),
    "longer": (TARGET_S + 0.001, {Kind.STRANGER}),
    "that did not help": (0.095, {Kind.STRANGER, Kind.ANSWERED}),
    "nor that": (0.15, {Kind.STRANGER, Kind.ANSWERED, Kind.KNOWN_CALL}),
    "nor that either": (0.19, set(Kind) - {Kind.REGISTER, Kind.KNOWN}),
    "calls are not what it is": (0.25, set(Kind) - {Kind.KNOWN}),
    "nothing helps": (0.35, set(Kind)),
}


@pytest.mark.parametrize(("wait_s", "kinds"), SHED.values(), ids=SHED)
def test_new_calls_go_first_and_registered_phones_last(wait_s, kinds):
    overload = in_overload()
    overload.wait_s = wait_s
    assert {kind for kind in Kind if overload.sheds(kind)} == kinds


def test_without_overload_nobody_is_turned_away_however_long_he_waited():
    overload = Overload()
    overload.end_window(10.0)
    assert not any(overload.sheds(kind) for kind in Kind)


@given(st.lists(st.floats(0.0, 10.0), max_size=60), st.floats(0.0, TARGET_S))
def test_whatever_was_before_a_second_without_a_queue_ends_it(before, calm_s):
    overload = Overload()
    for least in before:
        overload.end_window(least)
    for _ in range(CALM):
        overload.end_window(calm_s)
        assert not overload.sheds(Kind.STRANGER)  # nor is anybody turned away until then
    assert not overload.is_on


@given(st.lists(st.floats(0.0, 1.0), max_size=60), st.floats(0.0, 1.0))
def test_who_is_turned_away_is_always_a_head_of_the_order(windows, wait_s):
    overload = Overload()
    for least in windows:
        overload.end_window(least)
    overload.wait_s = wait_s
    shed = [overload.sheds(kind) for kind in Kind]
    assert shed == sorted(shed, reverse=True)


def test_the_limits_keep_the_order():
    assert list(LIMITS_S) == sorted(LIMITS_S)
    assert len(LIMITS_S) == len(Kind)


# --- a whole server, simulated -----------------------------------------------------------------------------

CALL_S = 0.002
WHOLE = sum(COSTS[each] for each in ("call", "answered", "callee", "ack", "bye"))
HIGHEST = 1 / (CALL_S * WHOLE)  # calls a second that fill it


def best(offered: float, first: str = "call") -> float:
    """The most calls a second that can be answered when turning the others away has its cost too."""
    shed = COSTS["shed"] + COSTS["shed ack"]
    whole = WHOLE - (COSTS["call"] if first == "answered" else 0.0)
    return (1 / CALL_S - offered * shed) / (whole - shed)


def rate(simulation: Simulation, start: float, end: float) -> float:
    return sum(start <= when < end for when in simulation.done) / (end - start)


@pytest.mark.parametrize("is_known", [False, True])
@pytest.mark.parametrize("round_trip_s", [0.001, 0.06])
def test_at_three_times_the_highest_rate_most_of_it_is_left_and_the_end_is_the_end(round_trip_s, is_known):
    simulation = Simulation(CALL_S, round_trip_s, is_known=is_known)
    simulation.run([(8.0, 3 * HIGHEST), (5.0, 0.5 * HIGHEST)])
    assert rate(simulation, 3.0, 8.0) > 0.96 * best(3 * HIGHEST)
    assert max(simulation.shed) < 8.5
    assert simulation.lost == 0
    steady = sorted(wait for when, wait in simulation.waits if 3.0 < when < 8.0)
    assert steady[len(steady) * 99 // 100] < 0.25  # calls in progress are answered long before T1


def test_below_the_highest_rate_nobody_is_turned_away():
    simulation = Simulation(CALL_S)
    simulation.run([(8.0, 0.9 * HIGHEST)])
    assert not simulation.shed
    assert len(simulation.done) == int(8.0 * 0.9 * HIGHEST)


def test_calls_that_come_with_credentials_are_turned_away_when_there_are_no_others():
    simulation = Simulation(CALL_S, is_challenged=False)
    simulation.run([(6.0, 3 * HIGHEST), (3.0, 0.5 * HIGHEST)])
    assert rate(simulation, 3.0, 6.0) > 0.96 * best(3 * HIGHEST, "answered")
    assert max(simulation.shed) < 6.5


def test_without_it_nothing_would_be_answered_in_time():
    """That the simulation shows what it is for."""
    simulation = Simulation(CALL_S)
    simulation.overload.end_window = lambda _: None
    simulation.run([(8.0, 3 * HIGHEST)])
    steady = sorted(wait for when, wait in simulation.waits if 3.0 < when < 8.0)
    assert simulation.lost
    assert steady[len(steady) // 2] > 0.5
