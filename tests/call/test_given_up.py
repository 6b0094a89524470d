"""A phone that rang in vain takes no part in the call any more, though the call goes on."""

from dataclasses import replace

import pytest

from pbx.media.orders import Played
from pbx.office.group import Group
from tests.call.voices import endpoint_of, refer
from tests.call.world import Phone, World, make_office, talk

GROUP = Group("600", "Sales", ("102", "101"), "sequence", 15)


@pytest.fixture
def world() -> World:
    return World(replace(make_office("100", "101", "102"), groups=(GROUP,)))


def by_refer(world: World, ann: Phone, bob: Phone, eve: Phone) -> None:
    talk(world, bob, ann)
    refer(world, ann, "102")
    eve.ring()
    world.wait(21.0)


def by_refer_refused(world: World, ann: Phone, bob: Phone, eve: Phone) -> None:
    talk(world, bob, ann)
    refer(world, ann, "102")
    eve.respond(eve.last("INVITE"), 486)


def by_keys(world: World, ann: Phone, bob: Phone, eve: Phone) -> None:
    talk(world, bob, ann)
    world.press("##2102#", endpoint_of(world, ann))
    eve.ring()
    world.wait(21.0)


def by_keys_and_back(world: World, ann: Phone, bob: Phone, eve: Phone) -> None:
    talk(world, bob, ann)
    world.press("##2102#", endpoint_of(world, ann))
    eve.ring()
    world.press("##3", endpoint_of(world, ann))


def from_a_slot(world: World, ann: Phone, bob: Phone, eve: Phone) -> None:
    talk(world, bob, eve)
    refer(world, eve, "*85")
    world.media(Played(endpoint_of(world, eve), world.playing.play, "ended"))
    for notify in eve.all("NOTIFY"):
        eve.respond(notify, 200)
    eve.bye()
    world.wait(181.0)
    eve.ring()
    world.wait(21.0)


def in_a_group(world: World, ann: Phone, bob: Phone, eve: Phone) -> None:
    ann.invite("600")
    eve.ring()
    world.wait(16.0)
    bob.ring()


GIVEN_UP = {
    "a blind transfer that nobody answers": by_refer,
    "a blind transfer that is refused": by_refer_refused,
    "a transfer by keys that nobody answers": by_keys,
    "the transferor by keys goes back while the target rings": by_keys_and_back,
    "a parked call that rings back": from_a_slot,
    "the first of a group that rings one after the other": in_a_group,
}


@pytest.mark.parametrize("story", GIVEN_UP.values(), ids=GIVEN_UP)
def test_it_is_not_busy_with_that_call(world: World, story):
    ann, bob, eve = world.phone("100"), world.phone("101"), world.phone("102")
    story(world, ann, bob, eve)
    assert len(world.exchange.calls) == 1
    assert world.exchange.occupancy.calls("102") == 0
    (call,) = world.exchange.calls.values()
    assert "102" not in [leg.party.key for leg in call.legs]


def test_its_row_says_that_nobody_answered(world: World):
    ann, eve = world.phone("100"), world.phone("102")
    ann.invite("102")
    eve.ring()
    world.wait(21.0)
    for kind, status in (("CANCEL", 200), ("INVITE", 487)):
        eve.respond(eve.last(kind), status)
    _, row = world.records[0].legs
    assert (row.status, row.why) == (487, "nobody answered in time")
