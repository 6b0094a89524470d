"""How a call begins: early and late offers, reliable provisional responses, forks, CANCEL and refusals."""

from dataclasses import replace

import pytest

from pbx.media.orders import Join, OpenEndpoint
from pbx.office.group import Group
from pbx.office.snapshot import Office
from pbx.rtp.port_pool import PortPool
from tests.call.world import DOMAIN, World, hang_up, make_extension, talk


def joins(world) -> set[tuple[str, str]]:
    return {(order.a, order.b) for order in world.orders if isinstance(order, Join)}


# --- reliable provisional responses (RFC 3262) ------------------------------------------------------------


def test_a_caller_that_requires_100rel_gets_its_180_reliably_too(world, ann, bob):
    ann.invite("101", Require="100rel")
    bob.ring()
    assert ann.last(180).headers.get("Require") == "100rel"
    assert ann.last(180).body == b""
    ann.prack(180)
    assert ann.statuses("PRACK") == [200]
    bob.answer()
    assert b"m=audio" in ann.last(200).body
    ann.ack()
    hang_up(world, ann, bob)


def test_a_second_reliable_response_waits_for_the_prack_of_the_first(world, ann, bob):
    ann.invite("101", Require="100rel")
    bob.ring()
    bob.ring(183, bob.sdp())
    assert 183 not in ann.statuses()
    first = int(ann.last(180).headers.get("RSeq"))
    ann.prack(180)
    assert int(ann.last(183).headers.get("RSeq")) == first + 1
    ann.prack(183)
    bob.answer()
    ann.ack()
    hang_up(world, ann, bob)


def test_a_prack_with_another_rack_is_481_and_the_right_one_still_counts(world, ann, bob):
    ann.invite("101", Supported="100rel")
    bob.ring(183, bob.sdp())
    ann.early(183)
    ann.send(ann.in_dialog("PRACK", RAck=f"1 {ann.sent_invite.cseq.number} INVITE"))
    assert ann.statuses("PRACK") == [481]
    ann.prack(183)
    assert ann.statuses("PRACK") == [481, 200]
    bob.answer()
    ann.ack()
    hang_up(world, ann, bob)


@pytest.mark.parametrize("ending", ["refused", "cancelled", "hung up", "cancelled after the answer"])
def test_a_prack_that_crosses_our_refusal_is_taken(world, ann, bob, ending):
    """RFC 3262 §3: we "MUST be prepared to process PRACK requests for those outstanding responses"."""
    ann.invite("101", Supported="100rel")
    bob.ring(183, bob.sdp())
    if ending == "refused":
        bob.respond(bob.last("INVITE"), 486)
    elif ending == "hung up":
        ann.early(183)
        ann.bye()
    else:
        if ending == "cancelled after the answer":
            bob.answer()
        ann.cancel()
    assert ann.statuses()[-1] == (486 if ending == "refused" else 487)
    ann.prack(183)
    ann.prack(183)
    assert ann.statuses("PRACK") == [200, 481]
    if ending == "cancelled after the answer":
        bob.ok("BYE")
    elif ending != "refused":
        bob.ok("CANCEL")
        bob.respond(bob.last("INVITE"), 487)
    world.assert_nothing_left()


def test_a_prack_that_never_comes_after_our_refusal_leaves_nothing(world, ann, bob):
    ann.invite("101", Supported="100rel")
    bob.ring(183, bob.sdp())
    bob.respond(bob.last("INVITE"), 486)
    ann.early(183)
    ann.bye()
    assert ann.statuses("BYE") == [481]
    world.assert_nothing_left()
    ann.prack(183)
    assert ann.statuses("PRACK") == [481]


def test_a_prack_with_a_new_offer_is_488_and_the_call_goes_on(world, ann, bob):
    ann.invite("101", Supported="100rel")
    bob.ring(183, bob.sdp())
    ann.prack(183, ann.sdp(2, "sendonly"))
    assert ann.statuses("PRACK") == [488]
    bob.answer()
    ann.ack()
    hang_up(world, ann, bob)


def test_a_prack_that_offers_the_same_again_is_answered(world, ann, bob):
    ann.invite("101", Supported="100rel")
    bob.ring(183, bob.sdp())
    ann.prack(183, ann.sdp(2))
    assert ann.statuses("PRACK") == [200]
    assert b"m=audio" in ann.last(200).body
    bob.answer()
    ann.ack()
    hang_up(world, ann, bob)


def test_a_cancel_while_the_200_waits_for_a_prack_ends_both_sides(world, ann, bob):
    ann.invite("101", Supported="100rel")
    bob.ring(183, bob.sdp())
    bob.answer()
    ann.cancel()
    assert ann.statuses("CANCEL") == [200]
    assert ann.statuses()[-1] == 487
    bob.ok("BYE")
    world.assert_nothing_left()


def test_an_early_bye_of_the_caller_ends_both_sides(world, ann, bob):
    ann.invite("101", Supported="100rel")
    bob.ring(183, bob.sdp())
    ann.early(183)
    ann.bye()
    assert ann.statuses("BYE") == [200]
    assert ann.statuses()[-1] == 487
    bob.respond(bob.last("CANCEL"), 200)
    bob.respond(bob.last("INVITE"), 487)
    world.assert_nothing_left()
    assert world.records[0].state == "cancelled"


def test_a_reliable_response_out_of_order_is_not_acknowledged(world, ann, bob):
    ann.invite("101")
    bob.ring(183, bob.sdp(), Require="100rel", RSeq="5")
    bob.ok("PRACK")
    bob.ring(180, Require="100rel", RSeq="9")
    assert len(bob.all("PRACK")) == 1
    bob.ring(180, Require="100rel", RSeq="6")
    assert len(bob.all("PRACK")) == 2
    bob.ok("PRACK")
    bob.answer("")
    ann.ack()
    hang_up(world, ann, bob)


def test_the_callee_may_be_asked_for_100rel_only_with_an_early_offer(world, ann, bob):
    ann.invite("101")
    assert "100rel" in bob.last("INVITE").headers.get("Supported")
    bob.respond(bob.last("INVITE"), 486)
    ann.invite("101", "")
    assert "100rel" not in bob.last("INVITE").headers.get("Supported")
    bob.respond(bob.last("INVITE"), 486)
    world.assert_nothing_left()


# --- early media ------------------------------------------------------------------------------------------


def test_another_phone_than_the_one_with_early_media_answers(forked):
    world, ann, (early, winner, _) = forked
    ann.invite("101")
    early.ring(183, early.sdp(formats="8 101"))
    winner.ring()
    winner.answer(winner.sdp(formats="0 101"))
    ann.ack()
    offer = ann.last("INVITE")  # the caller heard of the other phone's PCMA before
    assert b"RTP/AVP 0 101" in offer.body
    ann.respond(offer, 200, ann.sdp(2, formats="0 101"))
    assert ann.summary()[-1] == "ACK"
    assert joins(world)
    hang_up(world, ann, winner)


def test_glare_with_our_own_renegotiation_is_tried_again(forked):
    world, ann, (early, winner, _) = forked
    ann.invite("101")
    early.ring(183, early.sdp(formats="8 101"))
    winner.answer(winner.sdp(formats="0 101"))
    ann.ack()
    ann.respond(ann.last("INVITE"), 491)
    refused = ann.last("INVITE").cseq.number
    world.wait(4.1)
    assert ann.last("INVITE").cseq.number == refused + 1
    ann.respond(ann.last("INVITE"), 200, ann.sdp(2, formats="0 101"))
    hang_up(world, ann, winner)


def test_a_200_that_says_something_else_than_the_183_counts(world, ann, bob):
    ann.invite("101")
    bob.ring(183, bob.sdp(formats="8 101"))
    bob.answer(bob.sdp(2, formats="0 101", port=41000))
    ann.ack()
    assert b"RTP/AVP 0 101" in ann.last("INVITE").body
    ann.respond(ann.last("INVITE"), 200, ann.sdp(2, formats="0 101"))
    hang_up(world, ann, bob)


def test_early_media_that_is_rubbish_still_rings(world, ann, bob):
    ann.invite("101")
    bob.ring(183, "v=0\r\nrubbish")
    assert ann.statuses()[-1] == 180
    bob.answer()
    ann.ack()
    hang_up(world, ann, bob)


def test_a_200_whose_sdp_is_rubbish_is_acknowledged_and_hung_up(world, ann, bob):
    ann.invite("101")
    bob.answer("v=0\r\nrubbish")
    assert bob.summary()[-2:] == ["ACK", "BYE"]
    bob.ok("BYE")
    assert ann.statuses()[-1] == 488
    world.assert_nothing_left()


def test_a_200_without_any_sdp_is_acknowledged_and_hung_up(world, ann, bob):
    ann.invite("101")
    bob.answer("")
    assert bob.summary()[-2:] == ["ACK", "BYE"]
    bob.ok("BYE")
    assert ann.statuses()[-1] == 488
    world.assert_nothing_left()


def test_a_callee_that_takes_no_codec_of_the_caller_is_hung_up(world, ann, bob):
    ann.invite("101", ann.sdp(formats="8 101"))
    bob.answer(bob.sdp(formats="0"))
    assert bob.summary()[-2:] == ["ACK", "BYE"]
    bob.ok("BYE")
    assert ann.statuses()[-1] == 488
    world.assert_nothing_left()


def test_the_caller_renegotiates_by_update_while_it_rings(world, ann, bob):
    ann.invite("101", Supported="100rel")
    bob.ring(183, bob.sdp(), Require="100rel", RSeq="1", Allow="INVITE, ACK, BYE, PRACK, UPDATE")
    bob.ok("PRACK")
    ann.prack(183)
    ann.send(ann.in_dialog("UPDATE", ann.sdp(2, "sendonly")))
    update = bob.last("UPDATE")
    assert b"a=sendonly" in update.body
    bob.respond(update, 200, bob.sdp(2, "recvonly"))
    assert ann.statuses("UPDATE") == [200]
    assert b"a=recvonly" in ann.last(200).body
    bob.answer("")
    ann.ack()
    hang_up(world, ann, bob)


def test_a_refusal_of_the_call_refuses_the_update_that_waits_too(world, ann, bob):
    ann.invite("101", Supported="100rel")
    bob.ring(183, bob.sdp(), Require="100rel", RSeq="1", Allow="INVITE, ACK, BYE, PRACK, UPDATE")
    bob.ok("PRACK")
    ann.prack(183)
    ann.send(ann.in_dialog("UPDATE", ann.sdp(2, "sendonly")))
    bob.respond(bob.last("INVITE"), 486)
    assert ann.statuses("UPDATE")[-1] in (481, 487, 488)
    assert ann.statuses()[-1] == 486
    bob.respond(bob.last("UPDATE"), 481)
    world.assert_nothing_left()


# --- CANCEL -----------------------------------------------------------------------------------------------


def test_a_cancel_before_any_response_of_the_callee_waits_for_one(world, ann, bob):
    ann.invite("101")
    ann.cancel(Reason="SIP;cause=487")
    assert ann.statuses()[-1] == 487
    assert "CANCEL" not in bob.summary()
    bob.ring()
    assert bob.last("CANCEL").headers.get("Reason") == "SIP;cause=487"
    bob.respond(bob.last("CANCEL"), 200)
    bob.respond(bob.last("INVITE"), 487)
    world.assert_nothing_left()


def test_a_cancel_after_the_200_changes_nothing(world, ann, bob):
    ann.invite("101")
    bob.answer()
    ann.cancel()
    assert ann.statuses("CANCEL") == [200]
    ann.ack()
    assert "BYE" not in bob.summary()
    hang_up(world, ann, bob)


def test_a_cancel_for_nothing_is_481(world, ann):
    ann.sent_invite = ann.request("INVITE", "sip:101@pbx.local")
    ann.cancel()
    assert ann.statuses("CANCEL") == [481]
    world.assert_nothing_left()


def test_a_callee_that_ignores_the_cancel_is_forgotten_after_64_t1(world, ann, bob):
    ann.invite("101")
    bob.ring()
    ann.cancel()
    bob.respond(bob.last("CANCEL"), 200)
    world.wait(33)
    assert not world.exchange.stack.dialogs
    world.assert_nothing_left()


# --- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("theirs", "told"),
    [
        (401, 480),
        (407, 480),
        (422, 500),
        (482, 482),
        (486, 486),
        (491, 480),
        (500, 500),
        (503, 500),
        (600, 600),
    ],
)
def test_what_a_phone_says_to_us_is_mapped_for_the_caller(world, ann, bob, theirs, told):
    ann.invite("101")
    bob.respond(bob.last("INVITE"), theirs)
    assert ann.statuses()[-1] == told
    world.assert_nothing_left()


@pytest.mark.parametrize(
    ("theirs", "told"),
    [
        ((404, 503, 500), 404),
        ((480, 415, 486), 415),
        ((500, 302, 486), 480),
        ((486, 480, 600), 600),
    ],
)
def test_the_best_response_of_a_fork(forked, theirs, told):
    world, ann, phones = forked
    ann.invite("101")
    for phone, status in zip(phones, theirs, strict=True):
        phone.respond(phone.last("INVITE"), status, Contact="<sip:nobody@elsewhere.example>")
    assert ann.statuses()[-1] == told
    world.assert_nothing_left()


def test_reason_and_warning_of_the_callee_reach_the_caller(world, ann, bob):
    ann.invite("101")
    bob.respond(bob.last("INVITE"), 486, Reason='Q.850;cause=17;text="User busy"', Retry_After="30")
    assert ann.last(486).headers.get("Reason") == 'Q.850;cause=17;text="User busy"'
    assert ann.last(486).headers.get("Retry-After") == "30"
    world.assert_nothing_left()


def test_two_phones_that_forward_to_one_another_come_to_an_end(world, ann, bob, eve):
    ann.invite("101")
    bob.respond(bob.last("INVITE"), 302, Contact="<sip:102@pbx.local>")
    eve.respond(eve.last("INVITE"), 302, Contact="<sip:101@pbx.local>")
    assert len(bob.all("INVITE")) == 1
    assert ann.statuses()[-1] == 480
    world.assert_nothing_left()


def test_who_is_called_in_place_of_one_phone_does_not_refuse_for_the_others():
    phones = {"100": ("100",), "101": ("101i", "101m"), "102": ("102",)}
    extensions = tuple(make_extension(key, names) for key, names in phones.items())
    world = World(Office(extensions=extensions, realm=DOMAIN))
    ann, desk, mobile, eve = (world.phone(name) for name in ("100", "101i", "101m", "102"))
    ann.invite("101")
    mobile.ring()
    desk.respond(desk.last("INVITE"), 302, Contact="<sip:102@pbx.local>")
    eve.respond(eve.last("INVITE"), 603)
    assert not mobile.all("CANCEL")
    mobile.answer()
    ann.ack()
    hang_up(world, ann, mobile)


def test_a_302_to_the_outside_is_not_followed(world, ann, bob):
    ann.invite("101")
    bob.respond(bob.last("INVITE"), 302, Contact="<sip:premium@elsewhere.example>")
    assert ann.statuses()[-1] == 480
    world.assert_nothing_left()


def test_a_phone_that_wants_srtp_is_asked_again_with_it_before_it_rings(world, ann, bob):
    ann.invite("101")
    first = bob.last("INVITE")
    bob.respond(first, 488)
    second = bob.last("INVITE")
    assert second.call_id == first.call_id
    assert second.cseq.number == first.cseq.number + 1
    assert b"RTP/SAVP" in second.body
    assert bob.last("ACK").cseq.number == first.cseq.number
    bob.respond(second, 488)
    third = bob.last("INVITE")  # the last try: every codec that the PBX can translate
    assert b"G722" in third.body
    bob.respond(third, 488)
    assert len(bob.all("INVITE")) == 3
    assert ann.statuses()[-1] == 488
    world.assert_nothing_left()


def test_a_phone_that_rang_before_its_488_does_not_ring_twice(world, ann, bob):
    ann.invite("101")
    bob.ring()
    bob.respond(bob.last("INVITE"), 488)
    assert len(bob.all("INVITE")) == 1
    assert ann.statuses()[-1] == 488
    world.assert_nothing_left()


def test_a_422_is_answered_by_a_longer_session(world, ann, bob):
    ann.invite("101")
    bob.respond(bob.last("INVITE"), 422, Min_SE="3600")
    again = bob.last("INVITE")
    assert again.headers.get("Session-Expires") == "3600"
    assert again.headers.get("Min-SE") == "3600"
    bob.answer()
    ann.ack()
    hang_up(world, ann, bob)


def few_ports(world, pairs: int) -> None:
    exchange = world.exchange
    exchange.endpoints.ports = PortPool(30000, 30000 + 2 * pairs - 1, exchange.entropy, rest_s=5.0)


def test_without_a_port_for_the_callee_nothing_rings(world, ann, bob):
    few_ports(world, 1)
    ann.invite("101")
    assert ann.statuses()[-1] == 503
    assert ann.last(503).headers.get("Retry-After")
    assert "INVITE" not in bob.summary()
    world.assert_nothing_left()


def test_without_a_port_for_the_caller_nothing_rings(world, ann, bob):
    few_ports(world, 1)
    taken = world.exchange.endpoints.ports.take(world.now)
    ann.invite("101")
    assert ann.statuses()[-1] == 503
    assert ann.last(503).headers.get("Retry-After")
    assert "INVITE" not in bob.summary()
    world.exchange.endpoints.ports.free(taken, world.now)
    world.assert_nothing_left()


def test_whoever_rings_next_where_no_port_was_free_is_offered_the_same(world, ann, bob, eve):
    office = world.exchange.office
    sales = Group("600", "Sales", ("101", "102"), "sequence", 15)
    world.perform(world.exchange.swap_office(replace(office, groups=(sales,)), world.now))
    few_ports(world, 1)
    taken = world.exchange.endpoints.ports.take(world.now)
    ann.invite("600")
    assert ann.statuses()[-1] == 503
    assert "INVITE" not in (*bob.summary(), *eve.summary())  # without an offer nobody would answer theirs
    world.exchange.endpoints.ports.free(taken, world.now)
    world.assert_nothing_left()


def test_without_a_port_for_a_late_offer_the_answered_call_is_hung_up(world, ann, bob):
    few_ports(world, 1)
    ann.invite("101", "")
    bob.answer()
    ann.ack(ann.sdp())
    for phone in (ann, bob):
        assert phone.summary()[-1] == "BYE"
        phone.ok("BYE")
    world.assert_nothing_left()


def test_the_caller_s_port_is_open_before_anybody_answers(world, ann, bob):
    ann.invite("101")
    opened = {order.endpoint.split(".")[1] for order in world.orders if isinstance(order, OpenEndpoint)}
    assert opened == {"A", "B1"}
    bob.answer()
    ann.ack()
    hang_up(world, ann, bob)


def test_phones_of_a_fork_that_get_no_port_leave_the_others_ringing(forked):
    world, ann, phones = forked
    few_ports(world, 3)
    ann.invite("101")
    rung = [phone for phone in phones if "INVITE" in phone.summary()]
    assert len(rung) == 2
    for phone in rung:
        phone.respond(phone.last("INVITE"), 486)
    assert ann.statuses()[-1] == 486
    world.assert_nothing_left()


# --- late offers ------------------------------------------------------------------------------------------


def test_a_late_answer_that_is_rubbish_ends_the_call(world, ann, bob):
    ann.invite("101", "")
    bob.answer()
    ann.ack("v=0\r\nrubbish")
    assert "BYE" in ann.summary()
    assert bob.summary()[-2:] == ["ACK", "BYE"]
    ann.ok("BYE")
    bob.ok("BYE")
    world.assert_nothing_left()


def test_a_late_answer_that_never_comes_ends_the_call(world, ann, bob):
    ann.invite("101", "")
    bob.answer()
    ann.ack("")
    assert "BYE" in ann.summary()
    assert "BYE" in bob.summary()
    ann.ok("BYE")
    bob.ok("BYE")
    world.assert_nothing_left()


# --- what goes through ------------------------------------------------------------------------------------


def test_max_forwards_goes_down_by_one_and_the_last_hop_still_rings(world, ann, bob):
    ann.invite("101", Max_Forwards="5")
    assert bob.last("INVITE").max_forwards == 4
    bob.respond(bob.last("INVITE"), 486)
    ann.invite("101", Max_Forwards="1")
    assert bob.last("INVITE").max_forwards == 0
    bob.respond(bob.last("INVITE"), 486)
    world.assert_nothing_left()


def test_where_the_call_came_from_is_kept(world, ann, bob):
    ann.invite(
        "101",
        Diversion="<sip:200@pbx.local>;reason=unconditional",
        History_Info="<sip:200@pbx.local>;index=1",
    )
    invite = bob.last("INVITE")
    assert invite.headers.get("Diversion") == "<sip:200@pbx.local>;reason=unconditional"
    assert invite.headers.get("History-Info") == "<sip:200@pbx.local>;index=1"
    bob.respond(invite, 486)
    world.assert_nothing_left()


def test_what_a_caller_asserts_about_itself_is_not_believed(world, ann, bob):
    ann.invite("101", P_Asserted_Identity="<sip:boss@pbx.local>")
    assert bob.last("INVITE").headers.get_all("P-Asserted-Identity") == ['"Phone 100" <sip:100@pbx.local>']
    bob.respond(bob.last("INVITE"), 486)
    world.assert_nothing_left()


def test_the_same_request_by_two_ways_is_482(world, ann, bob):
    sent = ann.invite("101")
    copy = ann.request("INVITE", sent.uri)
    for name in ("From", "To", "Call-ID", "CSeq", "Authorization"):
        copy.headers.set(name, sent.headers.get(name))
    ann.send(copy)
    assert ann.statuses()[-1] == 482
    bob.answer()
    ann.ack()
    hang_up(world, ann, bob)


def test_a_repeated_invite_rings_once(world, ann, bob):
    sent = ann.invite("101")
    bob.ring()
    ann.send(sent)
    assert ann.statuses()[-1] == 180
    assert len(bob.all("INVITE")) == 1
    bob.answer()
    ann.ack()
    hang_up(world, ann, bob)


def test_a_second_200_of_a_forking_proxy_is_acknowledged_and_hung_up_once(world, ann, bob):
    ann.invite("101")
    bob.answer()
    ann.ack()
    bob.respond(bob.all("INVITE")[0], 200, bob.sdp(), tag="another")
    assert bob.summary()[-2:] == ["ACK", "BYE"]
    bye = bob.last("BYE")
    assert bye.to.tag == "another"
    bob.respond(bye, 200)
    bob.respond(bob.all("INVITE")[0], 200, bob.sdp(), tag="another")
    assert bob.summary()[-1] == "ACK"
    assert len(bob.all("BYE")) == 1
    hang_up(world, ann, bob)


def test_timer_c_ends_a_call_that_rings_for_ever(world, ann, bob):
    for extension in world.office.extensions:
        object.__setattr__(extension.no_answer, "timeout", 10_000)
    ann.invite("101")
    bob.ring()
    world.wait(10_001)
    assert ann.statuses()[-1] == 480
    world.assert_nothing_left()


def test_a_callee_is_told_nothing_more_once_both_have_hung_up_at_once(world, ann, bob):
    talk(world, ann, bob)
    ann.bye()
    bob.bye()
    assert ann.statuses("BYE") == [200]
    assert bob.statuses("BYE") in ([200], [481])
    bob.ok("BYE")
    world.assert_nothing_left()
