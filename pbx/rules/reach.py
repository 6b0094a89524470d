"""How an extension is reached (product §2, steps 2 to 5): the first rule with an opinion decides.

The same for a direct call, for the member of a group and for the target of a forwarding, whose own forwarding
is ignored: forwards do not chain, so nothing here goes round in circles.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from pbx.errors import UsageError
from pbx.immutable import immutable
from pbx.office.extension import Extension
from pbx.office.snapshot import Office
from pbx.office.values import KEY
from pbx.rules.decision import Outside, Reject, Ring, Shown
from pbx.rules.facts import Caller, World
from pbx.rules.hot_desk import phones_that_ring
from pbx.rules.number import to_e164
from pbx.rules.opinions import after, ask, changed
from pbx.rules.outbound import pass_on
from pbx.rules.people import name_of, number_of


@immutable
class Reaching:
    """`is_forwarded`: the call comes from another extension's forwarding, 302 or no-answer action."""

    office: Office
    world: World
    caller: Caller
    extension: Extension
    is_forwarded: bool = False


Rule = Callable[[Reaching], Ring | Reject | str | None]


def busy(why: str) -> Reject:
    return Reject(486, "Busy Here", why)


def away(why: str) -> Reject:
    return Reject(480, "Temporarily Unavailable", why)


def gateway(call: Reaching) -> Ring | Reject | None:
    """A mapped extension's calls go to its gateway; do not disturb, forwarding and ring ticks are ignored."""
    key, name = call.extension.key, call.extension.incoming.gateway
    if not name:
        return None
    if call.caller.gateway == name:
        return Reject(482, "Loop Detected", f'{key} is mapped to gateway "{name}", from which the call comes')
    caller = call.caller
    shown = Shown("", caller.name, caller.key or number_of(call.office, caller))
    if caller.is_private:  # what answers there may be a phone
        shown = Shown(is_hidden=True)
    leg = Outside(key, "", shown, gateway=name)
    return Ring((), None, f'{key} is mapped to gateway "{name}": the call goes there', outside=(leg,))


def do_not_disturb(call: Reaching) -> Reject | None:
    """Nothing rings and nothing is forwarded, whoever calls: VIP does not break through."""
    if not call.extension.incoming.do_not_disturb:
        return None
    return busy(f"do not disturb of {call.extension.key} is on")


def forwarding(call: Reaching) -> Ring | Reject | str | None:
    """The number and all extensions ring together in place of the phones, unless a VIP calls."""
    extension, forward = call.extension, call.extension.incoming.forward
    if not forward.enabled:
        return None
    is_on = f"forwarding of {extension.key} is on"
    if call.is_forwarded:
        return f"{is_on}, and ignored: forwards do not chain"
    if is_vip(call):
        return f"{is_on}, and {name_of(call.office, call.caller)} is on its VIP list"
    found = [(key, forward_inside(call, key)) for key in forward.extensions]
    if forward.number:
        found.append((forward.number, forward_outside(call, forward.number, "forwarding")))
    return passed_on(extension, together(found, is_on))


def call_waiting(call: Reaching) -> Reject | str | None:
    """An extension with as many calls as it takes is busy."""
    key, most, now = call.extension.key, call.extension.call_waiting, call.world.calls(call.extension.key)
    return busy(f"{key} is busy: it has {now} calls, and call_waiting is {most}") if now >= most else None


def phones(call: Reaching) -> Ring | Reject:
    """All registered phones with a ring tick, but the one that calls; without any there is no waiting."""
    key = call.extension.key
    names = phones_that_ring(call.office, call.world, call.extension, call.caller)
    if names:
        return Ring(names, None, f"the phones of {key} ring: {', '.join(names)}")
    if phones_that_ring(call.office, call.world, call.extension):
        return busy(f"the only phone of {key} that could ring is the caller's own")
    return away(f"no phone of {key} that rings is registered")


ORDER: Final[tuple[Rule, ...]] = (gateway, do_not_disturb, forwarding, call_waiting, phones)  # phones decides


def reach(call: Reaching) -> Ring | Reject:
    """What rings for an extension, without its no-answer settings."""
    decision, remarks = ask(ORDER, call)
    if decision is None or isinstance(decision, str):
        raise UsageError("no rule decides")
    return after(remarks, decision)


def is_vip(call: Reaching) -> bool:
    """Whether the caller is never forwarded."""
    vip, caller = call.extension.incoming.forward.vip, call.caller
    if caller.key:
        return caller.key in vip
    country = call.office.settings.country
    number = to_e164(caller.number, country)
    return bool(number) and (
        number in vip or any(to_e164(each, country) == number for each in _national(vip))
    )


def _national(vip: tuple[str, ...]) -> Iterator[str]:
    return (each for each in vip if not each.startswith("+") and not KEY.fits(each))


def forward_inside(call: Reaching, key: str) -> Ring | Reject:
    """How another extension is reached in place of `call.extension`."""
    extension = call.office.extension(key)
    if extension is None:
        return away(f"nobody has the key {key}")
    if key == call.extension.key:
        return away(f"{key} does not forward to itself")
    if key == call.caller.key:
        return busy(f"{key} is the caller")
    return reach(Reaching(call.office, call.world, call.caller, extension, is_forwarded=True))


def forward_outside(call: Reaching, number: str, cause: str) -> Ring | Reject:
    """How a number outside is reached in place of `call.extension`, which pays.

    A number of the office is not called outside: the call would come back, and be forwarded again. The
    extension that it belongs to rings.
    """
    if not call.caller.key and number == number_of(call.office, call.caller):
        return busy(f"{number} is the caller")
    ours = call.office.number(number)
    if ours is not None:
        kind, key = ours.target
        if kind != "extension":
            return away(f"{number} is the office's own, and belongs to no extension")
        return after((f"{number} belongs to extension {key}",), forward_inside(call, key))
    leg, remarks = pass_on(call.office, call.world, call.extension, number, call.caller, cause)
    if isinstance(leg, Reject):
        return after(remarks, leg)
    return Ring((), None, f"{number} rings", outside=(leg,), because=remarks)


def together(found: Iterable[tuple[str, Ring | Reject]], what: str) -> Ring | Reject:
    """All who can be reached ring at once.

    Args:
        found: who, and how he is reached.
        what: why they ring, as the beginning of a sentence.
    """
    devices: list[str] = []
    outside: list[Outside] = []
    remarks: list[str] = []
    ringing: list[str] = []
    statuses: set[int] = set()
    shown: dict[str, str] = {}  # who rings for himself as well as for another's forwarding sees the caller
    for who, each in found:
        remarks.extend(each.because)
        if isinstance(each, Reject):
            remarks.append(f"{who} does not ring: {each.why}")
            statuses.add(each.status)
            continue
        remarks.append(each.why)
        ringing.append(who)
        devices += each.devices
        outside += each.outside
        for name in each.devices:
            shown[name] = "" if shown.get(name) == "" else each.shown_to(name)
    if ringing:
        why = f"{what}: {listed(ringing)}"
        legs = tuple(dict.fromkeys(outside))
        others = tuple([(name, key) for name, key in shown.items() if key])
        names = tuple(dict.fromkeys(devices))
        return Ring(names, None, why, outside=legs, because=tuple(remarks), shown_keys=others)
    nobody = busy if statuses == {486} else away
    return after(tuple(remarks), nobody(f"{what}, and nobody rings"))


def passed_on(extension: Extension, decision: Ring | Reject) -> Ring | Reject:
    """The phones see the extension that passes the call on as the caller, where it wants that."""
    if isinstance(decision, Reject) or extension.caller_id.forwarded == "caller":
        return decision
    return changed(decision, shown_keys=tuple((name, extension.key) for name in decision.devices))


def listed(names: list[str]) -> str:
    """Who rings, in words."""
    if len(names) == 1:
        return f"{names[0]} rings"
    return f"{', '.join(names[:-1])} and {names[-1]} ring together"
