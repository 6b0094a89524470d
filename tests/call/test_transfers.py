"""Transfers that go wrong, and those that ask for more than the plain case (RFC 3515, 3891, 4488, 5589)."""

import pytest

from pbx.media.orders import Join
from tests.call.voices import endpoint_of
from tests.call.world import Phone, World, hang_up, talk


def sipfrags(phone: Phone) -> list[str]:
    return [notify.body.decode().strip() for notify in phone.all("NOTIFY")]


def settle(phone: Phone, **sdp: str) -> None:
    """Answer a renegotiation."""
    phone.respond(phone.last("INVITE"), 200, phone.sdp(5, **sdp))


def let_go(phone: Phone) -> None:
    """Answer every NOTIFY, and hang up."""
    for notify in phone.all("NOTIFY"):
        phone.respond(notify, 200)
    phone.bye()


def refer(phone: Phone, target: str, **headers: str) -> None:
    phone.send(phone.in_dialog("REFER", Refer_To=f"<sip:{target}@pbx.local>", **headers))


def refer_to_dialog(phone: Phone, first: dict[str, str], second: dict[str, str], extra: str = "") -> None:
    """REFER on one call to another one."""
    tags = {name: second[name].partition(";tag=")[2] for name in ("local", "remote")}
    replaces = f"{second['call_id']}%3Bto-tag%3D{tags['remote']}%3Bfrom-tag%3D{tags['local']}{extra}"
    phone.dialog = first
    phone.send(phone.in_dialog("REFER", Refer_To=f"<sip:102@pbx.local?Replaces={replaces}>"))


def replaces_of(dialog: dict[str, str], extra: str = "") -> str:
    tags = {name: dialog[name].partition(";tag=")[2] for name in ("local", "remote")}
    return f"{dialog['call_id']};to-tag={tags['remote']};from-tag={tags['local']}{extra}"


def last_join(world: World) -> Join:
    return [order for order in world.orders if isinstance(order, Join)][-1]


@pytest.mark.parametrize(
    ("refer_to", "status"),
    [
        ("", 400),
        ("<urn:service:sos>", 416),
        ("<sip:102@pbx.local;method=BYE>", 501),
        ("<sip:pbx.local>", 400),
        ("<sip:102", 400),
        ("<sip:102@elsewhere.example>", 404),
        ("<sip:102@pbx.local?Replaces=other%3Bto-tag%3D>", 400),
        ("<sip:102@pbx.local?Replaces=nothing>", 400),
    ],
)
def test_a_refer_that_cannot_be_followed(world, ann, bob, refer_to, status):
    talk(world, ann, bob)
    bob.send(bob.in_dialog("REFER", Refer_To=refer_to) if refer_to else bob.in_dialog("REFER"))
    assert bob.statuses("REFER") == [status]
    hang_up(world, ann, bob)


def test_a_transferor_that_has_forgotten_its_refer_is_told_nothing_more(world, ann, bob, eve):
    talk(world, ann, bob)
    bob.send(bob.in_dialog("REFER", Refer_To="<sip:102@pbx.local>"))
    bob.respond(bob.last("NOTIFY"), 481)
    eve.ring()
    eve.answer()
    assert len(bob.all("NOTIFY")) == 1
    ann.respond(ann.last("INVITE"), 200, ann.sdp(5))
    bob.bye()
    hang_up(world, ann, eve)


def test_a_second_refer_during_the_first_is_491(world, ann, bob, eve):
    talk(world, ann, bob)
    refer(bob, "102")
    refer(bob, "102")
    assert bob.statuses("REFER") == [202, 491]
    eve.answer()
    settle(ann)
    let_go(bob)
    hang_up(world, ann, eve)


def test_a_refer_before_the_answer_to_an_offer_has_come_is_491(world, ann, bob):
    ann.invite("101", "")
    bob.answer()
    ann.early(200)
    refer(ann, "102")
    assert ann.statuses("REFER") == [491]
    ann.ack(ann.sdp())
    hang_up(world, ann, bob)


def test_the_id_of_the_event_tells_refers_apart(world, ann, bob, eve):
    talk(world, ann, bob)
    refer(bob, "999")
    refer(bob, "102")
    events = [notify.headers.get("Event") for notify in bob.all("NOTIFY")]
    assert events[0] == "refer"
    assert events[-1] == f"refer;id={[m for m in bob.received if m.cseq.method == 'REFER'][-1].cseq.number}"
    eve.respond(eve.last("INVITE"), 603)
    for notify in bob.all("NOTIFY"):
        bob.respond(notify, 200)
    states = [notify.headers.get("Subscription-State") for notify in bob.all("NOTIFY")]
    assert states[-1].startswith("terminated")
    hang_up(world, ann, bob)


def test_the_target_never_answers_and_the_call_comes_back(world, ann, bob, eve):
    talk(world, ann, bob)
    refer(bob, "102")
    eve.ring()
    world.wait(21)
    assert sipfrags(bob)[-1].startswith("SIP/2.0 480")
    eve.respond(eve.last("CANCEL"), 200)
    eve.respond(eve.last("INVITE"), 487)
    for notify in bob.all("NOTIFY"):
        bob.respond(notify, 200)
    hang_up(world, ann, bob)


def test_the_transferor_has_left_and_nobody_answers(world, ann, bob, eve):
    talk(world, ann, bob)
    refer(bob, "102")
    let_go(bob)
    eve.respond(eve.last("INVITE"), 486)
    assert "BYE" not in ann.summary()
    world.wait(5.0)  # the busy tone
    assert "BYE" in ann.summary()
    ann.ok("BYE")
    world.assert_nothing_left()


def test_the_transferee_hangs_up_while_the_target_rings(world, ann, bob, eve):
    talk(world, ann, bob)
    refer(bob, "102")
    eve.ring()
    ann.bye()
    assert eve.summary()[-1] == "CANCEL"
    assert sipfrags(bob)[-1].startswith("SIP/2.0 487")
    assert "BYE" in bob.summary()
    bob.ok("BYE")
    for notify in bob.all("NOTIFY"):
        bob.respond(notify, 200)
    eve.respond(eve.last("CANCEL"), 200)
    eve.respond(eve.last("INVITE"), 487)
    world.assert_nothing_left()


def test_the_caller_transfers_as_well(world, ann, bob, eve):
    talk(world, ann, bob)
    refer(ann, "102", Referred_By="<sip:100@pbx.local>")
    invite = eve.last("INVITE")
    assert invite.headers.get("From").startswith('"Phone 101" <sip:101@')
    assert invite.headers.get("Referred-By") == "<sip:100@pbx.local>"
    eve.answer()
    settle(bob)
    let_go(ann)
    hang_up(world, eve, bob)


def test_a_transferor_that_does_not_hang_up_is_hung_up(world, ann, bob, eve):
    talk(world, ann, bob)
    refer(bob, "102")
    eve.answer()
    settle(ann)
    world.wait(4.1)
    assert "BYE" in bob.summary()
    bob.ok("BYE")
    for notify in bob.all("NOTIFY"):
        bob.respond(notify, 200)
    assert "BYE" not in ann.summary()
    hang_up(world, ann, eve)


def test_a_transfer_from_hold_lets_both_hear_again(world, ann, bob, eve):
    talk(world, ann, bob)
    bob.send(bob.in_dialog("INVITE", bob.sdp(2, "sendonly")))
    ann.respond(ann.last("INVITE"), 200, ann.sdp(2, "recvonly"))
    bob.ack()
    refer(bob, "102")
    assert b"a=recvonly" not in eve.last("INVITE").body
    eve.answer()
    assert b"a=sendonly" not in ann.last("INVITE").body
    settle(ann)
    let_go(bob)
    hang_up(world, ann, eve)


def test_a_transferee_without_any_media_lets_the_target_offer(world, ann, bob, eve):
    talk(world, ann, bob)
    ann.send(ann.in_dialog("INVITE", ann.sdp(2, port=0)))
    bob.respond(bob.last("INVITE"), 200, bob.sdp(2, port=0))
    ann.ack()
    refer(bob, "102")
    assert eve.last("INVITE").body == b""
    eve.answer()
    assert b"m=audio" in ann.last("INVITE").body
    settle(ann)
    assert b"m=audio" in eve.last("ACK").body
    let_go(bob)
    hang_up(world, ann, eve)


def test_glare_with_the_renegotiation_after_a_transfer_is_tried_again(world, ann, bob, eve):
    talk(world, ann, bob)
    refer(bob, "102")
    eve.answer()
    refused = ann.last("INVITE")
    ann.respond(refused, 491)
    let_go(bob)
    world.wait(4.1)
    assert ann.last("INVITE").cseq.number == refused.cseq.number + 1
    settle(ann)
    hang_up(world, ann, eve)


def test_a_transferee_that_cannot_take_the_target_s_codec_finds_another(world, ann, bob, eve):
    talk(world, ann, bob)
    refer(bob, "102")
    eve.answer(eve.sdp(formats="0 101"))
    ann.respond(ann.last("INVITE"), 488)
    let_go(bob)
    settle(ann)  # asked for an offer of its own
    settle(eve)
    assert ann.last("ACK")
    hang_up(world, ann, eve)


def test_a_transferee_that_holds_while_the_target_is_asked_for_an_offer_gives_way(world, ann, bob, eve):
    talk(world, ann, bob)
    first = bob.dialog
    talk(world, bob, eve)
    refer_to_dialog(bob, first, bob.dialog)
    eve.respond(eve.last("INVITE"), 488)
    ann.send(ann.in_dialog("INVITE", ann.sdp(2, "sendonly")))
    settle(eve)  # with its own offer
    assert ann.statuses()[-1] == 491
    settle(ann)
    assert eve.last("ACK").body
    bob.ok("BYE")
    bob.dialog = first
    let_go(bob)
    hang_up(world, ann, eve)


def test_an_attended_transfer_of_two_calls_that_the_transferor_received(world, ann, bob, eve):
    talk(world, ann, bob)
    first = bob.dialog
    talk(world, eve, bob)
    second = bob.dialog
    refer_to_dialog(bob, first, second)
    settle(eve)
    settle(ann)
    assert sipfrags(bob)[-1] == "SIP/2.0 200 OK"
    bob.ok("BYE")
    bob.dialog = first
    let_go(bob)
    assert len(world.exchange.calls) == 1
    hang_up(world, ann, eve)


def test_an_attended_transfer_while_both_are_on_hold(world, ann, bob, eve):
    talk(world, ann, bob)
    first = bob.dialog
    bob.send(bob.in_dialog("INVITE", bob.sdp(2, "sendonly")))
    ann.respond(ann.last("INVITE"), 200, ann.sdp(2, "recvonly"))
    bob.ack()
    talk(world, bob, eve)
    second = bob.dialog
    refer_to_dialog(bob, first, second)
    assert b"a=recvonly" not in eve.last("INVITE").body
    settle(eve)
    assert b"a=sendonly" not in ann.last("INVITE").body
    settle(ann)
    bob.ok("BYE")
    bob.dialog = first
    let_go(bob)
    hang_up(world, ann, eve)


def test_a_target_that_leaves_during_the_merge_ends_the_call(world, ann, bob, eve):
    talk(world, ann, bob)
    first = bob.dialog
    talk(world, bob, eve)
    second = bob.dialog
    refer_to_dialog(bob, first, second)
    eve.bye()
    assert "BYE" in ann.summary()
    ann.ok("BYE")
    for bye in bob.all("BYE"):
        bob.respond(bye, 200)
    for notify in bob.all("NOTIFY"):
        bob.respond(notify, 200)
    eve.respond(eve.last("INVITE"), 487)
    world.assert_nothing_left()
    assert {record.state for record in world.records} == {"answered"}


def test_a_refer_to_the_same_call_is_481(world, ann, bob):
    talk(world, ann, bob)
    refer_to_dialog(bob, bob.dialog, bob.dialog)
    assert sipfrags(bob)[-1].startswith("SIP/2.0 481")
    for notify in bob.all("NOTIFY"):
        bob.respond(notify, 200)
    hang_up(world, ann, bob)


# --- INVITE with Replaces (RFC 3891) ----------------------------------------------------------------------


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
    assert last_join(world)
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
