"""Conference rooms and transfers: who is in a room lets somebody else in, in his own place."""

import pytest

from pbx.media.orders import Mix, Play, Played
from tests.call.voices import endpoint_of, make_world
from tests.call.world import Phone, World, talk

OPEN, WITH_PIN = "701", "700"


@pytest.fixture
def world() -> World:
    return make_world()


def enter(world: World, phone: Phone, room: str) -> None:
    """Give the PIN, where there is one, and go in."""
    phone.invite(room)
    phone.ack()
    endpoint = world.playing.endpoint
    if room == WITH_PIN:
        world.finish()
        world.press("1234#", endpoint)
    say_all(world, endpoint)
    assert Mix(endpoint, f"room {room}") in world.orders


def say_all(world: World, endpoint: str) -> list[str]:
    """Somebody has heard what he was told last, which is that."""
    play = [each for each in world.orders if isinstance(each, Play) and each.endpoint == endpoint][-1]
    world.media(Played(endpoint, play.play, "ended"))
    return world.heard(int(play.stem))


def replaces(phone: Phone) -> str:
    """The dialog of its call, for a Refer-To."""
    dialog = phone.dialog
    tags = [dialog[side].partition(";tag=")[2] for side in ("remote", "local")]
    return f"{dialog['call_id']}%3Bto-tag%3D{tags[0]}%3Bfrom-tag%3D{tags[1]}"


@pytest.mark.parametrize("is_held", [False, True], ids=["talking", "held"])
@pytest.mark.parametrize("room", [OPEN, WITH_PIN])
def test_a_member_lets_somebody_in_by_an_attended_transfer(world: World, room: str, is_held: bool):
    ann, bob, eve = world.phone("101"), world.phone("102"), world.phone("103")
    second = world.phone("101", 5190)  # ann's phone, its second line
    enter(world, eve, room)
    talk(world, ann, bob)
    if is_held:
        ann.send(ann.in_dialog("INVITE", ann.sdp(2, "sendonly")))
        bob.ok("INVITE", bob.sdp(2, "recvonly"))
        ann.ack()
    enter(world, second, room)
    ann.send(ann.in_dialog("REFER", Refer_To=f"<sip:{room}@pbx.local?Replaces={replaces(second)}>"))
    if is_held:
        bob.ok("INVITE", bob.sdp(3))
    assert b"200 OK" in ann.last("NOTIFY").body
    for notify in ann.all("NOTIFY"):
        ann.respond(notify, 200)
    second.ok("BYE")
    ann.bye()
    assert say_all(world, endpoint_of(world, bob)) == ["room-others"]
    assert Mix(endpoint_of(world, bob), f"room {room}") in world.orders
    bob.bye()
    eve.bye()
    assert world.exchange.services.rooms == []
    world.assert_nothing_left()


def test_who_is_put_into_a_locked_room_by_a_member_takes_his_place(world: World):
    ann, bob = world.phone("101"), world.phone("102")
    second = world.phone("101", 5190)
    enter(world, second, OPEN)
    world.press("2", endpoint_of(world, second))
    talk(world, ann, bob)
    ann.send(ann.in_dialog("REFER", Refer_To=f"<sip:{OPEN}@pbx.local?Replaces={replaces(second)}>"))
    assert b"200 OK" in ann.last("NOTIFY").body
    for notify in ann.all("NOTIFY"):
        ann.respond(notify, 200)
    second.ok("BYE")
    ann.bye()
    assert world.exchange.services.rooms == [OPEN]
    bob.bye()
    assert world.exchange.services.rooms == []
    world.assert_nothing_left()
