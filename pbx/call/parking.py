"""Parked calls: somebody waits in a numbered slot, with music, until anybody fetches him."""

from typing import Any, Final, Protocol

from pbx.call.call import Call
from pbx.call.dialogue import Dialogue, Say, Wait
from pbx.call.failure import say_failure
from pbx.call.leg import CALLING, Leg
from pbx.call.phrases import Phrases
from pbx.call.transfer import bridge
from pbx.immutable import immutable
from pbx.media.prompt import Digits

FIRST: Final = 71
LAST: Final = 99


class LotHost(Protocol):
    """The exchange."""

    def order(self, order: Any) -> None: ...
    def note(self, text: str, **fields: object) -> None: ...


@immutable
class Place:
    """Who waits."""

    call: Call
    leg: Leg


class Lot:
    """The slots, by the number that is dialled after `*86`."""

    def __init__(self, host: LotHost) -> None:
        self._host = host
        self._places: dict[str, Place] = {}

    def free_slot(self) -> str | None:
        """The lowest number that nobody has."""
        free = (str(n) for n in range(FIRST, LAST + 1) if str(n) not in self._places)
        return next(free, None)

    def slot_of(self, call: Call) -> str | None:
        """Where somebody of a call waits."""
        return next((slot for slot, place in self._places.items() if place.call is call), None)

    def reserve(self, call: Call, leg: Leg, phrases: Phrases) -> None:
        """Who dials the code hears a slot and waits there, until he is fetched or puts somebody there."""
        slot = self.free_slot()
        if slot is None:
            call.serve(leg, say_failure(phrases, 503, "park-no-slot"))
            return
        self.put(call, leg, slot, phrases, is_told=True)

    def put(self, call: Call, leg: Leg, slot: str, phrases: Phrases, *, is_told: bool = False) -> None:
        """Let somebody wait in a slot."""
        self._places[slot] = Place(call, leg)
        self._host.note("call {call}: {who} is parked in {slot}", call=call.id, who=leg.party.key, slot=slot)
        call.serve(leg, _wait(phrases, slot, is_told))
        call.at_end(lambda: self._left(call, slot))

    def _left(self, call: Call, slot: str) -> None:
        place = self._places.get(slot)
        if place is not None and place.call is call:
            del self._places[slot]

    def fetch(self, call: Call, leg: Leg, slot: str) -> bool:
        """Connect a leg with who waits in a slot; False: nobody does."""
        place = self._places.pop(slot, None)
        if place is None or not place.leg.is_up:
            return False
        parked = place.leg
        if leg.state == CALLING and not call.answer_by_pbx(leg):
            return True
        place.call.release(parked)
        call.adopt(parked)
        call.talk = (leg, parked)
        call.record.state, call.record.answered_s = "answered", call.host.stack.now - call.started_at
        bridge(call, leg, parked)
        return True


def _wait(phrases: Phrases, slot: str, is_told: bool) -> Dialogue:
    if is_told:
        yield Say(phrases.fill("park-parked", Digits(slot)), is_interruptible=False)
    while True:
        yield Say(phrases.music(), is_interruptible=False, loop=True)
        yield Wait(1.0)  # there is no music
