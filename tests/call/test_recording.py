"""Calls that are recorded, by an extension's setting or by key; who is in the recording after a transfer."""

from dataclasses import replace

import pytest

from pbx.call.sound import Begin, Finish
from pbx.media.orders import Play
from tests.call.voices import endpoint_of, make_world, refer
from tests.call.world import Phone, World, talk


@pytest.fixture
def world() -> World:
    return make_world()


def record(world: World, key: str, which: str) -> None:
    """From now on such calls of an extension are recorded."""
    office = world.exchange.office
    changed = tuple(replace(each, record=which) if each.key == key else each for each in office.extensions)
    world.perform(world.exchange.swap_office(replace(office, extensions=changed), world.now))


def sides(world: World) -> list[set[str | None]]:
    """Of each recording that goes on, its two endpoints."""
    return [{each.endpoint, each.other} for each in world.recordings]


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


def test_what_is_too_short_to_be_kept_is_not_in_the_record(world: World):
    answer = world.answer
    world.answer = lambda about: None if isinstance(about, Finish) else answer(about)
    ann, bob = world.phone("101"), world.phone("102")
    talk(world, ann, bob)
    for _ in range(6):
        world.press("*1", endpoint_of(world, bob))
    ann.bye()
    bob.ok("BYE")
    assert world.records[-1].recordings == []


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


def transfer(world: World, transferor: Phone, transferee: Phone, target: Phone) -> None:
    """A blind one, to its end."""
    refer(world, transferor, target.username)
    target.ring()
    target.answer()
    transferee.ok("INVITE", transferee.sdp(2))
    for notify in transferor.all("NOTIFY"):
        transferor.respond(notify, 200)
    transferor.bye()


def test_who_comes_by_a_transfer_is_recorded_when_he_wants_it(world: World):
    record(world, "103", "inbound")
    ann, bob, eve = world.phone("101"), world.phone("102"), world.phone("103")
    talk(world, ann, bob)
    assert not world.recordings
    transfer(world, ann, bob, eve)
    assert sides(world) == [{endpoint_of(world, bob), endpoint_of(world, eve)}]


@pytest.mark.parametrize("by_key", [True, False])
def test_who_is_transferred_is_recorded_with_the_next_when_he_wants_it(world: World, by_key: bool):
    ann, bob, eve = world.phone("101"), world.phone("102"), world.phone("103")
    if not by_key:
        record(world, "102", "all")
    talk(world, ann, bob)
    if by_key:
        world.press("*1", endpoint_of(world, bob))
    assert sides(world) == [{endpoint_of(world, ann), endpoint_of(world, bob)}]
    transfer(world, ann, bob, eve)
    assert sides(world) == [{endpoint_of(world, bob), endpoint_of(world, eve)}]
    bob.bye()
    eve.ok("BYE")
    world.assert_nothing_left()
    assert len(world.records[-1].recordings) == 2


def test_who_transfers_takes_his_recording_with_him(world: World):
    record(world, "101", "all")
    ann, bob, eve = world.phone("101"), world.phone("102"), world.phone("103")
    talk(world, ann, bob)
    transfer(world, ann, bob, eve)
    assert not world.recordings


def test_who_is_asked_in_a_transfer_by_keys_is_recorded_apart(world: World):
    record(world, "101", "all")
    ann, bob, eve = world.phone("101"), world.phone("102"), world.phone("103")
    talk(world, ann, bob)
    a, b = endpoint_of(world, ann), endpoint_of(world, bob)
    world.press("##2103#", a)
    eve.ring()
    eve.answer()
    assert sides(world) == [{a, endpoint_of(world, eve)}]
    world.press("##3", a)
    eve.ok("BYE")
    assert sides(world) == [{a, b}]


def test_a_hold_is_no_end_of_the_recording(world: World):
    record(world, "101", "all")
    ann, bob = world.phone("101"), world.phone("102")
    talk(world, ann, bob)
    before = sides(world)
    for version, direction, answer in ((2, "sendonly", "recvonly"), (3, "sendrecv", "sendrecv")):
        ann.send(ann.in_dialog("INVITE", ann.sdp(version, direction)))
        bob.ok("INVITE", bob.sdp(version, answer))
        ann.ack()
    assert sides(world) == before
    ann.bye()
    bob.ok("BYE")
    world.assert_nothing_left()
    assert len(world.records[-1].recordings) == 1


@pytest.mark.parametrize("by_key", [True, False])
def test_both_sides_are_told_where_the_office_wants_it(world: World, by_key: bool):
    office = world.exchange.office
    settings = replace(office.settings, announce_recording=True)
    world.perform(world.exchange.swap_office(replace(office, settings=settings), world.now))
    if not by_key:
        record(world, "101", "all")
    ann, bob = world.phone("101"), world.phone("102")
    talk(world, ann, bob)
    a, b = endpoint_of(world, ann), endpoint_of(world, bob)
    if by_key:
        world.press("*1", a)
    heard = {each.endpoint: world.heard(int(each.stem)) for each in world.orders if isinstance(each, Play)}
    assert heard == {a: ["record-on" if by_key else "record-announcement"], b: ["record-announcement"]}


def test_who_asked_by_key_and_stays_is_recorded_though_the_other_left_first(world: World):
    ann, bob, eve = world.phone("101"), world.phone("102"), world.phone("103")
    talk(world, ann, bob)
    world.press("*1", endpoint_of(world, bob))
    refer(world, ann, "103")
    ann.bye()
    assert not world.recordings
    eve.ring()
    eve.answer()
    bob.ok("INVITE", bob.sdp(2))
    assert sides(world) == [{endpoint_of(world, bob), endpoint_of(world, eve)}]


def test_a_recording_that_is_not_wanted_any_more_when_its_file_is_there(world: World, monkeypatch):
    """It is finished all the same: nothing is left that waits for its end."""
    ann, bob = world.phone("101"), world.phone("102")
    talk(world, ann, bob)
    late = []
    answered = world.exchange.answered
    monkeypatch.setattr(world.exchange, "answered", lambda *answer: late.append(answer) or [])
    b = endpoint_of(world, bob)
    world.press("*1", b)
    world.press("*1", b)
    monkeypatch.undo()
    for each in late:
        world.perform(answered(*each))
    assert not world.recordings
    assert [type(each) for each in world.questions] == [Begin, Finish]


def test_a_caller_who_has_hung_up_when_the_file_for_his_message_is_there(world: World, monkeypatch):
    ann = world.phone("101")
    ann.invite("102")
    ann.ack()
    late = []
    answered = world.exchange.answered
    world.finish()
    monkeypatch.setattr(world.exchange, "answered", lambda *answer: late.append(answer) or [])
    world.finish()
    ann.bye()
    monkeypatch.undo()
    for each in late:
        world.perform(answered(*each))
    assert not world.recordings
    assert [type(each) for each in world.questions][-2:] == [Begin, Finish]
    world.assert_nothing_left()
