"""Call flows of RFC 3665 §3, the PBX as the B2BUA in the middle, and what phones do in a call."""

import re

import pytest

from pbx.media.orders import Join, SetRemote, Silent
from tests.call.world import Phone, hang_up, talk


def test_3_1_successful_call(world, ann, bob):
    ann.invite("101")
    invite = bob.last("INVITE")
    assert invite.headers.get("From").startswith('"Phone 100" <sip:100@pbx.local>')
    assert invite.headers.get("P-Asserted-Identity") == '"Phone 100" <sip:100@pbx.local>'
    assert b"c=IN IP4 192.0.2.1" in invite.body
    bob.ring()
    assert ann.statuses() == [100, 180]
    bob.answer()
    assert b"c=IN IP4 192.0.2.1" in ann.last(200).body
    ann.ack()
    assert bob.summary()[-1] == "ACK"
    assert sum(isinstance(order, Join) for order in world.orders) == 1
    hang_up(world, ann, bob)
    [record] = world.records
    assert record.state == "answered"
    assert [(leg.party, leg.codec) for leg in record.legs] == [("100", "PCMA"), ("101", "PCMA")]
    assert record.legs[0].call_id == ann.last(200).call_id


def test_the_callee_hangs_up(world, ann, bob):
    talk(world, ann, bob)
    hang_up(world, bob, ann)


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_the_record_says_who_called_and_that_both_were_up(world, ann, bob, who):
    ann.invite("101")
    bob.ring()
    bob.answer()
    ann.ack()
    first, second = (ann, bob) if who == "caller" else (bob, ann)
    first.bye()
    second.ok("BYE")
    (record,) = world.records
    assert [(leg.party, leg.role, leg.status) for leg in record.legs] == [
        ("100", "caller", 200),
        ("101", "callee", 200),
    ]


def test_3_8_no_answer_is_cancelled_by_the_caller(world, ann, bob):
    sent = ann.invite("101")
    bob.ring()
    cancel = ann.request("CANCEL", sent.uri)
    for name in ("Via", "From", "To", "Call-ID"):
        cancel.headers.set(name, sent.headers.get(name))
    cancel.headers.set("CSeq", f"{sent.cseq.number} CANCEL")
    ann.send(cancel)
    assert ann.statuses("CANCEL") == [200]
    assert ann.statuses()[-1] == 487
    bob.respond(bob.last("CANCEL"), 200)
    bob.respond(bob.last("INVITE"), 487)
    assert bob.summary()[-1] == "ACK"
    world.assert_nothing_left()
    assert world.records[0].state == "cancelled"


def test_a_200_that_crosses_the_cancel_is_acknowledged_and_hung_up(world, ann, bob):
    sent = ann.invite("101")
    bob.ring()
    cancel = ann.request("CANCEL", sent.uri)
    for name in ("Via", "From", "To", "Call-ID"):
        cancel.headers.set(name, sent.headers.get(name))
    cancel.headers.set("CSeq", f"{sent.cseq.number} CANCEL")
    ann.send(cancel)
    bob.answer()
    assert bob.summary()[-2:] == ["ACK", "BYE"]
    bob.ok("BYE")
    world.assert_nothing_left()


@pytest.mark.parametrize("status", [486, 603, 404, 480, 488])
def test_3_9_a_refusal_reaches_the_caller(world, ann, bob, status):
    ann.invite("101")
    bob.ring()
    bob.respond(bob.last("INVITE"), status)
    if status == 488:  # the phone may want SRTP: it is asked once more
        bob.respond(bob.last("INVITE"), 488)
    assert ann.statuses()[-1] == status
    world.assert_nothing_left()


def test_3_10_nobody_answers_in_time(world, ann, bob):
    ann.invite("101")
    bob.ring()
    world.wait(19.9)
    assert ann.statuses()[-1] == 180
    world.wait(0.2)
    assert ann.statuses()[-1] == 480
    assert bob.summary()[-1] == "CANCEL"
    world.assert_nothing_left()


def test_an_unregistered_extension_is_480_at_once(world, ann):
    ann.invite("102")
    assert ann.statuses()[-1] == 480
    world.assert_nothing_left()


def test_an_unknown_number_is_404(world, ann):
    ann.invite("999")
    assert ann.statuses()[-1] == 404
    world.assert_nothing_left()


def test_a_dead_phone_is_480_for_the_caller(world, ann, bob):
    bob.drops = True
    ann.invite("101")
    world.wait(40)
    assert ann.statuses()[-1] == 480
    world.assert_nothing_left()


def test_the_200_is_repeated_until_the_ack_comes(world, ann, bob):
    ann.invite("101")
    bob.answer()
    world.wait(3.6)
    assert ann.statuses().count(200) == 4  # at once, after 0.5, 1.5 and 3.5 s
    ann.ack()
    world.wait(10)
    assert ann.statuses().count(200) == 4
    hang_up(world, ann, bob)


def test_without_any_ack_the_call_ends_after_32_s(world, ann, bob):
    ann.invite("101")
    bob.answer()
    world.wait(33)
    assert bob.summary().count("BYE") >= 1
    world.assert_nothing_left()


def test_a_repeated_200_is_acknowledged_again(world, ann, bob):
    talk(world, ann, bob)
    acks = bob.summary().count("ACK")
    bob.respond(bob.last("INVITE"), 200, bob.sdp())
    assert bob.summary().count("ACK") == acks + 1
    hang_up(world, ann, bob)


# --- forks ------------------------------------------------------------------------------------------------


def test_the_first_to_answer_wins_and_the_others_hear_why(forked):
    world, ann, phones = forked
    ann.invite("101")
    for phone in phones:
        phone.ring()
    phones[1].answer()
    ann.ack()
    for loser in (phones[0], phones[2]):
        cancel = loser.last("CANCEL")
        assert cancel.headers.get("Reason") == 'SIP;cause=200;text="Call completed elsewhere"'
        loser.respond(cancel, 200)
        loser.respond(loser.last("INVITE"), 487)
    hang_up(world, ann, phones[1])


def test_two_answers_at_once_the_second_is_hung_up(forked):
    world, ann, phones = forked
    ann.invite("101")
    for phone in phones:
        phone.ring()
    phones[0].answer()
    phones[1].answer()
    assert phones[1].summary()[-2:] == ["ACK", "BYE"]
    phones[1].ok("BYE")
    ann.ack()
    hang_up(world, ann, phones[0])


def test_a_phone_that_is_silent_keeps_nothing_of_a_call_that_is_over(forked):
    """It cannot be cancelled before it says something (RFC 3261 §9.1), but is not waited for."""
    world, ann, phones = forked
    ann.invite("101")
    phones[0].ring()
    phones[0].answer()
    ann.ack()
    assert len(world.exchange.endpoints.ports) == 2
    ann.bye()
    phones[0].ok("BYE")
    assert len(world.exchange.endpoints.ports) == 0
    assert world.records[0].state == "answered"
    phones[1].ring()  # now it can be cancelled, and what comes of that changes nothing
    phones[1].answer()
    assert phones[1].summary()[-2:] == ["ACK", "BYE"]
    phones[1].ok("BYE")
    assert len(world.exchange.endpoints.ports) == 0


def test_busy_on_one_phone_leaves_the_others_ringing_and_603_stops_all(forked):
    world, ann, phones = forked
    ann.invite("101")
    for phone in phones:
        phone.ring()
    phones[0].respond(phones[0].last("INVITE"), 486)
    assert ann.statuses()[-1] == 180
    phones[1].respond(phones[1].last("INVITE"), 603)
    assert phones[2].summary()[-1] == "CANCEL"
    assert ann.statuses()[-1] == 603
    world.assert_nothing_left()


def test_busy_beats_other_refusals_of_a_fork(forked):
    world, ann, phones = forked
    ann.invite("101")
    for phone, status in zip(phones, (480, 486, 503), strict=True):
        phone.respond(phone.last("INVITE"), status)
    assert ann.statuses()[-1] == 486
    world.assert_nothing_left()


def test_302_to_another_extension_is_followed_once(world, ann, bob, eve):
    ann.invite("101")
    bob.respond(bob.last("INVITE"), 302, Contact="<sip:102@pbx.local>")
    eve.ring()
    eve.answer()
    ann.ack()
    hang_up(world, ann, eve)


# --- early media and reliable provisional responses -------------------------------------------------------


def test_early_media_is_passed_on_and_the_200_says_the_same(world, ann, bob):
    ann.invite("101")
    bob.ring(183, bob.sdp())
    progress = ann.last(183)
    assert b"m=audio" in progress.body
    assert any(isinstance(order, Join) for order in world.orders)
    bob.answer()
    assert ann.last(200).body == progress.body
    ann.ack()
    hang_up(world, ann, bob)


def test_100rel_to_the_caller_is_repeated_until_its_prack(world, ann, bob):
    ann.invite("101", Supported="100rel")
    bob.ring(183, bob.sdp())
    progress = ann.last(183)
    assert progress.headers.get("Require") == "100rel"
    world.wait(2)
    assert len(ann.all(183)) == 3
    ann.dialog.update(
        remote=progress.headers.get("To"),
        local=progress.headers.get("From"),
        target=progress.contacts[0].uri.render(),
    )
    bob.answer()
    assert 200 not in ann.statuses()  # RFC 3262 §3: not while the answer in the 183 is unacknowledged
    prack = ann.in_dialog(
        "PRACK", RAck=f"{progress.headers.get('RSeq')} {ann.sent_invite.cseq.number} INVITE"
    )
    ann.send(prack)
    assert ann.statuses("PRACK") == [200]
    assert ann.statuses()[-1] == 200
    assert ann.last(200).body == b""
    ann.ack()
    hang_up(world, ann, bob)


def test_a_prack_for_nothing_is_481(world, ann, bob):
    talk(world, ann, bob)
    ann.send(ann.in_dialog("PRACK", RAck="1 1 INVITE"))
    assert ann.statuses("PRACK") == [481]
    hang_up(world, ann, bob)


def test_a_reliable_183_of_the_callee_is_pracked_once(world, ann, bob):
    ann.invite("101")
    bob.ring(183, bob.sdp(), Require="100rel", RSeq="17")
    prack = bob.last("PRACK")
    assert prack.headers.get("RAck") == f"17 {bob.last('INVITE').cseq.number} INVITE"
    bob.respond(prack, 200)
    bob.ring(183, bob.sdp(), Require="100rel", RSeq="17")
    assert bob.summary().count("PRACK") == 1
    bob.answer("")
    assert b"m=audio" in ann.last(200).body
    ann.ack()
    hang_up(world, ann, bob)


def test_a_caller_that_never_pracks_is_given_up(world, ann, bob):
    ann.invite("101", Supported="100rel")
    bob.ring(183, bob.sdp())
    world.wait(19)
    assert ann.statuses()[-1] == 183
    world.assert_nothing_left()


# --- late offer and renegotiation -------------------------------------------------------------------------


def test_an_invite_without_offer_gets_one_in_the_200_and_answers_in_the_ack(world, ann, bob):
    ann.invite("101", "")
    assert bob.last("INVITE").body == b""
    bob.answer()
    assert b"m=audio" in ann.last(200).body
    assert "ACK" not in bob.summary()
    ann.ack(ann.sdp())
    assert b"m=audio" in bob.last("ACK").body
    assert any(isinstance(order, Join) for order in world.orders)
    hang_up(world, ann, bob)


def direction_of(message):
    """The direction of the only media line (RFC 8866 §6.7)."""
    said = re.findall(rb"a=(sendrecv|sendonly|recvonly|inactive)\r\n", message.body)
    assert len(said) <= 1
    return said[0].decode() if said else "sendrecv"


def test_hold_and_resume_pass_with_their_direction(world, ann, bob):
    talk(world, ann, bob)
    for version, (offered, expected, answered, back) in enumerate(
        [
            ("sendonly", "sendonly", "recvonly", "recvonly"),
            ("inactive", "sendonly", "recvonly", "inactive"),  # who is held hears music of ours
            ("sendrecv", "sendrecv", "sendrecv", "sendrecv"),
        ],
        2,
    ):
        ann.send(ann.in_dialog("INVITE", ann.sdp(version, offered)))
        offer = bob.last("INVITE")
        assert direction_of(offer) == expected
        bob.respond(offer, 200, bob.sdp(version, answered))
        assert bob.summary()[-1] == "ACK"
        ok = ann.last(200)
        assert direction_of(ok) == back
        ann.ack()
    hang_up(world, ann, bob)


def test_hold_by_the_null_address(world, ann, bob):
    talk(world, ann, bob)
    held = ann.sdp(2).replace("c=IN IP4 192.0.2.9", "c=IN IP4 0.0.0.0")
    ann.send(ann.in_dialog("INVITE", held))
    assert b"c=IN IP4 192.0.2.1" in bob.last("INVITE").body
    assert b"a=sendonly" in bob.last("INVITE").body
    bob.respond(bob.last("INVITE"), 200, bob.sdp(2, "recvonly"))
    ann.ack()
    told = [order for order in world.orders if isinstance(order, SetRemote)]
    assert not told[-1].may_send or not told[-2].may_send
    hang_up(world, ann, bob)


def test_a_refused_reinvite_leaves_the_call_up(world, ann, bob):
    talk(world, ann, bob)
    ann.send(ann.in_dialog("INVITE", ann.sdp(2, "sendonly")))
    bob.respond(bob.last("INVITE"), 488)
    assert ann.statuses()[-1] == 488
    ann.send(ann.in_dialog("INVITE", ann.sdp(3, "sendonly")))
    bob.respond(bob.last("INVITE"), 200, bob.sdp(2, "recvonly"))
    ann.ack()
    hang_up(world, ann, bob)


def test_an_offerless_reinvite_takes_the_far_side_s_offer(world, ann, bob):
    talk(world, ann, bob)
    ann.send(ann.in_dialog("INVITE"))
    assert bob.last("INVITE").body == b""
    bob.respond(bob.last("INVITE"), 200, bob.sdp(2))
    assert b"m=audio" in ann.last(200).body
    ann.ack(ann.sdp(2))
    assert b"m=audio" in bob.last("ACK").body
    hang_up(world, ann, bob)


def test_glare_is_491(world, ann, bob):
    talk(world, ann, bob)
    ann.send(ann.in_dialog("INVITE", ann.sdp(2, "sendonly")))
    bob.send(bob.in_dialog("INVITE", bob.sdp(2, "sendonly")))
    assert bob.statuses("INVITE")[-1] == 491
    ours = [m for m in bob.all("INVITE") if m.cseq.number != 1][-1]
    bob.respond(ours, 491)
    assert ann.statuses()[-1] == 491
    hang_up(world, ann, bob)


def test_a_second_reinvite_before_the_first_is_answered_is_500_with_retry_after(world, ann, bob):
    talk(world, ann, bob)
    ann.send(ann.in_dialog("INVITE", ann.sdp(2, "sendonly")))
    ann.send(ann.in_dialog("INVITE", ann.sdp(3, "sendonly")))
    assert ann.statuses()[-1] == 500
    assert ann.last(500).headers.get("Retry-After") is not None
    bob.respond(bob.last("INVITE"), 200, bob.sdp(2, "recvonly"))
    ann.ack()
    hang_up(world, ann, bob)


def test_a_session_refresh_is_answered_without_troubling_the_other_side(world, ann, bob):
    talk(world, ann, bob)
    before = bob.summary()
    ann.send(ann.in_dialog("INVITE", ann.sdp()))
    assert ann.statuses()[-1] == 200
    ann.ack()
    assert bob.summary() == before
    ann.send(ann.in_dialog("UPDATE"))
    assert ann.statuses("UPDATE") == [200]
    hang_up(world, ann, bob)


def test_an_update_with_an_offer_reaches_the_other_side(world, ann, bob):
    talk(world, ann, bob)
    ann.send(ann.in_dialog("UPDATE", ann.sdp(2, "sendonly")))
    bob.respond(bob.last("INVITE"), 200, bob.sdp(2, "recvonly"))
    assert ann.statuses("UPDATE") == [200]
    assert b"a=recvonly" in ann.last(200).body
    hang_up(world, ann, bob)


def test_a_dead_peer_found_by_the_session_timer(world, ann, bob):
    talk(world, ann, bob)
    bob.drops = True
    world.wait(1000)
    assert "BYE" in ann.summary()
    world.assert_nothing_left()


def test_session_interval_too_small_is_422(world, ann, bob):
    ann.invite("101", Supported="timer", Session_Expires="30")
    assert ann.statuses()[-1] == 422
    assert ann.last(422).headers.get("Min-SE") == "90"
    world.assert_nothing_left()


def test_silence_of_both_sides_ends_the_call(world, ann, bob):
    talk(world, ann, bob)
    a, b = next((order.a, order.b) for order in world.orders if isinstance(order, Join))
    world.perform(world.exchange.media_event(Silent(a, 30.0), world.now))
    assert "BYE" not in ann.summary()
    world.perform(world.exchange.media_event(Silent(b, 30.0), world.now))
    assert "BYE" in ann.summary()
    assert "BYE" in bob.summary()
    ann.ok("BYE")
    bob.ok("BYE")
    world.assert_nothing_left()


def test_who_has_fallen_silent_is_asked_whether_the_call_is_there_still(world, ann, bob):
    """A branch office whose PBX was started anew: the caller is not to pay for silence until the refresh."""
    talk(world, ann, bob)
    b = next(order.b for order in world.orders if isinstance(order, Join))
    world.perform(world.exchange.media_event(Silent(b, 30.0), world.now))
    assert "BYE" not in ann.summary()
    assert len(bob.all("INVITE")) == 2
    bob.respond(bob.last("INVITE"), 481)
    assert "BYE" in ann.summary()
    ann.ok("BYE")
    bob.ok("BYE")
    world.assert_nothing_left()


def test_who_is_silent_and_there_stays_in_the_call(world, ann, bob):
    talk(world, ann, bob)
    b = next(order.b for order in world.orders if isinstance(order, Join))
    world.perform(world.exchange.media_event(Silent(b, 30.0), world.now))
    bob.respond(bob.last("INVITE"), 200, bob.sdp())
    assert "BYE" not in ann.summary()
    hang_up(world, ann, bob)


# --- transfer ---------------------------------------------------------------------------------------------


def sipfrags(phone: Phone) -> list[str]:
    return [notify.body.decode().strip() for notify in phone.all("NOTIFY")]


def settle_reinvite(phone: Phone) -> None:
    """Answer the renegotiation that a transfer brings."""
    phone.respond(phone.last("INVITE"), 200, phone.sdp(5))


def test_blind_transfer(world, ann, bob, eve):
    talk(world, ann, bob)
    bob.send(bob.in_dialog("REFER", Refer_To="<sip:102@pbx.local>"))
    assert bob.statuses("REFER") == [202]
    bob.ok("NOTIFY")
    assert eve.last("INVITE").headers.get("From").startswith('"Phone 100" <sip:100@')
    eve.ring()
    bob.ok("NOTIFY")
    eve.answer()
    bob.ok("NOTIFY")
    assert sipfrags(bob) == ["SIP/2.0 100 Trying", "SIP/2.0 180 Ringing", "SIP/2.0 200 OK"]
    reinvite = ann.last("INVITE")
    assert "<sip:102@pbx.local>" in reinvite.headers.get("P-Asserted-Identity")
    settle_reinvite(ann)
    bob.bye()
    assert bob.statuses("BYE") == [200]
    assert "BYE" not in ann.summary()
    hang_up(world, ann, eve)


def test_blind_transfer_by_one_who_hangs_up_at_once(world, ann, bob, eve):
    talk(world, ann, bob)
    bob.send(bob.in_dialog("REFER", Refer_To="<sip:102@pbx.local>"))
    for notify in bob.all("NOTIFY"):
        bob.respond(notify, 200)
    bob.bye()
    assert "BYE" not in ann.summary()
    eve.answer()
    settle_reinvite(ann)
    # RFC 5359 §2.4: despite the BYE, the dialog is there until the subscription of the REFER has ended.
    assert sipfrags(bob) == ["SIP/2.0 100 Trying", "SIP/2.0 200 OK"]
    assert bob.last("NOTIFY").headers.get("Subscription-State").startswith("terminated")
    bob.ok("NOTIFY")
    hang_up(world, eve, ann)


def test_a_transfer_that_fails_gives_the_call_back(world, ann, bob, eve):
    talk(world, ann, bob)
    bob.send(bob.in_dialog("REFER", Refer_To="<sip:102@pbx.local>"))
    eve.respond(eve.last("INVITE"), 486)
    assert sipfrags(bob)[-1] == "SIP/2.0 486 Busy Here"
    for notify in bob.all("NOTIFY"):
        bob.respond(notify, 200)
    ann.send(ann.in_dialog("INVITE", ann.sdp(2, "sendonly")))
    bob.respond(bob.last("INVITE"), 200, bob.sdp(2, "recvonly"))
    ann.ack()
    hang_up(world, ann, bob)


def test_a_transfer_to_nobody_is_told_and_the_call_goes_on(world, ann, bob):
    talk(world, ann, bob)
    bob.send(bob.in_dialog("REFER", Refer_To="<sip:999@pbx.local>"))
    assert sipfrags(bob)[-1] == "SIP/2.0 404 Not Found"
    for notify in bob.all("NOTIFY"):
        bob.respond(notify, 200)
    hang_up(world, ann, bob)


def attended(bob: Phone, first: dict[str, str], second: dict[str, str]) -> None:
    """REFER on the first call to the second."""
    tags = {name: second[name].partition(";tag=")[2] for name in ("local", "remote")}
    replaces = f"{second['call_id']}%3Bto-tag%3D{tags['remote']}%3Bfrom-tag%3D{tags['local']}"
    bob.dialog = first
    bob.send(bob.in_dialog("REFER", Refer_To=f"<sip:102@pbx.local?Replaces={replaces}>"))


def test_attended_transfer(world, ann, bob, eve):
    talk(world, ann, bob)
    first = bob.dialog
    talk(world, bob, eve)
    second = bob.dialog
    attended(bob, first, second)
    assert bob.statuses("REFER") == [202]
    settle_reinvite(eve)
    settle_reinvite(ann)
    assert sipfrags(bob)[-1] == "SIP/2.0 200 OK"
    assert "102" in ann.last("INVITE").headers.get("P-Asserted-Identity")
    assert "100" in eve.last("INVITE").headers.get("P-Asserted-Identity")
    bob.ok("NOTIFY")
    bye = bob.last("BYE")
    assert bye.call_id == second["call_id"]
    bob.respond(bye, 200)
    bob.dialog = first
    bob.bye()
    assert "BYE" not in ann.summary()
    assert "BYE" not in eve.summary()
    assert len(world.exchange.calls) == 1
    hang_up(world, ann, eve)


def test_attended_transfer_while_the_target_rings(world, ann, bob, eve):
    talk(world, ann, bob)
    first = bob.dialog
    bob.invite("102")
    eve.ring()
    ringing = bob.last(180)
    second = {
        "call_id": ringing.call_id,
        "local": ringing.headers.get("From"),
        "remote": ringing.headers.get("To"),
    }
    attended(bob, first, second)
    assert bob.statuses("INVITE")[-1] == 487
    eve.answer()
    settle_reinvite(eve)
    settle_reinvite(ann)
    bob.dialog = first
    bob.bye()
    assert len(world.exchange.calls) == 1
    hang_up(world, eve, ann)


def test_a_refer_that_replaces_somebody_else_s_call_is_481(world, ann, bob, eve):
    talk(world, ann, bob)
    attended(bob, bob.dialog, ann.dialog)
    assert sipfrags(bob)[-1].startswith("SIP/2.0 481")
    for notify in bob.all("NOTIFY"):
        bob.respond(notify, 200)
    hang_up(world, ann, bob)


@pytest.mark.parametrize("value", ["false", "False ;some=thing"])
def test_refer_sub_false_gets_no_notify(world, ann, bob, eve, value):
    talk(world, ann, bob)
    bob.send(bob.in_dialog("REFER", Refer_To="<sip:102@pbx.local>", Refer_Sub=value))
    assert bob.last(202).headers.get("Refer-Sub") == "false"
    eve.answer()
    settle_reinvite(ann)
    assert sipfrags(bob) == []
    bob.bye()
    hang_up(world, ann, eve)


def test_an_invite_with_replaces_takes_over_a_call(world, ann, bob, eve):
    talk(world, ann, bob)
    tags = {name: bob.dialog[name].partition(";tag=")[2] for name in ("local", "remote")}
    eve.invite("101", Replaces=f"{bob.dialog['call_id']};to-tag={tags['remote']};from-tag={tags['local']}")
    settle_reinvite(ann)
    eve.ack()
    assert "BYE" in bob.summary()
    bob.ok("BYE")
    hang_up(world, eve, ann)


# --- what is passed on, and what is refused ---------------------------------------------------------------


def test_info_is_passed_on_with_its_answer(world, ann, bob):
    ann.invite("101")
    bob.answer(bob.sdp(formats="8 0"))  # bob takes no events, which the PBX would make of it
    ann.ack()
    info = ann.in_dialog(
        "INFO",
        "Signal=5\r\nDuration=160\r\n",
    )
    info.headers.set("Content-Type", "application/dtmf-relay")
    ann.send(info)
    passed = bob.last("INFO")
    assert passed.body == b"Signal=5\r\nDuration=160\r\n"
    assert passed.headers.get("Content-Type") == "application/dtmf-relay"
    bob.respond(passed, 200)
    assert ann.statuses("INFO") == [200]
    hang_up(world, ann, bob)


def test_a_message_between_devices_is_relayed(world, ann, bob):
    ann.send_authenticated(lambda: ann.request("MESSAGE", "sip:101@pbx.local", "hello", call_id="msg"))
    assert bob.last("MESSAGE").body == b"hello"
    bob.ok("MESSAGE")
    assert ann.statuses("MESSAGE")[-1] == 200
    world.assert_nothing_left()


def test_privacy_hides_the_caller(world, ann, bob):
    ann.invite("101", Privacy="id")
    invite = bob.last("INVITE")
    assert "100" not in invite.headers.get("From").partition(";tag=")[0]
    assert invite.headers.get("P-Asserted-Identity") is None
    bob.respond(invite, 486)
    world.assert_nothing_left()


def test_a_foreign_from_is_refused(world, ann, bob):
    ann.invite("101", From=f"<sip:101@pbx.local>;tag={ann.tag}")
    assert ann.statuses()[-1] == 403
    world.assert_nothing_left()


def test_too_many_hops(world, ann, bob):
    ann.send(ann.request("INVITE", "sip:101@pbx.local", ann.sdp(), Max_Forwards="0"))
    assert ann.statuses() == [483]
    world.assert_nothing_left()


@pytest.mark.parametrize(
    "body",
    [
        "v=0\r\nrubbish",
        "v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n",
    ],
)
def test_an_offer_that_nobody_can_take_is_488_with_a_warning(world, ann, bob, body):
    ann.invite("101", body)
    assert ann.statuses()[-1] == 488
    assert ann.last(488).headers.get("Warning") is not None
    world.assert_nothing_left()


def test_an_expired_registration_is_no_longer_rung(world, ann, bob):
    bob.register(60)
    world.wait(61)
    ann.invite("101")
    assert ann.statuses()[-1] == 480
    world.assert_nothing_left()
