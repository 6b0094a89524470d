"""Legs that ended without their connection are kept for a while: as few as can be, and never too many."""

from types import SimpleNamespace

import pytest

from pbx.call.adrift import KEPT_S, MOST, Adrift
from pbx.deadlines import Deadlines
from tests.call.test_carriers import lose
from tests.call.test_flows import attended
from tests.call.world import World, make_office, talk


def test_of_too_many_the_first_are_given_up():
    timers = Deadlines()
    adrift = Adrift(SimpleNamespace(now=0.0, timers=timers))
    legs = [SimpleNamespace(is_cut=True, name=number) for number in range(MOST + 5)]
    for leg in legs:
        adrift.take(leg)
    assert adrift.legs == legs[5:]
    assert len(timers) == MOST
    for owner, name in timers.pop_due(KEPT_S):
        owner.expire(name)
    assert adrift.legs == []


@pytest.fixture
def world():
    return World(make_office("100", "101", "102"))


def test_a_caller_whose_connection_is_gone_and_who_is_refused_can_be_told_nothing(world):
    ann, bob = world.phone("100"), world.phone("101", port=40001, transport="TCP")
    bob.invite("100")
    lose(world, bob, 40002)
    ann.ring(486)
    assert not world.exchange.calls
    assert list(world.exchange.adrift.legs) == []


def test_a_leg_that_goes_over_to_another_call_is_not_at_its_end(world):
    """An attended transfer to a phone whose connection is gone."""
    ann, bob, eve = world.phone("100"), world.phone("101"), world.phone("102", port=40001, transport="TCP")
    talk(world, ann, bob)
    first = bob.dialog
    talk(world, bob, eve)
    lose(world, eve, 40002)
    attended(bob, first, bob.dialog)
    assert bob.statuses("REFER") == [202]
    assert list(world.exchange.adrift.legs) == []
