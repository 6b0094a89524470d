"""Transfer by keys pressed in a call: `##2` and a key rings somebody while the other side waits with music.

Hanging up connects those two, whether the new one has answered (attended) or still rings (blind); `##3` leads
back. The same holds when the new one hangs up, or nobody answers.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol

from pbx.call.bridge import bridge, hear
from pbx.call.dialling import ask_passcode, offer_of, ring
from pbx.call.dialogue import Dialogue, Gather, Say
from pbx.call.failure import tone_of
from pbx.call.leg import Leg
from pbx.call.phrases import Phrases
from pbx.call.transfer import TransferCall
from pbx.rules.decision import AskPasscode, DialDecision, Reject, Ring

DIALLED_DIGITS: Final = 20
TONE_S: Final = 2.0  # and then the transferor is back


class ConsultCall(TransferCall, Protocol):
    """The call."""

    consult: "Consultation | None"

    def serve(self, leg: Leg, dialogue: Dialogue, then: Callable[[Any], None] | None = None) -> None: ...


class Consultation:
    """One transfer by keys under way: `transferor` asks for `target`, `waiting` hears music."""

    def __init__(self, call: ConsultCall, transferor: Leg, waiting: Leg) -> None:
        self.transferor, self.waiting = transferor, waiting
        self.target: Leg | None = None
        self._call = call
        self._phrases = call.host.services.phrases

    @classmethod
    def start(cls, call: ConsultCall, leg: Leg) -> None:
        """Ask for the key, if nothing else is under way."""
        peer = call.peer_of(leg)
        if peer is None or call.is_asking:
            return
        consult = call.consult = cls(call, leg, peer)
        for each in (leg, peer):
            each.media.part()
        call.playing.music(peer)
        call.serve(leg, _ask(consult._phrases), consult._dialled)

    def _dialled(self, key: Any) -> None:
        call = self._call
        if not key:
            self.back()
            return
        call.tell(f"{self.transferor.party.key} transfers {self.waiting.party.key} by keys to {key}")
        decision = call.router.dialled(self.transferor.party, key)
        call.explain(decision)
        if isinstance(decision, AskPasscode):
            ask_passcode(call, self.transferor, decision, self._go_on, partial(self.failed, 403))
        else:
            self._go_on(decision)

    def _go_on(self, decision: DialDecision) -> None:
        if isinstance(decision, Ring):
            self._ring(decision)
        else:
            self.failed(decision.status if isinstance(decision, Reject) else 480)

    def _ring(self, decision: Ring) -> None:
        call = self._call
        hunt = call.begin_hunt(self.transferor, decision)
        ring(call, hunt, decision, offer_of(self.transferor))
        if call.hunt is hunt:
            call.host.services.ring_back(call, self.transferor)

    def answered(self, leg: Leg) -> None:
        """The target has answered: the transferor talks with it."""
        self.target = leg
        call = self._call
        call.leave_booth()
        self.transferor.media.part()
        call.connect(self.transferor, leg)

    def failed(self, status: int) -> None:
        """Nobody has answered, or can be asked."""
        dialogue = _say_failed(self._phrases, status)
        self._call.serve(self.transferor, dialogue, lambda _result: self.back())

    def back(self) -> None:
        """The transferor talks with the first side again."""
        call, target = self._call, self.target
        call.tell(f"{self.transferor.party.key} is back with {self.waiting.party.key}")
        call.consult = None
        hunt, call.hunt = call.hunt, None
        if hunt is not None:
            hunt.stop()
            call.drop_cancelled("the transferor went back")
        call.leave_booth()
        if target is not None:
            target.end()
            call.drop(target, 200, "the transferor went back")
        call.playing.stop(self.waiting)
        self.transferor.media.part()
        call.connect(self.transferor, self.waiting)

    def gone(self, leg: Leg) -> None:
        """One of the three has hung up; it takes no part any more."""
        call = self._call
        if leg is self.target:
            self.target = None
            self.back()
        elif leg is self.waiting:
            call.consult = None
            if self.target is None:
                call.end("hung up while somebody else was asked for")
        elif self.target is not None:
            self._connect(self.target)
        else:
            self._ring_on()

    def _connect(self, target: Leg) -> None:
        call = self._call
        call.consult = None
        call.playing.stop(self.waiting)
        call.talk = (self.waiting, target)
        bridge(call, self.waiting, target)

    def _ring_on(self) -> None:
        """A blind transfer: who waited hears the target ring."""
        call = self._call
        call.consult = None
        call.leave_booth()
        call.playing.stop(self.waiting)
        hunt = call.hunt
        if hunt is None:
            call.end("the transferor hung up")
            return
        hunt.origin, hunt.is_adopted = self.waiting, True
        call.talk = None
        if hunt.early is not None:
            hear(call, self.waiting, hunt.early)
            return
        self.waiting.media.part()
        call.host.services.ring_back(call, self.waiting)


def _ask(phrases: Phrases) -> Dialogue:
    return (yield Gather(phrases.say("transfer-dial"), most=DIALLED_DIGITS))


def _say_failed(phrases: Phrases, status: int) -> Dialogue:
    yield Say(phrases.call_tone(tone_of(status)), loop=True, most_s=TONE_S)
    yield Say(phrases.say("transfer-failed"))
