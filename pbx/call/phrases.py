"""What the PBX says: system prompts put together, in the office's language."""

from typing import Final

from pbx.call.questions import HeldMessage
from pbx.immutable import immutable
from pbx.media.prompt import (
    CallTone,
    Digits,
    Moment,
    Music,
    Number,
    Part,
    Prompt,
    SoundFile,
    Speech,
    Spoken,
    System,
    Tone,
    Voice,
)
from pbx.office import prompt as office_prompt

BEEP: Final = Tone((1000.0,), 0.4)
LIMIT_TONE: Final = Tone((1400.0,), 0.5)
CALL_TONES: Final = ("ringback", "busy", "congestion", "information")  # that are played


@immutable
class Phrases:
    """
    Attributes:
        language: of the office.
        data: the folder that paths of sounds of the office are relative to.
        hold_music: the office's own.
        country: whose tones are heard, as an ISO code.
        announces_recording: to both sides of a call that is recorded.
    """

    language: str = "en"
    data: str = ""
    hold_music: office_prompt.Prompt = office_prompt.Prompt()  # a value
    announces_recording: bool = False
    country: str = ""

    def say(self, *parts: "Part | str") -> Prompt:
        """A prompt of parts; a text is the name of a system prompt."""
        made = tuple([System(part) if isinstance(part, str) else part for part in parts])
        return Prompt(made, Voice(self.language))

    def fill(self, name: str, *values: Spoken) -> Prompt:
        """A system prompt with values in it."""
        return self.say(System(name, values))

    def beep(self) -> Prompt:
        return self.say(BEEP)

    def of_office(self, wanted: "office_prompt.Prompt", default: Prompt) -> Prompt:
        """What the office wants to be said: its file or its text, else what the system says there."""
        if wanted.mp3:
            return self.say(SoundFile(f"{self.data}/{wanted.mp3}"))
        if wanted.text:
            voice = Voice(wanted.language, wanted.gender, wanted.pitch, wanted.rate)
            return Prompt(
                (Speech(wanted.text, wanted.language, wanted.gender, wanted.pitch, wanted.rate),), voice
            )
        return default

    def greeting(self, own: str, wanted: "office_prompt.Prompt") -> Prompt:
        """Of a mailbox: the owner's own (a path), else the office's for it, else the system's."""
        return self.sound(own) if own else self.of_office(wanted, self.say("vm-greeting"))

    def message(self, place: int, message: HeldMessage, *, is_deleted: bool = False) -> Prompt:
        """Which message it is, of whom and when."""
        caller = Digits(message.caller) if message.caller else None
        return self.say(
            System("vm-message", (Number(place),)),
            *([System("vm-deleted")] if is_deleted else []),
            System("vm-from", (caller,)) if caller is not None else "vm-from-unknown",
            System("vm-received", (Moment(message.at, message.now),)),
        )

    def counts(self, new: int, saved: int) -> Prompt:
        """How many messages there are."""
        if not new and not saved:
            return self.say("vm-no-messages")
        kinds = [System("vm-new-messages", (Number(new),))]
        if saved:
            kinds.append(System("vm-saved-messages", (Number(saved),)))
        return self.say(*kinds)

    def music(self) -> Prompt:
        """For who waits; to be played again and again."""
        return self.of_office(self.hold_music, self.say(Music()))

    def call_tone(self, name: str) -> Prompt:
        """One period of a tone of the office's country, as of `media.prompt.CallTone`."""
        return self.say(CallTone(name, self.country))

    def ring_back(self) -> Prompt:
        """That a phone rings; to be played again and again."""
        return self.call_tone("ringback")

    def limit_warning(self) -> Prompt:
        """In a call: its time will soon be up."""
        return self.say(LIMIT_TONE)

    def sound(self, path: str) -> Prompt:
        """A file as it is."""
        return self.say(SoundFile(path))
