"""The PBX as a party: voicemail, codes, rooms, keys in a call, seen from the phones and the media worker."""

from dataclasses import replace

import pytest

from pbx.call.booth import OPENING_MS
from pbx.call.phrases import BEEP
from pbx.call.questions import (
    CheckSecret,
    LeaveMailbox,
    ListMessages,
    NewMessage,
    OpenMailbox,
)
from pbx.call.sound import Finish, Render
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
from pbx.media.prompt import Duration, System
from pbx.office.no_answer import NoAnswer
from tests.call.voices import (
    endpoint_of,
    enter,
    make_world,
)
from tests.call.world import World, talk


@pytest.fixture
def world() -> World:
    return make_world()


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


def test_who_has_just_been_answered_gets_a_moment_to_open_his_ears(world: World):
    ann = world.phone("101")
    ann.invite("102")
    ann.ack()
    assert world.playing.lead_ms == OPENING_MS
    world.finish()
    assert world.heard() == [BEEP]
    assert world.playing.lead_ms == 0


def test_an_offerless_reinvite_does_not_disturb_who_leaves_a_message(world: World):
    ann = world.phone("101")
    ann.invite("102")
    ann.ack()
    world.finish()
    world.finish()  # the beep
    assert len(world.recordings) == 1
    ann.send(ann.in_dialog("INVITE"))
    ann.ack(ann.sdp(2))
    (record,) = world.recordings
    world.press("#")
    assert record not in world.recordings
    assert world.heard() == ["vm-message-sent"]
    world.finish()
    ann.ok("BYE")
    world.assert_nothing_left()


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


@pytest.mark.parametrize("status", [400, 403, 405, 480, 484, 500, 503, 600, 603])
def test_however_a_phone_rejects_it_is_no_answer(world: World, status: int):
    ann, bob = world.phone("101"), world.phone("102")
    ann.invite("102")
    bob.ring(status)
    assert 200 in ann.statuses()
    assert world.heard() == ["vm-greeting"]


def test_a_phone_that_wants_no_such_media_leaves_the_caller_to_the_voicemail(world: World):
    ann, bob = world.phone("101"), world.phone("102")
    ann.invite("102")
    for _ in range(3):  # asked again with what the PBX translates, and with SRTP
        bob.respond(bob.last("INVITE"), 488)
    assert 200 in ann.statuses()
    assert world.heard() == ["vm-greeting"]


@pytest.mark.parametrize("status", [482, 483])
def test_a_call_that_goes_in_circles_ends(world: World, status: int):
    ann, bob = world.phone("101"), world.phone("102")
    ann.invite("102")
    bob.ring(status)
    assert ann.statuses()[-1] == status


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
    assert world.playing == replace(before, lead_ms=0)
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


def test_keys_in_a_row_delete_message_after_message(world: World):
    ann = world.phone("101")
    ann.invite("*97")
    ann.ack()
    world.press("17")
    assert world.heard() == ["vm-deleted"]
    world.press("1")  # while that is said: there is no other message, so it is for the menu
    assert isinstance(world.questions[-1], ListMessages)
    assert world.heard() == ["vm-message", "vm-deleted", "vm-from", "vm-received"]


def test_keys_before_the_beep_are_no_answer_to_what_is_asked_after_it(world: World):
    ann = world.phone("101")
    ann.invite("*97")
    ann.ack()
    world.press("0")
    assert world.heard() == ["vm-record-greeting"]
    world.press("3")
    world.press("3")  # in the beep
    world.finish()
    world.press("#", world.recordings[-1].endpoint)
    assert world.heard() == ["vm-greeting-menu"]


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
    world.press("1234#")  # while that is said
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
    world.press("5")  # while they are said
    world.wait(3.0)
    assert world.sounds[-1].parts[0].values[0].text == "5"


# --- rooms


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
    world.press("1", first)  # while that is said
    assert world.heard() == ["room-unmuted"]
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


def test_the_hash_after_the_longest_pin_belongs_to_it(world: World):
    """It is not left over for what comes next: in a room it would lead out again."""
    answer = world.answer
    world.answer = lambda about: (
        about.code == "1234567890" if isinstance(about, CheckSecret) else answer(about)
    )
    ann = world.phone("101")
    ann.invite("700")
    ann.ack()
    world.press("1234567899#")
    assert world.heard() == ["room-wrong-pin"]
    world.press("1234567890#")
    assert world.heard() == ["room-alone"]
    world.finish()
    assert not ann.all("BYE")


# --- picking up


def test_pick_up_a_ringing_phone(world: World):
    ann, bob, eve = world.phone("101"), world.phone("102"), world.phone("103")
    ann.invite("102")
    bob.ring()
    eve.invite("**102")
    assert eve.statuses()[-1] == 200
    assert ann.statuses()[-1] == 200
    assert "Call completed elsewhere" in bob.last("CANCEL").headers.get("Reason")


def test_who_cannot_be_answered_picks_nothing_up(world: World):
    """The phone rings on."""
    ann, bob, eve = world.phone("101"), world.phone("102"), world.phone("103")
    ann.invite("102")
    bob.ring()
    eve.invite("**102", eve.sdp(formats="18"))
    assert eve.statuses()[-1] == 488
    assert not bob.all("CANCEL")
    bob.answer()
    ann.ack()
    ann.bye()
    bob.ok("BYE")
    world.assert_nothing_left()


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


def test_who_asks_for_somebody_by_keys_may_lose_his_audio_before_the_prompt_is_there(world: World):
    ann, bob = world.phone("101"), world.phone("102")
    talk(world, ann, bob)
    perform, held = world.perform, []

    def delay(effects):
        held.extend(each for each in effects if isinstance(each, Render))
        perform([each for each in effects if not isinstance(each, Render)])

    world.perform = delay
    world.press("##2", endpoint_of(world, ann))
    bob.send(bob.in_dialog("INVITE", bob.sdp(2, port=0)))
    ann.ok("INVITE", ann.sdp(2, port=0))
    bob.ack()
    world.perform = perform
    world.perform(held)
    assert all(each.endpoint for each in world.orders if isinstance(each, Play))
    world.wait(30.0)
    assert not any(call.consult for call in world.exchange.calls.values())
    bob.bye()
    ann.ok("BYE")
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
