"""Conversations of the PBX with a caller: generators that yield what they want next, and get what came of it.

Pure: a dialogue knows no dialog, socket or clock. `pbx.call.booth` runs it. A small one:

    def ask(prompt):
        digits = yield Gather(prompt, most=4)
        if digits == "1234":
            yield Say(WELCOME)
"""

from collections.abc import Callable, Generator
from typing import Any, Final, TypeAlias

from pbx.immutable import immutable
from pbx.media.prompt import Prompt

FIRST_DIGIT_S: Final = 10.0  # product §3
NEXT_DIGIT_S: Final = 5.0
TRIES: Final = 3
CODE_KEYS: Final = 11  # the longest passcode or PIN and its "#", which is no key for what comes next
LOCKED: Final = "locked"  # too many wrong codes: not even the right one counts for a while


@immutable
class Say:
    """Play a prompt. Gives the key that interrupted it, "" when it was heard to its end.

    Attributes:
        keeps_key: the key that interrupts it is left for the next step, and "" is given.
        loop: again and again.
        most_s: and no longer than this.
    """

    prompt: Prompt
    is_interruptible: bool = True
    keeps_key: bool = False
    loop: bool = False
    most_s: float | None = None


@immutable
class Gather:
    """Play a prompt, if there is one, and take keys; the first key ends the prompt.

    Gives the keys without the one in `end` that finished them; None when not even one came in time.

    Attributes:
        most: finished as soon as so many have come.
        first_s: to wait for the first key after the prompt.
        next_s: to wait for each further one.
    """

    prompt: Prompt | None = None
    most: int = 32
    end: str = "#"
    first_s: float = FIRST_DIGIT_S
    next_s: float = NEXT_DIGIT_S


@immutable
class Wait:
    """Let time pass. Gives the key that ended it, or ""; without `seconds` nothing else does."""

    seconds: float | None = None


@immutable
class Take:
    """Record what the caller says. Gives a `Taken`.

    Attributes:
        what: is recorded, for `call.sound.Begin` and `Finish`.
        end: the keys that end it.
    """

    what: Any
    max_s: float
    silence_s: float
    end: str = "#"


@immutable
class Taken:
    """What came of a recording: `seconds` and `why` are as in `media.orders.Recorded`, or `why` is a key.

    `kept` is what was kept.
    """

    seconds: float
    why: str
    kept: Any = None


@immutable
class Ask:
    """Ask something outside of the calls, such as the database. Gives its answer, or an `Unanswered`."""

    question: Any


@immutable
class Unanswered:
    """Nobody could answer."""

    why: str


@immutable
class Do:
    """Let the call do something at once, and give what it returns."""

    action: Callable[[], Any]


@immutable
class Echo:
    """Let the caller hear himself until a key is pressed. Gives the key."""


@immutable
class Measure:
    """Look at how the caller's audio comes and goes. Gives `EndpointStats`; None: nobody told."""


Step: TypeAlias = Say | Gather | Wait | Take | Ask | Do | Echo | Measure
Dialogue: TypeAlias = Generator[Step, Any, Any]


def ask_code(
    prompt: Prompt,
    wrong: Prompt,
    locked: Prompt,
    check: Callable[[str], Any],
) -> Dialogue:
    """Ask for a passcode or PIN (product §3: 3 tries, 10 s, 5 s, `#` ends). A try without any digit counts.

    Args:
        check: makes the question whether a code is right, which is answered by what it opens (such as True),
            by False or None, or by LOCKED.

    Returns:
        The answer to the code that was right; None: none was.
    """
    for _ in range(TRIES):
        digits = yield Gather(prompt, most=CODE_KEYS)
        if digits is None:
            continue  # silence is a try, but no guess: it counts for no lock
        answer = yield Ask(check(digits))
        if answer == LOCKED:
            yield Say(locked, is_interruptible=False)
            return None
        if answer and not isinstance(answer, Unanswered):
            return answer
        yield Say(wrong, keeps_key=True)
    return None
