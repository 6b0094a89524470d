"""A conference room: who is in it, and what its members can do by keys."""

from typing import Any, Final, Protocol

from pbx.call.dialogue import Dialogue, Do, Say, Wait, ask_code
from pbx.call.failure import say_failure
from pbx.call.leg import Leg
from pbx.call.phrases import Phrases
from pbx.call.questions import CheckSecret
from pbx.call.sound import Sound
from pbx.media.orders import Mix, Play
from pbx.media.prompt import Number, Prompt

MOST: Final = 100
BUSY: Final = 486  # what a room is for who cannot enter


class ConferenceHost(Protocol):
    """The exchange."""

    sound: Sound

    def order(self, order: Any) -> None: ...


class Visitor:
    """One member."""

    def __init__(self, leg: Leg) -> None:
        self.leg = leg
        self.is_muted = False

    @property
    def endpoint(self) -> str:
        return self.leg.media.sound_endpoint or ""


class Conference:
    """One room. The first who came may lock it; when he leaves, the next is the first."""

    def __init__(self, host: ConferenceHost, key: str, phrases: Phrases) -> None:
        self.key, self.phrases = key, phrases
        self.is_locked = False
        self.members: list[Visitor] = []
        self._host = host
        self._waiting: list[Visitor] = []  # at the door
        self._count = 0

    @property
    def is_empty(self) -> bool:
        """Nobody is in it or at its door."""
        return not self.members and not self._waiting

    def visitor(self, leg: Leg) -> Visitor:
        """Somebody at the door."""
        visitor = Visitor(leg)
        self._waiting.append(visitor)
        return visitor

    def enter(self, visitor: Visitor) -> None:
        """Let him in, and the others know."""
        self._waiting.remove(visitor)
        self._tell(self.phrases.say("room-joined"))
        self.members.append(visitor)
        self._mix(visitor)

    def leave(self, visitor: Visitor) -> None:
        """He hung up, or left by key; before he was in, too."""
        if visitor in self._waiting:
            self._waiting.remove(visitor)
        if visitor not in self.members:
            return
        self.members.remove(visitor)
        if visitor.endpoint:
            self._host.order(Mix(visitor.endpoint, ""))
        if not self.members:
            self.is_locked = False
        self._tell(self.phrases.say("room-left"))

    def toggle_mute(self, visitor: Visitor) -> str:
        """Returns the name of what is said about it."""
        visitor.is_muted = not visitor.is_muted
        self._mix(visitor)
        return "room-muted" if visitor.is_muted else "room-unmuted"

    def toggle_lock(self, visitor: Visitor) -> str:
        """Returns the name of what is said about it."""
        if self.members[:1] != [visitor]:
            return "invalid-key"
        self.is_locked = not self.is_locked
        return "room-now-locked" if self.is_locked else "room-unlocked"

    def _mix(self, visitor: Visitor) -> None:
        if visitor.endpoint:
            self._host.order(Mix(visitor.endpoint, f"room {self.key}", visitor.is_muted))

    def _tell(self, prompt: Prompt) -> None:
        """Let all who are members now hear something."""
        members = tuple(self.members)

        def rendered(stem: str | None) -> None:
            if stem is None:
                return
            self._count += 1
            for each in members:
                if each in self.members and each.endpoint:
                    self._host.order(Play(each.endpoint, f"room {self.key} {self._count}", stem))

        if members:
            self._host.sound.render(prompt, rendered)


def visit_room(room: Conference, visitor: Visitor, pin_hash: str, *, is_let_in: bool = False) -> Dialogue:
    """At the door, and inside: `1` mutes, `2` locks (the first member), `#` leaves.

    Args:
        pin_hash: of what is asked for at the door; "" = nothing.
        is_let_in: by a member, in whose place he comes, locked or not.
    """
    phrases = room.phrases
    if pin_hash:
        # Nobody locks others out by guessing, from outside or at his phone.
        where = visitor.leg.party.device or "outside"
        opened = yield from ask_code(
            phrases.say("room-enter-pin"),
            phrases.say("room-wrong-pin"),
            phrases.say("vm-locked"),
            lambda pin: CheckSecret(f"room {room.key} at {where}", pin_hash, pin),
        )
        if not opened:
            return "no right PIN for the room"
    if room.is_locked and not is_let_in:
        yield from say_failure(phrases, BUSY, "room-is-locked")
        return "the room is locked"
    if len(room.members) >= MOST:
        yield from say_failure(phrases, BUSY, "room-full")
        return "the room is full"
    others = len(room.members)
    who = phrases.fill("room-others", Number(others)) if others else phrases.say("room-alone")
    yield Say(who, keeps_key=True)
    if room.is_locked and not is_let_in:  # meanwhile
        yield from say_failure(phrases, BUSY, "room-is-locked")
        return "the room is locked"
    yield Do(lambda: room.enter(visitor))
    while True:
        key = yield Wait()
        if key == "#":
            break
        if key == "1":
            yield Say(phrases.say(room.toggle_mute(visitor)), keeps_key=True)
        elif key == "2":
            yield Say(phrases.say(room.toggle_lock(visitor)), keeps_key=True)
    yield Do(lambda: room.leave(visitor))
    yield Say(phrases.say("goodbye"))
    return "left the room"
