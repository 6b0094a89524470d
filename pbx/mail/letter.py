"""What a mail says: facts about the telephone system become a letter, which the outbox keeps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import singledispatch
from typing import Any, Final
from zoneinfo import ZoneInfo

from pbx.mail.facts import (
    CallerIdRequest,
    EmergencyCall,
    Facts,
    MailboxFull,
    MissedCall,
    NewVoicemail,
    Trial,
    UsageReached,
)

LONGEST: Final = 200  # characters of anything that a stranger may have written
DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)

Rows = tuple[tuple[str, str], ...]
Show = Callable[[datetime], str]


@dataclass(frozen=True, slots=True)
class Letter:
    """The words of a mail, clean of control characters: `rows` are names and values, `closing` a sentence."""

    kind: str
    subject: str
    heading: str
    rows: Rows
    closing: str
    office: str

    def as_row(self) -> dict[str, Any]:
        """For the database: nothing but JSON's types."""
        return {
            "kind": self.kind,
            "subject": self.subject,
            "heading": self.heading,
            "rows": [list(row) for row in self.rows],
            "closing": self.closing,
            "office": self.office,
        }


def letter_of(row: Mapping[str, Any]) -> Letter:
    """The letter that `as_row` wrote."""
    words = {name: str(row[name]) for name in ("kind", "subject", "heading", "closing", "office")}
    return Letter(rows=tuple((str(name), str(value)) for name, value in row["rows"]), **words)


def write_letter(facts: Facts, office: str, zone: str) -> Letter:
    """The letter about these facts.

    Args:
        office: its name.
        zone: its time zone, "Asia/Singapore".
    """

    def show(at: datetime) -> str:
        local = at.astimezone(ZoneInfo(zone))
        day = f"{DAYS[local.weekday()]}, {local.day} {MONTHS[local.month - 1]} {local.year}"
        return f"{day}, {local:%H:%M} ({zone})"

    kind, subject, heading, rows, closing = _words(facts, show)
    cleaned = tuple((name, clean(value)) for name, value in rows if value)
    return Letter(kind, clean(subject), clean(heading), cleaned, clean(closing), clean(office))


def clean(text: str) -> str:
    """One line of printable characters, at most LONGEST: what strangers send ends up in headers."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def show_duration(seconds: float) -> str:
    """As "0:07", "12:30" or "1:02:03"."""
    whole = max(0, round(seconds))
    minutes, rest = divmod(whole, 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


Words = tuple[str, str, str, Rows, str]  # kind, subject, heading, rows, closing


@singledispatch
def _words(facts: Any, _show: Show) -> Words:
    raise TypeError(f"no mail is written about {type(facts).__name__}")


@_words.register
def _missed_call(facts: MissedCall, show: Show) -> Words:
    return (
        "missed_call",
        f"Missed call from {facts.caller} to {facts.called}",
        "Missed call",
        (
            ("Caller", str(facts.caller)),
            ("Called", str(facts.called)),
            ("Time", show(facts.at)),
            ("Rang for", show_duration(facts.rang_s)),
        ),
        "The caller left no message.",
    )


@_words.register
def _voicemail(facts: NewVoicemail, show: Show) -> Words:
    length = show_duration(facts.duration_s)
    return (
        "voicemail",
        f"Voicemail from {facts.caller} to {facts.called} ({length})",
        "New voicemail",
        (
            ("Caller", str(facts.caller)),
            ("Called", str(facts.called)),
            ("Time", show(facts.at)),
            ("Duration", length),
        ),
        f"The message is also in the mailbox: dial {facts.code} to hear it."
        if facts.code
        else "The message is also in the mailbox.",
    )


@_words.register
def _mailbox_full(facts: MailboxFull, show: Show) -> Words:
    return (
        "mailbox_full",
        f"The mailbox of {facts.mailbox} is full",
        "Mailbox full",
        (
            ("Mailbox", str(facts.mailbox)),
            ("Time", show(facts.at)),
            ("Messages", str(facts.messages)),
            ("Length", f"{facts.minutes:.0f} minutes"),
        ),
        f"Callers can leave no more messages: dial {facts.code} and delete some."
        if facts.code
        else "Callers can leave no more messages until some are deleted.",
    )


@_words.register
def _emergency(facts: EmergencyCall, show: Show) -> Words:
    return (
        "emergency",
        f"Emergency call: {facts.caller} dialled {facts.dialled}" + (" again" if facts.repeated else ""),
        "Emergency call",
        (
            ("Caller", str(facts.caller)),
            ("Phone", facts.phone),
            ("Dialled", facts.dialled),
            ("Shown number", facts.shown),
            ("Repeated", f"{facts.repeated} calls since the last mail" if facts.repeated else ""),
            ("Time", show(facts.at)),
        ),
        "Somebody in the office may need help.",
    )


@_words.register
def _usage(facts: UsageReached, show: Show) -> Words:
    is_all = facts.percent >= 100
    return (
        "usage",
        f"{facts.percent} % of the call limit of {facts.extension} used",
        "Call limit reached" if is_all else "Call limit nearly reached",
        (
            ("Extension", str(facts.extension)),
            ("Used", f"{facts.used} of {facts.limit} this month ({facts.percent} %)"),
            ("Time", show(facts.at)),
        ),
        "No more outside calls until the next month, or until an administrator resets the limit."
        if is_all
        else "When the limit is reached, outside calls are refused until the next month.",
    )


@_words.register
def _caller_id(facts: CallerIdRequest, show: Show) -> Words:
    closings = {
        "pending": "An administrator can approve or reject it.",
        "approved": "It can be chosen from now on.",
        "rejected": "Calls show the same number as before.",
    }
    return (
        "caller_id",
        f"Caller ID {facts.number} for {facts.extension}: {facts.state}",
        f"Request for a caller ID: {facts.state}",
        (
            ("Extension", str(facts.extension)),
            ("Number", facts.number),
            ("By", facts.by),
            ("Time", show(facts.at)),
        ),
        closings[facts.state],
    )


@_words.register
def _trial(facts: Trial, show: Show) -> Words:
    return (
        "test",
        "Test of the telephone system's mail",
        "It works",
        (("Time", show(facts.at)),),
        "This was sent by `pbx mail test`.",
    )
