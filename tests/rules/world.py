"""A world that is what a test says, and offices as it needs them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from pbx.office.caller_id import CallerId
from pbx.office.device import Device
from pbx.office.extension import Extension
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
from pbx.rules.facts import Caller, Used

OURS, OURS_TOO = "+6560001000", "+6560001001"
MOBILE = "+6598765432"
FAR, FAR_TOO = "+6531112222", "+6531113333"
VIP = "+6531234567"
VIETNAM = "+84938812345"
OUTSIDE = Caller(number="+6561112222", trunk="carrier")
VIP_CALLER = Caller(number=VIP, trunk="carrier")


@dataclass
class FakeWorld:
    """All phones are registered but those in `unregistered`."""

    unregistered: frozenset[str] = frozenset()
    busy: dict[str, int] = field(default_factory=dict)
    idle: dict[str, float] = field(default_factory=dict)
    turns: dict[str, int] = field(default_factory=dict)
    spent: dict[str, Used] = field(default_factory=dict)
    locked: frozenset[str] = frozenset()
    logins: dict[str, str] = field(default_factory=dict)
    approved: dict[str, frozenset[str]] = field(default_factory=dict)
    chance: float = 0.0
    now: datetime = datetime(2026, 11, 3, 8, tzinfo=UTC)

    def is_registered(self, username):
        return username not in self.unregistered

    def calls(self, key):
        return self.busy.get(key, 0)

    def idle_since(self, key):
        return self.idle.get(key, 0.0)

    def turn(self, group):
        return self.turns.get(group, 0)

    def used(self, key):
        return self.spent.get(key, Used())

    def is_locked(self, subject):
        return subject in self.locked

    def member_at(self, username):
        return self.logins.get(username, "")

    def phones_of(self, member):
        return tuple(username for username, each in self.logins.items() if each == member)

    def approved_numbers(self, key):
        return self.approved.get(key, frozenset())


WORLD = FakeWorld()
STANDARD = OutboundRule(
    "standard", ("carrier", "backup"), countries=(AllowedCountry("SG"), AllowedCountry("VN", passcode=True))
)


def ext(key, *, forward=None, dnd=False, gateway="", ring=True, mobile=False, **settings):
    """An extension with a phone of its key (and one on a mobile), by the rule "standard"."""
    devices = [Device("ip_phone", key, ring=ring)]
    if mobile:
        devices.append(Device("mobile", f"{key}-mobile"))
    settings.setdefault("outbound_rule", "standard")
    settings.setdefault("label", f"Phone {key}")
    settings.setdefault("devices", tuple(devices))
    return Extension(key, incoming=Incoming(dnd, gateway, forward or Forward()), **settings)


def office(*extensions, settings=None, rules=(STANDARD,), groups=(), numbers=(OURS, OURS_TOO), **more):
    """An office in Singapore; 100 to 103 are there unless they are given."""
    given = {each.key: each for each in extensions}
    for key in ("100", "101", "102", "103"):
        given.setdefault(key, ext(key, mobile=key == "100"))
    defaults = {
        "members": (Member("ann@acme.example", "Ann", "owner", mobile=MOBILE),),
        "trunks": (
            Trunk("carrier", "sip:carrier"),
            Trunk("backup", "sip:backup"),
            Trunk("third", "sip:third"),
        ),
        "gateways": (Gateway("warehouse", "sip:192.168.1.20", outbound_rule="standard"),),
        "rooms": (Room("700"),),
    }
    return Office(
        settings=settings
        or Settings(country="SG", timezone="Asia/Singapore", emergency=("995", "999", "112")),
        extensions=tuple(sorted(given.values(), key=lambda each: each.key)),
        numbers=tuple(Number(each) if isinstance(each, str) else each for each in numbers),
        outbound_rules=tuple(rules),
        groups=tuple(groups),
        **{**defaults, **more},
    )


def inside(key, **more):
    """A caller at the phone of an extension."""
    return Caller(key, key, name=f"Phone {key}", **more)


def numbers_of(decision):
    """The outside numbers that ring."""
    return [leg.number for leg in decision.outside]


__all__ = ["CallerId", "Forward", "Group", "NoAnswer", "Number"]
