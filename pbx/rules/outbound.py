"""Calls to numbers outside: may it be, who pays, who is shown, over which trunks (product §3)."""

from collections.abc import Callable
from typing import Final

from pbx.immutable import immutable
from pbx.office.country import country_of
from pbx.office.extension import Extension
from pbx.office.outbound_rule import AllowedCountry, OutboundRule
from pbx.office.snapshot import Office
from pbx.rules.caller_id import present, present_passed_on
from pbx.rules.decision import AskPasscode, Outside, Reject, Ring, Shown
from pbx.rules.facts import Caller, World
from pbx.rules.opinions import after, ask
from pbx.rules.people import extension_behind, rule_of
from pbx.rules.usage import describe, duration, left_s, limit_of


@immutable
class OutsideCall:
    """One leg to a number outside.

    Attributes:
        payer: the extension that causes it; None for a gateway that no extension is mapped to.
        rule: the outbound rule that counts.
        row: what allows the number in it.
        caller: who dials it, or whose call is passed on.
        cause: "" = it is dialled; else why the extension passes a call on, such as "forwarding".
    """

    office: Office
    world: World
    payer: Extension | None
    rule: OutboundRule | None
    row: AllowedCountry | None
    number: str
    caller: Caller | None
    cause: str = ""

    @property
    def who(self) -> str:
        """Who causes it, in a sentence."""
        if self.payer is not None:
            return self.payer.key
        return f'gateway "{self.caller.gateway}"' if self.caller is not None else "the caller"


Rule = Callable[[OutsideCall], Reject | str | None]


def refuse(why: str, announcement: str = "call-not-allowed") -> Reject:
    """The caller hears why, and 403."""
    return Reject(403, "Forbidden", why, announcement=announcement)


def without_rule(call: OutsideCall) -> Reject | None:
    """Without an outbound rule there are no outside calls."""
    if call.rule is not None:
        return None
    return refuse(f"{call.who} has no outbound rule: it calls nobody outside")


def country(call: OutsideCall) -> Reject | str:
    """Only listed countries are called; satellites, premium numbers and the like are no country."""
    assert call.rule is not None  # `without_rule` came first
    row, name = call.row, f'outbound rule "{call.rule.name}"'
    if row is not None and row.country.startswith("+"):
        return f"{call.number} begins with {row.country}, which {name} allows"
    where = country_of(call.number)
    if row is not None:
        return f"{call.number} is in {where}, which {name} allows"
    if where is None:
        return refuse(f"{call.number} is in no country, and {name} does not list its first digits")
    return refuse(f"{call.number} is in {where}, which {name} does not list", "call-country-not-allowed")


def usage_limit(call: OutsideCall) -> Reject | str | None:
    """Who has used up his limit calls nobody outside."""
    if call.payer is None or limit_of(call.payer).kind == "none":
        return None
    used = call.world.used(call.payer.key)
    what = f"usage limit of {call.payer.key}: {describe(limit_of(call.payer), used)}"
    left = left_s(call.office, call.payer, call.number, used)
    if left == 0:
        return refuse(f"{what}; nothing is left for a call to {call.number}", "call-limit-reached")
    if left is None:
        return f"{what}; a call to {call.number} costs nothing (rate)"
    return f"{what}; a call to {call.number} may last {duration(left)}"


def passcode(call: OutsideCall) -> Reject | str | None:
    """A country with a passcode is dialled only by who can be asked for it, and has one."""
    row = call.row
    if row is None or not row.passcode:
        return None
    wanted = f"{row.country} asks for a passcode"
    if call.cause:
        return refuse(f"{wanted}, which nobody can be asked for: no {call.cause} goes there")
    if call.payer is None or not call.payer.passcode_hash:
        settings = f'office.passcode_missing is "{call.office.settings.passcode_missing}"'
        if call.office.settings.passcode_missing == "refuse":
            return refuse(f"{wanted}, {call.who} has none, and {settings}")
        return f"{wanted}, {call.who} has none, and {settings}"
    if call.world.is_locked(f"passcode {call.payer.key}"):
        return refuse(f"{wanted}, and that of {call.payer.key} is locked", "passcode-locked")
    return f"{wanted}: that of {call.payer.key} is asked for"


def without_trunk(call: OutsideCall) -> Reject | None:
    """The way out."""
    assert call.rule is not None
    if call.rule.trunks:
        return None
    why = f'outbound rule "{call.rule.name}" has no trunk'
    return Reject(503, "Service Unavailable", why, announcement="call-try-later")


ORDER: Final[tuple[Rule, ...]] = (without_rule, country, usage_limit, passcode, without_trunk)


def dial(
    office: Office, world: World, caller: Caller, number: str, remarks: tuple[str, ...]
) -> Reject | Ring | AskPasscode:
    """A phone or gateway dials `number`, in E.164; `remarks` are how that was read."""
    payer, rule = extension_behind(office, caller), rule_of(office, caller)
    row = rule.row_for(number) if rule is not None else None
    call = OutsideCall(office, world, payer, rule, row, number, caller)
    refusal, said = ask(ORDER, call)
    remarks += said
    if isinstance(refusal, Reject):
        return after(remarks, refusal)
    shown, why = present(office, world, payer, rule, number, caller)
    remarks += (why,)
    ring = Ring((), None, f"{number} is called over {_ways(call)}", outside=(_outside(call, shown),))
    if row is None or not row.passcode or payer is None or not payer.passcode_hash:
        return after(remarks, ring)
    asks = f"{payer.key} is asked for its passcode, then {ring.why}"
    return AskPasscode(payer.key, payer.passcode_hash, ring, asks, remarks)


def decide_opened(office: Office, world: World, asked: AskPasscode) -> Ring | Reject:
    """What becomes of a call whose passcode was given: meanwhile others may have used up its limit."""
    (leg,) = asked.then.outside
    payer = office.extension(leg.payer)
    outcome = usage_limit(OutsideCall(office, world, payer, None, None, leg.number, None))
    return outcome if isinstance(outcome, Reject) else asked.then


def pass_on(
    office: Office, world: World, extension: Extension, number: str, original: Caller | None, cause: str
) -> tuple[Outside | Reject, tuple[str, ...]]:
    """An outside leg that an extension causes without dialling, and what was considered."""
    if office.number(number) is not None:
        return refuse(f"{number} is a number of the office: it is not called outside"), ()
    rule = office.outbound_rule(extension.outbound_rule)
    row = rule.row_for(number) if rule is not None else None
    call = OutsideCall(office, world, extension, rule, row, number, original, cause)
    refusal, said = ask(ORDER, call)
    if isinstance(refusal, Reject):
        return refusal, said
    shown, why = present_passed_on(office, world, extension, rule, number, original)
    return _outside(call, shown), (*said, why, f"{extension.key} pays for {number}, over {_ways(call)}")


def decide_outside(
    office: Office, world: World, key: str, number: str, original: Caller | None, *, cause: str
) -> Outside | Reject:
    """A leg to `number`, in E.164, that the extension `key` causes without dialling it: forwarding, no
    answer, transfer, 302. It pays, and its outbound rule counts.

    Args:
        original: whose call is passed on.
        cause: what it is, as a noun: "forwarding", "transfer".
    """
    extension = office.extension(key)
    if extension is None:
        return refuse(f"nobody has the key {key}")
    outcome, remarks = pass_on(office, world, extension, number, original, cause)
    return after(remarks, outcome) if isinstance(outcome, Reject) else outcome


def _outside(call: OutsideCall, shown: Shown) -> Outside:
    assert call.rule is not None
    payer = call.payer.key if call.payer is not None else ""
    return Outside(call.number, payer, shown, call.rule.trunks, rule=call.rule.name)


def _ways(call: OutsideCall) -> str:
    assert call.rule is not None
    return f'{", then ".join(call.rule.trunks)} (outbound rule "{call.rule.name}")'
