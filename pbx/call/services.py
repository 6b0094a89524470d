"""What the PBX does for who calls it: voicemail, echo test, rooms, parked calls (product §5)."""

from collections.abc import Callable
from typing import Any, Final, Protocol

from pbx.call.call import Call
from pbx.call.changes import change_extension, read_target
from pbx.call.conference import Conference, visit_room
from pbx.call.dialling import dial, take_away
from pbx.call.dialogue import Dialogue, Echo, Gather, Measure, Say, Wait, ask_code
from pbx.call.effects import SaveLogins
from pbx.call.failure import say_failure
from pbx.call.hot_desk import find_member, log_in, log_out
from pbx.call.leg import Leg
from pbx.call.logins import Logins, is_hot_desk, may_be_at
from pbx.call.parking import Lot
from pbx.call.party import Party
from pbx.call.phrases import Phrases
from pbx.call.questions import (
    ChangeOffice,
    CheckSecret,
    DoNotDisturb,
    Forward,
    FoundMember,
    LeaveMailbox,
    NewMessage,
    Refused,
)
from pbx.call.sound import Sound
from pbx.call.voicemail import CallBack, take_message, visit
from pbx.entropy import Entropy
from pbx.media.orders import EndpointStats
from pbx.media.prompt import Digits, Duration, Prompt
from pbx.office.extension import Extension
from pbx.office.snapshot import Office
from pbx.rules.decision import Serve, TakeMessage

MAILBOX_KEYS: Final = 7  # the longest key of an extension and its "#"


class ServicesHost(Protocol):
    """The exchange."""

    office: Office
    sound: Sound
    entropy: Entropy
    logins: Logins

    def order(self, order: Any) -> None: ...
    def note(self, text: str, **fields: object) -> None: ...


class Services:
    """Everybody whom the PBX serves, beyond the single call: rooms, parked calls."""

    def __init__(self, host: ServicesHost, data: str) -> None:
        self._host = host
        self._data = data
        self._rooms: dict[str, Conference] = {}
        self.lot = Lot(host)

    @property
    def rooms(self) -> list[str]:
        """The rooms that somebody is in."""
        return list(self._rooms)

    @property
    def phrases(self) -> Phrases:
        """In the office's language."""
        settings = self._host.office.settings
        return Phrases(
            settings.language,
            self._data,
            settings.hold_music,
            announces_recording=settings.announce_recording,
            country=settings.country,
        )

    @property
    def codes(self) -> dict[str, str]:
        """What is pressed in a call: code -> what it does."""
        return self._host.office.settings.codes.in_call()

    def begin(
        self,
        call: Call,
        leg: Leg,
        decision: Serve | TakeMessage,
        by: Leg | None = None,
        done: Callable[[], None] | None = None,
    ) -> None:
        """Serve a leg, which is answered for it; `by` has transferred it, and is told when that is `done`."""
        if isinstance(decision, Serve) and decision.service == "park" and by is not None and done is not None:
            self._park_for(call, leg, by, done)
            return
        if isinstance(decision, TakeMessage):
            self._take_message(call, leg, decision.key)
        else:
            SERVE[decision.service](self, call, leg, decision.argument)
        if done is not None:
            done()

    def _park_for(self, call: Call, leg: Leg, by: Leg, done: Callable[[], None]) -> None:
        """Who is transferred to the code is parked, and who transfers hears where."""
        slot = self.lot.free_slot()
        if slot is None:
            if call.transfer is not None:
                call.transfer.failed(503)
            if by not in call.legs:  # nobody is left who could have him back
                self.fail(call, leg, 503, "park-no-slot", lambda: call.end("no parking slot is free", 503))
                return
            call.talk = (by, leg)
            call.join(by, leg)
            call.playing.hold(by, leg)
            call.play(by, self.phrases.say("park-no-slot"))
            return
        self.lot.put(call, leg, slot, self.phrases, by.party)
        call.play(by, self.phrases.fill("park-parked", Digits(slot)), done)

    def take_place(self, call: Call, leg: Leg, other: Call, done: Callable[[], None]) -> bool:
        """Who dialled the code for parking puts somebody else into his slot, who is in a room into that."""
        slot = self.lot.slot_of(other)
        if slot is None:
            return self._take_seat(call, leg, other, done)
        call.talk = None
        leg.media.part()
        self.lot.put(call, leg, slot, self.phrases, self.lot.waiting(slot))
        done()
        return True

    def announce(self, call: Call, leg: Leg, status: int, prompt: str, then: Callable[[], None]) -> None:
        """Let a caller hear why it will not be, before it is refused."""
        call.announce(leg, say_failure(self.phrases, status, prompt), then)

    def fail(self, call: Call, leg: Leg, status: int, prompt: str, then: Callable[[], None]) -> None:
        """Let a leg that is up hear that it cannot be connected."""
        call.serve(leg, say_failure(self.phrases, status, prompt), lambda _result: then())

    def ring_back(self, call: Call, leg: Leg) -> None:
        """Let a leg hear that somebody is being rung for it."""
        call.serve(leg, _ring_back(self.phrases))

    # --- voicemail -----------------------------------------------------------------------------------------

    def _take_message(self, call: Call, leg: Leg, key: str) -> None:
        extension = self._host.office.extension(key)
        if extension is None:
            call.end(f"{key} is gone")
            return
        party = leg.party
        identifier = self._host.entropy.token()
        message = NewMessage(identifier, key, *_shown(party), called=call.record.callee)
        if call.record.answered_s is None:
            call.record.state = "unanswered"
        call.serve(leg, take_message(self.phrases, message, extension.no_answer.greeting))
        call.at_end(lambda: None if call.has_taken else call.missed())

    def _own_mailbox(self, call: Call, leg: Leg, _argument: str) -> None:
        self._visit(call, leg, leg.party.key)

    def _visit(self, call: Call, leg: Leg, mailbox: str) -> None:
        def then(result: Any) -> None:
            if not isinstance(result, CallBack):
                call.end("left the mailbox")
            elif result.number.startswith("+") or self._host.office.extension(result.number) is not None:
                dial(call, leg, result.number)
            else:  # a carrier may call anything a number, a code of ours too
                call.serve(leg, say_failure(self.phrases, 403, "vm-cannot-call-back"))

        sound = self._host.sound
        heard: list[str] = []
        call.serve(leg, visit(self.phrases, mailbox, heard), then)
        call.at_end(lambda: sound.ask(LeaveMailbox(mailbox, tuple(heard)), lambda _answer: None))

    def _any_mailbox(self, call: Call, leg: Leg, _argument: str) -> None:
        def then(key: Any) -> None:
            if key:
                self._visit(call, leg, key)
            else:
                call.end("no mailbox was opened")

        call.serve(leg, self._ask_mailbox(leg.party), then)

    def _ask_mailbox(self, party: Party) -> Dialogue:
        """Ask for key and PIN; returns the key, or None.

        Failures are counted for the phone, too: who guesses there has no more guesses by trying one mailbox
        after the other.
        """
        phrases = self.phrases
        key = yield Gather(phrases.say("vm-enter-mailbox"), most=MAILBOX_KEYS)
        if not key:
            return None
        extension = self._host.office.extension(key)
        secret = self._pin_of(extension) if extension is not None else ""

        def check(pin: str) -> Any:
            where = party.device or party.gateway or "outside"
            return CheckSecret(f"mailbox {key}", secret, pin, f"mailboxes at {where}")

        opened = yield from ask_code(
            phrases.say("vm-enter-pin"),
            phrases.say("vm-wrong-pin"),
            phrases.say("vm-locked"),
            check,
        )
        return key if opened else None

    def _pin_of(self, extension: Extension) -> str:
        member = self._host.office.member_of(extension)
        return member.pin_hash if member is not None else ""

    # --- hot desks and passcodes ---------------------------------------------------------------------------

    def ask_passcode(self, call: Call, leg: Leg, key: str, stored: str, done: Callable[[bool], None]) -> None:
        """Answer a leg and ask for the passcode of the extension `key`, whose hash is `stored`.

        Args:
            done: gets whether it was given. False: the caller has heard why not, and is still there.
        """
        dialogue = ask_code(
            self.phrases.say("passcode-enter"),
            self.phrases.say("passcode-wrong"),
            self.phrases.say("passcode-locked"),
            lambda code: CheckSecret(f"passcode {key}", stored, code),
        )
        call.serve(leg, dialogue, lambda answer: done(answer is not None))

    def ask_pin(self, call: Call, leg: Leg, done: Callable[[str], None]) -> None:
        """Answer a leg at a hot-desk phone and ask for the PIN of a member, for this one call.

        Args:
            done: gets his email, and he has an extension; "": the caller has heard why not, and still waits.
        """
        dialogue = find_member(self.phrases, leg.party.device, self._host.office.extension_of)
        call.serve(leg, dialogue, lambda found: done(found.email if found is not None else ""))

    def log_in(self, username: str, found: FoundMember) -> Extension | None:
        """Let a member have a phone; None: the office does not allow it."""
        if not may_be_at(self._host.office, username, found.email):
            return None
        logins = self._host.logins
        logins.login(username, found.email, found.at)
        self._host.order(SaveLogins(logins.all))
        self._host.note("{member} has logged in at {device}", member=found.email, device=username)
        return self._host.office.extension_of(found.email)

    def log_out(self, username: str) -> None:
        """Nobody has the phone any more."""
        logins = self._host.logins
        member = logins.member_at(username)
        if logins.logout(username):
            self._host.order(SaveLogins(logins.all))
            self._host.note("{member} has logged out at {device}", member=member, device=username)

    def _hot_desk(self, call: Call, leg: Leg, _argument: str) -> None:
        """The same code logs in and out."""
        device = leg.party.device
        if self._host.logins.member_at(device):
            self._hot_desk_logout(call, leg, "")
        elif is_hot_desk(self._host.office, device):
            call.serve(leg, log_in(self.phrases, device, self._host.office.extension_of, self.log_in))
        else:  # the rules have refused who could hear it before the answer
            call.serve(leg, say_failure(self.phrases, 403, "hotdesk-not-here"))

    def _hot_desk_logout(self, call: Call, leg: Leg, _argument: str) -> None:
        call.serve(leg, log_out(self.phrases, leg.party.device, self.log_out))

    # --- settings of an extension --------------------------------------------------------------------------

    def _do_not_disturb_on(self, call: Call, leg: Leg, _argument: str) -> None:
        self._change(call, leg, DoNotDisturb(True), self.phrases.say("dnd-on"))

    def _do_not_disturb_off(self, call: Call, leg: Leg, _argument: str) -> None:
        self._change(call, leg, DoNotDisturb(False), self.phrases.say("dnd-off"))

    def _forward_off(self, call: Call, leg: Leg, _argument: str) -> None:
        self._change(call, leg, Forward(""), self.phrases.say("forward-off"))

    def _forward_on(self, call: Call, leg: Leg, dialled: str) -> None:
        office = self._host.office
        extension = office.extension(leg.party.key)
        target = read_target(office, extension, dialled) if extension is not None else ""
        if isinstance(target, Refused):
            self._host.note("{key} is not forwarded: {why}", key=leg.party.key, why=target.why)
        if not target or isinstance(target, Refused):
            call.serve(leg, say_failure(self.phrases, 403, "forward-refused"))
            return
        self._change(call, leg, Forward(target), self.phrases.fill("forward-on", Digits(target)))

    def _change(self, call: Call, leg: Leg, change: DoNotDisturb | Forward, done: Prompt) -> None:
        """Change the extension that a phone of ours is now."""
        call.serve(leg, change_extension(self.phrases, ChangeOffice(leg.party.key, change), done))

    # --- tests ---------------------------------------------------------------------------------------------

    def _echo_test(self, call: Call, leg: Leg, _argument: str) -> None:
        call.serve(leg, _echo(self.phrases))

    def _say_keys(self, call: Call, leg: Leg, _argument: str) -> None:
        call.serve(leg, _keys(self.phrases))

    # --- rooms and parked calls ----------------------------------------------------------------------------

    def _take_seat(self, call: Call, leg: Leg, other: Call, done: Callable[[], None]) -> bool:
        seats = ((room, each) for room in self._rooms.values() for each in room.members)
        room, member = next(((room, each) for room, each in seats if each.leg in other.legs), (None, None))
        if room is None or member is None:
            return False
        key = room.key
        room.leave(member)

        def enter() -> None:
            self._room(call, leg, key, is_let_in=True)
            done()

        take_away(call, leg, enter)
        return True

    def _room(self, call: Call, leg: Leg, key: str, *, is_let_in: bool = False) -> None:
        room = self._rooms.get(key)
        if room is None:
            room = self._rooms[key] = Conference(self._host, key, self.phrases)
        found = None if is_let_in else self._host.office.room(key)
        visitor = room.visitor(leg)

        def left() -> None:
            room.leave(visitor)
            if room.is_empty:
                self._rooms.pop(key, None)

        pin_hash = found.pin_hash if found is not None else ""
        call.serve(leg, visit_room(room, visitor, pin_hash, is_let_in=is_let_in))
        call.at_end(left)

    def _nothing_rings(self, call: Call, leg: Leg, _argument: str) -> None:
        """Otherwise the exchange would have found the leg that rings."""
        call.serve(leg, say_failure(self.phrases, 480, "pickup-nothing"))

    def _park(self, call: Call, leg: Leg, _argument: str) -> None:
        self.lot.reserve(call, leg, self.phrases)

    def _fetch(self, call: Call, leg: Leg, slot: str) -> None:
        if not self.lot.fetch(call, leg, slot):
            call.serve(leg, say_failure(self.phrases, 480, "park-empty"))


def _ring_back(phrases: Phrases) -> Dialogue:
    while True:
        yield Say(phrases.ring_back(), is_interruptible=False, loop=True)
        yield Wait(1.0)


def _shown(party: Party) -> tuple[str, str]:
    """Number and name that may be shown."""
    return ("", "") if party.is_private else (party.key, party.label)


def _echo(phrases: Phrases) -> Dialogue:
    yield Say(phrases.say("echo-intro"))
    yield Echo()
    delay_s = _delay_s((yield Measure()))
    if delay_s is not None:
        yield Say(phrases.fill("echo-delay", Duration(delay_s)))
    yield Say(phrases.say("goodbye"))


def _delay_s(stats: EndpointStats | None) -> float | None:
    """After which time a caller has heard himself; None: his phone has sent no report."""
    if stats is None or stats.round_trip_s is None or stats.playout_s is None:
        return None
    # The way to the phone and back, from its RTCP report, and what is added here: the time of one packet,
    # which is complete only when its last sample is spoken, and its wait in the jitter buffer until the tick
    # of 20 ms that says it again, both as measured. What the phone's own buffer adds only the phone knows.
    return stats.round_trip_s + stats.playout_s


def _keys(phrases: Phrases) -> Dialogue:
    prompt: Prompt | None = phrases.say("keys-intro")
    while True:
        keys = yield Gather(prompt, most=20, next_s=2.0)
        prompt = None
        if not keys:
            yield Say(phrases.say("goodbye"))
            return
        yield Say(phrases.fill("keys-pressed", Digits(keys)), keeps_key=True)


SERVE: Final[dict[str, Callable[[Services, Call, Leg, str], None]]] = {
    "own mailbox": Services._own_mailbox,
    "any mailbox": Services._any_mailbox,
    "echo test": Services._echo_test,
    "say keys": Services._say_keys,
    "hot desk": Services._hot_desk,
    "hot desk logout": Services._hot_desk_logout,
    "do not disturb on": Services._do_not_disturb_on,
    "do not disturb off": Services._do_not_disturb_off,
    "forward on": Services._forward_on,
    "forward off": Services._forward_off,
    "room": Services._room,
    "park": Services._park,
    "fetch": Services._fetch,
    "pick up": Services._nothing_rings,
    "pick up in group": Services._nothing_rings,
}
