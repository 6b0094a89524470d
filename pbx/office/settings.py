"""The office as a whole: the table [office]."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pbx.office.prompt import Prompt
from pbx.office.values import LABEL, LANGUAGE, Country, Many, Text, Timezone, Whole

EMERGENCY = Text(8, r"[0-9]{2,8}", "2 to 8 digits", empty=False)


@dataclass(frozen=True, slots=True)
class Settings:
    """`country` says how national numbers are read; without one every outside number is international.

    `voicemail_messages` and `voicemail_minutes` are what one mailbox takes; recordings of calls are deleted
    after `recording_days`, 0 = never.
    """

    name: Annotated[str, LABEL] = "Office"
    country: Annotated[str, Country(empty=True)] = ""
    timezone: Annotated[str, Timezone()] = "UTC"
    language: Annotated[str, LANGUAGE] = "en"
    emergency: Annotated[tuple[str, ...], Many(EMERGENCY, limit=50)] = ("112", "911")
    passcode_missing: Literal["connect", "refuse"] = "connect"
    voicemail_messages: Annotated[int, Whole(1, 10_000)] = 100
    voicemail_minutes: Annotated[int, Whole(1, 10_000, "minutes")] = 60
    recording_days: Annotated[int, Whole(0, 3650, "days")] = 30
    announce_recording: bool = False
    hold_music: Prompt = field(default_factory=Prompt)
