"""What the calls have asked of the world and wait for: sounds to be rendered, questions, recordings.

Pure: it hands out effects with a number, and finds who asked when the answer comes.
"""

from collections.abc import Callable
from typing import Any, Final

from pbx.call.dialogue import Unanswered
from pbx.immutable import immutable
from pbx.media.orders import Record, Recorded
from pbx.media.prompt import Prompt

MOST_WAITING: Final = 2000  # questions and prompts; more mean that nobody answers any more


@immutable
class Render:
    """Make a sound of a prompt; answered by `Sound.rendered`."""

    number: int
    prompt: Prompt


@immutable
class Question:
    """Ask whoever knows; answered by `Sound.answered`."""

    number: int
    about: Any


@immutable
class Begin:
    """A question: something is about to be recorded. The answer is the path of the file to write."""

    what: Any


@immutable
class Finish:
    """A question: the recording is over, in whatever way. The answer is what is kept of it, or None."""

    what: Any
    seconds: float
    why: str


class Sound:
    """Everything that is waited for, by all calls."""

    def __init__(self, emit: Callable[[Any], None]) -> None:
        self._emit = emit
        self._number = 0
        self._renders: dict[int, Callable[[str | None], None]] = {}
        self._questions: dict[int, Callable[[Any], None]] = {}
        self._takes: dict[tuple[str, str], tuple[Any, Callable[[float, str, Any], None]]] = {}

    def render(self, prompt: Prompt, done: Callable[[str | None], None]) -> None:
        """`done` gets the stem of the sound; None when there is none."""
        if len(self._renders) >= MOST_WAITING:
            done(None)
            return
        self._number += 1
        self._renders[self._number] = done
        self._emit(Render(self._number, prompt))

    def rendered(self, number: int, stem: str | None) -> None:
        """From the renderer."""
        if (done := self._renders.pop(number, None)) is not None:
            done(stem)

    def ask(self, about: Any, done: Callable[[Any], None]) -> None:
        """`done` gets the answer, or an Unanswered."""
        if len(self._questions) >= MOST_WAITING:
            done(Unanswered("too many questions"))
            return
        self._number += 1
        self._questions[self._number] = done
        self._emit(Question(self._number, about))

    def answered(self, number: int, answer: Any) -> None:
        """From whoever was asked."""
        if (done := self._questions.pop(number, None)) is not None:
            done(answer)

    def record(self, order: Record, what: Any, done: Callable[[float, str, Any], None]) -> None:
        """Record, and let what comes of it be kept, also when who asked for it is gone by then.

        `done` gets seconds, why it ended, and what is kept.
        """
        self._takes[order.endpoint, order.recording] = (what, done)
        self._emit(order)

    def give_up(self, what: Any, begun: Any) -> None:
        """Nobody wants to record any more when `begun`, the answer to `Begin`, is there."""
        if not isinstance(begun, Unanswered):
            self.ask(Finish(what, 0.0, "closed"), lambda _kept: None)

    def recorded(self, event: Recorded) -> None:
        """From the media worker."""
        what, done = self._takes.pop((event.endpoint, event.recording), (None, None))
        if done is not None:
            finish = Finish(what, event.seconds, event.why)
            self.ask(finish, lambda kept: done(event.seconds, event.why, kept))

    def __len__(self) -> int:
        """How much is waited for."""
        return len(self._renders) + len(self._questions) + len(self._takes)

    @property
    def is_quiet(self) -> bool:
        """No recording is going on."""
        return not self._takes
