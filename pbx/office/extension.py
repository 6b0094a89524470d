"""A number inside the office, with its settings and phones."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pbx.office.caller_id import CallerId
from pbx.office.device import Device
from pbx.office.incoming import Incoming
from pbx.office.marks import Named, Reference, Secret
from pbx.office.no_answer import NoAnswer
from pbx.office.usage_limit import UsageLimit
from pbx.office.values import KEY, LABEL, NAME_OR_NONE, PIN, Email, Text, Whole

LOCAL_SERVER = Text(
    255,
    r"([A-Za-z0-9.\-]+|\[[0-9A-Fa-f:.]+\])(:[1-9][0-9]{0,4})?",
    'a host with or without port, such as "10.0.0.5:5060"',
)


@dataclass(frozen=True, slots=True)
class Extension:
    key: Annotated[str, KEY]
    label: Annotated[str, LABEL] = ""
    assignee: Annotated[str, Reference("member", Email(empty=True))] = ""
    type: Literal["normal", "call_centre"] = "normal"
    role: Literal["agent", "supervisor"] = "agent"
    passcode_hash: Annotated[str, Secret("passcode", PIN)] = field(default="", repr=False)
    hot_desking: bool = False
    debug: bool = False
    outbound_rule: Annotated[str, Reference("outbound_rule", NAME_OR_NONE)] = ""
    local_sip_server: Annotated[str, LOCAL_SERVER] = ""
    call_waiting: Annotated[int, Whole(1, 100)] = 2
    record: Literal["off", "inbound", "outbound", "all"] = "off"
    devices: Annotated[tuple[Device, ...], Named("device", by="username")] = ()
    incoming: Incoming = field(default_factory=Incoming)
    caller_id: CallerId = field(default_factory=CallerId)
    usage_limit: UsageLimit = field(default_factory=UsageLimit)
    no_answer: NoAnswer = field(default_factory=NoAnswer)
