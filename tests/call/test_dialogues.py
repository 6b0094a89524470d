"""Dialogues as scripts: what the PBX wants next, and what came of it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from pbx.call.dialogue import LOCKED, Ask, Gather, Say, Take, Taken, Unanswered, ask_code
from pbx.call.phrases import BEEP, Phrases
from pbx.call.questions import (
    CheckSecret,
    DropGreeting,
    HeldMessage,
    ListMessages,
    MailboxFull,
    MarkMessage,
    NewGreeting,
    NewMessage,
    OpenedMailbox,
    OpenMailbox,
)
from pbx.call.voicemail import FULL, LEFT, NOT_LEFT, CallBack, take_message, visit
from pbx.media.prompt import Prompt, SoundFile, Speech, System
from pbx.office.prompt import Prompt as OfficePrompt

PHRASES = Phrases("en", "/data")
MESSAGE = NewMessage("m1", "100", "101", "Ann", "100")
AT = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)


def held(name: str, state: str = "new", caller: str = "101") -> HeldMessage:
    return HeldMessage(name, caller, "", AT, AT, 3.0, state, f"/v/{name}.wav")  # type: ignore[arg-type]


def names(step: Any) -> Any:
    """A step in short: what is said by the names of system prompts, everything else as it is."""
    if isinstance(step, Ask):
        return step.question
    if isinstance(step, Take):
        return step.what
    prompt: Prompt | None = step.prompt
    said = [] if prompt is None else [_name(part) for part in prompt.parts]
    return (type(step).__name__.lower(), *said)


def _name(part: Any) -> Any:
    if isinstance(part, System):
        return part.name
    return "beep" if part == BEEP else getattr(part, "path", None) or getattr(part, "text", part)


def play(dialogue: Any, *script: tuple[Any, Any]) -> Any:
    """Run a dialogue: each row is the step expected and the answer to it; returns what the dialogue does."""
    answer = None
    for expected, next_answer in script:
        assert names(dialogue.send(answer)) == expected
        answer = next_answer
    with pytest.raises(StopIteration) as end:
        dialogue.send(answer)
    return end.value.value


OPEN = (OpenMailbox("100"), OpenedMailbox(600.0, "", 1, 0))


def test_a_message_is_left_after_greeting_and_beep():
    result = play(
        take_message(PHRASES, MESSAGE, OfficePrompt()),
        OPEN,
        (("say", "vm-greeting"), ""),
        (("say", "beep"), ""),
        (MESSAGE, Taken(7.0, "#", True)),
        (("say", "vm-message-sent"), ""),
    )
    assert result == LEFT


def test_the_limits_of_a_message_are_120_s_and_5_s_of_silence_and_what_room_is_left():
    dialogue = take_message(PHRASES, MESSAGE, OfficePrompt())
    dialogue.send(None)
    dialogue.send(OpenedMailbox(30.0, "", 0, 0))
    dialogue.send("")
    take = dialogue.send("")
    assert isinstance(take, Take)
    assert (take.max_s, take.silence_s, take.end) == (30.0, 5.0, "#")
    dialogue = take_message(PHRASES, MESSAGE, OfficePrompt())
    dialogue.send(None)
    dialogue.send(OpenedMailbox(3000.0, "", 0, 0))
    dialogue.send("")
    assert dialogue.send("").max_s == 120.0


def test_what_was_too_short_is_not_kept():
    result = play(
        take_message(PHRASES, MESSAGE, OfficePrompt()),
        OPEN,
        (("say", "vm-greeting"), "#"),
        (("say", "beep"), ""),
        (MESSAGE, Taken(0.4, "silence", None)),
        (("say", "vm-too-short"), ""),
    )
    assert result == NOT_LEFT


def test_what_a_full_disk_does_not_take_is_not_blamed_on_the_caller():
    result = play(
        take_message(PHRASES, MESSAGE, OfficePrompt()),
        OPEN,
        (("say", "vm-greeting"), ""),
        (("say", "beep"), ""),
        (MESSAGE, Taken(-1.0, "No space left on device", None)),
        (("say", "call-try-later"), ""),
    )
    assert result == "No space left on device"


def test_a_full_mailbox_says_so_and_its_owner_is_told():
    result = play(
        take_message(PHRASES, MESSAGE, OfficePrompt()),
        (OpenMailbox("100"), OpenedMailbox(0.0, "", 100, 0)),
        (MailboxFull("100"), None),
        (("say", "vm-mailbox-full"), ""),
    )
    assert result == FULL


def test_a_database_that_is_gone_is_told_in_words():
    result = play(
        take_message(PHRASES, MESSAGE, OfficePrompt()),
        (OpenMailbox("100"), Unanswered("the database is gone")),
        (("say", "call-try-later"), ""),
    )
    assert result == "the database is gone"


@pytest.mark.parametrize(
    ("own", "wanted", "expected"),
    [
        ("/v/own.wav", OfficePrompt(text="Hello"), SoundFile("/v/own.wav")),
        ("", OfficePrompt(text="Hello", language="de", pitch=7), Speech("Hello", "de", "female", 7, 5)),
        ("", OfficePrompt(mp3="prompts/x.mp3"), SoundFile("/data/prompts/x.mp3")),
        ("", OfficePrompt(), System("vm-greeting")),
    ],
    ids=["the owner's own first", "then the office's text", "or its file", "then the system's"],
)
def test_which_greeting(own, wanted, expected):
    assert PHRASES.greeting(own, wanted).parts == (expected,)


NEW = [held("a"), held("b", caller="")]
START = ((OpenMailbox("100"), OpenedMailbox(600.0, "", 2, 0)), (("say", "vm-new-messages"), ""))
MENU = ("gather", "vm-main-menu")
LIST = (ListMessages("100"), NEW)
FIRST = ("say", "vm-message", "vm-from", "vm-received")
DELETED = ("say", "vm-message", "vm-deleted", "vm-from", "vm-received")
SECOND = ("say", "vm-message", "vm-from-unknown", "vm-received")
BYE = (("say", "goodbye"), "")


def test_new_messages_are_played_one_after_the_other_and_count_as_saved_then():
    play(
        visit(PHRASES, "100", []),
        *START,
        (MENU, "1"),
        LIST,
        (FIRST, ""),
        (("say", "/v/a.wav"), ""),
        (("gather", "vm-message-menu"), None),
        (MarkMessage("a", "saved"), None),
        (SECOND, ""),
        (("say", "/v/b.wav"), ""),
        (("gather", "vm-message-menu"), "6"),
        (MarkMessage("b", "saved"), None),
        (("say", "vm-no-more-messages"), ""),
        (MENU, "#"),
        BYE,
    )


def test_a_message_that_is_skipped_before_its_end_stays_new():
    play(
        visit(PHRASES, "100", []),
        *START,
        (MENU, "1"),
        LIST,
        (FIRST, "6"),
        (SECOND, ""),
        (("say", "/v/b.wav"), "6"),
        (("say", "vm-no-more-messages"), ""),
        (MENU, "#"),
        BYE,
    )


@pytest.mark.parametrize("key", ["*", "#"])
def test_who_does_not_want_to_record_a_greeting_goes_back_or_ends(key):
    rest = [(MENU, "#")] if key == "*" else []
    play(visit(PHRASES, "100", []), *START, (MENU, "0"), (("say", "vm-record-greeting"), key), *rest, BYE)


KEEPS = {
    "a deleted message": ("7", "vm-deleted"),
    "a saved one": ("9", "vm-saved"),
    "the first one": ("4", "vm-first-message"),
    "a key without meaning": ("3", "invalid-key"),
}


@pytest.mark.parametrize(("key", "words"), KEEPS.values(), ids=KEEPS)
def test_the_key_that_interrupts_a_word_is_for_what_comes_next(key, words):
    dialogue = visit(PHRASES, "100", [])
    step, answer = next(dialogue), None
    while names(step) != ("say", words):
        answer = {MENU: "1", FIRST: key, LIST[0]: NEW, START[0][0]: START[0][1]}.get(names(step), "")
        step = dialogue.send(answer)
    assert step.keeps_key


def test_a_message_can_be_heard_again_deleted_and_restored():
    play(
        visit(PHRASES, "100", []),
        *START,
        (MENU, "1"),
        LIST,
        (FIRST, ""),
        (("say", "/v/a.wav"), "5"),
        (FIRST, "7"),
        (MarkMessage("a", "deleted"), None),
        (("say", "vm-deleted"), ""),
        (SECOND, "4"),
        (DELETED, "7"),
        (MarkMessage("a", "new"), None),
        (("say", "vm-restored"), ""),
        (FIRST, "9"),
        (MarkMessage("a", "saved"), None),
        (("say", "vm-saved"), ""),
        (SECOND, "*"),
        (MENU, "#"),
        BYE,
    )


def test_what_is_deleted_can_be_restored_until_the_owner_hangs_up():
    play(
        visit(PHRASES, "100", []),
        *START,
        (MENU, "1"),
        (LIST[0], NEW[:1]),
        (FIRST, "7"),
        (MarkMessage("a", "deleted"), None),
        (("say", "vm-deleted"), ""),
        (("say", "vm-no-more-messages"), ""),
        (MENU, "1"),
        (LIST[0], []),
        (DELETED, "7"),
        (MarkMessage("a", "new"), None),
        (("say", "vm-restored"), ""),
        (FIRST, "#"),
        BYE,
    )


def test_what_is_restored_is_as_it_was_last():
    play(
        visit(PHRASES, "100", []),
        *START,
        (MENU, "1"),
        LIST,
        (FIRST, "9"),
        (MarkMessage("a", "saved"), None),
        (("say", "vm-saved"), ""),
        (SECOND, "4"),
        (FIRST, "7"),
        (MarkMessage("a", "deleted"), None),
        (("say", "vm-deleted"), ""),
        (SECOND, "4"),
        (DELETED, "7"),
        (MarkMessage("a", "saved"), None),
        (("say", "vm-restored"), ""),
        (FIRST, "#"),
        BYE,
    )


@pytest.mark.parametrize(("key", "state"), [("7", "deleted"), ("9", "saved")])
def test_what_the_database_does_not_do_is_not_said(key, state):
    play(
        visit(PHRASES, "100", []),
        *START,
        (MENU, "1"),
        LIST,
        (FIRST, key),
        (MarkMessage("a", state), Unanswered("gone")),
        (("say", "call-try-later"), ""),
        (FIRST, "#"),
        BYE,
    )


def test_who_left_a_message_can_be_called_back_but_not_a_hidden_caller():
    result = play(
        visit(PHRASES, "100", []),
        *START,
        (MENU, "1"),
        LIST,
        (FIRST, "6"),
        (SECOND, "8"),
        (("say", "vm-cannot-call-back"), ""),
        (SECOND, "4"),
        (FIRST, "8"),
        (("say", "vm-call-back"), ""),
    )
    assert result == CallBack("101")


def test_the_owner_records_a_greeting_until_he_likes_it():
    new = NewGreeting("100")
    play(
        visit(PHRASES, "100", []),
        *START,
        (MENU, "0"),
        (("say", "vm-record-greeting"), ""),
        (("say", "beep"), ""),
        (new, Taken(4.0, "#", True)),
        (("gather", "vm-greeting-menu"), "2"),
        (("say", "vm-record-greeting"), ""),
        (("say", "beep"), ""),
        (new, Taken(4.0, "#", True)),
        (("gather", "vm-greeting-menu"), "3"),
        (DropGreeting("100"), None),
        (("say", "vm-greeting-standard"), ""),
        (MENU, "#"),
        BYE,
    )


def test_an_owner_who_presses_nothing_is_let_go():
    play(visit(PHRASES, "100", []), *START, (MENU, None), (MENU, None), (MENU, None), BYE)


def test_a_key_interrupts_the_counts_and_a_wrong_one_is_told():
    play(
        visit(PHRASES, "100", []),
        START[0],
        (("say", "vm-new-messages"), "3"),
        (("say", "invalid-key"), ""),
        (MENU, "#"),
        BYE,
    )


CODE = ("gather", "vm-enter-pin")
WRONG = ("say", "vm-wrong-pin")
LOCK = ("say", "vm-locked")
PIN = CheckSecret("room", "hash", "1234")


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ([(CODE, "1234"), (PIN, True)], True),
        ([(CODE, None), (CODE, "1234"), (PIN, True)], True),
        ([(CODE, None)] * 3, None),
        ([(CODE, None), (CODE, "1234"), (PIN, False), (WRONG, ""), (CODE, None)], None),
        ([(CODE, "1"), (replace(PIN, code="1"), False), (WRONG, ""), (CODE, "1234"), (PIN, True)], True),
        ([(CODE, "1234"), (PIN, False), (WRONG, "")] * 3, None),
        ([(CODE, "1234"), (PIN, LOCKED), (LOCK, "")], None),
        ([(CODE, "1234"), (PIN, Unanswered("gone")), (WRONG, "")] * 3, None),
    ],
    ids=[
        "right",
        "nothing keyed at first",
        "nothing keyed at all, which is no guess",
        "silence and a wrong code share the tries",
        "right at the second try",
        "three tries",
        "locked",
        "nobody can tell",
    ],
)
def test_a_code_is_asked_for(script, expected):
    say = PHRASES.say
    check = lambda code: CheckSecret("room", "hash", code)  # noqa: E731
    dialogue = ask_code(say("vm-enter-pin"), say("vm-wrong-pin"), say("vm-locked"), check)
    assert play(dialogue, *script) == expected


def test_the_waits_of_a_code_are_10_s_and_5_s():
    gather = next(ask_code(*[PHRASES.say("vm-locked")] * 3, lambda code: code))
    assert isinstance(gather, Gather)
    assert (gather.first_s, gather.next_s, gather.end) == (10.0, 5.0, "#")


def test_a_secret_is_not_shown():
    assert "1234" not in repr(PIN)
    assert "hash" not in repr(PIN).replace("CheckSecret", "")


def test_say_can_be_told_apart():
    assert isinstance(next(visit(PHRASES, "1", [])), Ask)
    assert Say(PHRASES.beep()).is_interruptible
    assert not Say(PHRASES.beep()).keeps_key
