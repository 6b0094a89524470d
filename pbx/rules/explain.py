"""A decision in words: what was considered and what decided, and what happens then (product §8).

The first are the sentences that the call's record keeps; the second are for whoever asks before the call.
"""

from collections.abc import Iterator

from pbx.office.gateway import Gateway
from pbx.office.snapshot import Office
from pbx.office.trunk import Trunk
from pbx.rules.caller_id import shown_by
from pbx.rules.decision import AskPasscode, AskPin, DialDecision, Outside, Reject, Ring, Serve, TakeMessage
from pbx.rules.usage import duration


def decided(decision: DialDecision, before: str = "") -> tuple[str, ...]:
    """The reasons, in order; one that was said just before is not said again.

    Args:
        before: the sentence before these.
    """
    said: list[str] = []
    for sentence in (*decision.because, decision.why):
        if sentence != (said[-1] if said else before):
            said.append(sentence)
    return tuple(said)


def happens(decision: DialDecision, office: Office) -> tuple[str, ...]:
    """What it leads to at once; what follows when nobody answers is another decision."""
    return tuple(_happens(decision, office))


def _happens(decision: DialDecision, office: Office) -> Iterator[str]:
    match decision:
        case Ring():
            yield from _rings(decision, office)
        case AskPasscode():
            yield f"the caller is answered and asked for the passcode of {decision.key}; if it is right:"
            yield from _rings(decision.then, office)
        case AskPin():
            yield f"the caller is answered and asked for a PIN; as its member he calls {decision.dialled}"
        case TakeMessage():
            yield f"the caller is greeted and may leave a message for {decision.key}"
        case Serve():
            yield f"the PBX answers: {decision.service} {decision.argument}".rstrip()
        case Reject():
            if decision.announcement:
                yield f"the caller hears the announcement {decision.announcement}"
            yield f"the caller is refused: {decision.status} {decision.reason}".rstrip()
            if decision.is_noted:
                yield "the missed call is mailed"


def _rings(ring: Ring, office: Office) -> Iterator[str]:
    long = "" if ring.no_answer_s is None else f" for {duration(ring.no_answer_s)}"
    if ring.devices:
        phones, verb = ("phone", "rings") if len(ring.devices) == 1 else ("phones", "ring")
        yield f"{phones} {', '.join(ring.devices)} {verb}{long}"
    for leg in ring.outside:
        yield _outside(leg, office, long)
        if leg.is_emergency:
            yield "owner and administrators are mailed"


def _outside(leg: Outside, office: Office, long: str) -> str:
    if leg.gateway:
        gateway = office.gateway(leg.gateway)
        return f'gateway "{leg.gateway}" is called{long}: {leg.number}{_shown(leg, gateway)}'
    ways = [f'trunk "{name}"{_shown(leg, office.trunk(name))}' for name in leg.trunks]
    paid = f", paid by {leg.payer}" if leg.payer else ""
    return f"{leg.number} is called{long} over {' or else '.join(ways)}{paid}"


def _shown(leg: Outside, to: Trunk | Gateway | None) -> str:
    """Which caller the callee sees by this way."""
    number = shown_by(to, leg.shown) if to is not None and not leg.shown.is_hidden else ""
    return f" (shown: {number or 'nobody'})"
