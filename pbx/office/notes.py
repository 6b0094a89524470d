"""What is remarked of an office without a mistake: it was probably meant otherwise."""

from collections.abc import Collection, Iterator, Mapping, Set

from pbx.office.extension import Extension
from pbx.office.snapshot import Office


def notes(office: Office, approved: Mapping[str, Set[str]]) -> list[str]:
    """What is allowed and has no effect, or probably not the one that was meant.

    Args:
        approved: further caller IDs of extensions, by key.
    """
    found: list[str] = []
    for extension in office.extensions:
        remarks = [
            *_extension_notes(extension),
            *_caller_id_notes(office, extension, approved.get(extension.key, ())),
        ]
        found += [f'extension "{extension.key}": {remark}' for remark in remarks]
    for trunk in office.trunks:
        if trunk.username and not trunk.password:
            found.append(f'trunk "{trunk.name}": there is a username and no password')
    for gateway in office.gateways:
        if gateway.username and not gateway.password:
            found.append(f'gateway "{gateway.name}": there is a username and no password')
    return found


def _caller_id_notes(office: Office, extension: Extension, approved: Collection[str]) -> Iterator[str]:
    """A request may be approved later, or what was approved rejected: until then another number is shown."""
    caller_id = extension.caller_id
    for number in dict.fromkeys((caller_id.number, *caller_id.assigned)):
        if number and number not in approved and not office.is_own(number, extension):
            what = "neither an office number nor the mobile of the assignee"
            yield f"{number} is {what}: it is not shown until a request for it is approved (pbx caller-id)"


def _extension_notes(extension: Extension) -> Iterator[str]:
    plain = Extension(extension.key)
    if extension.type == "call_centre" and extension.no_answer != plain.no_answer:
        yield "no_answer has no effect on a call_centre extension"
    if extension.type == "call_centre" and extension.usage_limit != plain.usage_limit:
        yield "usage_limit has no effect on a call_centre extension"
    outside = extension.incoming.forward.number or extension.no_answer.forward_to
    if outside and not extension.outbound_rule:
        yield f"calls cannot be forwarded to {outside}: the extension has no outbound_rule"
    if extension.incoming.gateway and (
        extension.incoming.forward.enabled or extension.incoming.do_not_disturb
    ):
        yield "it is mapped to a gateway, so forwarding and do-not-disturb have no effect"
