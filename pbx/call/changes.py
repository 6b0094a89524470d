"""Settings that a phone changes by codes (product §5): do not disturb and forwarding of its extension."""

from dataclasses import replace

from pbx.call.dialogue import Ask, Dialogue, Say
from pbx.call.phrases import Phrases
from pbx.call.questions import ChangeOffice, DoNotDisturb, Forward, Refused
from pbx.media.prompt import Prompt
from pbx.office.checks import Facts, check
from pbx.office.extension import Extension
from pbx.office.incoming import Incoming
from pbx.office.snapshot import Office
from pbx.rules.number import read_dialled


def change_extension(phrases: Phrases, question: ChangeOffice, done: Prompt) -> Dialogue:
    """Change it and say so; returns what came of it."""
    answer = yield Ask(question)
    if answer is True:
        yield Say(done, is_interruptible=False)
        return "the office was changed"
    if isinstance(answer, Refused):
        yield Say(phrases.say("forward-refused"), is_interruptible=False)
        return answer.why
    yield Say(phrases.say("call-try-later"), is_interruptible=False)
    return "the office was not changed"


def read_target(office: Office, extension: Extension, text: str) -> str | Refused:
    """Where calls are to go, as a phone of `extension` dials it: a key, or a number by its dial plan.

    A number of the office that leads to an extension is that extension: nothing goes outside to come back.
    """
    if office.extension(text) is not None:
        return text
    rule = office.outbound_rule(extension.outbound_rule)
    number, why = read_dialled(office.settings, rule, text)
    if not number:
        return Refused(why)
    own = office.number(number)
    if own is None:
        return number
    kind, key = own.target
    return key if kind == "extension" else Refused(f"{number} is the office's own")


def changed(office: Office, about: ChangeOffice) -> Office | Refused:
    """The office with the change, or why it cannot be; what `pbx apply` refuses is refused here too."""
    extension = office.extension(about.key)
    if extension is None:
        return Refused(f"{about.key} is gone")
    match about.change:
        case DoNotDisturb(is_on):
            incoming = replace(extension.incoming, do_not_disturb=is_on)
        case Forward(to):
            if why := _why_not(office, extension, to):
                return Refused(why)
            incoming = _forwarded(extension.incoming, to)
    new = replace(extension, incoming=incoming)
    rows = tuple(new if each is extension else each for each in office.extensions)
    made = replace(office, extensions=rows)
    known = check(Facts(office, [], frozenset()))  # what an earlier version took
    mistake = next((each for each in check(Facts(made, [], frozenset())) if each not in known), None)
    return made if mistake is None else Refused(f"{mistake.found} is not {mistake.allowed}")


def _forwarded(incoming: Incoming, to: str) -> Incoming:
    """Forwarding off keeps its targets: they are in the portal, to be switched on again."""
    forward = incoming.forward
    if not to:
        return replace(incoming, forward=replace(forward, enabled=False))
    number, keys = (to, ()) if to.startswith("+") else ("", (to,))
    return replace(incoming, forward=replace(forward, enabled=True, number=number, extensions=keys))


def _why_not(office: Office, extension: Extension, to: str) -> str:
    """Why a target would never ring; a country with a passcode is for `check`."""
    if to == extension.key:
        return f"{to} would be forwarded to itself"
    if not to.startswith("+"):
        return "" if not to or office.extension(to) is not None else f"there is no extension {to}"
    rule = office.outbound_rule(extension.outbound_rule)
    if rule is None:
        return f"{extension.key} has no outbound rule: it calls nobody outside"
    return "" if rule.row_for(to) is not None else f'outbound rule "{rule.name}" does not allow {to}'
