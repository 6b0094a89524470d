"""Calls that reach nobody, and who is transferred to nobody: what is heard, and what becomes of them."""

from typing import Any

import pytest

from pbx.call.questions import (
    HeldMessage,
    ListMessages,
    OpenMailbox,
)
from pbx.media.orders import (
    Play,
    Played,
    StopPlay,
)
from pbx.rules.decision import Reject
from tests.call.voices import (
    AT,
    answers,
    endpoint_of,
    enter,
    hang_up_when_nobody_answers,
    make_world,
    refer,
    ringing_at,
    tone,
)
from tests.call.world import World, talk


@pytest.fixture
def world() -> World:
    return make_world()


@pytest.fixture
def hanging_up(world: World) -> World:
    hang_up_when_nobody_answers(world)
    return world


# --- announcements before the answer


def test_a_caller_hears_why_it_cannot_be_before_he_is_refused(world: World, monkeypatch):
    ann = world.phone("101")
    refusal = Reject(403, "Forbidden", "not allowed", announcement="call-not-allowed")
    monkeypatch.setattr(world.exchange.router, "dialled", lambda caller, key: refusal)
    ann.invite("900")
    assert ann.statuses()[-1] == 183
    assert b"m=audio" in ann.last(183).body
    assert world.heard() == ["information"]
    world.finish()
    assert world.heard() == ["call-not-allowed"]
    world.finish()
    assert ann.statuses()[-1] == 403
    world.assert_nothing_left()


def test_a_caller_who_gives_up_in_the_announcement(world: World, monkeypatch):
    ann = world.phone("101")
    refusal = Reject(403, "Forbidden", "not allowed", announcement="call-not-allowed")
    monkeypatch.setattr(world.exchange.router, "dialled", lambda caller, key: refusal)
    ann.invite("900")
    ann.cancel()
    assert ann.statuses()[-1] == 487
    world.assert_nothing_left()


def test_who_is_transferred_to_nobody_may_leave_a_message(world: World):
    ann, bob, eve = world.phone("101"), world.phone("102"), world.phone("103")
    talk(world, ann, bob)
    world.press("##2103#", endpoint_of(world, ann))
    eve.ring()
    ann.bye()
    world.wait(30.0)
    assert eve.last("CANCEL")
    assert (world.playing.endpoint, world.heard()) == (endpoint_of(world, bob), ["vm-greeting"])
    bob.bye()
    eve.respond(eve.last("CANCEL"), 200)
    eve.respond(eve.last("INVITE"), 487)
    world.assert_nothing_left()


@pytest.mark.parametrize("where", ["*85", "701"])
def test_who_has_switched_his_audio_off_waits_in_silence(world: World, where: str):
    ann, bob = world.phone("101"), world.phone("102")
    talk(world, ann, bob)
    bob.send(bob.in_dialog("INVITE", bob.sdp(2, port=0)))
    ann.ok("INVITE", ann.sdp(2, port=0))
    bob.ack()
    ann.send(ann.in_dialog("REFER", Refer_To=f"<sip:{where}@pbx.local>"))
    for notify in ann.all("NOTIFY"):
        ann.respond(notify, 200)
    ann.bye()
    world.wait(60.0)
    assert len(world.exchange.calls) == 1
    bob.bye()
    world.assert_nothing_left()


# --- what a call that fails sounds like


AROUND_AN_ANNOUNCEMENT = {
    "busy": (486, ["call-not-allowed", "busy"]),
    "congestion": (503, ["call-not-allowed", "congestion"]),
    "nobody there": (480, ["call-not-allowed", "congestion"]),
    "no such number": (404, ["information", "call-not-allowed"]),
    "forbidden": (403, ["information", "call-not-allowed"]),
}


@pytest.mark.parametrize(("status", "sounds"), AROUND_AN_ANNOUNCEMENT.values(), ids=AROUND_AN_ANNOUNCEMENT)
def test_the_tone_around_an_announcement(world: World, monkeypatch, status: int, sounds: list[str]):
    ann = world.phone("101")
    refusal = Reject(status, "", "not allowed", announcement="call-not-allowed")
    monkeypatch.setattr(world.exchange.router, "dialled", lambda caller, key: refusal)
    ann.invite("900")
    assert world.heard()[0] == sounds[0]
    world.finish()
    assert world.heard()[0] == sounds[1]
    if sounds[1] == "call-not-allowed":
        world.finish()
    else:
        assert world.playing.loop
        assert ann.statuses()[-1] == 183
        world.wait(4.1)
    assert ann.statuses()[-1] == status
    world.assert_nothing_left()


@pytest.mark.parametrize(("status", "expected"), [(486, "busy"), (480, "congestion"), (603, "busy")])
def test_call_back_of_somebody_who_does_not_answer(hanging_up: World, status: int, expected: str):
    world = hanging_up
    ann, bob = world.phone("101"), world.phone("102")
    ann.invite("*97")
    ann.ack()
    world.press("18")
    world.finish()
    bob.ring(status)
    assert (tone(world), world.playing.loop) == (expected, True)
    assert not ann.all("BYE")
    world.wait(4.1)
    ann.ok("BYE")
    world.assert_nothing_left()


def test_call_back_of_nobody(world: World):
    def answer(about: Any) -> Any:
        if isinstance(about, ListMessages):
            return [HeldMessage("m1", "999", "", AT, AT, 3.0, "new", "/data/m1.wav")]
        return answers(about)

    world.answer = answer
    ann = world.phone("101")
    ann.invite("*97")
    ann.ack()
    world.press("18")
    world.finish()
    assert tone(world) == "information"
    world.finish()
    assert world.heard() == ["vm-cannot-call-back"]
    world.finish()
    ann.ok("BYE")
    world.assert_nothing_left()


def test_call_back_of_somebody_without_a_phone_is_a_message_for_him(world: World):
    ann = world.phone("101")
    ann.invite("*97")
    ann.ack()
    world.press("18")
    world.finish()
    assert world.heard() == ["vm-greeting"]
    assert OpenMailbox("102") in world.questions


@pytest.mark.parametrize(("dialled", "said"), [("*8671", "park-empty"), ("**102", "pickup-nothing")])
def test_a_code_that_finds_nothing_ends_in_a_tone(world: World, dialled: str, said: str):
    ann = world.phone("101")
    ann.invite(dialled)
    ann.ack()
    assert world.heard() == [said]
    world.finish()
    assert tone(world) == "congestion"
    world.wait(4.1)
    ann.ok("BYE")
    world.assert_nothing_left()


def test_a_locked_room_is_busy(world: World):
    ann, eve = world.phone("101"), world.phone("103")
    first = enter(world, ann)
    world.press("2", first)
    eve.invite("701")
    eve.ack()
    assert world.heard() == ["room-is-locked"]
    world.finish()
    assert tone(world) == "busy"
    world.wait(4.1)
    eve.ok("BYE")
    ann.bye()
    world.assert_nothing_left()


@pytest.mark.parametrize(("status", "expected"), [(486, "busy"), (480, "congestion")])
def test_the_target_of_a_transfer_by_keys_is_heard_to_be_busy(hanging_up: World, status: int, expected: str):
    world = hanging_up
    ann, bob, eve = world.phone("101"), world.phone("102"), world.phone("103")
    talk(world, ann, bob)
    world.press("##2103#", endpoint_of(world, ann))
    eve.ring(status)
    assert tone(world) == expected
    world.wait(2.1)
    assert world.heard() == ["transfer-failed"]
    world.finish()
    assert StopPlay(endpoint_of(world, bob)) in world.orders
    ann.bye()
    bob.ok("BYE")
    world.assert_nothing_left()


# --- who is transferred by REFER


def test_who_is_transferred_hears_the_target_ring(world: World):
    ann, bob, eve = world.phone("101"), world.phone("102"), world.phone("103")
    talk(world, ann, bob)
    refer(world, ann, "103")
    assert not ringing_at(world, bob)
    eve.ring()
    eve.ring()
    assert ringing_at(world, bob)
    assert len([each for each in world.orders if isinstance(each, Play)]) == 1
    eve.answer()
    assert not ringing_at(world, bob)


def test_who_is_held_and_transferred_hears_the_target_ring_and_the_music_again_when_it_fails(
    hanging_up: World,
):
    world = hanging_up
    ann, bob, eve = world.phone("101"), world.phone("102"), world.phone("103")
    talk(world, ann, bob)
    ann.send(ann.in_dialog("INVITE", ann.sdp(2, "inactive")))
    bob.ok("INVITE", bob.sdp(2, "inactive"))
    ann.ack()
    music = world.sounds[-1]
    refer(world, ann, "103")
    eve.ring()
    assert ringing_at(world, bob)
    eve.ring(486)
    assert world.sounds[int(world.playing.stem)] == music
    assert (world.playing.endpoint, world.playing.loop) == (endpoint_of(world, bob), True)


def test_who_is_transferred_hears_a_target_that_rings_already(world: World):
    """An attended transfer before the target has answered."""
    ann, bob, eve = world.phone("101"), world.phone("102"), world.phone("103")
    second = world.phone("101", 5190)
    talk(world, ann, bob)
    second.invite("103")
    eve.ring()
    second.early(180)
    dialog = second.dialog
    tags = [dialog[side].partition(";tag=")[2] for side in ("remote", "local")]
    replaces = f"{dialog['call_id']}%3Bto-tag%3D{tags[0]}%3Bfrom-tag%3D{tags[1]}"
    ann.send(ann.in_dialog("REFER", Refer_To=f"<sip:103@pbx.local?Replaces={replaces}>"))
    assert ringing_at(world, bob)


@pytest.mark.parametrize("target", ["103", "701", "*43"], ids=["voicemail", "room", "echo"])
def test_who_is_held_and_handed_over_to_the_pbx_is_asked_to_speak_again(world: World, target: str):
    ann, bob = world.phone("101"), world.phone("102")
    talk(world, ann, bob)
    ann.send(ann.in_dialog("INVITE", ann.sdp(2, "sendonly")))
    bob.ok("INVITE", bob.sdp(2, "recvonly"))
    ann.ack()
    before = len(world.sounds)
    refer(world, ann, target)
    assert b"a=sendrecv" in bob.last("INVITE").body
    assert len(world.sounds) == before
    bob.ok("INVITE", bob.sdp(3))
    assert len(world.sounds) == before + 1
    assert world.playing.endpoint == endpoint_of(world, bob)
    assert b"200 OK" in ann.last("NOTIFY").body


def test_who_is_held_and_handed_over_and_hangs_up(world: World):
    ann, bob = world.phone("101"), world.phone("102")
    talk(world, ann, bob)
    ann.send(ann.in_dialog("INVITE", ann.sdp(2, "sendonly")))
    bob.ok("INVITE", bob.sdp(2, "recvonly"))
    ann.ack()
    refer(world, ann, "103")
    bob.bye()
    for notify in ann.all("NOTIFY"):
        ann.respond(notify, 200)
    ann.ok("BYE")
    world.assert_nothing_left()


@pytest.mark.parametrize(
    ("has_phone", "transferor_stays"),
    [(True, True), (True, False), (False, True)],
    ids=["does not answer", "does not answer, and the transferor leaves", "has no phone"],
)
def test_who_is_transferred_to_somebody_not_there_leaves_a_message(
    world: World, has_phone: bool, transferor_stays: bool
):
    ann, bob = world.phone("101"), world.phone("102")
    if has_phone:
        world.phone("103")
    talk(world, ann, bob)
    refer(world, ann, "103")
    for notify in ann.all("NOTIFY"):
        ann.respond(notify, 200)
    if has_phone:
        if not transferor_stays:
            ann.bye()
        world.wait(21.0)
    assert (world.playing.endpoint, world.heard()) == (endpoint_of(world, bob), ["vm-greeting"])
    if transferor_stays:
        assert b"200 OK" in ann.last("NOTIFY").body
        ann.respond(ann.last("NOTIFY"), 200)
        world.wait(5.0)
        ann.ok("BYE")  # it did not hang up by itself
    bob.bye()
    assert [(each.key, each.caller) for each in world.missed] == [("103", "102")]


def test_the_end_of_an_earlier_sound_is_not_taken_for_that_of_the_next(hanging_up: World):
    """The media worker tells of it when another dialogue has begun with the same leg."""
    world = hanging_up
    ann, bob, eve = world.phone("101"), world.phone("102"), world.phone("103")
    talk(world, ann, bob)
    world.press("##2103#", endpoint_of(world, ann))
    eve.ring()
    ringing = world.playing
    eve.ring(486)
    assert tone(world) == "busy"
    world.media(Played(ringing.endpoint, ringing.play, "stopped"))
    assert tone(world) == "busy"
