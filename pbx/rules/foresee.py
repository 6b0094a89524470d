"""What would become of a call, followed to its end while nobody is called (product §8, `pbx explain`)."""

from dataclasses import dataclass
from typing import Final

from pbx.errors import PbxError
from pbx.office.device import Device
from pbx.office.extension import Extension
from pbx.office.snapshot import Office
from pbx.rules.decision import AskPasscode, DialDecision, Reject, Ring
from pbx.rules.dialled import decide_dialled
from pbx.rules.explain import decided, happens
from pbx.rules.facts import Caller, World
from pbx.rules.hot_desk import caller_of
from pbx.rules.inbound import decide_inbound, decide_number
from pbx.rules.no_answer import IN_TIME, LOOPS, REASONS, decide_no_answer
from pbx.rules.number import to_e164
from pbx.rules.usage import duration

ANONYMOUS: Final = "anonymous"
ALLOWED: Final = (
    "allowed are the key of an extension, the SIP user of a phone, the name of a gateway, "
    f"a number outside such as +6531234567, and {ANONYMOUS}"
)


@dataclass(frozen=True, slots=True)
class Step:
    """One decision about a call.

    Attributes:
        when: what has to be so for it to come to this; "" = at first.
        decided: the reasons, as the call's record has them.
        happens: what it leads to.
    """

    when: str
    decided: tuple[str, ...]
    happens: tuple[str, ...]


class NobodyError(PbxError):
    """Who is asked about is neither in the office nor a number."""


def read_caller(office: Office, world: World, text: str) -> tuple[Caller, str]:
    """Who calls, as somebody would write it, and who that is, in words.

    Raises:
        NobodyError: it is nobody.
    """
    extension = office.extension(text)
    if extension is not None:
        device = _phone_of(extension, world)
        if device is None:
            return Caller(text, name=extension.label), f"{_named(extension)} has no phone; if it had one"
        return _at_phone(office, world, extension, device)
    found = office.device(text)
    if found is not None:
        return _at_phone(office, world, *found)
    if office.gateway(text) is not None:
        behind = office.extension_behind(text)
        if behind is None:
            return Caller(gateway=text), f'gateway "{text}", to which no extension is mapped'
        caller = Caller(behind.key, name=behind.label, gateway=text)
        return caller, f'gateway "{text}", for the first extension mapped to it, {_named(behind)}'
    return _outside(office, text)


def decide(office: Office, world: World, caller: Caller, dialled: str) -> DialDecision:
    """What becomes of a call from a phone or a gateway to what it dials, or from outside to a number of
    the office; somebody outside is taken to have reached a key, too."""
    if caller.key or caller.gateway:
        return decide_dialled(office, world, caller, dialled)
    if office.target(dialled) is not None:
        return decide_inbound(office, world, caller, dialled)
    return decide_number(office, world, caller, dialled)


def foresee(office: Office, world: World, caller: Caller, decision: DialDecision) -> tuple[Step, ...]:
    """The decision, and what follows it while nobody answers."""
    steps = [Step("", decided(decision), happens(decision, office))]
    if isinstance(decision, Reject) and decision.key and decision.status not in LOOPS:
        following = decide_no_answer(office, world, caller, decision.key, decision.status, decision.why)
        first = Step("", decided(decision), ())
        second = Step("at once", decided(following, decision.why), happens(following, office))
        return (first, second, *_unanswered(office, world, caller, following, ""))
    ring = decision.then if isinstance(decision, AskPasscode) else decision
    key = ring.key if isinstance(ring, Ring) else ""
    return (*steps, *_unanswered(office, world, caller, ring, key))


def _unanswered(
    office: Office, world: World, caller: Caller, decision: DialDecision, key: str
) -> tuple[Step, ...]:
    """What follows when nobody answers what rings; `key` is whose no-answer settings count."""
    if not isinstance(decision, Ring):
        return ()
    steps, ringing = [], decision
    for turn in decision.after:
        steps.append(Step(_nobody(ringing), decided(turn), happens(turn, office)))
        ringing = turn
    if not key:
        end = f"the caller is refused: 480 {REASONS[480]}"
        return (*steps, Step(_nobody(ringing), (), (end,)))
    following = decide_no_answer(office, world, caller, key, 480, IN_TIME)
    steps.append(Step(_nobody(ringing), decided(following), happens(following, office)))
    return (*steps, *_unanswered(office, world, caller, following, ""))


def _nobody(ring: Ring) -> str:
    if ring.no_answer_s is None:
        return "if nobody answers"
    return f"if nobody answers within {duration(ring.no_answer_s)}"


# --- who calls ---------------------------------------------------------------------------------------------


def _phone_of(extension: Extension, world: World) -> Device | None:
    """The phone that an extension is taken to call from: that of its key, else one that is registered."""
    own = [each for each in extension.devices if each.username == extension.key]
    there = [each for each in extension.devices if world.is_registered(each.username)]
    return next(iter((*own, *there, *extension.devices)), None)


def _at_phone(office: Office, world: World, extension: Extension, device: Device) -> tuple[Caller, str]:
    caller = caller_of(office, world, extension, device)
    where = f"phone {device.username} of {_named(extension)}"
    if not extension.hot_desking:
        return caller, where
    if not caller.member:
        return caller, f"{where}, a hot desk where nobody is logged in"
    acting = office.extension(caller.key)
    who = _named(acting) if acting is not None else caller.key
    return caller, f"{where}, a hot desk where {caller.member} is logged in: the call is that of {who}"


def _outside(office: Office, text: str) -> tuple[Caller, str]:
    trunk = office.trunks[0].name if office.trunks else ""
    if text == ANONYMOUS:
        return Caller(trunk=trunk, is_private=True), "a caller outside who withholds his number"
    number = to_e164(text, office.settings.country)
    if not number:
        raise NobodyError(f"{text!r} is nobody who could call: {ALLOWED}")
    return Caller(number=number, trunk=trunk), f"{number}, outside"


def _named(extension: Extension) -> str:
    label = extension.label
    return f"{extension.key} ({label})" if label and label != extension.key else f"extension {extension.key}"
