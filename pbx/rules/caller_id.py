"""Who an outside callee is shown (product §3): never a number that is not ours to show."""

from pbx.office.extension import Extension
from pbx.office.gateway import Gateway
from pbx.office.outbound_rule import OutboundRule
from pbx.office.snapshot import Office
from pbx.office.trunk import Trunk
from pbx.rules.decision import Shown
from pbx.rules.facts import Caller, World
from pbx.rules.number import to_e164


def may_show(office: Office, world: World, extension: Extension | None, number: str) -> bool:
    """Whether a number is the office's, the mobile of the extension's member, or of an approved request."""
    if not number:
        return False
    if office.is_own(number, extension):
        return True
    return extension is not None and number in world.approved_numbers(extension.key)


def choose(
    office: Office, world: World, extension: Extension | None, rule: OutboundRule | None, number: str
) -> tuple[str, str]:
    """The number shown to the callee `number`, and why: caller-ID plan, extension, the office's first."""
    row = rule.caller_id_row(number) if rule is not None else None
    if rule is not None and row is not None and may_show(office, world, extension, row.number):
        where = f"{row.country} {row.prefix}".strip()
        return row.number, f'{row.number} is shown: caller-ID plan of outbound rule "{rule.name}" for {where}'
    if extension is not None:
        mode = extension.caller_id.mode
        wanted = _by_mode(office, world, extension)
        if wanted:
            turns = ": another one each time" if mode == "random" else ""
            return wanted, f"{wanted} is shown: caller ID of {extension.key} ({mode}{turns})"
    return _first(office)


def callback(office: Office, world: World, extension: Extension | None) -> tuple[str, str]:
    """The number that an emergency service is shown: always the same one, which calls the phone back."""
    if extension is not None:
        for number in (extension.caller_id.number, *extension.caller_id.assigned):
            if may_show(office, world, extension, number):
                return number, f"{number} is shown: the number of the phone's own extension {extension.key}"
    return _first(office)


def shown_by(to: Trunk | Gateway, shown: Shown) -> str:
    """The number in From: the outside caller's, where the carrier takes such numbers; else ours."""
    is_foreign_fine = isinstance(to, Gateway) or to.foreign_caller_id
    return shown.original if shown.original and is_foreign_fine else shown.number


def present(
    office: Office,
    world: World,
    extension: Extension | None,
    rule: OutboundRule | None,
    number: str,
    caller: Caller,
) -> tuple[Shown, str]:
    """What the callee `number` sees of a call that `caller` makes himself."""
    shown, why = choose(office, world, extension, rule, number)
    if caller.is_private:
        return Shown(shown, is_hidden=True), "the caller is not shown: he hides his number"
    return Shown(shown), why


def present_passed_on(
    office: Office,
    world: World,
    extension: Extension,
    rule: OutboundRule | None,
    number: str,
    original: Caller | None,
) -> tuple[Shown, str]:
    """What the callee `number` sees of a call by `original` that `extension` forwards or transfers.

    `caller_id.forwarded` = "caller": an extension's own number, or a number outside as `Shown.original`.
    """
    shown, why = choose(office, world, extension, rule, number)
    if original is None or extension.caller_id.forwarded == "extension":
        return Shown(shown), why
    setting = f'caller_id.forwarded of {extension.key} is "caller"'
    inside = office.extension(original.key) if original.key else None
    if inside is not None:
        shown, why = choose(office, world, inside, rule, number)
        return Shown(shown, is_hidden=original.is_private), f"{setting}: {why}"
    theirs = to_e164(original.number, office.settings.country)
    if original.is_private or not original.number:
        return Shown(shown, is_hidden=True), f"{setting}, and the caller hides his number"
    if not theirs:
        return Shown(shown), why
    return Shown(shown, original=theirs), f"{setting}: {theirs} is shown where the trunk allows it"


def _by_mode(office: Office, world: World, extension: Extension) -> str:
    """The number of an extension's settings; "" = none that may be shown."""
    caller_id = extension.caller_id
    if caller_id.mode == "fixed":
        return caller_id.number if may_show(office, world, extension, caller_id.number) else ""
    allowed = [each for each in caller_id.assigned if may_show(office, world, extension, each)]
    if caller_id.mode == "assigned":
        return caller_id.number if caller_id.number in allowed else next(iter(allowed), "")
    allowed = allowed or [each.number for each in office.numbers]
    return allowed[int(world.chance * len(allowed))] if allowed else ""


def _first(office: Office) -> tuple[str, str]:
    if not office.numbers:
        return "", "no number is shown: the office has none"
    number = office.numbers[0].number
    return number, f"{number} is shown: the office's first number"
