import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pbx.entropy import SeededEntropy
from pbx.errors import NoPortError, UsageError
from pbx.rtp.port_pool import QUARANTINE_S, TRUST_S, PortPool


def pool(first=10000, last=10007, **more):
    return PortPool(first, last, SeededEntropy(), **more)


def take_all(ports, now=0.0):
    taken = []
    while True:
        try:
            taken.append(ports.take(now))
        except NoPortError:
            return taken


RANGES = {
    "even to odd": ((10000, 10007), [10000, 10002, 10004, 10006]),
    "an odd first port begins at the next pair": ((10001, 10005), [10002, 10004]),
    "an even last port has no partner": ((10000, 10002), [10000]),
    "one port is no pair": ((10000, 10000), []),
}


@pytest.mark.parametrize(("bounds", "expected"), RANGES.values(), ids=RANGES)
def test_pairs_lie_within_the_range(bounds, expected):
    assert sorted(take_all(pool(*bounds))) == expected


def test_the_order_is_shuffled():
    assert take_all(pool(10000, 10199)) != sorted(take_all(pool(10000, 10199)))


def test_a_freed_pair_rests():
    ports = pool(10000, 10001)
    assert ports.take(0.0) == 10000
    ports.free(10000, 1.0)
    with pytest.raises(NoPortError, match="1 resting"):
        ports.take(5.9)
    assert ports.take(6.0) == 10000


def test_a_quarantined_pair_rests_longer():
    ports = pool(10000, 10001)
    ports.quarantine(ports.take(0.0), 0.0, seconds=60.0)
    assert take_all(ports, 59.9) == []
    assert take_all(ports, 60.0) == [10000]


def test_a_pair_that_somebody_else_has_is_passed_over_for_a_while():
    busy = {10002, 10006}
    ports = pool(is_free=lambda port: port not in busy)
    assert sorted(take_all(ports)) == [10000, 10004]
    busy.clear()
    assert take_all(ports, QUARANTINE_S - 0.1) == []
    assert sorted(take_all(ports, QUARANTINE_S)) == [10002, 10006]


def test_a_pair_that_somebody_has_taken_since_it_was_ours_is_passed_over():
    busy = set()
    ports = pool(10000, 10003, is_free=lambda port: port not in busy, looked_at=0.0)
    ours = ports.take(1.0)
    ports.free(ours, 2.0)
    busy.add(ours)
    assert take_all(ports, 60.0) == [port for port in (10000, 10002) if port != ours]


def test_so_many_are_looked_at_a_second():
    asked = []
    ports = pool(is_free=lambda port: not asked.append(port), looked_at=0.0, looks_a_second=2)
    taken = [ports.take(now) for now in (1.0, 1.5, 1.9, 2.0)]
    assert asked == [taken[0], taken[1], taken[3]]


def asked_about(taken, freed, again, **more):
    """Which times a pool of one looks at it, with more to do than it may look at all of them."""
    asked = []
    ports = pool(10000, 10001, is_free=lambda port: not asked.append(port), looks_a_second=0, **more)
    ports.take(taken)
    first = bool(asked)
    ports.free(10000, freed)
    ports.take(again)
    return first, len(asked) - first


TRUST = {
    "of a pair never looked at nothing is known": ({}, 0.0, 1.0, 9.0, (True, False)),
    "what was just nobody's still is": (
        {"looked_at": 0.0},
        TRUST_S - 1,
        TRUST_S,
        TRUST_S + 9,
        (False, False),
    ),
    "what was somebody's is asked about": (
        {"looked_at": 0.0, "in_use": {10001}},
        *(1.0, 2.0, 9.0),
        (True, False),
    ),
    "but not for ever": ({"looked_at": 0.0}, TRUST_S, TRUST_S, TRUST_S + 9, (True, False)),
    "nor is what was ours": ({}, 0.0, 1.0, 1.0 + TRUST_S, (True, True)),
}


@pytest.mark.parametrize(("more", "taken", "freed", "again", "expected"), TRUST.values(), ids=TRUST)
def test_in_a_hurry_what_is_known_is_not_asked(more, taken, freed, again, expected):
    assert asked_about(taken, freed, again, **more) == expected


def test_a_pair_that_could_not_be_bound_is_looked_at_before_it_is_used_again():
    busy = set()
    ports = pool(10000, 10001, is_free=lambda port: port not in busy, looked_at=0.0)
    ports.quarantine(ports.take(1.0), 1.0)
    busy.add(10000)
    assert take_all(ports, 1.0 + QUARANTINE_S) == []


def test_what_was_not_taken_cannot_be_freed():
    with pytest.raises(UsageError):
        pool().free(10000, 0.0)


@settings(max_examples=100)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 7), st.floats(0, 3)), max_size=60))
def test_no_pair_is_had_twice_or_lost(steps):
    ports = pool(10000, 10015)
    now, taken = 0.0, []
    for is_taking, index, pause in steps:
        now += pause
        if is_taking:
            try:
                port = ports.take(now)
            except NoPortError:
                continue
            assert port not in taken
            taken.append(port)
        elif taken:
            ports.free(taken.pop(index % len(taken)), now)
        assert len(ports) == len(taken)
        assert len(ports) + ports.available == 8
