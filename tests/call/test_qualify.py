"""Registered phones are asked by OPTIONS whether they are there."""

import pytest

from pbx.sip.message import make_response
from tests.call.world import World, make_office


def contact_of(phone) -> str:
    return phone.contact.strip("<>")


def is_there(world: World, phone) -> bool | None:
    return world.exchange.qualifier.is_reachable(phone.username, contact_of(phone))


def trip_s(world: World, phone) -> float | None:
    return world.exchange.qualifier.round_trip(phone.username, contact_of(phone))


def test_a_phone_is_asked_a_moment_after_it_has_registered_and_then_every_minute(world, ann):
    assert (is_there(world, ann), ann.all("OPTIONS")) == (None, [])
    world.wait(2.5)
    assert (is_there(world, ann), len(ann.all("OPTIONS"))) == (True, 1)
    world.wait(66.0)
    assert len(ann.all("OPTIONS")) == 2
    assert ann.last("OPTIONS").uri == contact_of(ann)


def test_a_phone_that_is_silent_is_not_there_until_it_answers_again(world, ann, bob):
    ann.drops = True
    world.wait(40.0)
    assert (is_there(world, ann), trip_s(world, ann)) == (False, None)
    assert is_there(world, bob) is True
    ann.drops = False
    world.wait(70.0)
    assert is_there(world, ann) is True


def test_an_answer_tells_how_far_away_a_phone_is(world, ann):
    ann.drops = True
    world.wait(2.1)
    asked = ann.last("OPTIONS")
    world.wait(0.25)
    ann.send(make_response(asked, 200, to_tag="late"))
    assert 0.25 <= trip_s(world, ann) <= 0.5


@pytest.mark.parametrize("status", [200, 486, 501])
def test_whatever_is_answered_the_phone_is_there(world, ann, status):
    ann.drops = True
    world.wait(2.1)
    ann.send(make_response(ann.last("OPTIONS"), status, to_tag="x"))
    assert is_there(world, ann) is True


def test_a_phone_that_has_gone_is_forgotten_also_when_it_answers_late(world, ann):
    world.wait(60.0)
    ann.drops = True
    asked = len(ann.all("OPTIONS"))
    world.wait(10.0)
    assert len(ann.all("OPTIONS")) > asked
    ann.register(expires=0)
    world.wait(70.0)
    ann.send(make_response(ann.all("OPTIONS")[asked], 200, to_tag="x"))
    assert (is_there(world, ann), trip_s(world, ann)) == (None, None)
    count = len(ann.all("OPTIONS"))
    world.wait(200.0)
    assert len(ann.all("OPTIONS")) == count


def test_of_two_phones_of_a_device_each_is_known_by_its_contact():
    world = World(make_office("100", "101"))
    one, other = world.phone("100", 5100), world.phone("100", 5101)
    other.drops = True
    world.wait(40.0)
    assert (is_there(world, one), is_there(world, other)) == (True, False)
    other.register(expires=0)
    world.wait(70.0)
    assert (is_there(world, one), is_there(world, other)) == (True, None)
