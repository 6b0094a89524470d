"""Hot desking (product §4): dialogues that ask for a member's PIN, log in and log out."""

from collections.abc import Callable
from typing import Final, Protocol

from pbx.call.dialogue import Dialogue, Do, Say, ask_code
from pbx.call.phrases import Phrases
from pbx.call.questions import FindMember, FoundMember
from pbx.media.prompt import Digits
from pbx.office.extension import Extension

PIN_DIGITS: Final = 10


class Desks(Protocol):
    """Who keeps the logins."""

    def extension_of(self, email: str) -> Extension | None:
        """The extension of a member."""
        ...

    def log_in(self, username: str, found: FoundMember) -> Extension | None:
        """The extension that the phone is from now on; None: nobody can log in there."""
        ...

    def log_out(self, username: str) -> None: ...


def find_member(phrases: Phrases, username: str, extension_of: Callable[[str], Extension | None]) -> Dialogue:
    """Ask for a PIN; failures are counted for the phone.

    Returns:
        FoundMember, who has an extension; None: the caller has heard why not.
    """
    found = yield from ask_code(
        phrases.say("hotdesk-enter-pin"),
        phrases.say("hotdesk-wrong-pin"),
        phrases.say("vm-locked"),
        lambda pin: FindMember(f"hot desk {username}", pin),
        most=PIN_DIGITS,
    )
    if found is not None and extension_of(found.email) is None:
        yield Say(phrases.say("hotdesk-no-extension"), is_interruptible=False)
        return None
    return found


def log_in(phrases: Phrases, username: str, desks: Desks) -> Dialogue:
    """Log a member in at a phone; returns what came of it."""
    found = yield from find_member(phrases, username, desks.extension_of)
    if found is None:
        return "nobody has logged in"
    extension = yield Do(lambda: desks.log_in(username, found))
    if extension is None:  # the office has changed meanwhile
        yield Say(phrases.say("hotdesk-not-here"), is_interruptible=False)
        return "nobody has logged in"
    yield Say(phrases.fill("hotdesk-logged-in-as", Digits(extension.key)), is_interruptible=False)
    return f"{found.email} has logged in"


def log_out(phrases: Phrases, username: str, desks: Desks) -> Dialogue:
    """Log out whoever is logged in at a phone; returns what came of it."""
    yield Do(lambda: desks.log_out(username))
    yield Say(phrases.say("hotdesk-logged-out"), is_interruptible=False)
    return "logged out"
