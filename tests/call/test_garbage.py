"""Calls leave nothing for the cyclic garbage collector, whose pauses hold up all others.

Every flow of the other tests runs here once more.
"""

import gc
from inspect import getmembers, isfunction, signature

import pytest

from tests.call import (
    test_flows,
    test_hostile,
    test_opening,
    test_renegotiation,
    test_requests,
    test_transfers,
)
from tests.call.world import World, make_office, talk

KEYS = {"ann": "100", "bob": "101", "eve": "102"}
# In these, `Exchange.ring` keeps an error whose traceback keeps its frame.
NOT_YET = {
    "test_without_a_port_for_the_callee_nothing_rings",
    "test_phones_of_a_fork_that_get_no_port_leave_the_others_ringing",
}
FLOWS = {
    name: flow
    for module in (test_flows, test_hostile, test_opening, test_renegotiation, test_requests, test_transfers)
    for name, flow in getmembers(module, isfunction)
    if name.startswith("test_")
    and name not in NOT_YET
    and not hasattr(flow, "pytestmark")
    and {"world", "ann"} <= signature(flow).parameters.keys() <= {"world", *KEYS}
}


@pytest.fixture
def world():
    """Nothing of older tests is found, and nothing is collected unseen."""
    gc.collect()
    gc.disable()
    yield World(make_office(*KEYS.values()))
    gc.enable()


def garbage(world):
    """What only the collector frees, once the last timer has expired."""
    world.assert_nothing_left()
    world.wait(2000.0)  # heaps forget a timer that was stopped when its time has come
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        return sorted({type(each).__qualname__ for each in gc.garbage if "pbx" in type(each).__module__})
    finally:
        gc.set_debug(0)
        gc.garbage.clear()


@pytest.mark.parametrize("name", FLOWS)
def test_no_garbage_after(world, name):
    phones = {each: world.phone(KEYS[each]) for each in KEYS if each in signature(FLOWS[name]).parameters}
    FLOWS[name](world=world, **phones)
    assert garbage(world) == []


def test_garbage_would_be_noticed(world):
    ann, bob = world.phone("100"), world.phone("101")
    talk(world, ann, bob)
    (call,) = world.exchange.calls.values()
    call.legs[0].itself = call.legs[0]
    del call
    ann.bye()
    bob.ok("BYE")
    assert "Leg" in garbage(world)
