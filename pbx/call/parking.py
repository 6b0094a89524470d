"""Parked calls: somebody waits in a numbered slot, with music, until anybody fetches him.

Whom nobody fetches rings, every three minutes, with who parked him; after half an hour his call is over.
"""

from typing import Any, Final, Protocol

from pbx.call.bridge import bridge
from pbx.call.call import Call
from pbx.call.dialling import recall
from pbx.call.dialogue import Dialogue, Say, Wait
from pbx.call.failure import say_failure
from pbx.call.leg import CALLING, Leg
from pbx.call.party import Party
from pbx.call.phrases import Phrases
from pbx.immutable import immutable
from pbx.media.prompt import Digits

FIRST: Final = 71
LAST: Final = 99
RECALL_S: Final = 180.0
MOST_S: Final = 1800.0


class LotHost(Protocol):
    """The exchange."""

    def order(self, order: Any) -> None: ...
    def note(self, text: str, **fields: object) -> None: ...


@immutable
class Place:
    """Who waits, and who put him there; None: he came by himself."""

    call: Call
    leg: Leg
    parker: Party | None


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

    def waiting(self, slot: str) -> Party:
        """Who waits in a slot that is taken."""
        return self._places[slot].leg.party

    def reserve(self, call: Call, leg: Leg, phrases: Phrases) -> None:
        """Who dials the code hears a slot and waits there, until he is fetched or puts somebody there."""
        slot = self.free_slot()
        if slot is None:
            call.serve(leg, say_failure(phrases, 503, "park-no-slot"))
            return
        self.put(call, leg, slot, phrases, None, is_told=True)

    def put(
        self,
        call: Call,
        leg: Leg,
        slot: str,
        phrases: Phrases,
        parker: Party | None,
        *,
        is_told: bool = False,
    ) -> None:
        """Let somebody wait in a slot."""
        place = self._places[slot] = Place(call, leg, parker)
        self._host.note("call {call}: {who} is parked in {slot}", call=call.id, who=leg.party.key, slot=slot)
        call.tell(f"{leg.party.key} is parked in slot {slot}")
        call.serve(leg, _wait(phrases, slot, is_told))
        call.at_end(lambda: self._left(call, slot))
        self._watch(slot, place, RECALL_S)

    def _watch(self, slot: str, place: Place, until_s: float) -> None:
        """Look after a place when somebody has waited there for so long."""

        def waited() -> None:
            if self._places.get(slot) is not place:
                return
            if until_s >= MOST_S:
                place.call.end("nobody fetched the parked call")
                return
            if place.parker is not None:
                recall(place.call, place.leg, place.parker.key)
            self._watch(slot, place, until_s + RECALL_S)

        place.call.set_alarm(RECALL_S, waited)

    def _left(self, call: Call, slot: str) -> None:
        place = self._places.get(slot)
        if place is not None and place.call is call:
            del self._places[slot]

    def fetch(self, call: Call, leg: Leg, slot: str) -> bool:
        """Connect a leg with who waits in a slot; False: nobody does."""
        place = self._places.get(slot)
        if place is None or not place.leg.is_up:
            return False
        parked = place.leg
        if leg.state == CALLING and not call.answer_by_pbx(leg):
            return True  # he is gone, and who is parked waits on
        del self._places[slot]
        for each in (place.call, call):
            each.tell(f"{leg.party.where} fetches {parked.party.key} from slot {slot}")
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
