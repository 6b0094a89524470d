"""An office with voicemail and rooms, and questions about what its phones hear."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pbx.call.questions import (
    CheckSecret,
    HeldMessage,
    ListMessages,
    OpenedMailbox,
    OpenMailbox,
)
from pbx.call.sound import Begin, Finish
from pbx.media.orders import (
    Play,
    Played,
    StopPlay,
)
from pbx.media.prompt import CallTone
from pbx.office.no_answer import NoAnswer
from pbx.office.room import Room
from tests.call.world import Phone, World, make_office

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


def make_world() -> World:
    """Three extensions with voicemail, a room with a PIN and one without."""
    office = make_office("101", "102", "103")
    office = replace(
        office,
        extensions=tuple(replace(each, no_answer=NoAnswer("voicemail")) for each in office.extensions),
        rooms=(Room("700", "hash"), Room("701")),
    )
    world = World(office)
    world.answer = answers
    return world


def hang_up_when_nobody_answers(world: World) -> None:
    """Whoever is called and does not answer has no voicemail from now on."""
    office = world.exchange.office
    changed = tuple(replace(each, no_answer=NoAnswer("hangup")) for each in office.extensions)
    world.perform(world.exchange.swap_office(replace(office, extensions=changed), world.now))


def endpoint_of(world: World, phone: Phone) -> str:
    """The endpoint that talks with a phone."""
    for call in world.exchange.calls.values():
        for leg in call.legs:
            if leg.party.device == phone.username and leg.media.sound_endpoint:
                return leg.media.sound_endpoint
    raise AssertionError(f"{phone.username} is in no call")


def looping_at(world: World, phone: Phone) -> Play | None:
    """What a phone hears over and over."""
    endpoint = endpoint_of(world, phone)
    orders = [each for each in world.orders if isinstance(each, (Play, StopPlay))]
    last = next((each for each in reversed(orders) if each.endpoint == endpoint), None)
    return last if isinstance(last, Play) and last.loop else None


def ringing_at(world: World, phone: Phone) -> bool:
    """The ringing tone is what a phone hears."""
    loop = looping_at(world, phone)
    return loop is not None and world.heard(int(loop.stem)) == ["ringback"]


def tone(world: World) -> str:
    """The tone that was ordered last."""
    (part,) = world.sounds[-1].parts
    assert isinstance(part, CallTone)
    return part.name


def refer(world: World, phone: Phone, target: str) -> None:
    phone.send(phone.in_dialog("REFER", Refer_To=f"<sip:{target}@pbx.local>"))
    assert phone.statuses("REFER")[-1] == 202


def enter(world: World, phone: Phone, room: str = "701") -> str:
    phone.invite(room)
    phone.ack()
    endpoint = endpoint_of(world, phone)
    plays = [each for each in world.orders if isinstance(each, Play) and each.endpoint == endpoint]
    world.media(Played(endpoint, plays[-1].play, "ended"))
    return endpoint
