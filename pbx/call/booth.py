"""Runs a dialogue of the PBX with one leg: prompts, keys, recordings."""

from collections import deque
from collections.abc import Callable
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
from pbx.call.sound import Begin
from pbx.media.orders import Detect, EndpointStats, Mix, Play, ReadStats, Record, StopPlay, StopRecord
from pbx.media.prompt import Prompt

MOST_TYPED: Final = 64  # keys that wait
MEASURE_S: Final = 1.0  # for a media worker to tell; one that dies does not
TIMER: Final = "booth"
LOST: Final = "the media worker died"


class BoothHost(Protocol):
    """The call."""

    def order(self, order: Any) -> None: ...
    def number_step(self) -> int:
        """A number that no step of any booth in this call has had."""
        ...

    def render(self, prompt: Prompt, done: Callable[[str | None], None]) -> None:
        """`done` gets the stem of the rendered sound, None when it cannot be made."""
        ...

    def ask(self, question: Any, done: Callable[[Any], None]) -> None: ...
    def take(self, order: Record, what: Any, done: Callable[[float, str, Any], None]) -> None: ...
    def set_booth_timer(self, seconds: float | None) -> None: ...
    def booth_finished(self, booth: "Booth", result: Any) -> None: ...


class Booth:
    """One leg, alone with the PBX.

    The dialogue goes on whenever what it asked for has come; each step has a number, so that what comes of an
    earlier one is known to be late.
    """

    def __init__(self, host: BoothHost, leg: Leg, dialogue: Dialogue) -> None:
        self.leg = leg
        self._host: BoothHost | None = host
        self._dialogue = dialogue
        self._step: Step | None = None
        self._number = 0  # of the step: what comes of an earlier one, of another booth as well, is late
        self._typed: deque[str] = deque()
        self._digits = ""
        self._is_playing = False
        self._stem = ""
        self._ended_by = ""
        self._is_recording = False
        self._is_running = False
        self._next: tuple[Any] | None = None

    def start(self) -> None:
        """Begin. A phone that has no events for keys may send them as tones."""
        if self._host is not None and self._endpoint and not self.leg.media.sends_events:
            self._host.order(Detect(self._endpoint))
        self._go(None)

    def stop(self) -> None:
        """The leg is gone, or wanted elsewhere: the dialogue is closed and asks for nothing more."""
        host, self._host = self._host, None
        if host is None:
            return
        host.set_booth_timer(None)
        self._quiet(host)
        self._dialogue.close()

    # --- what comes ----------------------------------------------------------------------------------------

    def digit(self, digit: str) -> None:
        """The caller pressed a key."""
        step = self._step
        if self._host is None:
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
        if play != self._name or not self._is_playing or self._host is None:
            return
        step = self._step
        if why == LOST and isinstance(step, (Say, Gather)):
            self._play(self._stem)  # the new worker says it again
            return
        self._is_playing = False
        if isinstance(step, Say):
            self._go("")
        elif isinstance(step, Gather):
            self._host.set_booth_timer(step.first_s)

    def measured(self, stats: EndpointStats) -> None:
        """How the caller's audio comes and goes."""
        if self._host is not None and isinstance(self._step, Measure):
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
            while self._next is not None and self._host is not None:
                (value,), self._next = self._next, None
                self._finish_step()
                try:
                    step = self._dialogue.send(value)
                except StopIteration as end:
                    host, self._host = self._host, None
                    host.booth_finished(self, end.value)
                    return
                self._begin_step(step)
        finally:
            self._is_running = False

    def _finish_step(self) -> None:
        host = self._host
        assert host is not None  # checked by who calls
        if self._step is not None:
            host.set_booth_timer(None)
            self._quiet(host)
        self._step = None
        self._number = host.number_step()
        self._digits = self._ended_by = ""
        self._is_recording = False

    def _quiet(self, host: BoothHost) -> None:
        if self._is_playing and self._endpoint:
            host.order(StopPlay(self._endpoint))
        self._is_playing = False
        if isinstance(self._step, Echo) and self._endpoint:
            host.order(Mix(self._endpoint, ""))

    def _begin_step(self, step: Step) -> None:
        host, number = self._host, self._number
        if host is None:  # the call ended by what the dialogue did
            return
        self._step = step
        if isinstance(step, Do):
            self._go(step.action())
        elif isinstance(step, Ask):
            host.ask(step.question, lambda answer: self._answered(number, answer))
        elif isinstance(step, Wait):  # without audio, too: a dialogue that waits must not run in circles
            host.set_booth_timer(step.seconds)
            self._take_typed()
        elif not self._endpoint:
            self._go(_nothing(step))
        elif isinstance(step, Take):
            host.ask(Begin(step.what), lambda path: self._take(number, step, path))
        elif isinstance(step, Echo):
            host.order(Mix(self._endpoint, self._name, echo=True))
            self._take_typed()
        elif isinstance(step, Measure):
            host.set_booth_timer(MEASURE_S)
            host.order(ReadStats(self._endpoint))
        elif step.prompt is None:
            host.set_booth_timer(step.first_s)
            self._take_typed()
        else:
            if isinstance(step, Gather) or step.is_interruptible:
                self._take_typed()
            if self._step is step and self._number == number and self._next is None and not self._digits:
                host.render(step.prompt, lambda stem: self._rendered(number, stem))

    def _take(self, number: int, step: Take, path: Any) -> None:
        host = self._host
        if number != self._number or host is None:
            return
        if isinstance(path, Unanswered):
            self._go(Taken(0.0, path.why))
            return

        def done(seconds: float, why: str, kept: Any) -> None:
            if number == self._number:
                self._go(Taken(seconds, self._ended_by or why, kept))

        order = Record(self._endpoint, self._name, str(path), "", step.max_s, step.silence_s)
        host.take(order, step.what, done)
        self._is_recording = True

    def _answered(self, number: int, answer: Any) -> None:
        if number == self._number and isinstance(self._step, Ask):
            self._go(answer)

    def _rendered(self, number: int, stem: str | None) -> None:
        host, step = self._host, self._step
        if number != self._number or host is None or (isinstance(step, Gather) and self._digits):
            return
        if stem is not None:
            if isinstance(step, Say):
                host.set_booth_timer(step.most_s)
            self._play(stem)
        elif isinstance(step, Gather):
            host.set_booth_timer(step.first_s)
        else:
            self._go("")

    def _play(self, stem: str) -> None:
        host, step = self._host, self._step
        assert host is not None  # checked by who calls
        self._is_playing, self._stem = True, stem
        loop = isinstance(step, Say) and step.loop
        host.order(Play(self._endpoint, self._name, stem, loop))

    def _take_typed(self) -> None:
        """Use the keys that have come as far as the step wants them."""
        host, step, typed = self._host, self._step, self._typed
        if host is None or not typed:
            return
        if isinstance(step, Say):
            if step.is_interruptible:
                self._go(typed.popleft())
        elif isinstance(step, (Wait, Echo)):
            self._go(typed.popleft())
        elif isinstance(step, Gather):
            self._gather(host, step)

    def _gather(self, host: BoothHost, step: Gather) -> None:
        if self._is_playing:
            host.order(StopPlay(self._endpoint))
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
        host.set_booth_timer(step.next_s)

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
