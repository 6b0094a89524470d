"""How rules name and recognise a caller."""

from pbx.office.extension import Extension
from pbx.office.outbound_rule import OutboundRule
from pbx.office.snapshot import Office
from pbx.rules.facts import Caller
from pbx.rules.number import to_e164


def number_of(office: Office, caller: Caller) -> str:
    """The number of a caller outside, in E.164 where it can be read so; "" = withheld, or from inside."""
    return to_e164(caller.number, office.settings.country) or caller.number


def name_of(office: Office, caller: Caller) -> str:
    """Who calls, in a sentence."""
    return caller.key or number_of(office, caller) or "a caller without a number"


def extension_behind(office: Office, caller: Caller) -> Extension | None:
    """The extension that a caller acts for: behind a gateway the first that is mapped to it."""
    return office.extension(caller.key) or office.extension_behind(caller.gateway)


def rule_of(office: Office, caller: Caller) -> OutboundRule | None:
    """The outbound rule of a caller's phone, or of its gateway."""
    if caller.gateway:
        gateway = office.gateway(caller.gateway)
        return office.outbound_rule(gateway.outbound_rule) if gateway is not None else None
    extension = office.extension(caller.key)
    return office.outbound_rule(extension.outbound_rule) if extension is not None else None
