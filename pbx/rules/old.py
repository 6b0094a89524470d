"""What the exchange decides by until it asks the rules about the whole world; goes with that."""

from collections.abc import Callable, Set
from typing import Final

from pbx.errors import UsageError
from pbx.immutable import immutable
from pbx.office.extension import Extension
from pbx.rules.decision import Decision, Reject, Ring, TakeMessage

ANSWERS: Final = {480: "Temporarily Unavailable", 486: "Busy Here"}


@immutable
class InboundFacts:
    """A call to an internal key. `extension` is None when nobody has the key; `caller_device` is the SIP user
    of the phone that calls, empty for one outside."""

    key: str
    extension: Extension | None
    caller: str
    caller_device: str
    registered: Set[str]


Rule = Callable[[InboundFacts], Decision | None]


def unknown(facts: InboundFacts) -> Decision | None:
    """No extension has the key."""
    if facts.extension is None:
        return Reject(404, "Not Found", f"nobody has the number {facts.key}")
    return None


def unregistered(facts: InboundFacts) -> Decision | None:
    """Nothing is there to ring: no waiting (step 6)."""
    if _ringing(facts):
        return None
    assert facts.extension is not None  # `unknown` came first
    if any(device.username in facts.registered for device in facts.extension.devices):
        why = f"the only phone of {facts.key} that could ring is the caller's own"
        return Reject(486, "Busy Here", why, facts.key)
    return Reject(480, "Temporarily Unavailable", f"no phone of {facts.key} is registered", facts.key)


def ring(facts: InboundFacts) -> Decision | None:
    """All registered devices that ring, together, but the one that calls (step 5)."""
    assert facts.extension is not None
    extension = facts.extension
    no_answer = float(extension.no_answer.timeout) if extension.type == "normal" else None
    devices = _ringing(facts)
    return Ring(devices, no_answer, f"{extension.key} rings: {', '.join(devices)}", extension.key)


ORDER: Final[tuple[Rule, ...]] = (unknown, unregistered, ring)  # ring always decides


def decide_inbound(facts: InboundFacts) -> Decision:
    """What becomes of a call to an internal key."""
    for rule in ORDER:
        if (decision := rule(facts)) is not None:
            return decision
    raise UsageError("no rule decides")


def _ringing(facts: InboundFacts) -> tuple[str, ...]:
    assert facts.extension is not None
    return tuple(
        [
            device.username
            for device in facts.extension.devices
            if device.ring and device.username in facts.registered and device.username != facts.caller_device
        ]
    )


def decide_no_answer(extension: Extension, status: int, why: str) -> Reject | TakeMessage:
    """The action of the extension's no-answer settings.

    Args:
        status: what its phones answered: 486 when all were busy, 480 when nobody was there.
    """
    if extension.type != "normal":
        return Reject(
            status, ANSWERS.get(status, ""), f"{why}; a call centre's calls have no no-answer action"
        )
    action = extension.no_answer.action
    if action == "voicemail":
        return TakeMessage(extension.key, f"{why}: voicemail of {extension.key}")
    if action == "notify":
        return Reject(480, ANSWERS[480], f"{why}: the missed call is noted and mailed", is_noted=True)
    return Reject(status, ANSWERS.get(status, ""), f"{why}: {extension.key} hangs up")
