"""The office as a whole: the table [office]."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pbx.office.codes import Codes
from pbx.office.marks import Many
from pbx.office.prompt import Prompt
from pbx.office.values import KEY, LABEL, LANGUAGE, Country, Text, Timezone, Whole

EMERGENCY = Text(8, r"[0-9]{2,8}", "2 to 8 digits", empty=False)
LOGOUT = Text(
    5,
    r"never|[1-9][0-9]{0,2}h|([01][0-9]|2[0-3]):[0-5][0-9]",
    '"never", a time after the login such as "8h", or a time of day such as "18:00"',
    empty=False,
)


@dataclass(frozen=True, slots=True)
class Settings:
    """`country` says how national numbers are read; without one every outside number is international.

    `voicemail_messages` and `voicemail_minutes` are what one mailbox takes; recordings of calls are deleted
    after `recording_days`, 0 = never. `hot_desk_keys` may be dialled at a hot-desk phone where nobody is
    logged in; `hot_desk_logout` is when a login ends by itself.
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
    hot_desk_keys: Annotated[tuple[str, ...], Many(KEY)] = ()
    hot_desk_logout: Annotated[str, LOGOUT] = "never"
    hold_music: Prompt = field(default_factory=Prompt)
    codes: Codes = field(default_factory=Codes)
