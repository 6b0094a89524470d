"""Parked calls: put there, fetched, and rung back when nobody fetches them."""

import pytest

from pbx.call.parking import Lot
from pbx.media.orders import (
    Join,
    Play,
    Played,
)
from pbx.sip.flow import Flow
from pbx.sip.message import Request
from tests.call.voices import endpoint_of, looping_at, make_world, refer
from tests.call.world import Phone, World, talk


@pytest.fixture
def world() -> World:
    return make_world()


def test_park_by_transfer_and_fetch(world: World):
    ann, bob, eve = world.phone("101"), world.phone("102"), world.phone("103")
    talk(world, ann, bob)
    ann.send(ann.in_dialog("REFER", Refer_To="<sip:*85@pbx.local>"))
    assert ann.statuses("REFER") == [202]
    a, b = endpoint_of(world, ann), endpoint_of(world, bob)
    told = next(each for each in world.orders if isinstance(each, Play) and each.endpoint == a)
    music = next(each for each in world.orders if isinstance(each, Play) and each.endpoint == b)
    assert music.loop
    assert b"200 OK" not in ann.last("NOTIFY").body
    world.media(Played(a, told.play, "ended"))
    assert b"200 OK" in ann.last("NOTIFY").body
    for notify in ann.all("NOTIFY"):
        ann.respond(notify, 200)
    ann.bye()
    eve.invite("*8671")
    eve.ack()
    bob.ok("INVITE", bob.sdp(2))
    eve.ok("INVITE", eve.sdp(2))
    assert len(world.exchange.calls) == 1
    eve.bye()
    bob.ok("BYE")
    world.assert_nothing_left()


def test_park_by_an_attended_transfer(world: World):
    """Who parks hears the slot first, and puts the other side there by REFER with Replaces."""
    ann, bob = world.phone("101"), world.phone("102")
    second = world.phone("101", 5190)  # ann's phone, its second line
    talk(world, ann, bob)
    second.invite("*85")
    second.ack()
    assert world.heard() == ["park-parked"]
    dialog = second.dialog
    tags = [dialog[side].partition(";tag=")[2] for side in ("remote", "local")]
    replaces = f"{dialog['call_id']}%3Bto-tag%3D{tags[0]}%3Bfrom-tag%3D{tags[1]}"
    ann.send(ann.in_dialog("REFER", Refer_To=f"<sip:*85@pbx.local?Replaces={replaces}>"))
    assert b"200 OK" in ann.last("NOTIFY").body
    for notify in ann.all("NOTIFY"):
        ann.respond(notify, 200)
    second.ok("BYE")
    ann.bye()
    assert world.playing.endpoint == endpoint_of(world, bob)
    eve = world.phone("103")
    eve.invite("*8671")
    eve.ack()
    bob.ok("INVITE", bob.sdp(2))
    eve.ok("INVITE", eve.sdp(2))
    eve.bye()
    bob.ok("BYE")
    world.assert_nothing_left()


def test_an_empty_slot(world: World):
    ann = world.phone("101")
    ann.invite("*8671")
    ann.ack()
    assert world.heard() == ["park-empty"]


# --- parked callers whom nobody fetches


def park(world: World, parker: Phone, parked: Phone) -> None:
    """By a blind transfer to the code."""
    talk(world, parker, parked)
    refer(world, parker, "*85")
    world.media(Played(endpoint_of(world, parker), world.playing.play, "ended"))
    for notify in parker.all("NOTIFY"):
        parker.respond(notify, 200)
    parker.bye()


def invites(phone: Phone) -> int:
    """How often it was called."""
    return len({each.call_id for each in phone.all("INVITE")})


def test_a_parked_call_rings_who_parked_it_after_three_minutes(world: World):
    ann, bob = world.phone("101"), world.phone("102")
    park(world, ann, bob)
    world.wait(179.0)
    assert not ann.all("INVITE")
    world.wait(2.0)
    invite = ann.last("INVITE")
    assert "102" in invite.headers.get("From")
    ann.ring()
    music = looping_at(world, bob)
    assert music is not None
    assert world.sounds[int(music.stem)] == world.exchange.services.phrases.music()
    ann.answer()
    bob.ok("INVITE", bob.sdp(2))
    ann.ok("INVITE", ann.sdp(2))
    assert world.exchange.services.lot.free_slot() == "71"
    call = next(iter(world.exchange.calls.values()))
    assert {leg.party.key for leg in call.talk or ()} == {"101", "102"}
    ann.bye()
    bob.ok("BYE")
    world.assert_nothing_left()


class Refreshed(Phone):
    """Answers the re-INVITEs that keep its session alive."""

    def take(self, data: bytes, flow: Flow) -> None:
        super().take(data, flow)
        message = self.received[-1]
        if (
            isinstance(message, Request)
            and message.method == "INVITE"
            and "tag=" in (message.headers.get("To") or "")
        ):
            self.respond(message, 200, self.sdp(1 + len(self.all("INVITE"))))


@pytest.mark.parametrize("status", [180, 486])
def test_a_parked_call_stays_parked_when_who_parked_it_does_not_answer(world: World, status: int):
    """It rings again every three minutes, and after half an hour it is over."""
    ann, bob = world.phone("101"), world.phone("102", kind=Refreshed)
    park(world, ann, bob)
    world.wait(1.0)
    rings_s = 21.0 if status == 180 else 0.0
    for count in range(1, 10):
        world.wait(180.0 - rings_s * (count > 1))
        assert invites(ann) == count
        ann.ring(status)
        if rings_s:
            world.wait(rings_s)
            ann.respond(ann.last("CANCEL"), 200)
            ann.respond(ann.last("INVITE"), 487)
        assert world.exchange.services.lot.free_slot() == "72"
        assert not world.missed
    assert not bob.all("BYE")
    world.wait(180.0)
    bob.ok("BYE")
    assert world.exchange.services.lot.free_slot() == "71"
    world.assert_nothing_left()


@pytest.mark.parametrize("who", ["hangs up", "is fetched"])
def test_a_parked_caller_leaves_while_who_parked_him_rings(world: World, who: str):
    ann, bob, eve = world.phone("101"), world.phone("102"), world.phone("103")
    park(world, ann, bob)
    world.wait(181.0)
    ann.ring()
    if who == "hangs up":
        bob.bye()
    else:
        eve.invite("*8671")
        eve.ack()
        bob.ok("INVITE", bob.sdp(2))
        eve.ok("INVITE", eve.sdp(2))
    assert ann.last("CANCEL")
    ann.respond(ann.last("CANCEL"), 200)
    ann.respond(ann.last("INVITE"), 487)
    if who == "is fetched":
        eve.bye()
        bob.ok("BYE")
    world.assert_nothing_left()


def test_who_parked_an_own_call_is_not_rung(world: World):
    """Who dials the code waits himself: nobody put him there."""
    ann = world.phone("101")
    ann.invite("*85")
    ann.ack()
    world.finish()
    world.wait(200.0)
    assert not ann.all("INVITE")
    world.wait(1700.0)
    ann.ok("BYE")
    world.assert_nothing_left()


def test_a_call_parked_by_an_attended_transfer_rings_who_parked_it(world: World):
    ann, bob = world.phone("101"), world.phone("102")
    second = world.phone("101", 5190)
    talk(world, ann, bob)
    second.invite("*85")
    second.ack()
    dialog = second.dialog
    tags = [dialog[side].partition(";tag=")[2] for side in ("remote", "local")]
    replaces = f"{dialog['call_id']}%3Bto-tag%3D{tags[0]}%3Bfrom-tag%3D{tags[1]}"
    ann.send(ann.in_dialog("REFER", Refer_To=f"<sip:*85@pbx.local?Replaces={replaces}>"))
    for notify in ann.all("NOTIFY"):
        ann.respond(notify, 200)
    second.ok("BYE")
    ann.bye()
    world.wait(181.0)
    assert invites(ann) == 1
    assert invites(second) == 1


@pytest.mark.parametrize("leaves", [False, True])
def test_no_slot_is_free_for_who_is_transferred_there(world: World, monkeypatch, leaves: bool):
    """The transfer has failed: its transferor has the call back, and may do something else with it."""
    monkeypatch.setattr(Lot, "free_slot", lambda _lot: None)
    ann, bob = world.phone("101"), world.phone("102")
    talk(world, ann, bob)
    refer(world, ann, "*85")
    assert world.heard() == ["park-no-slot"]
    assert ann.last("NOTIFY").body.startswith(b"SIP/2.0 503")
    for notify in ann.all("NOTIFY"):
        ann.respond(notify, 200)
    if not leaves:
        refer(world, ann, "999")
        assert ann.last("NOTIFY").body.startswith(b"SIP/2.0 404")
        ann.respond(ann.last("NOTIFY"), 200)
    ann.bye()
    bob.ok("BYE")
    world.assert_nothing_left()


def test_no_slot_is_free_and_who_transfers_there_has_left(world: World, monkeypatch):
    """Who was on hold is asked to speak again first, and meanwhile nobody is left who could have him back."""
    monkeypatch.setattr(Lot, "free_slot", lambda _lot: None)
    ann, bob = world.phone("101"), world.phone("102")
    talk(world, ann, bob)
    ann.send(ann.in_dialog("INVITE", ann.sdp(2, "sendonly")))
    bob.ok("INVITE", bob.sdp(2, "recvonly"))
    ann.ack()
    refer(world, ann, "*85")
    for notify in ann.all("NOTIFY"):
        ann.respond(notify, 200)
    ann.bye()
    bob.ok("INVITE", bob.sdp(3))
    assert world.heard() == ["park-no-slot"]
    assert ann.last("NOTIFY").body.startswith(b"SIP/2.0 503")
    ann.respond(ann.last("NOTIFY"), 200)
    world.finish()
    world.wait(5.0)  # the tone after it
    bob.ok("BYE")
    world.assert_nothing_left()


def test_a_parked_phone_that_renegotiates_while_it_rings_back_hears_its_music_alone(world: World):
    ann, bob = world.phone("101"), world.phone("102")
    park(world, ann, bob)
    world.wait(181.0)
    ann.ring(183, ann.sdp(7))
    before = [each for each in world.orders if isinstance(each, Join)]
    bob.send(bob.in_dialog("INVITE", bob.sdp(2, "sendonly")))
    assert bob.statuses()[-1] == 200
    bob.ack()
    assert [each for each in world.orders if isinstance(each, Join)] == before


def test_who_cannot_be_answered_fetches_nobody(world: World):
    """Whom he wanted waits on in his slot."""
    ann, bob, eve = world.phone("101"), world.phone("102"), world.phone("103")
    park(world, ann, bob)
    eve.invite("*8671", eve.sdp(formats="18"))
    assert eve.statuses()[-1] == 488
    assert world.exchange.services.lot.free_slot() == "72"
    world.wait(181.0)
    assert invites(ann) == 1
    ann.answer()
    bob.ok("INVITE", bob.sdp(2))
    ann.ok("INVITE", ann.sdp(2))
    ann.bye()
    bob.ok("BYE")
    world.assert_nothing_left()
