"""The PBX as a party: voicemail, codes, rooms, parked calls, seen from the phones and the media worker."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from pbx.call.questions import (
    CheckSecret,
    HeldMessage,
    LeaveMailbox,
    ListMessages,
    NewMessage,
    OpenedMailbox,
    OpenMailbox,
)
from pbx.call.sound import Begin, Finish
from pbx.media.orders import (
    Digit,
    EndpointStats,
    Join,
    Mix,
    Play,
    Played,
    ReadStats,
    Record,
    Recorded,
    SendDigit,
    StatsRead,
    StopPlay,
)
from pbx.media.prompt import CallTone, Duration, System
from pbx.office.no_answer import NoAnswer
from pbx.office.room import Room
from pbx.rules.decision import Reject
from tests.call.world import Phone, World, make_office, talk

AT = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)


def answers(about: Any) -> Any:
    """A database with one new message, and 1234 for every PIN."""
    match about:
        case Begin():
            return "/data/file.wav"
        case Finish(seconds=seconds):
            return True if seconds >= 1.0 else None
        case OpenMailbox():
            return OpenedMailbox(600.0, "", 1, 0)
        case ListMessages():
            return [HeldMessage("m1", "102", "", AT, AT, 3.0, "new", "/data/m1.wav")]
        case CheckSecret(code=code):
            return code == "1234"
    return None


@pytest.fixture
def world() -> World:
    office = make_office("101", "102", "103")
    office = replace(
        office,
        extensions=tuple(replace(each, no_answer=NoAnswer("voicemail")) for each in office.extensions),
        rooms=(Room("700", "hash"), Room("701")),
    )
    world = World(office)
    world.answer = answers
    return world


def endpoint_of(world: World, phone: Phone) -> str:
    """The endpoint that talks with a phone."""
    for call in world.exchange.calls.values():
        for leg in call.legs:
            if leg.party.device == phone.username and leg.media.sound_endpoint:
                return leg.media.sound_endpoint
    raise AssertionError(f"{phone.username} is in no call")


# --- voicemail


def test_nobody_is_registered_so_the_voicemail_answers_at_once(world: World):
    ann = world.phone("101")
    ann.invite("102")
    assert 200 in ann.statuses()
    ann.ack()
    assert world.heard() == ["vm-greeting"]
    world.finish()
    world.finish()  # the beep
    record = world.orders[-1]
    assert isinstance(record, Record)
    assert (record.path, record.max_s, record.silence_s) == ("/data/file.wav", 120.0, 5.0)
    world.media(Recorded(record.endpoint, record.recording, 9.0, "silence"))
    finished = world.questions[-1]
    assert isinstance(finished, Finish)
    assert isinstance(finished.what, NewMessage)
    assert (finished.what.mailbox, finished.what.caller, finished.seconds) == ("102", "101", 9.0)
    assert world.heard() == ["vm-message-sent"]
    world.finish()
    assert ann.last("BYE")
    ann.ok("BYE")
    world.assert_nothing_left()
    assert world.records[-1].state == "unanswered"


def test_nobody_answers_in_time(world: World):
    ann, bob = world.phone("101"), world.phone("102")
    ann.invite("102")
    bob.ring()
    world.wait(21.0)
    assert bob.last("CANCEL")
    assert 200 in ann.statuses()
    assert world.heard() == ["vm-greeting"]


def test_busy_is_no_answer_at_once(world: World):
    ann, bob = world.phone("101"), world.phone("102")
    ann.invite("102")
    bob.ring(486)
    assert 200 in ann.statuses()
    assert world.heard() == ["vm-greeting"]


def test_a_caller_who_hangs_up_while_he_speaks_has_left_his_message(world: World):
    ann = world.phone("101")
    ann.invite("102")
    ann.ack()
    world.finish()
    world.finish()
    ann.bye()
    assert isinstance(world.questions[-1], Finish)
    assert world.questions[-1].seconds == 2.0
    world.assert_nothing_left()


def test_hash_ends_the_message(world: World):
    ann = world.phone("101")
    ann.invite("102")
    ann.ack()
    world.press("1")  # any key ends the greeting
    world.finish()  # the beep
    record = world.recordings[-1]
    world.press("5", record.endpoint)
    assert world.recordings
    world.press("#", record.endpoint)
    assert not world.recordings
    assert world.heard() == ["vm-message-sent"]


def test_keys_come_by_info_too(world: World):
    ann = world.phone("101")
    ann.invite("102")
    ann.ack()
    info = ann.in_dialog("INFO", "Signal=1\r\nDuration=160\r\n")
    info.headers.set("Content-Type", "application/dtmf-relay")
    ann.send(info)
    assert ann.statuses("INFO") == [200]
    assert world.heard() == [world.sounds[-1].parts[0]]  # the beep


def test_a_media_worker_that_dies_says_it_again(world: World):
    ann = world.phone("101")
    ann.invite("102")
    ann.ack()
    before = world.playing
    world.finish("the media worker died")
    assert world.playing == before
    assert len([each for each in world.orders if isinstance(each, Play)]) == 2


def test_an_offerless_caller_is_offered_what_the_pbx_speaks(world: World):
    ann = world.phone("101")
    ann.invite("102", "")
    ok = ann.last(200)
    assert b"PCMA" in ok.body
    assert b"opus" in ok.body
    assert not [each for each in world.orders if isinstance(each, Play)]
    ann.ack(ann.sdp())
    assert world.heard() == ["vm-greeting"]


def test_a_caller_without_a_codec_of_ours_is_refused(world: World):
    ann = world.phone("101")
    ann.invite("102", ann.sdp(formats="18").replace("a=rtpmap", "a=x-rtpmap"))
    assert ann.statuses()[-1] == 488
    ann.send(ann.request("OPTIONS", "sip:pbx.local"))
    world.assert_nothing_left()


# --- the mailbox


def test_the_owner_listens_deletes_and_hangs_up(world: World):
    ann = world.phone("101")
    ann.invite("*97")
    ann.ack()
    assert world.heard() == ["vm-new-messages"]
    world.press("1")
    assert world.heard() == ["vm-message", "vm-from", "vm-received"]
    world.press("7")
    assert world.questions[-1].state == "deleted"
    assert LeaveMailbox("101") not in world.questions
    ann.bye()
    assert world.questions[-1] == LeaveMailbox("101")
    world.assert_nothing_left()


def test_call_back_rings_who_left_the_message(world: World):
    ann, bob = world.phone("101"), world.phone("102")
    ann.invite("*97")
    ann.ack()
    world.press("18")
    world.finish()
    assert bob.last("INVITE")
    bob.ring()
    assert world.playing.loop  # ann hears it ring
    bob.answer()
    ann.ok("INVITE", ann.sdp(2))
    assert any(isinstance(order, StopPlay) for order in world.orders)
    ann.bye()
    bob.ok("BYE")
    world.assert_nothing_left()


def test_any_mailbox_wants_its_key_and_pin(world: World):
    ann = world.phone("101")
    ann.invite("*98")
    ann.ack()
    world.press("102#")
    assert world.heard() == ["vm-enter-pin"]
    world.press("9999#")
    assert world.heard() == ["vm-wrong-pin"]
    world.finish()
    world.press("1234#")
    assert OpenMailbox("102") in world.questions


def test_a_mailbox_that_is_not_there_takes_a_pin_all_the_same(world: World):
    ann = world.phone("101")
    ann.invite("*98")
    ann.ack()
    world.press("555#9999#")
    assert world.heard() == ["vm-wrong-pin"]


# --- tests


def test_echo(world: World):
    ann = world.phone("101")
    ann.invite("*43")
    ann.ack()
    world.finish()
    mix = world.orders[-1]
    assert isinstance(mix, Mix)
    assert mix.echo
    world.press("#")
    assert world.orders[-2:] == [Mix(mix.endpoint, ""), ReadStats(mix.endpoint)]
    world.media(StatsRead(mix.endpoint, EndpointStats(round_trip_s=0.03, playout_s=0.07)))
    assert world.sounds[-1].parts == (System("echo-delay", (Duration(0.1),)),)
    world.finish()
    assert world.heard() == ["goodbye"]
    world.finish()
    ann.ok("BYE")
    world.assert_nothing_left()


@pytest.mark.parametrize(
    "stats", [EndpointStats(), EndpointStats(round_trip_s=0.03), EndpointStats(playout_s=0.07), None]
)
def test_an_echo_without_a_report_of_the_phone_has_no_delay_to_say(world: World, stats: EndpointStats | None):
    ann = world.phone("101")
    ann.invite("*43")
    ann.ack()
    world.finish()
    endpoint = endpoint_of(world, ann)
    world.press("#")
    if stats is None:  # the media worker died with the question
        world.wait(1.5)
    else:
        world.media(StatsRead(endpoint, stats))
    assert world.heard() == ["goodbye"]
    world.media(StatsRead(endpoint, EndpointStats(round_trip_s=0.03, playout_s=0.07)))  # late
    world.finish()
    ann.ok("BYE")
    world.assert_nothing_left()


def test_keys_are_said_back(world: World):
    ann = world.phone("101")
    ann.invite("*44")
    ann.ack()
    world.press("1")
    world.press("42*")
    world.wait(3.0)
    assert world.sounds[-1].parts[0].values[0].text == "142*"


# --- rooms


def enter(world: World, phone: Phone, room: str = "701") -> str:
    phone.invite(room)
    phone.ack()
    endpoint = endpoint_of(world, phone)
    plays = [each for each in world.orders if isinstance(each, Play) and each.endpoint == endpoint]
    world.media(Played(endpoint, plays[-1].play, "ended"))
    return endpoint


def test_members_hear_one_another_and_who_comes_and_goes(world: World):
    ann, bob = world.phone("101"), world.phone("102")
    first = enter(world, ann)
    assert Mix(first, "room 701") in world.orders
    second = enter(world, bob)
    assert Mix(second, "room 701") in world.orders
    announced = world.playing
    assert (announced.endpoint, world.heard()) == (first, ["room-joined"])
    bob.bye()
    assert (world.playing.endpoint, world.heard()) == (first, ["room-left"])
    ann.bye()
    world.assert_nothing_left()
    assert world.exchange.services.rooms == []


def test_mute_and_lock(world: World):
    ann, bob, eve = world.phone("101"), world.phone("102"), world.phone("103")
    first, second = enter(world, ann), enter(world, bob)
    world.press("1", first)
    assert Mix(first, "room 701", True) in world.orders
    world.media(Digit(second, "2"))
    assert world.heard() == ["invalid-key"]  # only who came first
    world.finish()
    world.finish()
    world.media(Played(first, next(o.play for o in reversed(world.orders) if o.endpoint == first), "ended"))
    world.press("2", first)
    assert world.heard() == ["room-now-locked"]
    eve.invite("701")
    eve.ack()
    assert world.heard() == ["room-is-locked"]


def test_a_room_with_a_pin(world: World):
    ann = world.phone("101")
    ann.invite("700")
    ann.ack()
    assert world.heard() == ["room-enter-pin"]
    world.press("1234#")
    assert world.heard() == ["room-alone"]


# --- parked calls


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


# --- picking up


def test_pick_up_a_ringing_phone(world: World):
    ann, bob, eve = world.phone("101"), world.phone("102"), world.phone("103")
    ann.invite("102")
    bob.ring()
    eve.invite("**102")
    assert eve.statuses()[-1] == 200
    assert ann.statuses()[-1] == 200
    assert "Call completed elsewhere" in bob.last("CANCEL").headers.get("Reason")


def test_nothing_to_pick_up(world: World):
    eve = world.phone("103")
    eve.invite("**102")
    eve.ack()
    assert world.heard() == ["pickup-nothing"]


# --- keys in a call


def test_transfer_by_keys_attended(world: World):
    ann, bob, eve = world.phone("101"), world.phone("102"), world.phone("103")
    talk(world, ann, bob)
    a, b = endpoint_of(world, ann), endpoint_of(world, bob)
    world.press("##2", a)
    assert [each.endpoint for each in world.orders if isinstance(each, Play)] == [b, a]
    world.press("103#", a)
    eve.ring()
    eve.answer()
    ann.bye()
    bob.ok("INVITE", bob.sdp(2))
    eve.ok("INVITE", eve.sdp(2))
    assert StopPlay(b) in world.orders
    bob.bye()
    eve.ok("BYE")
    world.assert_nothing_left()


def test_transfer_by_keys_blind(world: World):
    ann, bob, eve = world.phone("101"), world.phone("102"), world.phone("103")
    talk(world, ann, bob)
    world.press("##2103#", endpoint_of(world, ann))
    eve.ring()
    ann.bye()
    assert world.playing.endpoint == endpoint_of(world, bob)
    eve.answer()
    eve.ok("INVITE", eve.sdp(2))
    bob.ok("INVITE", bob.sdp(2))
    bob.bye()
    eve.ok("BYE")
    world.assert_nothing_left()


@pytest.mark.parametrize("how", ["by key", "the target hangs up", "nobody answers", "no such key"])
def test_back_from_a_transfer_by_keys(world: World, how: str):
    ann, bob, eve = world.phone("101"), world.phone("102"), world.phone("103")
    talk(world, ann, bob)
    a, b = endpoint_of(world, ann), endpoint_of(world, bob)
    world.press("##2" + ("999#" if how == "no such key" else "103#"), a)
    if how == "nobody answers":
        eve.ring(486)
    elif how != "no such key":
        eve.ring()
        eve.answer()
    if how == "by key":
        world.press("##3", a)
        eve.ok("BYE")
    elif how == "the target hangs up":
        eve.bye()
    else:
        world.wait(4.1)  # a tone
        assert world.heard() == ["transfer-failed"]
        world.finish()
    call = next(iter(world.exchange.calls.values()))
    assert {leg.media.sound_endpoint for leg in call.talk or ()} == {a, b}
    assert StopPlay(b) in world.orders
    ann.bye()
    bob.ok("BYE")
    world.assert_nothing_left()


def test_record_by_key(world: World):
    ann, bob = world.phone("101"), world.phone("102")
    talk(world, ann, bob)
    a, b = endpoint_of(world, ann), endpoint_of(world, bob)
    world.press("*1", b)
    record = world.recordings[-1]
    assert {record.endpoint, record.other} == {a, b}
    assert (world.playing.endpoint, world.heard()) == (b, ["record-on"])
    world.press("*1", b)
    assert not world.recordings
    ann.bye()
    bob.ok("BYE")
    world.assert_nothing_left()
    assert len(world.records[-1].recordings) == 1


def test_an_extension_has_its_calls_recorded(world: World):
    office = world.exchange.office
    extensions = (replace(office.extensions[0], record="outbound"), *office.extensions[1:])
    world.perform(world.exchange.swap_office(replace(office, extensions=extensions), world.now))
    ann, bob = world.phone("101"), world.phone("102")
    talk(world, bob, ann)
    assert not world.recordings
    bob.bye()
    ann.ok("BYE")
    talk(world, ann, bob)
    assert len(world.recordings) == 1
    ann.bye()
    bob.ok("BYE")
    world.assert_nothing_left()


# --- music on hold


@pytest.mark.parametrize(("direction", "is_filler"), [("sendonly", True), ("inactive", False)])
def test_who_is_held_hears_music(world: World, direction: str, is_filler: bool):
    ann, bob = world.phone("101"), world.phone("102")
    talk(world, ann, bob)
    ann.send(ann.in_dialog("INVITE", ann.sdp(2, direction)))
    assert b"a=sendonly" in bob.last("INVITE").body
    bob.ok("INVITE", bob.sdp(2, "recvonly"))
    ann.ack()
    assert (world.playing.endpoint, world.playing.loop) == (endpoint_of(world, bob), True)
    assert world.playing.is_filler == is_filler
    ann.send(ann.in_dialog("INVITE", ann.sdp(3)))
    bob.ok("INVITE", bob.sdp(3))
    ann.ack()
    assert StopPlay(endpoint_of(world, bob)) in world.orders
    ann.bye()
    bob.ok("BYE")
    world.assert_nothing_left()


# --- keys by INFO, and codecs


def test_keys_by_info_become_events_where_the_other_phone_takes_them(world: World):
    ann, bob = world.phone("101"), world.phone("102")
    ann.invite("102", ann.sdp(formats="8 0"))
    assert b"telephone-event" in bob.last("INVITE").body
    bob.answer()
    assert b"telephone-event" not in ann.last(200).body.replace(b"a=rtpmap:101 telephone-event/8000", b"")
    ann.ack()
    info = ann.in_dialog("INFO", "5")
    info.headers.set("Content-Type", "application/dtmf")
    ann.send(info)
    assert ann.statuses("INFO") == [200]
    assert SendDigit(endpoint_of(world, bob), "5") in world.orders
    assert not bob.all("INFO")


G722 = (
    "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 9 101\r\na=rtpmap:101 telephone-event/8000\r\n"
)


def test_phones_without_a_common_codec_are_translated(world: World):
    ann, bob = world.phone("101"), world.phone("102")
    ann.invite("102", ann.sdp(formats="8 101"))
    for _ in range(2):
        assert b" 9 " not in bob.last("INVITE").body.split(b"m=audio")[1].split(b"\r\n")[0]
        bob.ring(488)  # first without SRTP, then with it
    assert b" 9 " in bob.last("INVITE").body.split(b"m=audio")[1].split(b"\r\n")[0]
    assert b"RTP/AVP" in bob.last("INVITE").body
    bob.answer(G722)
    assert ann.statuses()[-1] == 200
    assert b"RTP/AVP 8 101" in ann.last(200).body
    ann.ack()
    a, b = endpoint_of(world, ann), endpoint_of(world, bob)
    room = next(iter(world.exchange.calls))
    assert Mix(a, room) in world.orders
    assert Mix(b, room) in world.orders
    assert not any(isinstance(order, Join) for order in world.orders)
    ann.bye()
    bob.ok("BYE")
    world.assert_nothing_left()


def test_a_transfer_to_a_phone_with_another_codec_is_translated(world: World):
    ann, bob, eve = world.phone("101"), world.phone("102"), world.phone("103")
    talk(world, ann, bob)
    world.press("##2103#", endpoint_of(world, ann))
    for _ in range(2):
        eve.ring(488)
    eve.answer(G722)
    ann.bye()
    eve.ring(488)
    eve.ok("INVITE", "")
    assert eve.last("ACK")


# --- missed calls


@pytest.mark.parametrize(
    ("how", "is_missed"),
    [
        ("the caller gives up while it rings", True),
        ("hangs up in the greeting", True),
        ("hangs up while he speaks", False),
        ("leaves a message", False),
        ("says too little", True),
        ("is noted only", True),
        ("it is answered", False),
    ],
)
def test_a_missed_call_is_told_once(world: World, how: str, is_missed: bool):
    ann, bob = world.phone("101"), world.phone("102")
    if how == "is noted only":
        office = world.exchange.office
        changed = tuple(replace(each, no_answer=NoAnswer("notify")) for each in office.extensions)
        world.perform(world.exchange.swap_office(replace(office, extensions=changed), world.now))
    ann.invite("102")
    bob.ring()
    if how == "the caller gives up while it rings":
        ann.cancel()
    elif how == "it is answered":
        bob.answer()
        ann.ack()
        ann.bye()
        bob.ok("BYE")
    else:
        bob.ring(486)
    if how == "is noted only":
        assert ann.statuses()[-1] == 480
    elif "in the greeting" in how:
        ann.ack()
        ann.bye()
    elif bob.statuses() == [] and how in ("hangs up while he speaks", "leaves a message", "says too little"):
        ann.ack()
        world.finish()
        world.finish()
        record = world.recordings[-1]
        if how == "hangs up while he speaks":
            ann.bye()
        else:
            world.recordings.clear()
            seconds = 0.5 if how == "says too little" else 9.0
            world.media(Recorded(record.endpoint, record.recording, seconds, "silence"))
            world.finish()
            ann.ok("BYE")
    world.assert_nothing_left()
    assert [(each.key, each.caller) for each in world.missed] == [("102", "101")] * is_missed


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


@pytest.fixture
def hanging_up(world: World) -> World:
    """Whoever is called and does not answer has no voicemail."""
    office = world.exchange.office
    changed = tuple(replace(each, no_answer=NoAnswer("hangup")) for each in office.extensions)
    world.perform(world.exchange.swap_office(replace(office, extensions=changed), world.now))
    return world


def tone(world: World) -> str:
    """The tone that was ordered last."""
    (part,) = world.sounds[-1].parts
    assert isinstance(part, CallTone)
    return part.name


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
    assert world.heard() == ["call-number-unknown"]
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


def refer(world: World, phone: Phone, target: str) -> None:
    phone.send(phone.in_dialog("REFER", Refer_To=f"<sip:{target}@pbx.local>"))
    assert phone.statuses("REFER")[-1] == 202


def ringing_at(world: World, phone: Phone) -> bool:
    """The ringing tone is what a phone hears."""
    endpoint = endpoint_of(world, phone)
    orders = [
        each for each in world.orders if isinstance(each, (Play, StopPlay)) and each.endpoint == endpoint
    ]
    if not orders or isinstance(orders[-1], StopPlay):
        return False
    return orders[-1].loop and world.heard(int(orders[-1].stem)) == ["ringback"]


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
