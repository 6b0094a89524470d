"""What is mailed about, as plain values: one type a kind of mail. Who makes them knows nothing of mail."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal


@dataclass(frozen=True, slots=True)
class Party:
    """Somebody in a call; a stranger's `name` may be anything, `number` "" is a withheld one."""

    number: str = ""
    name: str = ""

    def __str__(self) -> str:
        number = self.number or "a withheld number"
        return f"{self.name} ({number})" if self.name and self.name != self.number else number


@dataclass(frozen=True, slots=True)
class Extension:
    """One of ours: what it is dialled by and its label."""

    key: str
    label: str = ""

    def __str__(self) -> str:
        return f"{self.key} ({self.label})" if self.label and self.label != self.key else self.key


# In all of these `at` is an aware datetime of any zone; it is shown in the office's.


@dataclass(frozen=True, slots=True)
class MissedCall:
    """A call that nobody took; `rang_s` seconds long."""

    caller: Party
    called: Extension
    at: datetime
    rang_s: float


@dataclass(frozen=True, slots=True)
class NewVoicemail:
    """A message of `duration_s` seconds; the recording is handed over as the attachment.

    `code` is what is dialled for one's own mailbox, "" = nothing is.
    """

    caller: Party
    called: Extension
    at: datetime
    duration_s: float
    code: str


@dataclass(frozen=True, slots=True)
class MailboxFull:
    """A caller could leave no message: `messages` are kept and take `minutes`; `code` as above."""

    mailbox: Extension
    at: datetime
    messages: int
    minutes: float
    code: str


@dataclass(frozen=True, slots=True)
class EmergencyCall:
    """`dialled` was called, and `shown` was the caller ID; `phone` is the device's name.

    When it is `repeated`, so many such calls came since the last mail; this is the latest of them.
    """

    caller: Extension
    at: datetime
    dialled: str
    shown: str = ""
    phone: str = ""
    repeated: int = 0


@dataclass(frozen=True, slots=True)
class UsageReached:
    """`percent` of the month's limit are used; `used` and `limit` are texts for people ("300 min")."""

    extension: Extension
    at: datetime
    percent: int
    used: str
    limit: str


@dataclass(frozen=True, slots=True)
class CallerIdRequest:
    """Somebody wants to be shown as `number`, or an administrator has decided; `by` is who did that."""

    extension: Extension
    at: datetime
    number: str
    state: Literal["pending", "approved", "rejected"]
    by: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """`pbx mail test`."""

    at: datetime


Facts = MissedCall | NewVoicemail | MailboxFull | EmergencyCall | UsageReached | CallerIdRequest | Trial
