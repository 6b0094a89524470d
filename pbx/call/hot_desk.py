"""Hot desking (product §4): dialogues that ask for a member's PIN, log in and log out."""

from collections.abc import Callable

from pbx.call.dialogue import Dialogue, Do, Say, ask_code
from pbx.call.phrases import Phrases
from pbx.call.questions import FindMember, FoundMember
from pbx.media.prompt import Digits
from pbx.office.extension import Extension

ExtensionOf = Callable[[str], Extension | None]  # a member's, by his email


def find_member(phrases: Phrases, username: str, extension_of: ExtensionOf) -> Dialogue:
    """Ask for a PIN; failures are counted for the phone.

    Returns:
        FoundMember, who has an extension; None: the caller has heard why not.
    """
    found = yield from ask_code(
        phrases.say("hotdesk-enter-pin"),
        phrases.say("hotdesk-wrong-pin"),
        phrases.say("vm-locked"),
        lambda pin: FindMember(f"hot desk {username}", pin),
    )
    if found is not None and extension_of(found.email) is None:
        yield Say(phrases.say("hotdesk-no-extension"), is_interruptible=False)
        return None
    return found


def log_in(
    phrases: Phrases,
    username: str,
    extension_of: ExtensionOf,
    enter: Callable[[str, FoundMember], Extension | None],
) -> Dialogue:
    """Log a member in at a phone.

    Args:
        enter: does it, and gives the extension that the phone is from then on; None: it may not be.

    Returns:
        What came of it, in words.
    """
    found = yield from find_member(phrases, username, extension_of)
    if found is None:
        return "nobody has logged in"
    extension = yield Do(lambda: enter(username, found))
    if extension is None:  # the office has changed meanwhile
        yield Say(phrases.say("hotdesk-not-here"), is_interruptible=False)
        return "nobody has logged in"
    yield Say(phrases.fill("hotdesk-logged-in-as", Digits(extension.key)), is_interruptible=False)
    return f"{found.email} has logged in"


def log_out(phrases: Phrases, username: str, leave: Callable[[str], None]) -> Dialogue:
    """Log out whoever is logged in at a phone; returns what came of it."""
    yield Do(lambda: leave(username))
    yield Say(phrases.say("hotdesk-logged-out"), is_interruptible=False)
    return "logged out"
