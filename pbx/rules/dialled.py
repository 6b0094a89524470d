"""What becomes of what a phone or a gateway dials (product §3 and §4)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from pbx.errors import UsageError
from pbx.immutable import immutable
from pbx.office.snapshot import Office
from pbx.office.values import KEY
from pbx.rules.caller_id import callback
from pbx.rules.decision import AskPin, DialDecision, Outside, Reject, Ring, Shown
from pbx.rules.facts import Caller, World
from pbx.rules.features import decide_feature
from pbx.rules.hot_desk import is_logged_out
from pbx.rules.inbound import decide_inbound, decide_number
from pbx.rules.number import SEPARATORS, read_dialled
from pbx.rules.opinions import after, ask, changed
from pbx.rules.outbound import dial, refuse
from pbx.rules.people import extension_behind, rule_of

HOT_DESK: Final = ("hot desk", "hot desk logout")


@immutable
class Dialled:
    """
    Attributes:
        text: without the code that hides the caller.
        whole: as it was dialled.
    """

    office: Office
    world: World
    caller: Caller
    text: str
    whole: str


Rule = Callable[[Dialled], DialDecision | str | None]


def emergency(call: Dialled) -> DialDecision | None:
    """Never blocked by anything, never hidden; the phone's own extension is shown, and nobody pays."""
    office, digits = call.office, call.text.translate(SEPARATORS)
    if digits not in office.settings.emergency:
        return None
    found = office.device(call.caller.device)
    own = found[0] if found is not None else extension_behind(office, call.caller)
    rule = office.outbound_rule(own.outbound_rule) if own is not None else None
    rule = rule or rule_of(office, call.caller)
    mine = rule.trunks if rule is not None else ()
    trunks = tuple(dict.fromkeys((*mine, *(trunk.name for trunk in office.trunks))))
    what = f"{digits} is an emergency number (office.emergency)"
    if not trunks:
        why = f"{what}, and there is no trunk at all"
        return Reject(404, "Not Found", why, is_outbound=True)  # a 503 speaks of overload
    number, shown = callback(office, call.world, own)
    leg = Outside(digits, "", Shown(number), trunks, rule=rule.name if rule else "", is_emergency=True)
    why = f"{what}: it is called over {', then '.join(trunks)}"
    return Ring((), None, why, outside=(leg,), because=(shown,))


def hidden(call: Dialled) -> DialDecision | str | None:
    """The code before a number hides the caller."""
    if call.text == call.whole:
        return None
    if not call.text:
        return Reject(404, "Not Found", f"{call.whole} needs a number after it")
    return f"{call.office.settings.codes.hide_caller_id} hides the caller"


def logged_out(call: Dialled) -> DialDecision | str | None:
    """At a hot desk where nobody is logged in, only logging in and the listed keys work; a PIN opens the way
    outside for one call."""
    office, caller, text = call.office, call.caller, call.text
    if not is_logged_out(office, caller):
        return None
    nobody = f"nobody is logged in at {caller.device} (hot_desking of {caller.key})"
    feature = decide_feature(office, text)
    if feature is not None and not isinstance(feature, Reject) and feature.service in HOT_DESK:
        return nobody
    if text in call.office.settings.hot_desk_keys:
        return f"{nobody}, and {text} may be dialled there (office.hot_desk_keys)"
    if feature is None and office.target(text) is None and text.translate(SEPARATORS).lstrip("+").isdigit():
        return AskPin(caller.device, call.whole, f"{text} asks for a PIN, for this one call", (nobody,))
    return after((nobody,), refuse(f"{text} cannot be dialled there", "call-login-needed"))


def feature(call: Dialled) -> DialDecision | None:
    """A code of the PBX; hot-desk codes only where there is hot desking."""
    decision = decide_feature(call.office, call.text)
    if decision is None or isinstance(decision, Reject) or decision.service not in HOT_DESK:
        return decision
    found = call.office.device(call.caller.device)
    if found is None or not found[0].hot_desking:
        key = found[0].key if found is not None else call.caller.key
        return refuse(f"hot_desking of {key} is off: nobody logs in there", "hotdesk-not-here")
    return decision


def internal(call: Dialled) -> DialDecision | None:
    """An extension, a group or a room."""
    if call.office.target(call.text) is None:
        return None
    return decide_inbound(call.office, call.world, call.caller, call.text)


def outside(call: Dialled) -> DialDecision:
    """A number, as the dial plan reads it; one of the office's own stays inside."""
    office, world, caller = call.office, call.world, call.caller
    number, how = read_dialled(office.settings, rule_of(office, caller), call.text)
    if number and office.number(number) is not None:
        return after((how, f"{number} is the office's own: the call stays inside"), _ours(call, number))
    if number:
        return _outbound(dial(office, world, caller, number, (how,)))
    if KEY.fits(call.text):
        why = f"nobody has the key {call.text}, and {how}"
        return Reject(404, "Not Found", why)
    return _outbound(refuse(how))


# `outside` decides.
ORDER: Final[tuple[Rule, ...]] = (emergency, hidden, logged_out, feature, internal, outside)


def decide_dialled(office: Office, world: World, caller: Caller, dialled: str) -> DialDecision:
    """What becomes of what a phone or a gateway dials.

    Args:
        caller: as `hot_desk.caller_of` makes it; a gateway acts for the first extension that is mapped to it,
            by its own outbound rule.
    """
    text, is_private = without_code(office, dialled)
    who = replace(caller, is_private=True) if is_private else caller
    behind = extension_behind(office, who) if who.gateway and not who.key else None
    if behind is not None:
        who = replace(who, key=behind.key, name=who.name or behind.label)
    decision, remarks = ask(ORDER, Dialled(office, world, who, text, dialled))
    if decision is None or isinstance(decision, str):
        raise UsageError("no rule decides")
    return after(remarks, decision)


def without_code(office: Office, dialled: str) -> tuple[str, bool]:
    """What is dialled without the code that hides the caller, and whether it was there."""
    code = office.settings.codes.hide_caller_id
    is_private = bool(code) and dialled.startswith(code)
    return dialled[len(code) :] if is_private else dialled, is_private


def own_number(office: Office, caller: Caller, dialled: str) -> str:
    """The number of the office that somebody dials; "" = it is none."""
    number, _ = read_dialled(office.settings, rule_of(office, caller), dialled)
    return number if number and office.number(number) is not None else ""


def _ours(call: Dialled, number: str) -> DialDecision:
    return decide_number(call.office, call.world, call.caller, number)


def _outbound(decision: DialDecision) -> DialDecision:
    return changed(decision, is_outbound=True) if isinstance(decision, Reject) else decision
