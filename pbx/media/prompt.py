"""Prompts: what is said to a caller, as values. `rendering` makes sound of them.

Pure, and without numpy: the core holds these.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from pbx.errors import MediaError
from pbx.immutable import immutable

MAX_TEXT: Final = 2_000  # characters of one text
MAX_FILE_BYTES: Final = 5_000_000
MAX_FILE_S: Final = 600.0


class RenderError(MediaError):
    """A prompt that cannot be made into sound, and why."""


class StoppedError(RenderError):
    """Nothing is rendered any more: nobody can hear it."""

    def __init__(self) -> None:
        super().__init__("the server is stopping")


class SoundError(MediaError):
    """A sound file that cannot be used, and why."""


@immutable
class Voice:
    """Who speaks. `pitch` and `rate` go from 0 to 9; 5 is the voice's own."""

    language: str = "en"
    gender: str = "female"
    pitch: int = 5
    rate: int = 5


@immutable
class Speech:
    """A text that is spoken, at most MAX_TEXT characters."""

    text: str
    language: str = "en"
    gender: str = "female"
    pitch: int = 5
    rate: int = 5

    @property
    def voice(self) -> Voice:
        return Voice(self.language, self.gender, self.pitch, self.rate)


@immutable
class SoundFile:
    """An MP3, WAV, OGG or FLAC file."""

    path: str


@immutable
class Digits:
    """What was or can be dialled, said key by key: 0-9, `*`, `#`, `+`, A-D."""

    text: str


@immutable
class Number:
    """A whole number: "seventeen"."""

    value: int


@immutable
class Moment:
    """A date and time. Both are aware and in the office's time zone.

    `now`, where given, is when it is said: the same day is then "today", the day before "yesterday", the last
    week has a weekday. Without it, the full date is said.
    """

    when: datetime
    now: datetime | None = None


@immutable
class Duration:
    """A length of time: "2 minutes and 5 seconds"; below a second, in milliseconds."""

    seconds: float


@immutable
class Silence:
    """Nothing, for a while."""

    seconds: float


@immutable
class Tone:
    """Sines at once, for a while.

    Attributes:
        frequencies: in Hz.
        dbm0: level of them together; a full-scale sine has 3.14 (ITU-T G.711 §5, A-law).
    """

    frequencies: tuple[float, ...]
    seconds: float
    dbm0: float = -13.0


@immutable
class CallTone:
    """One period of a tone that says how a call goes, made to be repeated.

    Attributes:
        name: "ringback", "busy", "congestion", "information", "waiting", "recording" or "confirmation".
        country: whose, as an ISO code.
    """

    name: str
    country: str = ""


@immutable
class Music:
    """The built-in music on hold: one round of it, made to be repeated."""


Spoken: TypeAlias = Digits | Number | Moment | Duration


@immutable
class System:
    """A system prompt by its name (pbx/assets/prompts), in the language of the prompt's voice.

    `values` stand where its text has `{}`, in their order. A first value of Number(n) takes the text `name-n`
    where there is one, for none and for one of a thing: "vm-new-messages-1".
    """

    name: str
    values: tuple[Spoken, ...] = ()


Part: TypeAlias = Speech | SoundFile | Spoken | Silence | Tone | CallTone | Music | System


@immutable
class Prompt:
    """Parts one after the other.

    Attributes:
        voice: says what has no voice of its own (Digits, Number, Moment, Duration, System).
        background: the path of a sound file that plays below all of it; "" = none.
    """

    parts: tuple[Part, ...]
    voice: Voice = Voice()
    background: str = ""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A prompt as sound: `{stem}-8000.pcm` and `{stem}-16000.pcm`, mono little-endian int16 samples."""

    stem: str
    seconds: float


@dataclass(frozen=True, slots=True)
class SoundFacts:
    """What a sound file is. `format` is one of mp3, wav, ogg, flac."""

    format: str
    seconds: float
    rate_hz: int
    channels: int
