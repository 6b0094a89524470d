"""Leaving a message, and the mailbox of its owner (product §2, §5): dialogues."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from pbx.call.dialogue import Ask, Dialogue, Gather, Say, Take, Taken, Unanswered
from pbx.call.phrases import Phrases
from pbx.call.questions import (
    DropGreeting,
    HeldMessage,
    ListMessages,
    MailboxFull,
    MarkMessage,
    MessageState,
    NewGreeting,
    NewMessage,
    OpenMailbox,
)
from pbx.immutable import immutable
from pbx.office.prompt import Prompt as OfficePrompt

MESSAGE_S: Final = 120.0
SILENCE_S: Final = 5.0
LEAST_S: Final = 1.0
GREETING_S: Final = 60.0
MENU_TRIES: Final = 3

LEFT: Final = "a message was left"
NOT_LEFT: Final = "no message was left"
FULL: Final = "the mailbox is full"


@immutable
class CallBack:
    """The owner of the mailbox wants to call who left a message."""

    number: str


def take_message(phrases: Phrases, message: NewMessage, greeting: OfficePrompt) -> Dialogue:
    """Greet a caller and take a message.

    Returns:
        What came of it: LEFT, NOT_LEFT, FULL, or why it could not be.
    """
    opened = yield Ask(OpenMailbox(message.mailbox))
    if isinstance(opened, Unanswered):
        yield Say(phrases.say("call-try-later"))
        return opened.why
    if opened.room_s < LEAST_S:
        yield Ask(MailboxFull(message.mailbox))
        yield Say(phrases.say("vm-mailbox-full"))
        return FULL
    yield Say(phrases.greeting(opened.greeting, greeting))
    yield Say(phrases.beep(), is_interruptible=False)
    taken: Taken = yield Take(message, min(MESSAGE_S, opened.room_s), SILENCE_S)
    if taken.kept is None and taken.seconds < 0:  # a full disk, say
        yield Say(phrases.say("call-try-later"))
        return taken.why
    if taken.kept is None:
        yield Say(phrases.say("vm-too-short"))
        return NOT_LEFT
    yield Say(phrases.say("vm-message-sent"))
    return LEFT


def visit(phrases: Phrases, mailbox: str, heard: list[str]) -> Dialogue:
    """The owner at the mailbox. What is deleted can be restored until he hangs up; `LeaveMailbox` comes then.

    Args:
        heard: gets the files of the messages that are played.

    Returns:
        CallBack, or None at the end.
    """
    return (yield from _Visit(phrases, mailbox, heard).run())


class _Visit:
    def __init__(self, phrases: Phrases, mailbox: str, heard: list[str]) -> None:
        self._phrases, self._mailbox, self._heard = phrases, mailbox, heard
        self._states: dict[str, MessageState] = {}  # of messages that were touched in this visit
        self._deleted: dict[str, HeldMessage] = {}  # in this visit, with their states before
        self._finished: set[str] = set()  # heard to their end

    def run(self) -> Dialogue:
        phrases = self._phrases
        opened = yield Ask(OpenMailbox(self._mailbox))
        if isinstance(opened, Unanswered):
            yield Say(phrases.say("call-try-later"))
            return None
        key = yield Say(phrases.counts(opened.new, opened.saved))
        silent = 0
        while silent < MENU_TRIES:
            if not key:
                key = yield Gather(phrases.say("vm-main-menu"), most=1, end="")
            if key is None:
                silent += 1
                key = ""
                continue
            silent = 0
            action = MENU.get(key)
            if key == "#":
                break
            if key == "*":
                key = ""
                continue
            if action is None:
                yield self._tell("invalid-key")
                key = ""
                continue
            came = yield from action(self)
            if isinstance(came, CallBack):
                return came
            if came == "#":
                break
            key = ""
        yield Say(phrases.say("goodbye"))
        return None

    def _new(self) -> Dialogue:
        return (yield from self._listen("new"))

    def _saved(self) -> Dialogue:
        return (yield from self._listen("saved"))

    def _listen(self, state: str) -> Dialogue:
        """Play the messages of a kind one after the other; returns "#" to end, or CallBack."""
        phrases = self._phrases
        found = yield Ask(ListMessages(self._mailbox))
        if isinstance(found, Unanswered):
            yield self._tell("call-try-later")
            return None
        held: dict[str, HeldMessage] = {each.id: each for each in found} | self._deleted
        messages = [each for each in held.values() if each.state == state]
        messages.sort(key=lambda each: (each.at, each.id))
        at = 0
        while at < len(messages):
            message = messages[at]
            key = yield from self._play(at, message)
            if key in ("*", "#"):
                return key
            if key == "8":
                if message.caller:
                    yield Say(phrases.say("vm-call-back"))
                    return CallBack(message.caller)
                yield self._tell("vm-cannot-call-back")
                continue
            elif key == "5":
                continue
            elif key == "4":
                if not at:
                    yield self._tell("vm-first-message")
                at = max(0, at - 1)
                continue
            elif key == "7":
                yield from self._delete(message)
                if message.id not in self._deleted:
                    continue
            elif key == "9":
                if not (yield from self._mark(message, "saved")):
                    continue
                yield self._tell("vm-saved")
            elif key in ("6", ""):
                if message.id in self._finished and message.id not in self._states and message.state == "new":
                    yield from self._mark(message, "saved")
            else:
                yield self._tell("invalid-key")
                continue
            at += 1
        yield self._tell("vm-no-more-messages")
        return None

    def _play(self, at: int, message: HeldMessage) -> Dialogue:
        """One message; returns the key that was pressed during or after it, "" = none."""
        phrases = self._phrases
        key = yield Say(phrases.message(at + 1, message, is_deleted=message.id in self._deleted))
        if not key:
            self._heard.append(message.path)
            key = yield Say(phrases.sound(message.path))
            if not key:
                self._finished.add(message.id)
        if not key:
            key = yield Gather(phrases.say("vm-message-menu"), most=1, end="")
        return key or ""

    def _delete(self, message: HeldMessage) -> Dialogue:
        """Or restore it."""
        if message.id in self._deleted:
            if (yield from self._mark(message, self._deleted[message.id].state)):
                yield self._tell("vm-restored")
        elif (yield from self._mark(message, "deleted")):
            yield self._tell("vm-deleted")

    def _tell(self, name: str) -> Say:
        """A word in passing: whoever knows it already goes on with the next key."""
        return Say(self._phrases.say(name), keeps_key=True)

    def _mark(self, message: HeldMessage, state: MessageState) -> Dialogue:
        """Whether it could be done; else that is said."""
        answer = yield Ask(MarkMessage(message.id, state))
        if isinstance(answer, Unanswered):
            yield self._tell("call-try-later")
            return False
        self._deleted.pop(message.id, None)
        if state == "deleted":
            self._deleted[message.id] = replace(message, state=self._states.get(message.id, message.state))
        self._states[message.id] = state
        return True

    def _greeting(self) -> Dialogue:
        """Record the owner's own greeting, until he is content with it."""
        phrases = self._phrases
        while True:
            key = yield Say(phrases.say("vm-record-greeting"))
            if key in ("*", "#"):
                return key
            yield Say(phrases.beep(), is_interruptible=False)
            taken: Taken = yield Take(NewGreeting(self._mailbox), GREETING_S, SILENCE_S)
            if taken.kept is None:
                yield self._tell("call-try-later" if taken.seconds < 0 else "vm-greeting-too-short")
                return None
            key = yield Gather(phrases.say("vm-greeting-menu"), most=1, end="")
            if key == "2":
                continue
            if key == "3":
                yield Ask(DropGreeting(self._mailbox))
                yield self._tell("vm-greeting-standard")
            else:
                yield self._tell("vm-greeting-saved")
            return key if key == "#" else None


MENU: Final[dict[str, Callable[[_Visit], Dialogue]]] = {
    "1": _Visit._new,
    "2": _Visit._saved,
    "0": _Visit._greeting,
}
