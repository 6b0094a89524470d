"""How the members of a group ring for its key: each one as when he is called himself."""

from collections.abc import Callable
from typing import Final

from pbx.office.extension import Extension
from pbx.office.group import Group
from pbx.office.snapshot import Office
from pbx.rules.decision import Reject, Ring
from pbx.rules.facts import Caller, World
from pbx.rules.opinions import after, changed
from pbx.rules.reach import Reaching, busy, reach, together

Order = Callable[[World, Group, list[str]], list[str]]


def as_written(_world: World, _group: Group, members: list[str]) -> list[str]:
    return members


def in_turn(world: World, group: Group, members: list[str]) -> list[str]:
    """Each call begins with the next member."""
    first = world.turn(group.key) % len(members) if members else 0
    return members[first:] + members[:first]


def idle_first(world: World, _group: Group, members: list[str]) -> list[str]:
    """Whose last call ended longest ago comes first; who had none, before all."""
    return sorted(members, key=world.idle_since)


STRATEGIES: Final[dict[str, Order]] = {
    "all": as_written,
    "sequence": as_written,
    "round_robin": in_turn,
    "longest_idle": idle_first,
}


def ring_group(office: Office, world: World, caller: Caller, group: Group) -> Ring | Reject:
    """All members at once, or one after the other, each for `ring_seconds`; without who cannot be reached."""
    seconds = float(group.ring_seconds)
    members = STRATEGIES[group.strategy](world, group, list(group.members))
    found = [(key, _reach_member(office, world, caller, key)) for key in members]
    what = f"group {group.key} ({group.strategy})"
    if group.strategy == "all":
        decision = together(found, what)
        if isinstance(decision, Reject):
            return decision
        return changed(decision, no_answer_s=seconds, group=group.key)
    turns = [
        changed(each, no_answer_s=seconds, group=group.key) for _, each in found if isinstance(each, Ring)
    ]
    remarks = tuple(f"{key} does not ring: {each.why}" for key, each in found if isinstance(each, Reject))
    if not turns:
        return together(found, what)
    first, *later = turns
    order = ", then ".join(key for key, each in found if isinstance(each, Ring))
    why = f"{what}: {order}, each for {group.ring_seconds} s"
    return after(
        (*remarks, *first.because, first.why), changed(first, why=why, because=(), after=tuple(later))
    )


def _reach_member(office: Office, world: World, caller: Caller, key: str) -> Ring | Reject:
    extension: Extension | None = office.extension(key)
    if extension is None:
        return busy(f"nobody has the key {key}")
    if key == caller.key:
        return busy(f"{key} is the caller")
    return reach(Reaching(office, world, caller, extension))
