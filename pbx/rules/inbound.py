"""What becomes of a call to a key or a number of the office (product §2)."""

from pbx.office.extension import Extension
from pbx.office.snapshot import Office
from pbx.rules.blocked import blocked
from pbx.rules.decision import Decision, Reject, Ring, Serve, TakeMessage
from pbx.rules.facts import Caller, World
from pbx.rules.groups import ring_group
from pbx.rules.number import to_e164
from pbx.rules.opinions import after, changed
from pbx.rules.reach import Reaching, away, reach


def decide_inbound(
    office: Office, world: World, caller: Caller, key: str, *, has_next: bool = False
) -> Decision:
    """What becomes of a call to an extension, a group or a room.

    A `Reject` with a key means: its no-answer settings are asked at once (`decide_no_answer`).

    Args:
        has_next: it is a step of a virtual line that has a next one, so that no-answer settings do not count.
    """
    return blocked(office, caller) or _to_key(office, world, caller, key, has_next=has_next)


def decide_number(office: Office, world: World, caller: Caller, number: str) -> Decision:
    """What becomes of a call to an outside number of the office (DID), written as the carrier does."""
    e164 = to_e164(number, office.settings.country)
    ours = office.number(e164)
    if ours is None:
        return Reject(404, "Not Found", f"{e164 or number} is no number of the office")
    if (refusal := blocked(office, caller)) is not None:
        return refusal
    kind, key = ours.target
    if kind == "line":
        return away(f'{e164} goes to the virtual line "{key}", which is not in effect yet')
    if not kind:
        return away(f"{e164} goes nowhere: it has no destination")
    goes = (f"{e164} goes to {kind} {key}",)
    if kind == "voicemail":
        return TakeMessage(key, f"voicemail of {key}", goes)
    return after(goes, _to_key(office, world, caller, key, has_next=False))


def _to_key(
    office: Office, world: World, caller: Caller, key: str, *, has_next: bool
) -> Reject | Ring | Serve:
    extension = office.extension(key)
    if extension is not None:
        return _to_extension(reach(Reaching(office, world, caller, extension)), extension, has_next=has_next)
    group = office.group(key)
    if group is not None:
        return ring_group(office, world, caller, group)
    if office.room(key) is not None:
        return Serve("room", key, f"{key} is a conference room")
    return Reject(404, "Not Found", f"nobody has the key {key}")


def _to_extension(decision: Ring | Reject, extension: Extension, *, has_next: bool) -> Ring | Reject:
    """With the no-answer settings, which only a normal extension has (step 6)."""
    if has_next or extension.type != "normal":
        return decision
    if isinstance(decision, Reject):
        return changed(decision, key=extension.key)
    return changed(decision, key=extension.key, no_answer_s=float(extension.no_answer.timeout))
