"""Calls of phones without a common codec, which the PBX translates: hold, resume, renegotiation."""

import pytest

from pbx.media.orders import Digit, Mix, Play, SendDigit
from tests.call.voices import endpoint_of, make_world
from tests.call.world import Phone, World

ONE, OTHER = "8 101", "9 101"  # PCMA and G.722


@pytest.fixture
def world() -> World:
    return make_world()


def formats(message: object) -> list[str]:
    """Those of the audio line."""
    body: bytes = message.body  # type: ignore[attr-defined]  # a Request or Response
    return body.partition(b"m=audio ")[2].partition(b"\r\n")[0].decode().split()[2:]


def refuse_all_but_own(phone: Phone) -> None:
    """488 to each offer without G.722."""
    while "9" not in formats(phone.last("INVITE")):
        before = len(phone.all("INVITE"))
        phone.ring(488)
        assert len(phone.all("INVITE")) == before + 1, phone.summary()


def talk(world: World) -> tuple[Phone, Phone]:
    """Ann has called Bob."""
    ann, bob = world.phone("101"), world.phone("102")
    ann.invite("102", ann.sdp(formats=ONE))
    refuse_all_but_own(bob)
    bob.answer(bob.sdp(formats=OTHER))
    ann.ack()
    return ann, bob


def renegotiate(asking: Phone, asked: Phone, direction: str, version: int) -> None:
    """`asking` wants another direction, and `asked` takes what it can."""
    own, other = (ONE, OTHER) if asking.username == "101" else (OTHER, ONE)
    asking.send(asking.in_dialog("INVITE", asking.sdp(version, direction, own)))
    assert other.split()[0] in formats(asked.last("INVITE"))
    mirrored = {"sendonly": "recvonly", "sendrecv": "sendrecv"}[direction]
    asked.ok("INVITE", asked.sdp(version, mirrored, other))
    answer = asking.last(200)
    assert answer.cseq.method == "INVITE"
    assert formats(answer) == own.split()
    assert f"a={mirrored}".encode() in answer.body
    asking.ack()


@pytest.mark.parametrize("is_caller", [True, False], ids=["the caller holds", "the callee holds"])
def test_hold_and_resume(world: World, is_caller: bool):
    phones = talk(world)
    one, other = phones if is_caller else phones[::-1]
    renegotiate(one, other, "sendonly", 2)
    music = world.orders[-1]
    assert isinstance(music, Play)
    assert music.endpoint == endpoint_of(world, other)
    renegotiate(one, other, "sendrecv", 3)
    room = next(iter(world.exchange.calls))
    for phone in phones:
        mixes = [
            order for order in world.orders if getattr(order, "endpoint", "") == endpoint_of(world, phone)
        ]
        assert Mix(endpoint_of(world, phone), room) in mixes
    one.bye()
    other.ok("BYE")
    world.assert_nothing_left()


def test_an_offerless_reinvite_is_offered_what_the_pbx_translates(world: World):
    ann, bob = talk(world)
    ann.send(ann.in_dialog("INVITE"))
    bob.ok("INVITE", bob.sdp(2, formats=OTHER))
    assert formats(ann.last(200))[:1] == ["9"]
    assert "8" in formats(ann.last(200))
    ann.ack(ann.sdp(2, formats=ONE))
    assert formats(bob.last("ACK")) == OTHER.split()
    ann.bye()
    bob.ok("BYE")
    world.assert_nothing_left()


def test_a_hold_that_is_refused_all_the_same_leaves_the_call_up(world: World):
    ann, bob = talk(world)
    ann.send(ann.in_dialog("INVITE", ann.sdp(2, "sendonly", ONE)))
    bob.ring(488)
    assert ann.statuses()[-1] == 488
    renegotiate(ann, bob, "sendonly", 3)
    ann.bye()
    bob.ok("BYE")
    world.assert_nothing_left()


# --- keys


@pytest.mark.parametrize(("at_ticks", "is_passed_on"), [(4320, True), (None, False)], ids=["event", "tone"])
def test_a_key_pressed_as_an_event_is_passed_on(world: World, at_ticks: int | None, is_passed_on: bool):
    """A tone is translated like all that is said."""
    ann, bob = talk(world)
    world.media(Digit(endpoint_of(world, ann), "5", at_ticks))
    assert (SendDigit(endpoint_of(world, bob), "5") in world.orders) == is_passed_on


def test_who_transfers_by_keys_and_who_waits_do_not_hear_each_other_meanwhile(world: World):
    ann, bob = talk(world)
    a, b = endpoint_of(world, ann), endpoint_of(world, bob)
    for number, key in enumerate("##2"):
        world.media(Digit(a, key, number))
    assert [order for order in world.orders if isinstance(order, Mix)][-2:] == [Mix(a, ""), Mix(b, "")]
    before = len(world.orders)
    for number, key in enumerate("102#"):  # himself, and so he comes back
        world.media(Digit(a, key, 9 + number))
    assert not any(isinstance(order, SendDigit) for order in world.orders[before:])


def test_who_is_held_and_transferred_to_a_phone_with_another_codec_is_asked_to_speak_again(world: World):
    ann, bob, eve = world.phone("101"), world.phone("102"), world.phone("103")
    second = world.phone("101", 5190)  # ann's phone, its second line
    ann.invite("102", ann.sdp(formats=ONE))
    bob.answer(bob.sdp(formats=ONE))
    ann.ack()
    ann.send(ann.in_dialog("INVITE", ann.sdp(2, "sendonly", ONE)))
    bob.ok("INVITE", bob.sdp(2, "recvonly", ONE))
    ann.ack()
    second.invite("103", second.sdp(formats=ONE))
    refuse_all_but_own(eve)
    eve.answer(eve.sdp(formats=OTHER))
    second.ack()
    tags = [second.dialog[side].partition(";tag=")[2] for side in ("remote", "local")]
    replaces = f"{second.dialog['call_id']}%3Bto-tag%3D{tags[0]}%3Bfrom-tag%3D{tags[1]}"
    ann.send(ann.in_dialog("REFER", Refer_To=f"<sip:103@pbx.local?Replaces={replaces}>"))
    take_offers({bob: ONE, eve: OTHER})
    legs = [leg for call in world.exchange.calls.values() for leg in call.legs]
    assert not any(leg.media.is_held for leg in legs if leg.party.key != "101")
    for phone in (bob, eve):
        assert any(
            isinstance(order, Mix) and order.endpoint == endpoint_of(world, phone) for order in world.orders
        )
    for notify in ann.all("NOTIFY"):
        ann.respond(notify, 200)
    second.ok("BYE")
    ann.bye()
    bob.bye()
    eve.ok("BYE")
    world.assert_nothing_left()


def take_offers(phones: dict[Phone, str]) -> None:
    """Each answers what it is offered as long as anything is, by its one codec or by 488."""
    answered: set[int] = set()
    for at in range(3, 20):
        for phone, own in phones.items():
            invite = phone.last("INVITE")
            if id(invite) in answered or ";tag=" not in (invite.headers.get("To") or ""):
                continue
            answered.add(id(invite))
            if not invite.body or own.split()[0] in formats(invite):
                phone.ok("INVITE", phone.sdp(at, formats=own))
            else:
                phone.ring(488)
