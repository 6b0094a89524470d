"""What becomes of a call to an extension (product §2): the first rule with an opinion decides."""

from collections.abc import Callable
from typing import Final

from pbx.errors import UsageError
from pbx.rules.decision import Decision, Reject, Ring
from pbx.rules.facts import InboundFacts

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
