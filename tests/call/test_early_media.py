"""Early media for who is up already: he hears the carrier, not our ringing tone (product §3)."""

from dataclasses import replace
from typing import Any

import pytest

from pbx.media.orders import CloseEndpoint, Join, Mix, Part, Play, StopPlay
from pbx.office.no_answer import NoAnswer
from pbx.office.outbound_rule import AllowedCountry, OutboundRule
from tests.call.test_hot_desk_calls import begin
from tests.call.test_outside_calls import Carrier, change, make_office, start
from tests.call.voices import endpoint_of, refer
from tests.call.world import Phone, World, hang_up, talk

NUMBER = "31234567"


def heard_by(world: World, phone: Phone) -> str:
    """What a phone hears now: a sound that goes round, whoever it is joined with, or ""."""
    mine = endpoint_of(world, phone)
    peers: dict[str, str] = {}
    rooms: dict[str, str] = {}
    sound = ""

    def part(name: str) -> None:
        peers.pop(peers.pop(name, ""), None)

    for order in world.orders:
        match order:
            case Join(a, b):
                part(a)
                part(b)
                peers[a], peers[b] = b, a
            case Part(endpoint):
                part(endpoint)
            case CloseEndpoint(endpoint):
                part(endpoint)
                rooms.pop(endpoint, None)
            case Mix(endpoint, room):
                rooms[endpoint] = room
            case Play(endpoint, stem=stem, loop=True) if endpoint == mine:
                sound = str(world.heard(int(stem))[0])
            case StopPlay(endpoint) if endpoint == mine:
                sound = ""
    if sound:
        return sound
    leg = {
        each: leg
        for call in world.exchange.calls.values()
        for leg in call.legs
        for each in leg.media.endpoints
    }
    others = [each for each, room in rooms.items() if room and room == rooms.get(mine) and each != mine]
    peer = peers.get(mine) or next(iter(others), "")
    return leg[peer].party.trunk or leg[peer].party.key if peer else ""


def after_a_passcode(**sdp: Any) -> tuple[World, Carrier, Carrier, Phone]:
    rule = OutboundRule("standard", ("carrier", "second"), countries=(AllowedCountry("SG", passcode=True),))
    office = change(replace(make_office(), outbound_rules=(rule,)), "100", passcode_hash="hash")
    world, carrier, second, (ann,) = start(office, "100")
    ann.invite(NUMBER, ann.sdp(**sdp) if sdp else None)
    ann.ack()
    world.press("4321#")
    assert heard_by(world, ann) == "ringback"
    return world, carrier, second, ann


def early(carrier: Phone, status: int = 183, **sdp: Any) -> None:
    carrier.ring(status, carrier.sdp(**sdp))


def test_after_a_passcode_the_carriers_announcement_is_heard():
    world, carrier, _, ann = after_a_passcode()
    carrier.ring()
    assert heard_by(world, ann) == "ringback"
    early(carrier)
    assert heard_by(world, ann) == "carrier"
    carrier.ring()
    early(carrier)
    assert heard_by(world, ann) == "carrier"
    assert not ann.all("INVITE")
    carrier.answer()
    ann.ok("INVITE", ann.sdp(2))
    assert heard_by(world, ann) == "carrier"
    hang_up(world, ann, carrier)


def test_after_a_pin_it_is_heard_too():
    world, carrier, (desk,) = begin("200")
    desk.invite(NUMBER)
    desk.ack()
    world.press("7781#")
    early(carrier, 180)
    assert heard_by(world, desk) == "carrier"
    desk.bye()
    carrier.respond(carrier.last("CANCEL"), 200)
    carrier.respond(carrier.last("INVITE"), 487)
    world.assert_nothing_left()
    assert world.records[-1].state != "answered"


def test_the_pbx_translates_what_is_heard():
    world, carrier, _, ann = after_a_passcode(formats="0 8 101")
    early(carrier, formats="8 101")
    assert heard_by(world, ann) == "carrier"
    assert len({order.room for order in world.orders if isinstance(order, Mix)}) == 1
    carrier.answer(carrier.sdp(formats="8 101"))
    ann.ok("INVITE", ann.sdp(2, formats="8 101"))
    hang_up(world, ann, carrier)


def test_when_the_next_trunk_is_tried_our_ringing_tone_is_back():
    world, carrier, second, ann = after_a_passcode()
    early(carrier)
    carrier.respond(carrier.last("INVITE"), 503)
    assert heard_by(world, ann) == "ringback"
    early(second)
    assert heard_by(world, ann) == "second"
    second.respond(second.last("INVITE"), 486)
    assert heard_by(world, ann) == "busy"
    ann.bye()
    world.assert_nothing_left()


def test_who_hears_it_may_renegotiate():
    world, carrier, _, ann = after_a_passcode()
    early(carrier)
    ann.send(ann.in_dialog("INVITE", ann.sdp(2, formats="0 101")))
    assert ann.statuses()[-1] == 200
    ann.ack()
    assert not carrier.all("UPDATE")
    assert heard_by(world, ann) == "carrier"
    ann.bye()
    carrier.respond(carrier.last("CANCEL"), 200)
    carrier.respond(carrier.last("INVITE"), 487)
    world.assert_nothing_left()


def test_who_is_heard_may_renegotiate():
    world, carrier, _, ann = after_a_passcode()
    carrier.ring(183, carrier.sdp(), Require="100rel", RSeq="1", Allow="INVITE, ACK, BYE, PRACK, UPDATE")
    carrier.ok("PRACK")
    invite = carrier.last("INVITE")
    carrier.dialog = {
        "call_id": invite.call_id,
        "remote": invite.headers.get("From"),
        "local": f"{invite.headers.get('To')};tag={carrier.tag}",
        "target": invite.contacts[0].uri.render(),
    }
    carrier.send(carrier.in_dialog("UPDATE", carrier.sdp(2, "sendonly")))
    assert carrier.statuses("UPDATE") == [200]
    assert not ann.all("INVITE")
    assert heard_by(world, ann) == "carrier"
    carrier.answer(carrier.sdp(2))
    ann.ok("INVITE", ann.sdp(2))
    hang_up(world, ann, carrier)


def three() -> tuple[World, Carrier, Phone, Phone]:
    world, carrier, _, (ann, bob) = start(make_office(), "100", "101")
    ann.invite("101")
    bob.answer()
    ann.ack()
    return world, carrier, ann, bob


def test_who_transfers_by_keys_hears_it_and_then_who_is_transferred():
    world, carrier, ann, bob = three()
    world.press(f"##2{NUMBER}#", endpoint_of(world, ann))
    early(carrier)
    assert (heard_by(world, ann), heard_by(world, bob)) == ("carrier", "Music()")
    ann.bye()
    assert heard_by(world, bob) == "carrier"
    carrier.answer()
    carrier.ok("INVITE", carrier.sdp(2))
    bob.ok("INVITE", bob.sdp(2))
    hang_up(world, bob, carrier)


def test_who_transfers_by_keys_may_come_back_from_it():
    world, carrier, ann, bob = three()
    world.press(f"##2{NUMBER}#", endpoint_of(world, ann))
    early(carrier)
    world.press("##3", endpoint_of(world, ann))
    assert (heard_by(world, ann), heard_by(world, bob)) == ("101", "100")
    carrier.respond(carrier.last("CANCEL"), 200)
    carrier.respond(carrier.last("INVITE"), 487)
    hang_up(world, ann, bob)


@pytest.mark.parametrize("how", ["refused", "in time"])
def test_who_is_transferred_by_refer_hears_it_and_is_given_back(how: str):
    world, carrier, ann, bob = three()
    refer(world, bob, NUMBER)
    early(carrier)
    assert heard_by(world, ann) == "carrier"
    if how == "refused":
        carrier.respond(carrier.last("INVITE"), 486)
    else:
        world.wait(200.0)
    assert (heard_by(world, ann), heard_by(world, bob)) == ("101", "100")


def test_a_forward_of_who_is_transferred_is_heard():
    forward = NoAnswer("forward", forward_to=f"+65{NUMBER}", timeout=5)
    office = change(make_office(), "102", no_answer=forward)
    world, carrier, _, (ann, bob, eve) = start(office, "100", "101", "102")
    talk(world, ann, bob)
    refer(world, bob, "102")
    bob.bye()
    eve.ring()
    assert heard_by(world, ann) == "ringback"
    world.wait(6.0)
    early(carrier)
    assert heard_by(world, ann) == "carrier"


def in_room(world: World) -> set[str]:
    """Who hears one another because the PBX translates."""
    rooms: dict[str, str] = {}
    for order in world.orders:
        match order:
            case Mix(endpoint, room):
                rooms[endpoint] = room
            case CloseEndpoint(endpoint):
                rooms.pop(endpoint, None)
    legs = [leg for call in world.exchange.calls.values() for leg in call.legs]
    return {
        leg.party.trunk or leg.party.key
        for leg in legs
        if any(rooms.get(each) for each in leg.media.endpoints)
    }


def three_translated() -> tuple[World, Carrier, Phone, Phone]:
    """The carrier will take another codec than ann has chosen, too."""
    world, carrier, _, (ann, bob) = start(make_office(), "100", "101")
    ann.invite("101", ann.sdp(formats="0 8 101"))
    bob.ring(488)
    bob.ring(488)
    bob.answer(bob.sdp(formats="9 101"))
    ann.ack()
    assert in_room(world) == {"100", "101"}
    return world, carrier, ann, bob


def test_whom_the_transferor_by_keys_leaves_waiting_hears_nothing_of_the_other_call():
    world, carrier, ann, bob = three_translated()
    world.press(f"##2{NUMBER}#", endpoint_of(world, ann))
    early(carrier, formats="8 101")
    assert in_room(world) == {"100", "carrier"}
    carrier.answer(carrier.sdp(formats="8 101"))
    assert in_room(world) == {"100", "carrier"}
    world.press("##3", endpoint_of(world, ann))
    assert in_room(world) == {"100", "101"}
    carrier.ok("BYE")
    hang_up(world, ann, bob)


def test_a_transferor_by_refer_hears_nothing_of_the_other_call():
    world, carrier, _, bob = three_translated()
    refer(world, bob, NUMBER)
    early(carrier, formats="8 101")
    assert in_room(world) == {"100", "carrier"}
    carrier.respond(carrier.last("INVITE"), 486)
    assert in_room(world) == {"100", "101"}
