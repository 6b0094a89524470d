"""Leaving a message, and the mailbox of its owner (product §2, §5): dialogues."""

from collections.abc import Callable
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
        self._states: dict[str, str] = {}  # of messages that were touched in this visit

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
                yield Say(phrases.say("invalid-key"))
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
            yield Say(phrases.say("call-try-later"))
            return None
        messages: list[HeldMessage] = [each for each in found if each.state == state]
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
                yield Say(phrases.say("vm-cannot-call-back"))
                continue
            elif key == "5":
                continue
            elif key == "4":
                if not at:
                    yield Say(phrases.say("vm-first-message"))
                at = max(0, at - 1)
                continue
            elif key == "7":
                yield from self._delete(message)
                if self._states.get(message.id) != "deleted":
                    continue
            elif key == "9":
                yield from self._mark(message, "saved")
                yield Say(phrases.say("vm-saved"))
            elif key in ("6", ""):
                if message.state == "new" and message.id not in self._states:
                    yield from self._mark(message, "saved")
            else:
                yield Say(phrases.say("invalid-key"))
                continue
            at += 1
        yield Say(phrases.say("vm-no-more-messages"))
        return None

    def _play(self, at: int, message: HeldMessage) -> Dialogue:
        """One message; returns the key that was pressed during or after it, "" = none."""
        phrases = self._phrases
        key = yield Say(phrases.message(at + 1, message))
        if not key:
            self._heard.append(message.path)
            key = yield Say(phrases.sound(message.path))
        if not key:
            key = yield Gather(phrases.say("vm-message-menu"), most=1, end="")
        return key or ""

    def _delete(self, message: HeldMessage) -> Dialogue:
        if self._states.get(message.id) == "deleted":
            yield from self._mark(message, message.state)
            yield Say(self._phrases.say("vm-restored"))
        else:
            yield from self._mark(message, "deleted")
            yield Say(self._phrases.say("vm-deleted"))

    def _mark(self, message: HeldMessage, state: MessageState) -> Dialogue:
        answer = yield Ask(MarkMessage(message.id, state))
        if isinstance(answer, Unanswered):
            yield Say(self._phrases.say("call-try-later"))
        else:
            self._states[message.id] = state

    def _greeting(self) -> Dialogue:
        """Record the owner's own greeting, until he is content with it."""
        phrases = self._phrases
        while True:
            yield Say(phrases.say("vm-record-greeting"), is_interruptible=False)
            yield Say(phrases.beep(), is_interruptible=False)
            taken: Taken = yield Take(NewGreeting(self._mailbox), GREETING_S, SILENCE_S)
            if taken.kept is None:
                yield Say(phrases.say("call-try-later" if taken.seconds < 0 else "vm-greeting-too-short"))
                return None
            key = yield Gather(phrases.say("vm-greeting-menu"), most=1, end="")
            if key == "2":
                continue
            if key == "3":
                yield Ask(DropGreeting(self._mailbox))
                yield Say(phrases.say("vm-greeting-standard"))
            else:
                yield Say(phrases.say("vm-greeting-saved"))
            return key if key == "#" else None


MENU: Final[dict[str, Callable[[_Visit], Dialogue]]] = {
    "1": _Visit._new,
    "2": _Visit._saved,
    "0": _Visit._greeting,
}
