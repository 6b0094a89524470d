"""What somebody hears whose call fails: why, in words, and a tone of the office's country (ITU-T E.180).

The information tone comes before the words and calls attention to them; busy and congestion come after them,
until the call ends.
"""

from typing import Final, Literal

from pbx.call.dialogue import Dialogue, Say
from pbx.call.phrases import Phrases

TONE_S: Final = 4.0  # long enough to be known, short enough for a trunk that is paid by the minute
BUSY: Final = frozenset({486, 600, 603})
NO_SUCH_NUMBER: Final = frozenset({404, 410, 484, 604})
FORBIDDEN: Final = frozenset({401, 403, 407})


def tone_of(status: int) -> Literal["busy", "congestion", "information"]:
    """The tone that a SIP status sounds like; busy and congestion need no words, the third wants some."""
    if status in BUSY:
        return "busy"
    return "information" if status in NO_SUCH_NUMBER or status in FORBIDDEN else "congestion"


def say_failure(phrases: Phrases, status: int, words: str) -> Dialogue:
    """Say what a call that fails with `status` sounds like.

    Args:
        words: name of a system prompt; "" = what is usual for the status.
    """
    tone = tone_of(status)
    if not words and status in NO_SUCH_NUMBER:
        words = "call-number-unknown"
    if tone == "information":
        yield Say(phrases.call_tone(tone), is_interruptible=False)
    if words:
        yield Say(phrases.say(words), is_interruptible=False)
    if tone != "information" or not words:
        yield Say(phrases.call_tone(tone), loop=True, most_s=TONE_S)
