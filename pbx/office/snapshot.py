"""The office as one immutable whole, indexed: what every call is decided by. A change makes a new one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated

from pbx.office.blocked import Blocked
from pbx.office.device import Device
from pbx.office.extension import Extension
from pbx.office.gateway import Gateway
from pbx.office.group import Group
from pbx.office.holiday import Holiday
from pbx.office.line import Line
from pbx.office.marks import Hidden, Named
from pbx.office.member import Member
from pbx.office.number import Number
from pbx.office.outbound_rule import OutboundRule
from pbx.office.prefixes import Prefixes
from pbx.office.rate import Rate
from pbx.office.room import Room
from pbx.office.settings import Settings
from pbx.office.trunk import Trunk


@dataclass(frozen=True, slots=True)
class _Index:
    members: Mapping[str, Member]
    extensions: Mapping[str, Extension]
    devices: Mapping[str, tuple[Extension, Device]]
    numbers: Mapping[str, Number]
    trunks: Mapping[str, Trunk]
    gateways: Mapping[str, Gateway]
    outbound_rules: Mapping[str, OutboundRule]
    groups: Mapping[str, Group]
    rooms: Mapping[str, Room]
    rates: Prefixes[Rate]
    assigned: Mapping[str, Extension]
    mapped: Mapping[str, Extension]


@dataclass(frozen=True, slots=True)
class Office:
    """Everything that office.toml can say, in the file's order; `realm` is what the devices' HA1 are for."""

    settings: Annotated[Settings, Named("office")] = field(default_factory=Settings)
    members: Annotated[tuple[Member, ...], Named("member", by="email")] = ()
    extensions: Annotated[tuple[Extension, ...], Named("extension", by="key")] = ()
    numbers: Annotated[tuple[Number, ...], Named("number", by="number")] = ()
    trunks: Annotated[tuple[Trunk, ...], Named("trunk", by="name")] = ()
    gateways: Annotated[tuple[Gateway, ...], Named("gateway", by="name")] = ()
    outbound_rules: Annotated[tuple[OutboundRule, ...], Named("outbound_rule", by="name")] = ()
    rates: Annotated[tuple[Rate, ...], Named("rate", by="prefix")] = ()
    groups: Annotated[tuple[Group, ...], Named("group", by="key")] = ()
    rooms: Annotated[tuple[Room, ...], Named("room", by="key")] = ()
    lines: Annotated[tuple[Line, ...], Named("line", by="name")] = ()
    holidays: Annotated[tuple[Holiday, ...], Named("holiday", by="date")] = ()
    blocked: Blocked = field(default_factory=Blocked)
    realm: Annotated[str, Hidden()] = ""
    _index: Annotated[_Index, Hidden()] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        phones = [(extension, device) for extension in self.extensions for device in extension.devices]
        index = _Index(
            members=MappingProxyType({member.email: member for member in self.members}),
            extensions=MappingProxyType({extension.key: extension for extension in self.extensions}),
            devices=MappingProxyType({device.username: (extension, device) for extension, device in phones}),
            numbers=MappingProxyType({number.number: number for number in self.numbers}),
            trunks=MappingProxyType({trunk.name: trunk for trunk in self.trunks}),
            gateways=MappingProxyType({gateway.name: gateway for gateway in self.gateways}),
            outbound_rules=MappingProxyType({rule.name: rule for rule in self.outbound_rules}),
            groups=MappingProxyType({group.key: group for group in self.groups}),
            rooms=MappingProxyType({room.key: room for room in self.rooms}),
            rates=Prefixes((rate.prefix, rate) for rate in self.rates),
            assigned=MappingProxyType({each.assignee: each for each in reversed(self.extensions)}),
            mapped=MappingProxyType({each.incoming.gateway: each for each in reversed(self.extensions)}),
        )
        object.__setattr__(self, "_index", index)

    def member(self, email: str) -> Member | None:
        return self._index.members.get(email.lower())

    @property
    def staff(self) -> tuple[str, ...]:
        """The emails of owner and administrators."""
        return tuple(each.email for each in self.members if each.account != "member")

    def extension(self, key: str) -> Extension | None:
        return self._index.extensions.get(key)

    def device(self, username: str) -> tuple[Extension, Device] | None:
        """The device that logs in with this name, and its extension."""
        return self._index.devices.get(username)

    def number(self, e164: str) -> Number | None:
        return self._index.numbers.get(e164)

    def trunk(self, name: str) -> Trunk | None:
        return self._index.trunks.get(name)

    def gateway(self, name: str) -> Gateway | None:
        return self._index.gateways.get(name)

    def outbound_rule(self, name: str) -> OutboundRule | None:
        return self._index.outbound_rules.get(name)

    def group(self, key: str) -> Group | None:
        return self._index.groups.get(key)

    def room(self, key: str) -> Room | None:
        return self._index.rooms.get(key)

    def rate(self, e164: str) -> Rate | None:
        """The rate of the longest prefix that a number begins with."""
        return self._index.rates.longest(e164)

    def extension_of(self, email: str) -> Extension | None:
        """The first extension that is a member's."""
        return self._index.assigned.get(email.lower()) if email else None

    def member_of(self, extension: Extension) -> Member | None:
        """Whose an extension is."""
        return self._index.members.get(extension.assignee)

    def is_own(self, number: str, extension: Extension | None) -> bool:
        """Whether an extension may show a number unasked: one of the office's, or its member's mobile."""
        if number in self._index.numbers:
            return True
        member = self.member_of(extension) if extension is not None else None
        return member is not None and member.mobile == number

    def extension_behind(self, gateway: str) -> Extension | None:
        """The first extension that is mapped to a gateway."""
        return self._index.mapped.get(gateway) if gateway else None

    def target(self, key: str) -> Extension | Group | Room | None:
        """What an internal key dials."""
        return self.extension(key) or self.group(key) or self.room(key)
