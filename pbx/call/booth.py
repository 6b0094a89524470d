"""Runs a dialogue of the PBX with one leg: prompts, keys, recordings."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

from pbx.call.dialogue import (
    Ask,
    Dialogue,
    Do,
    Echo,
    Gather,
    Measure,
    Say,
    Step,
    Take,
    Taken,
    Unanswered,
    Wait,
)
from pbx.call.leg import Leg
from pbx.call.sound import Begin, Sound
from pbx.media.orders import Detect, EndpointStats, Mix, Play, ReadStats, Record, StopPlay, StopRecord

MOST_TYPED: Final = 64  # keys that wait
MEASURE_S: Final = 1.0  # for a media worker to tell; one that dies does not
TIMER: Final = "booth"
OPENING_MS: Final = 300  # a phone that is answered opens its ears a while after our first packet
LOST: Final = "the media worker died"


class BoothHost(Protocol):
    """The exchange."""

    sound: Sound

    def order(self, order: Any) -> None: ...


class BoothCall(Protocol):
    """The call."""

    steps: Iterator[int]  # numbers for the steps of all its booths

    @property
    def host(self) -> BoothHost: ...
    def take(self, order: Record, what: Any, done: Callable[[float, str, Any], None]) -> None: ...
    def set_timer(self, timer: str, seconds: float | None) -> None: ...
    def booth_finished(self, booth: "Booth", result: Any) -> None: ...


class Booth:
    """One leg, alone with the PBX.

    The dialogue goes on whenever what it asked for has come; each step has a number, so that what comes of an
    earlier one is known to be late.

    Args:
        then: gets what comes of the dialogue; without it the call ends with that.
        opens: the leg's audio begins with this.
    """

    def __init__(
        self,
        call: BoothCall,
        leg: Leg,
        dialogue: Dialogue,
        then: Callable[[Any], None] | None = None,
        *,
        opens: bool = False,
    ) -> None:
        self.leg = leg
        self.then = then
        self.at_end: Callable[[], None] | None = None  # done when it is over, in whatever way
        self._host = call.host
        self._call: BoothCall | None = call  # None: it is over
        self._dialogue = dialogue
        self._step: Step | None = None
        self._number = 0  # of the step: what comes of an earlier one, of another booth as well, is late
        self._typed: deque[str] = deque()
        self._digits = ""
        self._is_playing = False
        self._lead_ms = OPENING_MS if opens else 0  # of the first sound
        self._stem = ""
        self._ended_by = ""
        self._is_recording = False
        self._is_running = False
        self._next: tuple[Any] | None = None

    def start(self) -> None:
        """Begin, once. A phone that has no events for keys may send them as tones."""
        if self._number:
            return
        if self._call is not None and self._endpoint and not self.leg.media.sends_events:
            self._host.order(Detect(self._endpoint))
        self._go(None)

    def stop(self) -> None:
        """The leg is gone, or wanted elsewhere: the dialogue is closed and asks for nothing more."""
        call, self._call = self._call, None
        if call is None:
            return
        call.set_timer(TIMER, None)
        self._quiet()
        self._dialogue.close()
        if self.at_end is not None:
            self.at_end()

    # --- what comes ----------------------------------------------------------------------------------------

    def digit(self, digit: str) -> None:
        """The caller pressed a key."""
        step = self._step
        if self._call is None:
            return
        if isinstance(step, Take):
            if digit in step.end and self._is_recording:
                self._ended_by = digit
                self._host.order(StopRecord(self._endpoint, self._name))
            return
        if len(self._typed) < MOST_TYPED:
            self._typed.append(digit)
        if step is not None:
            self._take_typed()

    def played(self, play: str, why: str) -> None:
        """A sound is over."""
        if play != self._name or not self._is_playing or self._call is None:
            return
        step = self._step
        if why == LOST and isinstance(step, (Say, Gather)):
            self._play(self._stem)  # the new worker says it again
            return
        self._is_playing = False
        if isinstance(step, Say):
            self._go("")
        elif isinstance(step, Gather):
            self._call.set_timer(TIMER, step.first_s)

    def measured(self, stats: EndpointStats) -> None:
        """How the caller's audio comes and goes."""
        if self._call is not None and isinstance(self._step, Measure):
            self._go(stats)

    def expire(self) -> None:
        """Time is up."""
        step = self._step
        if isinstance(step, Gather):
            self._go(self._digits or None)
        elif isinstance(step, (Wait, Say)):
            self._go("")
        elif isinstance(step, Measure):
            self._go(None)

    # --- the dialogue --------------------------------------------------------------------------------------

    def _go(self, value: Any) -> None:
        """Hand the dialogue what it waited for; one step at a time, however quickly answers come."""
        self._next = (value,)
        if self._is_running:
            return
        self._is_running = True
        try:
            while self._next is not None and self._call is not None:
                (value,), self._next = self._next, None
                self._finish_step(self._call)
                try:
                    step = self._dialogue.send(value)
                except StopIteration as end:
                    call, self._call = self._call, None
                    call.booth_finished(self, end.value)
                    return
                self._begin_step(step)
        finally:
            self._is_running = False

    def _finish_step(self, call: BoothCall) -> None:
        if self._step is not None:
            call.set_timer(TIMER, None)
            self._quiet()
        self._step = None
        self._number = next(call.steps)
        self._digits = self._ended_by = ""
        self._is_recording = False

    def _quiet(self) -> None:
        if self._is_playing and self._endpoint:
            self._host.order(StopPlay(self._endpoint))
        self._is_playing = False
        if isinstance(self._step, Echo) and self._endpoint:
            self._host.order(Mix(self._endpoint, ""))

    def _begin_step(self, step: Step) -> None:
        call, host, number = self._call, self._host, self._number
        if call is None:  # the call ended by what the dialogue did
            return
        self._step = step
        if isinstance(step, Do):
            self._go(step.action())
        elif isinstance(step, Ask):
            host.sound.ask(step.question, lambda answer: self._answered(number, answer))
        elif isinstance(step, Wait):  # without audio, too: a dialogue that waits must not run in circles
            call.set_timer(TIMER, step.seconds)
            self._take_typed()
        elif not self._endpoint:
            self._go(_nothing(step))
        elif isinstance(step, Take):
            self._typed.clear()  # keys before the beep are no answer to what is asked after it
            host.sound.ask(Begin(step.what), lambda path: self._take(number, step, path))
        elif isinstance(step, Echo):
            host.order(Mix(self._endpoint, self._name, echo=True))
            self._take_typed()
        elif isinstance(step, Measure):
            call.set_timer(TIMER, MEASURE_S)
            host.order(ReadStats(self._endpoint))
        elif step.prompt is None:
            call.set_timer(TIMER, step.first_s)
            self._take_typed()
        else:
            if isinstance(step, Gather) or step.is_interruptible:
                self._take_typed()
            if self._step is step and self._number == number and self._next is None and not self._digits:
                host.sound.render(step.prompt, lambda stem: self._rendered(number, stem))

    def _take(self, number: int, step: Take, path: Any) -> None:
        call = self._call
        if number != self._number or call is None:
            self._host.sound.give_up(step.what, path)
            return
        if isinstance(path, Unanswered):
            self._go(Taken(-1.0, path.why))
            return

        def done(seconds: float, why: str, kept: Any) -> None:
            if number == self._number:
                self._go(Taken(seconds, self._ended_by or why, kept))

        order = Record(self._endpoint, self._name, str(path), "", step.max_s, step.silence_s)
        call.take(order, step.what, done)
        self._is_recording = True

    def _answered(self, number: int, answer: Any) -> None:
        if number == self._number and isinstance(self._step, Ask):
            self._go(answer)

    def _rendered(self, number: int, stem: str | None) -> None:
        call, step = self._call, self._step
        if number != self._number or call is None or (isinstance(step, Gather) and self._digits):
            return
        if stem is not None and self._endpoint:  # else its audio is off since it was asked for
            if isinstance(step, Say):
                call.set_timer(TIMER, step.most_s)
            self._play(stem)
        elif isinstance(step, Gather):
            call.set_timer(TIMER, step.first_s)
        else:
            self._go("")

    def _play(self, stem: str) -> None:
        step = self._step
        self._is_playing, self._stem = True, stem
        loop = isinstance(step, Say) and step.loop
        self._host.order(Play(self._endpoint, self._name, stem, loop, lead_ms=self._lead_ms))
        self._lead_ms = 0

    def _take_typed(self) -> None:
        """Use the keys that have come as far as the step wants them."""
        call, step, typed = self._call, self._step, self._typed
        if call is None or not typed:
            return
        if isinstance(step, Say):
            if step.is_interruptible:
                self._go("" if step.keeps_key else typed.popleft())
        elif isinstance(step, (Wait, Echo)):
            self._go(typed.popleft())
        elif isinstance(step, Gather):
            self._gather(call, step)

    def _gather(self, call: BoothCall, step: Gather) -> None:
        if self._is_playing:
            self._host.order(StopPlay(self._endpoint))
            self._is_playing = False
        while self._typed:
            digit = self._typed.popleft()
            if digit in step.end:
                self._go(self._digits)
                return
            self._digits += digit
            if len(self._digits) >= step.most:
                self._go(self._digits)
                return
        call.set_timer(TIMER, step.next_s)

    @property
    def _endpoint(self) -> str:
        return self.leg.media.sound_endpoint or ""

    @property
    def _name(self) -> str:
        """Of what is played or recorded in this step."""
        return f"{self.leg.name}.{self._number}"


def _nothing(step: Step) -> Any:
    """What becomes of a step when there is no audio at all."""
    if isinstance(step, Take):
        return Taken(0.0, "no audio")
    return None if isinstance(step, (Gather, Measure)) else ""
