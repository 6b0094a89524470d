"""What changes in a call that is up: hold, UPDATE, glare, offerless re-INVITE, session timers, dead calls."""

import pytest

from pbx.call.leg_media import LegMedia
from pbx.errors import UsageError
from pbx.media.orders import Join, Resumed, SetRemote, Silent
from tests.call.world import Phone, World, hang_up, talk

ALLOWS_UPDATE = "INVITE, ACK, BYE, CANCEL, UPDATE"


def directions(world: World) -> dict[str, tuple[bool, bool]]:
    """May we send and receive, by endpoint, as the worker was told last."""
    return {o.endpoint: (o.may_send, o.may_receive) for o in world.orders if isinstance(o, SetRemote)}


def acked(phone: Phone) -> bool:
    return phone.last("ACK").cseq.number == phone.last("INVITE").cseq.number


# --- hold and resume (RFC 3264 §8.4) ----------------------------------------------------------------------


def test_the_callee_holds_and_resumes(world, ann, bob):
    talk(world, ann, bob)
    bob.send(bob.in_dialog("INVITE", bob.sdp(2, "sendonly")))
    assert b"a=sendonly" in ann.last("INVITE").body
    ann.respond(ann.last("INVITE"), 200, ann.sdp(2, "recvonly"))
    assert b"a=recvonly" in bob.last(200).body
    bob.ack()
    assert (True, False) in directions(world).values()
    bob.send(bob.in_dialog("INVITE", bob.sdp(3)))
    ann.respond(ann.last("INVITE"), 200, ann.sdp(3))
    bob.ack()
    assert set(directions(world).values()) == {(True, True)}
    hang_up(world, bob, ann)


def test_both_hold_and_only_one_resumes(world, ann, bob):
    talk(world, ann, bob)
    ann.send(ann.in_dialog("INVITE", ann.sdp(2, "sendonly")))
    bob.respond(bob.last("INVITE"), 200, bob.sdp(2, "recvonly"))
    ann.ack()
    bob.send(bob.in_dialog("INVITE", bob.sdp(3, "inactive")))
    ann.respond(ann.last("INVITE"), 200, ann.sdp(3, "inactive"))
    bob.ack()
    ann.send(ann.in_dialog("INVITE", ann.sdp(4)))
    bob.respond(bob.last("INVITE"), 200, bob.sdp(4, "sendonly"))
    assert b"a=sendonly" in ann.last(200).body
    ann.ack()
    hang_up(world, ann, bob)


def test_resume_after_the_null_address(world, ann, bob):
    talk(world, ann, bob)
    ann.send(ann.in_dialog("INVITE", ann.sdp(2).replace("c=IN IP4 192.0.2.9", "c=IN IP4 0.0.0.0")))
    bob.respond(bob.last("INVITE"), 200, bob.sdp(2, "recvonly"))
    ann.ack()
    ann.send(ann.in_dialog("INVITE", ann.sdp(3)))
    assert b"a=sendonly" not in bob.last("INVITE").body
    bob.respond(bob.last("INVITE"), 200, bob.sdp(3))
    ann.ack()
    assert set(directions(world).values()) == {(True, True)}
    hang_up(world, ann, bob)


def test_an_offerless_reinvite_of_the_callee(world, ann, bob):
    talk(world, ann, bob)
    bob.send(bob.in_dialog("INVITE"))
    assert ann.last("INVITE").body == b""
    ann.respond(ann.last("INVITE"), 200, ann.sdp(2))
    assert b"m=audio" in bob.last(200).body
    bob.ack(bob.sdp(2))
    assert b"m=audio" in ann.last("ACK").body
    hang_up(world, bob, ann)


def test_an_offerless_reinvite_whose_ack_has_no_answer_ends_the_call(world, ann, bob):
    talk(world, ann, bob)
    ann.send(ann.in_dialog("INVITE"))
    bob.respond(bob.last("INVITE"), 200, bob.sdp(2))
    ann.ack()
    assert "BYE" in ann.summary()
    assert bob.summary()[-2:] == ["ACK", "BYE"]
    ann.ok("BYE")
    bob.ok("BYE")
    world.assert_nothing_left()


def test_video_is_added_and_refused(world, ann, bob):
    talk(world, ann, bob)
    video = "m=video 40002 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\n"
    ann.send(ann.in_dialog("INVITE", ann.sdp(2) + video))
    offer = bob.last("INVITE").body
    assert b"m=video" in offer
    bob.respond(bob.last("INVITE"), 200, bob.sdp(2) + "m=video 0 RTP/AVP 97\r\n")
    assert b"m=video 0 " in ann.last(200).body
    ann.ack()
    assert len(world.exchange.endpoints.ports) == 2
    hang_up(world, ann, bob)


# --- glare and order (RFC 3261 §14) -----------------------------------------------------------------------


def test_a_cancelled_reinvite_is_cancelled_at_the_other_side_too(world, ann, bob):
    talk(world, ann, bob)
    ann.sent_invite = ann.in_dialog("INVITE", ann.sdp(2, "sendonly"))
    ann.send(ann.sent_invite)
    bob.ring(100)
    ann.cancel()
    assert ann.statuses()[-1] == 487
    bob.ok("CANCEL")
    bob.respond(bob.last("INVITE"), 487)
    hang_up(world, ann, bob)


def test_the_answer_to_a_cancelled_reinvite_is_not_taken_for_the_next_one(world, ann, bob):
    talk(world, ann, bob)
    ann.sent_invite = ann.in_dialog("INVITE", ann.sdp(2, "sendonly"))
    ann.send(ann.sent_invite)
    late = bob.last("INVITE")
    ann.cancel()
    ann.send(ann.in_dialog("INVITE", ann.sdp(3, "inactive")))
    bob.respond(late, 200, bob.sdp(2, "recvonly"))
    assert ann.statuses()[-1] == 100
    bob.respond(bob.last("INVITE"), 200, bob.sdp(3, "inactive"))
    assert b"a=inactive" in ann.last(200).body
    ann.ack()
    hang_up(world, ann, bob)


def test_a_cancelled_offerless_reinvite_leaves_no_offer_unanswered(world, ann, bob):
    talk(world, ann, bob)
    ann.sent_invite = ann.in_dialog("INVITE")
    ann.send(ann.sent_invite)
    ann.cancel()
    bob.respond(bob.last("INVITE"), 200, bob.sdp(2))
    assert b"m=audio" in bob.last("ACK").body
    hang_up(world, ann, bob)


def test_a_reinvite_that_is_never_answered_is_given_up(world, ann, bob):
    talk(world, ann, bob)
    ann.send(ann.in_dialog("INVITE", ann.sdp(2, "sendonly")))
    bob.ring(180)
    world.wait(61)
    bob.ok("CANCEL")
    world.wait(33)
    assert ann.statuses()[-1] in (487, 488)
    hang_up(world, ann, bob)


def test_bye_during_a_reinvite_of_ours(world, ann, bob):
    talk(world, ann, bob)
    ann.send(ann.in_dialog("INVITE", ann.sdp(2, "sendonly")))
    bob.ring(180)
    bob.bye()
    assert ann.statuses()[-1] == 487
    ann.ok("BYE")
    world.assert_nothing_left()


def test_the_answer_to_our_reinvite_that_crosses_our_bye_is_acknowledged(world, ann, bob):
    talk(world, ann, bob)
    ann.send(ann.in_dialog("INVITE", ann.sdp(2, "sendonly")))
    reinvite = bob.last("INVITE")
    ann.bye()
    for _ in range(2):  # the second time because the ACK was lost
        bob.respond(reinvite, 200, bob.sdp(2, "recvonly"))
        assert bob.received[-1].method == "ACK"
        assert bob.received[-1].cseq.number == reinvite.cseq.number
    bob.ok("BYE")
    world.assert_nothing_left()


def test_a_callee_that_hangs_up_before_the_ack_gets_it_all_the_same(world, ann, bob):
    ann.invite("101", "")
    bob.answer()  # its offer is answered in the caller's ACK
    bob.bye()
    assert bob.last("ACK")
    ann.ack(ann.sdp())
    ann.ok("BYE")
    world.assert_nothing_left()


def test_bye_of_who_sent_the_reinvite(world, ann, bob):
    talk(world, ann, bob)
    ann.send(ann.in_dialog("INVITE", ann.sdp(2, "sendonly")))
    ann.bye()
    assert ann.statuses("BYE") == [200]
    assert ann.statuses()[-1] == 487
    assert "BYE" in bob.summary()
    bob.ok("BYE")
    bob.respond(bob.last("INVITE"), 487)
    world.assert_nothing_left()


def test_bye_of_the_callee_before_the_ack_of_the_caller(world, ann, bob):
    ann.invite("101")
    bob.answer()
    bob.bye()
    assert bob.statuses("BYE") == [200]
    assert "BYE" not in ann.summary()  # §15: not before the ACK
    ann.ack()
    assert "BYE" in ann.summary()
    ann.ok("BYE")
    world.assert_nothing_left()


def test_bye_of_the_caller_before_its_ack(world, ann, bob):
    ann.invite("101")
    bob.answer()
    ok = ann.last(200)
    ann.dialog.update(
        remote=ok.headers.get("To"), local=ok.headers.get("From"), target=ok.contacts[0].uri.render()
    )
    ann.bye()
    assert ann.statuses("BYE") == [200]
    bob.ok("BYE")
    world.assert_nothing_left()


def test_a_reinvite_answered_by_481_ends_the_call(world, ann, bob):
    talk(world, ann, bob)
    ann.send(ann.in_dialog("INVITE", ann.sdp(2, "sendonly")))
    bob.respond(bob.last("INVITE"), 481)
    assert "BYE" in ann.summary()
    ann.ok("BYE")
    bob.ok("BYE")
    world.assert_nothing_left()


def test_a_reinvite_answered_by_rubbish_is_acknowledged_and_refused(world, ann, bob):
    talk(world, ann, bob)
    ann.send(ann.in_dialog("INVITE", ann.sdp(2, "sendonly")))
    bob.respond(bob.last("INVITE"), 200, "v=0\r\nrubbish")
    assert acked(bob)
    assert ann.statuses()[-1] == 488
    hang_up(world, ann, bob)


def test_an_update_while_a_reinvite_is_on_its_way_is_491(world, ann, bob):
    talk(world, ann, bob)
    ann.send(ann.in_dialog("INVITE", ann.sdp(2, "sendonly")))
    bob.send(bob.in_dialog("UPDATE", bob.sdp(2, "sendonly")))
    assert bob.statuses("UPDATE") == [491]
    bob.respond(bob.last("INVITE"), 200, bob.sdp(2, "recvonly"))
    ann.ack()
    hang_up(world, ann, bob)


def test_a_second_update_before_the_first_is_answered_is_500_with_retry_after(world, ann, bob):
    talk(world, ann, bob)
    ann.send(ann.in_dialog("UPDATE", ann.sdp(2, "sendonly")))
    ann.send(ann.in_dialog("UPDATE", ann.sdp(3, "inactive")))
    assert ann.statuses("UPDATE") == [500]
    assert ann.last(500).headers.get("Retry-After") is not None
    bob.respond(bob.last("INVITE"), 200, bob.sdp(2, "recvonly"))
    hang_up(world, ann, bob)


@pytest.mark.parametrize("body", [True, False])
def test_an_update_before_the_first_update_is_answered_is_500(world, ann, bob, body):
    talk(world, ann, bob)
    ann.send(ann.in_dialog("UPDATE", ann.sdp(2, "sendonly")))
    ann.send(ann.in_dialog("UPDATE", ann.sdp(3) if body else ""))
    assert ann.statuses("UPDATE") == [500]
    bob.respond(bob.last("INVITE"), 200, bob.sdp(2, "recvonly"))
    hang_up(world, ann, bob)


def test_an_update_of_who_waits_for_our_answer_is_500_with_retry_after(world, ann, bob):
    """RFC 3311 §5.2; 491 is for who has an offer of ours to answer."""
    ann.invite("101")
    bob.ring()
    ann.early(180)
    ann.send(ann.in_dialog("UPDATE", ann.sdp(2)))
    assert ann.statuses("UPDATE") == [500]
    assert ann.last(500).headers.get("Retry-After") is not None
    bob.answer()
    ann.ack()
    hang_up(world, ann, bob)


def test_a_request_with_an_old_cseq_is_500(world, ann, bob):
    talk(world, ann, bob)
    ann.send(ann.in_dialog("OPTIONS"))
    old = ann.in_dialog("OPTIONS")
    old.headers.set("CSeq", "1 OPTIONS")
    ann.send(old)
    assert ann.statuses("OPTIONS") == [200, 500]
    hang_up(world, ann, bob)


@pytest.mark.parametrize("body", ["v=0\r\nrubbish", "\r\n"])
def test_a_reinvite_with_a_broken_offer_is_488_with_a_warning(world, ann, bob, body):
    talk(world, ann, bob)
    ann.send(ann.in_dialog("INVITE", body))
    assert ann.statuses()[-1] == 488
    assert ann.last(488).headers.get("Warning") is not None
    hang_up(world, ann, bob)


def test_a_body_that_is_no_sdp_is_415(world, ann, bob):
    talk(world, ann, bob)
    ann.send(ann.in_dialog("INVITE", "<xml/>", Content_Type="application/xml"))
    assert ann.statuses()[-1] == 415
    assert ann.last(415).headers.get("Accept") == "application/sdp"
    hang_up(world, ann, bob)


# --- session timers (RFC 4028) ----------------------------------------------------------------------------


def test_a_caller_that_wants_to_refresh_does_and_keeps_the_call(world, ann, bob):
    ann.invite("101", Supported="timer", Session_Expires="120;refresher=uac")
    bob.answer(Session_Expires="1800;refresher=uas", Require="timer")
    ok = ann.last(200)
    assert ok.headers.get("Session-Expires") == "120;refresher=uac"
    assert "timer" in ok.headers.get("Require")
    ann.ack()
    for _ in range(3):
        world.wait(60)
        ann.send(ann.in_dialog("UPDATE", Supported="timer", Session_Expires="120;refresher=uac"))
        assert ann.statuses("UPDATE")[-1] == 200
    hang_up(world, ann, bob)


def test_a_caller_that_stops_refreshing_is_hung_up_shortly_before_the_end(world, ann, bob):
    ann.invite("101", Supported="timer", Session_Expires="120;refresher=uac")
    bob.answer()
    ann.ack()
    world.wait(87)
    assert "BYE" not in ann.summary()
    world.wait(2)
    assert "BYE" in ann.summary()
    assert "BYE" in bob.summary()
    ann.ok("BYE")
    bob.ok("BYE")
    world.assert_nothing_left()


def test_we_refresh_by_update_where_the_phone_takes_it(world, ann, bob):
    ann.invite("101", Supported="timer", Session_Expires="120;refresher=uas", Allow=ALLOWS_UPDATE)
    bob.answer(Session_Expires="1800;refresher=uas", Require="timer")
    ann.ack()
    world.wait(61)
    update = ann.last("UPDATE")
    assert update.body == b""
    assert update.headers.get("Session-Expires") == "120;refresher=uac"
    ann.respond(update, 200, Session_Expires="120;refresher=uac")
    world.wait(59)
    assert len({m.cseq.number for m in ann.all("UPDATE")}) == 1
    hang_up(world, ann, bob)


def test_we_refresh_by_reinvite_where_the_phone_takes_no_update(world, ann, bob):
    ann.invite("101", Supported="timer", Session_Expires="120;refresher=uas")
    bob.answer(Session_Expires="1800;refresher=uas", Require="timer")
    ann.ack()
    said = ann.last(200).body
    world.wait(61)
    assert ann.last("INVITE").body == said  # the same version: nothing has changed
    ann.respond(ann.last("INVITE"), 200, ann.sdp())
    assert acked(ann)
    hang_up(world, ann, bob)


def test_a_refresh_that_is_refused_is_tried_again_until_the_session_ends(world, ann, bob):
    ann.invite("101", Supported="timer", Session_Expires="120;refresher=uas", Allow=ALLOWS_UPDATE)
    bob.answer(Session_Expires="1800;refresher=uas", Require="timer")
    ann.ack()
    world.wait(60.5)
    for _ in range(11):
        ann.respond(ann.last("UPDATE"), 500)
        world.wait(5.1)
    assert "BYE" not in ann.summary()
    world.wait(10)
    assert "BYE" in ann.summary()
    ann.ok("BYE")
    bob.ok("BYE")
    world.assert_nothing_left()


def test_a_refresh_whose_interval_is_too_small_comes_again_longer(world, ann, bob):
    ann.invite("101", Supported="timer", Session_Expires="120;refresher=uas", Allow=ALLOWS_UPDATE)
    bob.answer(Session_Expires="1800;refresher=uas", Require="timer")
    ann.ack()
    world.wait(60.5)
    ann.respond(ann.last("UPDATE"), 422, Min_SE="600")
    world.wait(5.1)
    assert ann.last("UPDATE").headers.get("Session-Expires") == "600;refresher=uac"
    ann.ok("UPDATE")
    hang_up(world, ann, bob)


def test_a_phone_that_refuses_update_is_refreshed_by_reinvite(world, ann, bob):
    ann.invite("101", Supported="timer", Session_Expires="120;refresher=uas", Allow=ALLOWS_UPDATE)
    bob.answer(Session_Expires="1800;refresher=uas", Require="timer")
    ann.ack()
    world.wait(60.5)
    ann.respond(ann.last("UPDATE"), 405)
    assert ann.last("INVITE").body
    ann.respond(ann.last("INVITE"), 200, ann.sdp())
    hang_up(world, ann, bob)


def test_a_callee_that_knows_no_session_timer_is_refreshed_by_us(world, ann, bob):
    talk(world, ann, bob)
    world.wait(901)
    assert b"m=audio" in bob.last("INVITE").body
    bob.respond(bob.last("INVITE"), 200, bob.sdp())
    ann.respond(ann.last("INVITE"), 200, ann.sdp())
    hang_up(world, ann, bob)


# --- dead calls -------------------------------------------------------------------------------------------


def silence(world: World) -> None:
    join = next(order for order in world.orders if isinstance(order, Join))
    for endpoint in (join.a, join.b):
        world.perform(world.exchange.media_event(Silent(endpoint, 30.0), world.now))


def test_silence_of_a_held_call_is_no_sign_of_death(world, ann, bob):
    talk(world, ann, bob)
    ann.send(ann.in_dialog("INVITE", ann.sdp(2, "inactive")))
    bob.respond(bob.last("INVITE"), 200, bob.sdp(2, "inactive"))
    ann.ack()
    silence(world)
    assert "BYE" not in ann.summary()
    hang_up(world, ann, bob)


@pytest.mark.parametrize("is_heard", [True, False])
def test_silence_that_goes_on_after_a_hold_counts(world, ann, bob, is_heard):
    talk(world, ann, bob)
    ann.send(ann.in_dialog("INVITE", ann.sdp(2, "inactive")))
    bob.respond(bob.last("INVITE"), 200, bob.sdp(2, "inactive"))
    ann.ack()
    silence(world)
    ann.send(ann.in_dialog("INVITE", ann.sdp(3)))
    bob.respond(bob.last("INVITE"), 200, bob.sdp(3))
    ann.ack()
    if is_heard:
        endpoint = next(order.a for order in world.orders if isinstance(order, Join))
        world.perform(world.exchange.media_event(Resumed(endpoint), world.now))
    world.wait(31)
    assert ("BYE" in ann.summary()) is not is_heard
    if is_heard:
        hang_up(world, ann, bob)
        return
    ann.ok("BYE")
    bob.ok("BYE")
    world.assert_nothing_left()


# --- a step that fails ------------------------------------------------------------------------------------


def raise_bug(*_args, **_options) -> None:
    raise UsageError("a bug")


def test_a_bug_in_a_timer_ends_its_call(world, ann, bob, monkeypatch):
    talk(world, ann, bob)
    monkeypatch.setattr(LegMedia, "repeat_offer", raise_bug)
    world.wait(901)
    assert world.bugs
    for phone in (ann, bob):
        phone.ok("BYE")
    world.bugs.clear()
    world.assert_nothing_left()


def test_a_bug_in_a_response_ends_the_call_and_is_told(world, ann, bob, monkeypatch):
    talk(world, ann, bob)
    ann.send(ann.in_dialog("INVITE", ann.sdp(2, "sendonly")))
    monkeypatch.setattr(LegMedia, "receive_answer", raise_bug)
    bob.respond(bob.last("INVITE"), 200, bob.sdp(2, "recvonly"))
    assert len(world.bugs) == 1
    assert "BYE" in bob.summary()
    assert ann.statuses()[-1] in (487, 488, 500)
    assert "BYE" in ann.summary()
    ann.ok("BYE")
    bob.ok("BYE")
    world.bugs.clear()
    world.assert_nothing_left()


def test_a_bug_in_a_request_is_500_and_ends_the_call(world, ann, bob, monkeypatch):
    talk(world, ann, bob)
    monkeypatch.setattr(LegMedia, "make_offer", raise_bug)
    ann.send(ann.in_dialog("INVITE", ann.sdp(2, "sendonly")))
    assert len(world.bugs) == 1
    assert ann.statuses()[-1] in (487, 500)
    assert "BYE" in ann.summary()
    ann.ok("BYE")
    bob.ok("BYE")
    world.bugs.clear()
    world.assert_nothing_left()
