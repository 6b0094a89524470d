"""Calls leave nothing for the cyclic garbage collector, whose pauses hold up all others.

Every flow of the other tests runs here once more.
"""

import gc
from inspect import getmembers, isfunction, signature
from weakref import ref

import pytest

from pbx.sip.client_request import ClientRequest
from tests.call import (
    test_flows,
    test_hostile,
    test_opening,
    test_renegotiation,
    test_requests,
    test_transfers,
)
from tests.call.world import World, hang_up, make_office, talk

KEYS = {"ann": "100", "bob": "101", "eve": "102"}
FLOWS = {
    name: flow
    for module in (test_flows, test_hostile, test_opening, test_renegotiation, test_requests, test_transfers)
    for name, flow in getmembers(module, isfunction)
    if name.startswith("test_")
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


def test_a_call_that_is_over_is_let_go_while_its_transactions_live(world):
    """They live for 32 s: what they hold is what a busy server's memory is full of."""
    ann, bob = world.phone("100"), world.phone("101")
    talk(world, ann, bob)
    (call,) = world.exchange.calls.values()
    gone = [ref(call), *(ref(leg) for leg in call.legs)]
    del call
    ann.bye()
    bob.ok("BYE")
    assert len(world.exchange.stack.layer) > 0
    assert [each() for each in gone] == [None] * 3


def test_a_message_that_is_answered_is_let_go_while_its_transactions_live(world):
    """An answer is waited for 32 s, and its copies are for 5 s more: many messages of 64 kB would be kept."""
    ann, bob = world.phone("100"), world.phone("101")
    talk(world, ann, bob)
    ann.send(ann.in_dialog("INFO", "x" * 60_000, Content_Type="text/plain"))
    bob.ok("INFO")
    assert len(world.exchange.stack.layer) > 0
    kept = [each.request for each in gc.get_objects() if type(each) is ClientRequest]
    assert [request.method for request in kept if request.method != "INVITE"] == []
    hang_up(world, ann, bob)


def test_who_keeps_what_it_has_asked_is_let_go_by_the_answer(world):
    bob, flows = world.phone("101"), []

    def ask():
        request = bob.request("OPTIONS", "sip:101@192.0.2.9", call_id="asked")
        sent = world.exchange.stack.send(request, bob.flow, lambda _response: flows.append(sent.flow))

    ask()
    world.perform(world.exchange.expire(world.now))
    bob.ok("OPTIONS")
    assert flows == [bob.flow]
    assert garbage(world) == []
