"""Transfer by keys pressed in a call: `##2` and a key rings somebody while the other side waits with music.

Hanging up connects those two, whether the new one has answered (attended) or still rings (blind); `##3` leads
back. The same holds when the new one hangs up, or nobody answers.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol

from pbx.call.dialogue import Dialogue, Gather, Say
from pbx.call.failure import tone_of
from pbx.call.hunt import Hunt
from pbx.call.leg import Leg
from pbx.call.phrases import Phrases
from pbx.call.transfer import bridge, offer_of
from pbx.rules.decision import AskPasscode, DialDecision, Reject, Ring
from pbx.sdp.content import Content

DIALLED_DIGITS: Final = 20
TONE_S: Final = 2.0  # and then the transferor is back


class ConsultCall(Protocol):
    """The call."""

    id: str
    hunt: Hunt | None
    talk: tuple[Leg, Leg] | None
    consult: "Consultation | None"

    def serve(self, leg: Leg, dialogue: Dialogue, then: Callable[[Any], None] | None = None) -> None: ...
    def leave_booth(self) -> None: ...
    def connect(self, a: Leg, b: Leg) -> None: ...
    def drop(self, leg: Leg, status: int = 0, why: str = "") -> None: ...
    def ring_for(self, hunt: Hunt, decision: Ring, content: Content | None) -> None: ...
    @property
    def now(self) -> float: ...
    def route(self, leg: Leg, dialled: str) -> DialDecision: ...
    def ask_passcode(
        self, leg: Leg, decision: AskPasscode, then: Callable[[Ring], None], refused: Callable[[], None]
    ) -> None: ...
    def play_music(self, leg: Leg) -> None: ...
    def stop_music(self, leg: Leg) -> None: ...
    def ring_back(self, leg: Leg) -> None: ...
    def end(self, why: str) -> None: ...
    def tell(self, sentence: str) -> None:
        """For the record of the call."""
        ...


class Consultation:
    """One transfer by keys under way: `transferor` asks for `target`, `waiting` hears music."""

    def __init__(self, call: ConsultCall, transferor: Leg, waiting: Leg, phrases: Phrases) -> None:
        self.transferor, self.waiting = transferor, waiting
        self.target: Leg | None = None
        self._call = call
        self._phrases = phrases

    def start(self) -> None:
        """Ask for the key."""
        call = self._call
        call.play_music(self.waiting)
        dialogue = _ask(self._phrases)
        call.serve(self.transferor, dialogue, self._dialled)

    def _dialled(self, key: Any) -> None:
        call = self._call
        if not key:
            self.back()
            return
        call.tell(f"{self.transferor.party.key} transfers {self.waiting.party.key} by keys to {key}")
        decision = call.route(self.transferor, key)
        if isinstance(decision, AskPasscode):
            call.ask_passcode(self.transferor, decision, self._ring, partial(self._fail, 403))
        elif isinstance(decision, Ring):
            self._ring(decision)
        else:
            self._fail(decision.status if isinstance(decision, Reject) else 480)

    def _ring(self, decision: Ring) -> None:
        call = self._call
        hunt = call.hunt = Hunt(call, self.transferor, decision, call.now)  # type: ignore[arg-type]  # a Call
        call.ring_for(hunt, decision, offer_of(self.transferor))
        if call.hunt is hunt:
            call.ring_back(self.transferor)

    def answered(self, leg: Leg) -> None:
        """The target has answered: the transferor talks with it."""
        self.target = leg
        call = self._call
        call.leave_booth()
        self.transferor.media.part()
        call.connect(self.transferor, leg)

    def failed(self, status: int) -> None:
        """Nobody has answered."""
        self._fail(status)

    def _fail(self, status: int = 480) -> None:
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
        call.leave_booth()
        if target is not None:
            target.end()
            call.drop(target, 200, "the transferor went back")
        call.stop_music(self.waiting)
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
        call.stop_music(self.waiting)
        call.talk = (self.waiting, target)
        bridge(call, self.waiting, target)  # type: ignore[arg-type]  # a Call

    def _ring_on(self) -> None:
        """A blind transfer: who waited hears the target ring."""
        call = self._call
        call.consult = None
        call.leave_booth()
        call.stop_music(self.waiting)
        hunt = call.hunt
        if hunt is None:
            call.end("the transferor hung up")
            return
        hunt.origin, hunt.early, hunt.is_adopted = self.waiting, None, True
        call.talk = None
        self.waiting.media.part()
        call.ring_back(self.waiting)


def _ask(phrases: Phrases) -> Dialogue:
    return (yield Gather(phrases.say("transfer-dial"), most=DIALLED_DIGITS))


def _say_failed(phrases: Phrases, status: int) -> Dialogue:
    yield Say(phrases.call_tone(tone_of(status)), loop=True, most_s=TONE_S)
    yield Say(phrases.say("transfer-failed"))
