"""What must hold between the parts of an office: references lead somewhere, nothing is there twice."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from pbx.office.branch import Dates
from pbx.office.line import (
    Condition,
    Confirm,
    Gather,
    Play,
    Record,
    Transfer,
)
from pbx.office.locate import Path
from pbx.office.outbound_rule import OutboundRule
from pbx.office.prompt import Prompt
from pbx.office.reading import Finding, show
from pbx.office.snapshot import Office
from pbx.office.values import KEY, nearest

MAX_LISTED = 12


@dataclass(frozen=True, slots=True)
class Facts:
    """The office as written, its well-formed references (path, kind, name), and the keys in the file."""

    office: Office
    references: list[tuple[Path, str, str]]
    given: frozenset[Path]
    _known: dict[str, frozenset[str]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def names(self, kind: str) -> list[str]:
        """All that a reference to such a thing may say."""
        office = self.office
        return {
            "member": [each.email for each in office.members],
            "extension": [each.key for each in office.extensions],
            "gateway": [each.name for each in office.gateways],
            "trunk": [each.name for each in office.trunks],
            "outbound_rule": [each.name for each in office.outbound_rules],
            "group": [each.key for each in office.groups],
            "room": [each.key for each in office.rooms],
            "line": [each.name for each in office.lines],
            "voicemail": [each.key for each in office.extensions],
        }[kind]

    def known(self, kind: str) -> frozenset[str]:
        """The same, put together once: a big office has thousands of references."""
        if kind not in self._known:
            self._known[kind] = frozenset(self.names(kind))
        return self._known[kind]


Check = Callable[[Facts], Iterator[Finding]]


def check(facts: Facts) -> list[Finding]:
    """Every mistake that shows only when the whole file is read."""
    return [finding for each in CHECKS for finding in each(facts)]


def references(facts: Facts) -> Iterator[Finding]:
    """Keys that can only name one kind of thing, such as assignee, trunks or a block's next."""
    for path, kind, name in facts.references:
        if kind == "block":
            line = facts.office.lines[path[1]] if isinstance(path[1], int) else None
            yield from _missing(
                path, name, "a block of this line", [block.name for block in line.blocks] if line else []
            )
        else:
            yield from _missing(path, name, _a(kind), facts.known(kind))


def destinations(facts: Facts) -> Iterator[Finding]:
    for at, number in enumerate(facts.office.numbers):
        kind, key = number.target
        if kind in ("extension", "group", "line", "room", "voicemail"):
            yield from _missing(("number", at, "destination"), key, _a(kind), facts.known(kind), f"{kind}:")


def vip_keys(facts: Facts) -> Iterator[Finding]:
    for at, extension in enumerate(facts.office.extensions):
        for index, vip in enumerate(extension.incoming.forward.vip):
            path = ("extension", at, "incoming", "forward", "vip", index)
            if KEY.fits(vip):
                yield from _missing(path, vip, _a("extension"), facts.known("extension"))
            elif not vip.startswith("+") and not facts.office.settings.country:
                yield Finding(path, show(vip), 'a number with "+", where office.country is not set')


def keys_are_unique(facts: Facts) -> Iterator[Finding]:
    """Extensions, groups and rooms are dialled alike: a key is there once, and is nothing else to dial."""
    office = facts.office
    keyed: dict[str, list[str]] = {
        "extension": facts.names("extension"),
        "group": facts.names("group"),
        "room": facts.names("room"),
    }
    owners: dict[str, str] = {}
    for kind, keys in keyed.items():
        for at, key in enumerate(keys):
            path = (kind, at, "key")
            if key and key in owners:
                yield Finding(path, show(key), f"a key that nothing else has; {owners[key]} has it")
            elif key in office.settings.emergency:
                yield Finding(path, show(key), "a key that is no emergency number (office.emergency)")
            owners.setdefault(key, f"a{'n' if kind == 'extension' else ''} {kind}")


def codes(facts: Facts) -> Iterator[Finding]:
    """A code means one thing, and is no emergency number; none that is pressed in a call hides another."""
    office = facts.office
    path: Path = ("office", "codes")
    # Those that the file says come last: the mistake is there, and not in a default.
    found = sorted(office.settings.codes.all(), key=lambda each: (*path, each[0]) in facts.given)
    yield from _twice((((*path, name), code) for name, code in found), "each code once")
    for name, code in found:
        if code in office.settings.emergency:
            yield Finding((*path, name), show(code), "a code that is no emergency number (office.emergency)")
    in_call = office.settings.codes.in_call()
    for code, name in in_call.items():
        hidden = next((each for each in in_call if each != code and each in code), None)
        if hidden is not None:
            allowed = f"a code in which {in_call[hidden]} = {show(hidden)} is not pressed on the way"
            yield Finding((*path, name), show(code), allowed)


def hot_desk_keys(facts: Facts) -> Iterator[Finding]:
    keys = [*facts.names("extension"), *facts.names("group"), *facts.names("room")]
    for index, key in enumerate(facts.office.settings.hot_desk_keys):
        what = "the key of an extension, a group or a room"
        yield from _missing(("office", "hot_desk_keys", index), key, what, keys)


def names_are_unique(facts: Facts) -> Iterator[Finding]:
    office = facts.office
    lists: dict[tuple[str, str], list[str]] = {
        ("member", "email"): facts.names("member"),
        ("number", "number"): [each.number for each in office.numbers],
        ("trunk", "name"): facts.names("trunk"),
        ("gateway", "name"): facts.names("gateway"),
        ("outbound_rule", "name"): facts.names("outbound_rule"),
        ("line", "name"): facts.names("line"),
        ("rate", "prefix"): [each.prefix for each in office.rates],
        ("holiday", "date"): [str(each.date) for each in office.holidays],
    }
    for (kind, key), values in lists.items():
        yield from _twice(
            (((kind, at, key), value) for at, value in enumerate(values)), f"{key} of each {kind} another"
        )
    for at, line in enumerate(office.lines):
        blocks = (
            (("line", at, "block", index, "name"), block.name) for index, block in enumerate(line.blocks)
        )
        yield from _twice(blocks, "name of each block of a line another")


def devices(facts: Facts) -> Iterator[Finding]:
    """One device of each kind; user names and hardware addresses once; no name that is another's key."""
    extensions = facts.office.extensions
    everyone = [
        (("extension", at, "device", index), extension, device)
        for at, extension in enumerate(extensions)
        for index, device in enumerate(extension.devices)
    ]
    yield from _twice(
        (((*path, "username"), device.username) for path, _, device in everyone),
        "username of each device another",
    )
    yield from _twice(
        (((*path, "mac"), device.mac) for path, _, device in everyone), "mac of each device another"
    )
    for at, extension in enumerate(extensions):
        kinds = (
            (("extension", at, "device", index, "kind"), each.kind)
            for index, each in enumerate(extension.devices)
        )
        yield from _twice(kinds, "at most one device of each kind for an extension")
    keys = {*facts.names("extension"), *facts.names("group"), *facts.names("room")}
    for path, extension, device in everyone:
        if device.username in keys and device.username != extension.key:
            allowed = "a username that is no other extension's, group's or room's key"
            yield Finding((*path, "username"), show(device.username), allowed)


def one_owner(facts: Facts) -> Iterator[Finding]:
    members = facts.office.members
    owners = [at for at, member in enumerate(members) if member.account == "owner"]
    if members and not owners:
        yield Finding(("member",), "no owner", 'exactly one member with account = "owner"')
    for at in owners[1:]:
        first = members[owners[0]].email
        yield Finding(
            ("member", at, "account"), '"owner" a second time', f"exactly one owner; {first} is one already"
        )


def forwarding(facts: Facts) -> Iterator[Finding]:
    """Forwarding that is on has a target; no target is in a country that asks for a passcode."""
    office = facts.office
    for at, extension in enumerate(office.extensions):
        forward = extension.incoming.forward
        if forward.enabled and not forward.number and not forward.extensions:
            path: Path = ("extension", at, "incoming", "forward", "enabled")
            yield Finding(
                path, "true without a target", "true only with a number or extensions to forward to"
            )
        if extension.no_answer.action == "forward" and not extension.no_answer.forward_to:
            path = ("extension", at, "no_answer", "action")
            yield Finding(path, '"forward" without a number', '"forward" only with no_answer.forward_to')
        targets = {
            ("incoming", "forward", "number"): forward.number,
            ("no_answer", "forward_to"): extension.no_answer.forward_to,
        }
        rule = office.outbound_rule(extension.outbound_rule)
        for keys, number in targets.items():
            yield from _passcode_country(("extension", at, *keys), number, rule)


def _passcode_country(path: Path, number: str, rule: OutboundRule | None) -> Iterator[Finding]:
    row = rule.row_for(number) if number and rule else None
    if rule and row and row.passcode:
        allowed = (
            f'a number in a country without passcode; {row.country} has one in outbound rule "{rule.name}"'
        )
        yield Finding(path, show(number), allowed)


def shown_numbers(facts: Facts) -> Iterator[Finding]:
    """An assigned caller ID is on its list, a planned one the office's (product §3); more in `notes`."""
    office = facts.office
    ours = [number.number for number in office.numbers]
    for at, extension in enumerate(office.extensions):
        caller_id, path = extension.caller_id, ("extension", at, "caller_id")
        if caller_id.mode == "assigned" and caller_id.number and caller_id.number not in caller_id.assigned:
            yield Finding(
                (*path, "number"), show(caller_id.number), "one of caller_id.assigned, as mode says"
            )
    for at, rule in enumerate(office.outbound_rules):
        for index, row in enumerate(rule.caller_id_plan):
            path_to_row = ("outbound_rule", at, "caller_id_plan", index, "number")
            yield from _missing(path_to_row, row.number, "an office number", ours)


def outbound_rules(facts: Facts) -> Iterator[Finding]:
    for at, rule in enumerate(facts.office.outbound_rules):
        path: Path = ("outbound_rule", at)
        countries = (
            ((*path, "country", index, "country"), row.country) for index, row in enumerate(rule.countries)
        )
        yield from _twice(countries, "each country once in a rule")
        plan = (
            ((*path, "caller_id_plan", index, "prefix"), f"{row.country} {row.prefix}")
            for index, row in enumerate(rule.caller_id_plan)
            if row.country
        )
        yield from _twice(plan, "each country and prefix once in a rule")
        for index, dial in enumerate(rule.dial_plan):
            if dial.length and dial.remove > dial.length:
                allowed = f"at most the {dial.length} digits that the number has"
                yield Finding((*path, "dial_plan", index, "remove"), str(dial.remove), allowed)


def trunks(facts: Facts) -> Iterator[Finding]:
    for at, trunk in enumerate(facts.office.trunks):
        if trunk.register and not trunk.username and ("trunk", at, "register") in facts.given:
            yield Finding(
                ("trunk", at, "register"), "true without a username", "true only with a username to register"
            )


def lines(facts: Facts) -> Iterator[Finding]:
    for at, line in enumerate(facts.office.lines):
        if not line.blocks:
            yield Finding(
                ("line", at), "a line without a block", "at least one [[line.block]]; the first is the start"
            )
        for index, block in enumerate(line.blocks):
            path = ("line", at, "block", index)
            match block:
                case Transfer():
                    yield from _transfer_targets(facts, path, block)
                case Gather() | Condition() if not block.branches:
                    yield Finding((*path, "branches"), "none", "at least one branch")
                case Condition():
                    for row, branch in enumerate(block.branches):
                        if isinstance(branch, Dates) and branch.to < branch.from_:
                            allowed = f"a day not before from = {branch.from_}"
                            yield Finding((*path, "branches", row, "to"), str(branch.to), allowed)
                case _:
                    pass


def _transfer_targets(facts: Facts, path: Path, block: Transfer) -> Iterator[Finding]:
    for index, target in enumerate(block.to):
        kind, colon, key = target.partition(":")
        if colon and kind in ("extension", "group"):
            yield from _missing((*path, "to", index), key, _a(kind), facts.known(kind), f"{kind}:")


def prompts(facts: Facts) -> Iterator[Finding]:
    """A prompt is a file or a text."""
    for path, prompt in _prompts(facts.office):
        if prompt.mp3 and prompt.text:
            yield Finding((*path, "text"), "mp3 and text", "one of the two")


def _prompts(office: Office) -> Iterator[tuple[Path, Prompt]]:
    for at, extension in enumerate(office.extensions):
        yield ("extension", at, "no_answer", "greeting"), extension.no_answer.greeting
    for at, line in enumerate(office.lines):
        for index, block in enumerate(line.blocks):
            if isinstance(block, Gather | Record | Play | Confirm):
                yield ("line", at, "block", index, "prompt"), block.prompt


CHECKS: Final[tuple[Check, ...]] = (
    references,
    destinations,
    vip_keys,
    keys_are_unique,
    codes,
    hot_desk_keys,
    names_are_unique,
    devices,
    one_owner,
    forwarding,
    shown_numbers,
    outbound_rules,
    trunks,
    lines,
    prompts,
)


def _missing(path: Path, name: str, what: str, known: Collection[str], before: str = "") -> Iterator[Finding]:
    if not name or name in known:
        return
    names = sorted({each for each in known if each})
    listed = ", ".join(names[:MAX_LISTED]) + (", …" if len(names) > MAX_LISTED else "")
    near = None if name.lstrip("+").isdigit() else nearest(name, names)
    allowed = f"{what} ({listed})" if names else f"{what}; there is none"
    yield Finding(path, show(before + name), allowed, f'"{before}{near}"' if near else None)


def _twice(places: Iterable[tuple[Path, str]], allowed: str) -> Iterator[Finding]:
    seen: set[str] = set()
    for path, value in places:
        if value and value in seen:
            yield Finding(path, f"{show(value)} a second time", allowed)
        seen.add(value)


def _a(kind: str) -> str:
    names: Mapping[str, str] = {
        "member": "the email of a member",
        "extension": "the key of an extension",
        "voicemail": "the key of an extension",
        "group": "the key of a group",
        "room": "the key of a room",
    }
    return names.get(kind, f"the name of a{'n' if kind[0] in 'aeiou' else ''} {kind.replace('_', ' ')}")
