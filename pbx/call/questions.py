"""What dialogues ask of the world (`dialogue.Ask`, `dialogue.Take`), and the answers: plain values."""

from datetime import datetime
from typing import Literal

from pbx.immutable import immutable

MessageState = Literal["new", "saved", "deleted"]


@immutable
class OpenMailbox:
    """How does a mailbox stand? Answered by OpenedMailbox."""

    mailbox: str


@immutable
class OpenedMailbox:
    """
    Attributes:
        room_s: how long one more message may be; 0.0: the mailbox is full.
        greeting: the path of the owner's own one, "" = none.
    """

    room_s: float
    greeting: str
    new: int
    saved: int


@immutable
class ListMessages:
    """The messages of a mailbox. Answered by a list of HeldMessage, the oldest first."""

    mailbox: str


@immutable
class HeldMessage:
    """
    Attributes:
        at: when it was left, in the office's time zone; now: when this was asked.
        path: of the WAV file.
    """

    id: str
    caller: str
    caller_name: str
    at: datetime
    now: datetime
    seconds: float
    state: MessageState
    path: str


@immutable
class MarkMessage:
    """Make a message new, saved or deleted. The answer is of no interest."""

    message: str
    state: MessageState


@immutable
class LeaveMailbox:
    """Whoever listened has hung up: what is marked as deleted goes for good.

    Attributes:
        heard: files of the messages that were played, of which no other copy is to stay.
    """

    mailbox: str
    heard: tuple[str, ...] = ()


@immutable
class DropGreeting:
    """Use the office's greeting again."""

    mailbox: str


@immutable
class MailboxFull:
    """A message could not be left: the owner is told once."""

    mailbox: str


@immutable
class CheckSecret:
    """Is a PIN or passcode right? Answered by True, False or `dialogue.LOCKED`; takes its time.

    Attributes:
        subject: whose it is: failures are counted by it.
        hash: as the office has it; "" = there is none, and no code is right.
        where: it was keyed in, and codes of others may be, too: failures are counted by it as well.
    """

    subject: str
    hash: str
    code: str
    where: str = ""

    def __repr__(self) -> str:
        return f"CheckSecret({self.subject!r})"


@immutable
class FindMember:
    """Whose hot-desk PIN is this? Answered by FoundMember, None or `dialogue.LOCKED`; takes its time, the
    same for every PIN.

    Attributes:
        subject: where it was keyed in: failures are counted by it.
    """

    subject: str
    pin: str

    def __repr__(self) -> str:
        return f"FindMember({self.subject!r})"


@immutable
class FoundMember:
    """`at` is when he was found, in UTC."""

    email: str
    at: datetime


@immutable
class DoNotDisturb:
    """A change of an extension."""

    is_on: bool


@immutable
class Forward:
    """The same: forward to a number in E.164 or to the key of an extension; "" = not any more."""

    to: str


@immutable
class ChangeOffice:
    """Change the settings of an extension, from the next call on. Answered by True or Refused."""

    key: str
    change: DoNotDisturb | Forward


@immutable
class Refused:
    """The office does not allow it."""

    why: str


# What is recorded.


@immutable
class NewMessage:
    """A message for a mailbox. Kept is True, or None when it was too short."""

    id: str
    mailbox: str
    caller: str
    caller_name: str
    called: str


@immutable
class NewGreeting:
    """The owner's own greeting, in use from then on."""

    mailbox: str


@immutable
class NewRecording:
    """A call, for the extension that wants it recorded."""

    id: str
    call: str
    extension: str
    caller: str
    callee: str
