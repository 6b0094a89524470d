"""Odd but legal: forks, answers in odd places, connections that go, requests of no use."""

import pytest

from pbx.media.orders import SetRemote
from pbx.sip.flow import Flow
from tests.call.test_outside_calls import CARRIER, Carrier, make_office, start
from tests.call.world import SERVER, Phone, World, hang_up, talk

ANNOUNCER, GATEWAY = "198.51.100.77", "198.51.100.88"  # media servers


def sdp(host: str = CARRIER, version: int = 1, formats: str = "8 0 101") -> str:
    return (
        f"v=0\r\no=- 7 {version} IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
        f"m=audio 40000 RTP/AVP {formats}\r\na=rtpmap:101 telephone-event/8000\r\n"
    )


def call() -> tuple[World, Carrier, Phone]:
    """A phone dials a number outside."""
    world, carrier, _, (ann,) = start(make_office(), "100")
    ann.invite("31234567")
    return world, carrier, ann


def heard(world: World) -> str:
    """Where the carrier's media comes from, as the media worker was told last."""
    told = [each.rtp[0] for each in world.orders if isinstance(each, SetRemote) and ".B" in each.endpoint]
    return str(told[-1])


# --- several forks behind the carrier ----------------------------------------------------------------------


def test_of_two_forks_the_one_is_heard_that_has_spoken_up_last():
    world, carrier, ann = call()
    carrier.ring(183, sdp(ANNOUNCER), tag="one")
    assert heard(world) == ANNOUNCER
    carrier.ring(183, sdp(GATEWAY), tag="two")
    assert heard(world) == GATEWAY
    carrier.ring(183, sdp(ANNOUNCER), tag="one")  # of each fork, the first answer is the answer
    assert heard(world) == GATEWAY
    carrier.tag = "two"
    carrier.answer(sdp(GATEWAY))
    ann.ack()
    hang_up(world, ann, carrier)


@pytest.mark.parametrize(("tag", "place"), [("one", ANNOUNCER), ("two", GATEWAY)])
def test_the_fork_that_answers_is_heard_though_its_200_says_nothing_more(tag, place):
    world, carrier, ann = call()
    carrier.ring(183, sdp(ANNOUNCER), tag="one", Require="100rel", RSeq="1")
    carrier.ring(183, sdp(GATEWAY), tag="two", Require="100rel", RSeq="1")
    carrier.tag = tag
    carrier.answer("")
    assert heard(world) == place
    ann.ack()
    hang_up(world, ann, carrier)


# --- answers in odd places ---------------------------------------------------------------------------------


def early_dialog(carrier: Carrier) -> None:
    invite = carrier.last("INVITE")
    to, target = invite.headers.get("To"), invite.contacts[0].uri.render()
    carrier.dialog = {
        "call_id": invite.call_id,
        "remote": invite.headers.get("From"),
        "local": f"{to};tag={carrier.tag}",
        "target": target,
    }


@pytest.mark.parametrize("again", ["", sdp(GATEWAY, 2)], ids=["says nothing", "says the same again"])
def test_media_that_moved_by_update_stay_where_they_are_when_the_200(again):
    world, carrier, ann = call()
    carrier.ring(183, sdp(ANNOUNCER), Require="100rel", RSeq="1")
    early_dialog(carrier)
    carrier.send(carrier.in_dialog("UPDATE", sdp(GATEWAY, 2)))
    assert carrier.statuses("UPDATE") == [200]
    carrier.answer(again)
    assert heard(world) == GATEWAY
    ann.ack()
    hang_up(world, ann, carrier)


def test_a_200_with_a_body_that_is_no_sdp_says_nothing_about_media():
    world, carrier, ann = call()
    carrier.ring(183, sdp(ANNOUNCER), Require="100rel", RSeq="1")
    carrier.answer("ISUP", Content_Type="application/isup;version=ansi")
    assert ann.statuses()[-1] == 200
    assert heard(world) == ANNOUNCER
    ann.ack()
    hang_up(world, ann, carrier)


def test_a_reinvite_asks_for_no_reliable_responses_but_acknowledges_them():
    world, carrier, ann = call()
    carrier.answer(sdp())
    ann.ack()
    ann.send(ann.in_dialog("INVITE", ann.sdp(2, "sendonly")))
    assert "100rel" not in carrier.last("INVITE").headers.get("Supported")
    carrier.ring(180, Require="100rel", RSeq="7")
    assert carrier.last("PRACK").headers.get("RAck").startswith("7 ")
    carrier.ok("PRACK")
    carrier.ok("INVITE", sdp(version=2))
    assert ann.statuses()[-1] == 200
    ann.ack()
    hang_up(world, ann, carrier)


# --- session timers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [403, 405, 488, 501])
def test_who_refuses_an_update_is_asked_by_invite(status):
    world, carrier, ann = call()
    carrier.answer(sdp(), Session_Expires="1800;refresher=uac", Require="timer", Allow="INVITE, UPDATE")
    ann.ack()
    world.wait(900.5)
    carrier.respond(carrier.last("UPDATE"), status)
    carrier.respond(carrier.last("INVITE"), 200, sdp(), Session_Expires="1800;refresher=uac")
    assert carrier.summary()[-1] == "ACK"


@pytest.mark.parametrize("status", [491, 500])
def test_who_cannot_take_an_update_just_now_is_asked_again(status):
    world, carrier, ann = call()
    carrier.answer(sdp(), Session_Expires="1800;refresher=uac", Require="timer", Allow="INVITE, UPDATE")
    ann.ack()
    world.wait(900.5)
    first = carrier.last("UPDATE")
    carrier.respond(first, status)
    world.wait(5.5)
    assert carrier.last("UPDATE").cseq.number == first.cseq.number + 1
    assert len(carrier.all("INVITE")) == 1


# --- connections that go -----------------------------------------------------------------------------------


def reconnect(world: World, phone: Phone, port: int) -> None:
    """A phone loses its connection and opens another one."""
    world.perform(world.exchange.flow_lost(phone.flow, "the connection broke", world.now))
    del world.phones[phone.address]
    phone.address = (phone.address[0], port)
    phone.flow = Flow("TCP", phone.address, SERVER, accepted=True)
    phone.contact = f"<sip:{phone.username}@{phone.address[0]}:{port};transport=tcp>"
    world.phones[phone.address] = phone


def test_a_phone_that_has_registered_over_another_connection_hears_that_its_call_is_over(world, ann):
    bob = world.phone("101", port=40001, transport="TCP")
    talk(world, ann, bob)
    reconnect(world, bob, 40002)
    bob.register()
    ann.bye()
    assert bob.summary()[-1] == "BYE"
    bob.ok("BYE")
    world.assert_nothing_left()


def test_another_phone_of_the_device_is_not_taken_for_the_one_in_the_call(world, ann):
    bob = world.phone("101", port=40001, transport="TCP")
    talk(world, ann, bob)
    other = world.phone("101", port=40009, transport="TCP")
    ann.bye()
    assert bob.summary()[-1] == "BYE"
    assert not other.all("BYE")
    bob.ok("BYE")
    world.assert_nothing_left()


def test_who_has_closed_his_connection_is_reached_by_another_one_at_his_contact(world, ann):
    bob = world.phone("101", port=40001, transport="TCP")
    bob.contact = "<sip:101@192.0.2.9:5060;transport=tcp>"
    talk(world, ann, bob)
    reconnect(world, bob, 5060)
    ann.bye()
    assert bob.summary()[-1] == "BYE"
    assert bob.came_by[id(bob.last("BYE"))] == "TCP"
    bob.ok("BYE")
    world.assert_nothing_left()


def test_a_phone_whose_nat_gives_it_another_port_hears_that_its_call_is_over(world, ann):
    bob = world.phone("101", port=31000, host="203.0.113.9", via="SIP/2.0/UDP 10.0.0.5:5060")
    talk(world, ann, bob)
    del world.phones[bob.address]
    bob.address = ("203.0.113.9", 31001)
    bob.flow = Flow("UDP", bob.address, SERVER)
    world.phones[bob.address] = bob
    bob.register()
    ann.bye()
    assert bob.summary()[-1] == "BYE"
    bob.ok("BYE")
    world.assert_nothing_left()


def test_a_phone_that_rings_and_registers_over_another_connection_is_cancelled_there(world, ann):
    bob = world.phone("101", port=40001, transport="TCP")
    ann.invite("101")
    bob.ring()
    reconnect(world, bob, 40002)
    bob.register()
    ann.cancel()
    assert bob.summary()[-1] == "CANCEL"
    bob.respond(bob.last("CANCEL"), 200)
    bob.respond(bob.last("INVITE"), 487)
    world.assert_nothing_left()


def test_a_phone_that_rings_and_registers_over_another_connection_answers_there(world, ann):
    bob = world.phone("101", port=40001, transport="TCP")
    ann.invite("101")
    bob.ring()
    reconnect(world, bob, 40002)
    bob.register()
    bob.answer()
    ann.ack()
    assert bob.summary()[-1] == "ACK"
    hang_up(world, ann, bob)


def test_a_caller_that_registers_over_another_connection_hears_there_that_somebody_answers(world):
    ann = world.phone("100", port=40001, transport="TCP")
    bob = world.phone("101")
    ann.invite("101")
    bob.ring()
    reconnect(world, ann, 40002)
    ann.register()
    bob.answer()
    assert ann.statuses()[-1] == 200
    ann.ack()
    hang_up(world, ann, bob)


def lose(world: World, phone: Phone, port: int) -> None:
    """A phone behind NAT loses its connection: what is sent there is lost, until it registers by another."""
    before = phone.flow
    reconnect(world, phone, port)
    phone.via = "SIP/2.0/TCP 10.0.0.5:5060"  # it is behind NAT: nobody else can open one
    world.lost.add(before)


@pytest.mark.parametrize("end", ["the caller gives up", "nobody answers", "another phone answers"])
def test_a_phone_that_comes_back_does_not_ring_on(world, ann, end):
    bob = world.phone("101", port=40001, transport="TCP", via="SIP/2.0/TCP 10.0.0.5:5060")
    other = world.phone("101", port=5077)
    ann.invite("101")
    bob.ring()
    other.ring()
    lose(world, bob, 40002)
    if end == "the caller gives up":
        ann.cancel()
        other.respond(other.last("CANCEL"), 200)
        other.respond(other.last("INVITE"), 487)
    elif end == "nobody answers":
        world.wait(20.5)
        other.respond(other.last("CANCEL"), 200)
        other.respond(other.last("INVITE"), 487)
        assert ann.statuses()[-1] == 480
    else:
        other.answer()
        ann.ack()
    assert not bob.all("CANCEL")
    bob.register()
    assert bob.summary()[-1] == "CANCEL"
    bob.respond(bob.last("CANCEL"), 200)
    bob.respond(bob.last("INVITE"), 487)
    if end == "another phone answers":
        hang_up(world, ann, other)
    world.assert_nothing_left()


def test_a_phone_that_comes_back_hears_that_its_call_is_over(world, ann):
    bob = world.phone("101", port=40001, transport="TCP", via="SIP/2.0/TCP 10.0.0.5:5060")
    talk(world, ann, bob)
    lose(world, bob, 40002)
    ann.bye()
    assert not bob.all("BYE")
    assert not world.exchange.calls
    bob.register()
    assert bob.summary()[-1] == "BYE"
    bob.ok("BYE")
    bob.register()
    assert len(bob.all("BYE")) == 1
    world.assert_nothing_left()


def test_a_phone_that_never_comes_back_is_forgotten(world, ann):
    bob = world.phone("101", port=40001, transport="TCP", via="SIP/2.0/TCP 10.0.0.5:5060")
    talk(world, ann, bob)
    lose(world, bob, 40002)
    ann.bye()
    world.wait(121.0)
    bob.register()
    assert not bob.all("BYE")
    world.assert_nothing_left()


# --- video that a carrier does not even refuse by port 0 ---------------------------------------------------


def test_who_takes_no_video_is_asked_for_audio_alone_at_last():
    world, carrier, _, (ann,) = start(make_office(), "100")
    ann.invite("31234567", ann.sdp() + "m=video 40002 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\n")
    for _ in range(2):  # without SRTP and with it
        assert b"m=video" in carrier.last("INVITE").body
        carrier.respond(carrier.last("INVITE"), 488)
    assert b"m=video" not in carrier.last("INVITE").body
    carrier.answer(sdp())
    assert b"m=video 0 " in ann.last(200).body
    ann.ack()
    hang_up(world, ann, carrier)


# --- nobody to pass it on to -------------------------------------------------------------------------------

UNPASSED = {
    "keys": ("INFO", "application/dtmf-relay", "Signal=5", {}, 200),
    "nothing": ("INFO", "", "", {}, 200),
    "a wish for a new picture": ("INFO", "application/media_control+xml", "<x/>", {}, 415),
    "a package": ("INFO", "text/plain", "x", {"Info_Package": "nobody-knows"}, 469),
    "a message": ("MESSAGE", "text/plain", "hello", {}, 415),
}


@pytest.mark.parametrize(("method", "kind", "body", "headers", "status"), UNPASSED.values(), ids=UNPASSED)
def test_what_the_pbx_has_no_use_for_does_not_end_the_dialog(world, ann, method, kind, body, headers, status):
    ann.invite("*43")
    ann.ack()
    request = ann.in_dialog(method, body, **headers)
    request.headers.set("Content-Type", kind)
    ann.send(request)
    assert ann.statuses(method) == [status]
    assert ("Recv-Info" in ann.received[-1].headers) == (status == 469)


@pytest.mark.parametrize(("theirs", "told"), [(408, 500), (415, 415), (469, 469)])
def test_that_the_other_sides_dialog_is_gone_says_nothing_about_this_one(world, ann, bob, theirs, told):
    talk(world, ann, bob)
    request = ann.in_dialog("INFO", "x")
    request.headers.set("Content-Type", "application/x-unknown")
    ann.send(request)
    bob.respond(bob.last("INFO"), theirs)
    assert ann.statuses("INFO") == [told]
    hang_up(world, ann, bob)


def test_info_answered_by_481_ends_the_call(world, ann, bob):
    """RFC 3261 §12.2.1.2: the other side knows nothing of its dialog any more."""
    talk(world, ann, bob)
    ann.send(ann.in_dialog("INFO", "x", Content_Type="application/x-unknown"))
    bob.respond(bob.last("INFO"), 481)
    assert ann.statuses("INFO") == [500]
    for phone in (ann, bob):
        phone.ok("BYE")
    world.assert_nothing_left()


def test_each_fork_counts_its_requests_for_itself(world, ann, bob):
    """RFC 3261 §12.2.2: a high CSeq of one fork does not make the BYE of the other one old."""
    ann.invite("101")
    invite = bob.last("INVITE")
    for tag in ("fork-1", "fork-2"):
        bob.ring(180, tag=tag)
    bob.dialog = {
        "call_id": invite.call_id,
        "remote": invite.headers.get("From"),
        "local": f"{invite.headers.get('To')};tag=fork-1",
        "target": invite.contacts[0].uri.render(),
    }
    bob.cseq = 5000
    bob.send(bob.in_dialog("UPDATE"))
    assert bob.statuses("UPDATE") == [200]
    bob.respond(invite, 200, bob.sdp(), tag="fork-2")
    ann.ack()
    bob.dialog["local"] = f"{invite.headers.get('To')};tag=fork-2"
    bob.cseq = 1
    hang_up(world, bob, ann)
    assert bob.statuses("BYE") == [200]
