"""A phone sends a call on with a 3xx: forwarding by its extension, with the same checks (product §2)."""

from pbx.office.snapshot import Office
from pbx.rules.decision import Reject, Ring
from pbx.rules.facts import Caller, World
from pbx.rules.groups import ring_group
from pbx.rules.number import read_dialled
from pbx.rules.opinions import after, changed
from pbx.rules.reach import Reaching, away, forward_inside, forward_outside, passed_on


def decide_redirect(
    office: Office, world: World, caller: Caller, key: str, target: str, *, is_forwarded: bool = False
) -> Ring | Reject:
    """Who rings in place of the phone of the extension `key` that answered 302.

    Unanswered, the no-answer action of `key` follows, within its time.

    Args:
        target: a key, or a number as the phone would dial it.
        is_forwarded: the phone rang for another's forwarding, or for another 302: forwards do not chain.
    """
    extension = office.extension(key)
    if extension is None:
        return away(f"nobody has the key {key}")
    said: tuple[str, ...] = (f"a phone of {key} sends the call on to {target}",)
    if is_forwarded:
        return after(said, away("it is forwarded already, and forwards do not chain"))
    call = Reaching(office, world, caller, extension)
    if office.extension(target) is not None:
        decision = forward_inside(call, target)
    elif (group := office.group(target)) is not None:
        decision = ring_group(office, world, caller, group)
    else:
        number, how = read_dialled(office.settings, office.outbound_rule(extension.outbound_rule), target)
        said += (how,)
        decision = forward_outside(call, number, "forwarding") if number else away(f"{target} is nobody")
    decision = after(said, passed_on(extension, decision))
    if isinstance(decision, Reject) or extension.type != "normal":
        return decision
    return changed(decision, key=key, no_answer_s=float(extension.no_answer.timeout))
