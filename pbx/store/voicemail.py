"""What is kept of voicemail: a row for each message, and one for each mailbox that has something of its own.

A row is written when the recording begins: a crash in its middle leaves both the caller and the sound.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final, Literal

from sqlalchemy import Row, case, delete, func, insert, select, update

from pbx.store.schema import mailbox, voicemail
from pbx.store.store import Store, fit

State = Literal["recording", "new", "saved", "deleted"]
HEARABLE: Final = ("new", "saved")


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    Attributes:
        mailbox: the key of the extension whose it is.
        caller, caller_name: who left it; "" = unknown or withheld.
        called: what the caller had dialled.
        started_at: seconds since 1970 (UTC); seconds: its length.
        state: "deleted" can be taken back until the mailbox is purged.
        path: of the finished file, relative to the data folder.
    """

    id: str
    mailbox: str
    caller: str
    caller_name: str
    called: str
    started_at: float
    seconds: float
    state: State
    path: str


@dataclass(frozen=True, slots=True)
class Counts:
    """What a mailbox holds: messages that can be heard, and how long they are together."""

    new: int = 0
    saved: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Mailbox:
    """`greeting` is a path relative to the data folder, "" = the office's."""

    key: str
    greeting: str = ""
    is_full_mail_sent: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a mailbox takes ([office] voicemail_messages and voicemail_minutes)."""

    messages: int = 100
    minutes: int = 60

    def room_s(self, counts: Counts) -> float:
        """How long a further message may be, in seconds; 0.0 = the mailbox is full."""
        if counts.new + counts.saved >= self.messages:
            return 0.0
        return max(0.0, self.minutes * 60.0 - counts.seconds)


class Voicemail:
    """The tables `voicemail` and `mailbox`. Each method is one transaction; StoreError from each."""

    def __init__(self, store: Store) -> None:
        self._store = store

    # --- messages ------------------------------------------------------------------------------------------

    def put(self, message: Message) -> None:
        """Add a message, or replace it: done twice, it does no harm."""
        row = fit(voicemail, asdict(message))
        with self._store.writes() as connection:
            connection.execute(delete(voicemail).where(voicemail.c.id == row["id"]))
            connection.execute(insert(voicemail), row)

    def find(self, message_id: str) -> Message | None:
        """One message, whatever its state."""
        with self._store.reads() as connection:
            row = connection.execute(select(voicemail).where(voicemail.c.id == message_id)).one_or_none()
            return None if row is None else _message(row)

    def messages(self, box: str | None = None, states: Sequence[State] = HEARABLE) -> list[Message]:
        """The messages of one mailbox or of all, the oldest first."""
        query = select(voicemail).where(voicemail.c.state.in_(states))
        if box is not None:
            query = query.where(voicemail.c.mailbox == box)
        order = (voicemail.c.mailbox, voicemail.c.started_at, voicemail.c.id)
        with self._store.reads() as connection:
            return [_message(row) for row in connection.execute(query.order_by(*order))]

    def mark(self, message_id: str, state: State) -> Message | None:
        """Give a message another state; None when there is no such message, or it is still being recorded."""
        is_there = (voicemail.c.id == message_id) & (voicemail.c.state != "recording")
        with self._store.writes() as connection:
            connection.execute(update(voicemail).where(is_there).values(state=state))
            row = connection.execute(select(voicemail).where(is_there)).one_or_none()
            return None if row is None else _message(row)

    def forget(self, message_id: str) -> None:
        """Remove the row of a message. Its file must be gone, or the next start takes it in as new."""
        with self._store.writes() as connection:
            connection.execute(delete(voicemail).where(voicemail.c.id == message_id))

    def counts(self) -> dict[str, Counts]:
        """What every mailbox with messages holds."""
        query = (
            select(
                voicemail.c.mailbox,
                func.sum(case((voicemail.c.state == "new", 1), else_=0)),
                func.sum(case((voicemail.c.state == "saved", 1), else_=0)),
                func.sum(voicemail.c.seconds),
            )
            .where(voicemail.c.state.in_(HEARABLE))
            .group_by(voicemail.c.mailbox)
        )
        with self._store.reads() as connection:
            rows = connection.execute(query)
            return {box: Counts(int(new), int(saved), float(seconds)) for box, new, saved, seconds in rows}

    # --- mailboxes -----------------------------------------------------------------------------------------

    def mailbox(self, key: str) -> Mailbox:
        """What a mailbox has of its own."""
        with self._store.reads() as connection:
            row = connection.execute(select(mailbox).where(mailbox.c.key == key)).one_or_none()
            return (
                Mailbox(key) if row is None else Mailbox(row.key, row.greeting, bool(row.is_full_mail_sent))
            )

    def greeted(self) -> set[str]:
        """The mailboxes that have a greeting of their own."""
        with self._store.reads() as connection:
            return set(connection.scalars(select(mailbox.c.key).where(mailbox.c.greeting != "")))

    def put_mailbox(self, box: Mailbox) -> None:
        """Replace it."""
        with self._store.writes() as connection:
            connection.execute(delete(mailbox).where(mailbox.c.key == box.key))
            connection.execute(insert(mailbox), fit(mailbox, asdict(box)))


def _message(row: "Row[tuple[object, ...]]") -> Message:
    return Message(**row._mapping)
