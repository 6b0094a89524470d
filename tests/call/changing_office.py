"""An office with a bit of everything, and what may become of it from one minute to the next."""

from dataclasses import replace
from typing import Any

from pbx.office.gateway import Gateway
from pbx.office.group import Group
from pbx.office.incoming import Forward, Incoming
from pbx.office.member import Member
from pbx.office.no_answer import NoAnswer
from pbx.office.number import Number
from pbx.office.outbound_rule import AllowedCountry, OutboundRule
from pbx.office.room import Room
from pbx.office.settings import Settings
from pbx.office.snapshot import Office
from pbx.office.trunk import Trunk
from pbx.office.usage_limit import UsageLimit
from tests.call.test_outside_calls import CARRIER, OUTSIDE, SECOND
from tests.call.world import DOMAIN, make_extension

ANN, BOB = "ann@acme.example", "bob@acme.example"
KEYS = ("100", "101", "102", "200")


def make_office() -> Office:
    ways = {"100": ("100p",), "101": ("101p",), "102": ("102p", "102m"), "200": ("200p",)}
    extensions = tuple(
        replace(make_extension(key, names), outbound_rule="standard", no_answer=NoAnswer("voicemail"))
        for key, names in ways.items()
    )
    ann, bob, eve, desk = extensions
    ann = replace(ann, assignee=ANN, passcode_hash="hash", usage_limit=UsageLimit("minutes", minutes=3))
    bob = replace(bob, assignee=BOB, no_answer=NoAnswer("forward", forward_to=OUTSIDE))
    return Office(
        settings=Settings(country="SG", timezone="Asia/Singapore", emergency=("999",)),
        members=(Member(ANN, "Ann", pin_hash="hash"), Member(BOB, "Bob", "owner", "hash2")),
        extensions=(ann, bob, eve, replace(desk, hot_desking=True)),
        numbers=(
            Number("+6560001000", "extension:100"),
            Number("+6560001001", "group:600"),
            Number("+6560001002", "room:701"),
            Number("+6560001003", "voicemail:102"),
        ),
        trunks=(
            Trunk("carrier", f"sip:{CARRIER}", register=False, addresses=(CARRIER,)),
            Trunk("second", f"sip:{SECOND}", "acme", "secret", register=True),
        ),
        gateways=(Gateway("gate", f"sip:{SECOND}:5070"),),
        outbound_rules=(
            OutboundRule(
                "standard",
                ("carrier", "second"),
                countries=(AllowedCountry("SG"), AllowedCountry("VN", passcode=True)),
            ),
        ),
        groups=(Group("600", "Sales", ("100", "101", "102"), "sequence"),),
        rooms=(Room("700", "hash"), Room("701")),
        realm=DOMAIN,
    )


def without(rows, *names):
    return tuple(row for row in rows if getattr(row, "key", getattr(row, "name", "")) not in names)


def edit(office: Office, which: str, **changes: Any) -> Office:
    rows = tuple(replace(each, **changes) if each.key == which else each for each in office.extensions)
    return replace(office, extensions=rows)


def rekey(office: Office, old: str, new: str) -> Office:
    """An extension gets another key, its phones stay."""
    return edit(office, old, key=new)


def remove(office: Office, key: str) -> Office:
    return replace(office, extensions=without(office.extensions, key))


def swap_devices(office: Office, a: str, b: str) -> Office:
    one, two = office.extension(a), office.extension(b)
    if one is None or two is None:
        return office
    return edit(edit(office, a, devices=two.devices), b, devices=one.devices)


def new_password(office: Office, key: str) -> Office:
    found = office.extension(key)
    if found is None or not found.devices:
        return office
    first = replace(found.devices[0], ha1_sha256="0" * 64, ha1_md5="0" * 32)
    return edit(office, key, devices=(first, *found.devices[1:]))


def tidy(office: Office) -> Office:
    """References to what is gone go, too, as who edits the file would have to do."""
    keys = {each.key for each in office.extensions}
    groups = tuple(
        replace(each, members=tuple(key for key in each.members if key in keys)) for each in office.groups
    )
    there = {"extension": keys, "voicemail": keys}
    there["group"] = {each.key for each in groups}
    there["room"] = {each.key for each in office.rooms}
    numbers = tuple(
        each
        if not each.destination or each.target[1] in there[each.target[0]]
        else replace(each, destination="")
        for each in office.numbers
    )
    trunks = {each.name for each in office.trunks}
    rules = tuple(
        replace(each, trunks=tuple(name for name in each.trunks if name in trunks))
        for each in office.outbound_rules
    )
    names, gates = {each.name for each in rules}, {each.name for each in office.gateways}
    emails = {each.email for each in office.members}
    extensions = tuple(
        replace(
            each,
            outbound_rule=each.outbound_rule if each.outbound_rule in names else "",
            assignee=each.assignee if each.assignee in emails else "",
            incoming=replace(
                each.incoming,
                gateway=each.incoming.gateway if each.incoming.gateway in gates else "",
                forward=replace(
                    each.incoming.forward,
                    extensions=tuple(key for key in each.incoming.forward.extensions if key in keys),
                ),
            ),
        )
        for each in office.extensions
    )
    return replace(office, extensions=extensions, groups=groups, numbers=numbers, outbound_rules=rules)


CHANGES: dict[str, Any] = {
    "all is as it was": lambda office: make_office(),
    "nobody is left": lambda office: Office(realm=DOMAIN),
    **{f"{key} is removed": lambda office, key=key: remove(office, key) for key in KEYS},
    **{f"{key} is 110": lambda office, key=key: rekey(office, key, "110") for key in KEYS},
    "100 and 101 change phones": lambda office: swap_devices(office, "100", "101"),
    "101 and 102 change phones": lambda office: swap_devices(office, "101", "102"),
    "100 and 200 change phones": lambda office: swap_devices(office, "100", "200"),
    **{f"{key} has a new password": lambda office, key=key: new_password(office, key) for key in KEYS},
    **{f"{key} has no phone": lambda office, key=key: edit(office, key, devices=()) for key in KEYS},
    "100 is of a call centre": lambda office: edit(office, "100", type="call_centre"),
    "102 is of a call centre": lambda office: edit(office, "102", type="call_centre"),
    "100 has nothing left": lambda office: edit(office, "100", usage_limit=UsageLimit("minutes", minutes=0)),
    "100 may talk": lambda office: edit(office, "100", usage_limit=UsageLimit("none")),
    "100 has another passcode": lambda office: edit(office, "100", passcode_hash="other"),
    "100 has no passcode": lambda office: edit(office, "100", passcode_hash=""),
    "200 is no hot desk": lambda office: edit(office, "200", hot_desking=False),
    "101 is a hot desk": lambda office: edit(office, "101", hot_desking=True),
    "102 is behind a gateway": lambda office: edit(office, "102", incoming=Incoming(gateway="gate")),
    "101 is behind a gateway": lambda office: edit(office, "101", incoming=Incoming(gateway="gate")),
    "102 is forwarded": lambda office: edit(
        office, "102", incoming=Incoming(forward=Forward(True, OUTSIDE, ("100", "101")))
    ),
    "101 is not to be disturbed": lambda office: edit(office, "101", incoming=Incoming(do_not_disturb=True)),
    "calls are recorded": lambda office: edit(office, "100", record="all"),
    "101 is looked at": lambda office: edit(office, "101", debug=True),
    "Ann is gone": lambda office: replace(office, members=office.members[1:]),
    "Ann moves": lambda office: edit(edit(office, "100", assignee=""), "102", assignee=ANN),
    "no trunk": lambda office: replace(office, trunks=()),
    "the first trunk is gone": lambda office: replace(office, trunks=office.trunks[1:]),
    "a trunk moves": lambda office: replace(
        office, trunks=tuple(replace(each, server="sip:198.51.100.7") for each in office.trunks)
    ),
    "a trunk has another password": lambda office: replace(
        office, trunks=tuple(replace(each, password="x") for each in office.trunks)
    ),
    "trunks have a place for one": lambda office: replace(
        office, trunks=tuple(replace(each, max_calls=1) for each in office.trunks)
    ),
    "the trunk is a gateway": lambda office: replace(
        office, trunks=(), gateways=(Gateway("carrier", f"sip:{CARRIER}"),)
    ),
    "no gateway": lambda office: replace(office, gateways=()),
    "no numbers": lambda office: replace(office, numbers=()),
    "numbers lead elsewhere": lambda office: replace(
        office, numbers=tuple(replace(each, destination="room:701") for each in office.numbers)
    ),
    "no group": lambda office: replace(office, groups=()),
    "the group is another": lambda office: replace(
        office, groups=tuple(replace(each, members=("102",), strategy="all") for each in office.groups)
    ),
    "the group rings by turns": lambda office: replace(
        office, groups=tuple(replace(each, strategy="round_robin") for each in office.groups)
    ),
    "no rooms": lambda office: replace(office, rooms=()),
    "a room's key is a group's": lambda office: replace(
        office, rooms=without(office.rooms, "701"), groups=(*office.groups, Group("701", "", ("100", "102")))
    ),
    "a group's key is a room's": lambda office: replace(
        office, rooms=(*office.rooms, Room("600")), groups=without(office.groups, "600")
    ),
    "an extension's key is a room's": lambda office: replace(
        remove(office, "102"), rooms=(*office.rooms, Room("102"))
    ),
    "no rule": lambda office: replace(office, outbound_rules=()),
    "no country": lambda office: replace(
        office, outbound_rules=tuple(replace(each, countries=()) for each in office.outbound_rules)
    ),
    "other codes": lambda office: replace(
        office, settings=replace(office.settings, codes=replace(office.settings.codes, park="*55"))
    ),
    "another country": lambda office: replace(
        office, settings=Settings(country="DE", timezone="Europe/Berlin", emergency=("112",), language="de")
    ),
}
