"""A decision in words: what was considered, what decided, and what happens (product §8)."""

from collections.abc import Iterator

from pbx.office.snapshot import Office
from pbx.rules.decision import AskPasscode, AskPin, DialDecision, Outside, Reject, Ring, Serve, TakeMessage

ACTIONS = {
    "forward": "the call is forwarded to {}",
    "hangup": "the call ends",
    "notify": "the missed call is noted and mailed",
    "voicemail": "voicemail",
}


def explain(decision: DialDecision, office: Office | None = None) -> list[str]:
    """The sentences, in order.

    Args:
        office: tells what the no-answer settings are.
    """
    return [*decision.because, decision.why, *_happens(decision, office)]


def _happens(decision: DialDecision, office: Office | None) -> Iterator[str]:
    match decision:
        case Ring():
            yield from _rings(decision, office)
        case AskPasscode():
            yield f"the caller is answered and asked for the passcode of {decision.key}; then"
            yield from _rings(decision.then, office)
        case AskPin():
            yield f"the caller is answered and asked for his PIN; then {decision.dialled} is dialled for him"
        case TakeMessage():
            yield f"the caller is greeted and may leave a message for {decision.key}"
        case Serve():
            yield f"the PBX answers: {decision.service} {decision.argument}".rstrip()
        case Reject() if decision.key:
            yield f"at once: {_no_answer(decision.key, office)}"
        case Reject():
            if decision.announcement:
                yield f"the caller hears {decision.announcement}"
            yield f"the caller gets {decision.status} {decision.reason}".rstrip()
            if decision.is_noted:
                yield "the missed call is mailed"


def _rings(first: Ring, office: Office | None) -> Iterator[str]:
    for at, ring in enumerate((first, *first.after)):
        who = ", ".join([*ring.devices, *(_outside(each) for each in ring.outside)])
        long = "as long as it may" if ring.no_answer_s is None else f"{ring.no_answer_s:g} s"
        yield f"{'then' if at else 'now'} {who} for {long}"
    if first.key:
        yield f"nobody answers: {_no_answer(first.key, office)}"
    else:
        yield "nobody answers: the call ends"


def _outside(leg: Outside) -> str:
    if leg.gateway:
        return f'gateway "{leg.gateway}"'
    shown = "hidden" if leg.shown.is_hidden else leg.shown.number or "nobody"
    if leg.shown.original and not leg.shown.is_hidden:
        shown = f"{leg.shown.original} or {shown}"
    paid = f", paid by {leg.payer}" if leg.payer else ""
    return f"{leg.number} over {' or '.join(leg.trunks)} (shown: {shown}{paid})"


def _no_answer(key: str, office: Office | None) -> str:
    """The action of an extension's no-answer settings; a call centre's calls never come here."""
    extension = office.extension(key) if office is not None else None
    if extension is None:
        return f"the no-answer settings of {key}"
    action = ACTIONS[extension.no_answer.action].format(extension.no_answer.forward_to)
    return f"the no-answer settings of {key}: {action}"
