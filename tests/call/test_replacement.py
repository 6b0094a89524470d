"""INVITE with Replaces: somebody takes the place of another one (RFC 3891)."""

import pytest

from pbx.media.orders import Join
from tests.call.voices import endpoint_of
from tests.call.world import hang_up, talk


def replaces_of(dialog: dict[str, str], extra: str = "") -> str:
    tags = {name: dialog[name].partition(";tag=")[2] for name in ("local", "remote")}
    return f"{dialog['call_id']};to-tag={tags['remote']};from-tag={tags['local']}{extra}"


def test_early_only_does_not_take_an_answered_call(world, ann, bob, eve):
    talk(world, ann, bob)
    eve.invite("101", Replaces=replaces_of(bob.dialog, ";early-only"))
    assert eve.statuses()[-1] == 486
    hang_up(world, ann, bob)


def test_a_ringing_call_is_picked_up(world, ann, bob, eve):
    ann.invite("101")
    bob.ring()
    invite = bob.last("INVITE")
    ringing = {
        "call_id": invite.call_id,
        "remote": invite.headers.get("From"),
        "local": f";tag={bob.tag}",
    }
    eve.invite("101", Replaces=replaces_of(ringing, ";early-only"))
    eve.ack()
    ann.ack()
    assert "102" in ann.last(200).headers.get("P-Asserted-Identity")
    assert "completed elsewhere" in bob.last("CANCEL").headers.get("Reason")
    bob.respond(bob.last("CANCEL"), 200)
    bob.respond(invite, 487)
    assert any(isinstance(order, Join) for order in world.orders)
    hang_up(world, eve, ann)


def test_two_replaces_are_400(world, ann, bob, eve):
    talk(world, ann, bob)
    replaces = replaces_of(bob.dialog)
    made = eve.request("INVITE", "sip:101@pbx.local", eve.sdp(), Replaces=replaces)
    made.headers.add("Replaces", replaces)
    eve.send(made)
    assert eve.statuses()[-1] == 400
    hang_up(world, ann, bob)


def test_replaces_in_anything_but_an_invite_is_400(world, ann, bob):
    talk(world, ann, bob)
    ann.send(ann.in_dialog("OPTIONS", Replaces=replaces_of(bob.dialog)))
    assert ann.statuses("OPTIONS") == [400]  # RFC 3891 §3
    hang_up(world, ann, bob)


def test_replaces_of_nothing_is_481(world, ann, bob, eve):
    eve.invite("101", Replaces="nothing;to-tag=a;from-tag=b")
    assert eve.statuses()[-1] == 481
    world.assert_nothing_left()


def test_replaces_of_a_call_that_we_have_not_begun_is_481(world, ann, bob, eve):
    ann.invite("101")
    bob.ring()
    early = ann.last(180)
    dialog = {
        "call_id": early.call_id,
        "local": early.headers.get("From"),
        "remote": early.headers.get("To"),
    }
    eve.invite("101", Replaces=replaces_of(dialog))
    assert eve.statuses()[-1] == 481
    bob.answer()
    ann.ack()
    hang_up(world, ann, bob)


def test_a_taker_that_gives_up_leaves_the_call_as_it_was(world, ann, bob, eve):
    talk(world, ann, bob)
    eve.invite("101", Replaces=replaces_of(bob.dialog))
    eve.cancel()
    assert eve.statuses()[-1] == 487
    ann.respond(ann.last("INVITE"), 200, ann.sdp(2))
    assert "BYE" not in ann.summary()
    assert "BYE" not in bob.summary()
    hang_up(world, ann, bob)


def test_a_taker_without_an_offer(world, ann, bob, eve):
    talk(world, ann, bob)
    eve.invite("101", "", Replaces=replaces_of(bob.dialog))
    assert ann.last("INVITE").body == b""
    ann.respond(ann.last("INVITE"), 200, ann.sdp(2))
    assert b"m=audio" in eve.last(200).body
    eve.ack(eve.sdp())
    assert b"m=audio" in ann.last("ACK").body
    bob.ok("BYE")
    hang_up(world, eve, ann)


def test_a_taker_whose_offer_is_refused(world, ann, bob, eve):
    talk(world, ann, bob)
    eve.invite("101", Replaces=replaces_of(bob.dialog))
    ann.respond(ann.last("INVITE"), 488)
    assert eve.statuses()[-1] == 488
    assert "BYE" not in bob.summary()
    hang_up(world, ann, bob)


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("place", ["who waits", "who asks"])
def test_nobody_takes_a_place_while_somebody_is_asked_for_by_keys(world, ann, bob, eve, place, is_first):
    talk(world, ann, bob)
    old, peer = (ann, bob) if place == "who waits" else (bob, ann)
    asking = endpoint_of(world, bob)
    if is_first:
        world.press("##2", asking)
    eve.invite("101", Replaces=replaces_of(old.dialog))
    if not is_first:
        world.press("##2", asking)
        peer.respond(peer.last("INVITE"), 200, peer.sdp(2))
    assert eve.statuses()[-1] == 491
    world.wait(30.0)  # no key comes
    assert "BYE" not in (*ann.summary(), *bob.summary())
    hang_up(world, ann, bob)
