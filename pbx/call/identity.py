"""Who is shown to whom: From, P-Asserted-Identity and Privacy between extensions (RFC 3325, RFC 3323)."""

from typing import Final

from pbx.call.leg import Party
from pbx.sip.message import Request
from pbx.sip.uri import SipUri

ANONYMOUS_HOST: Final = "anonymous.invalid"  # RFC 3323 §4.1.1.3
ANONYMOUS: Final = f'"Anonymous" <sip:anonymous@{ANONYMOUS_HOST}>'
# What a caller's INVITE may carry to the phone that it rings.
KEPT: Final = ("Diversion", "History-Info", "Subject", "Priority", "Alert-Info", "Call-Info", "Referred-By")

Extra = tuple[tuple[str, str], ...]


def wants_privacy(request: Request) -> bool:
    """The caller asks that its identity is not shown (RFC 3323 §4.2), or does not show it (§4.1.1.3)."""
    if isinstance(request.from_.uri, SipUri) and request.from_.uri.host.lower() == ANONYMOUS_HOST:
        return True
    if "Privacy" not in request.headers.first:
        return False
    wishes = {
        wish.strip().lower() for value in request.headers.get_all("Privacy") for wish in value.split(";")
    }
    return bool(wishes & {"id", "user", "header"})


def name_addr(party: Party, domain: str) -> str:
    """A party as a name-addr: `"Ann" <sip:100@pbx.local>`."""
    label = party.label.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{label}" <sip:{party.key}@{domain}>' if label else f"<sip:{party.key}@{domain}>"


def from_value(party: Party, domain: str) -> str:
    """The From value, without tag, of an INVITE on behalf of `party`."""
    return ANONYMOUS if party.is_private else name_addr(party, domain)


def assert_identity(party: Party, domain: str) -> Extra:
    """P-Asserted-Identity for `party`, or Privacy when it hides: a phone is outside of the trust domain."""
    if party.is_private:
        return (("Privacy", "id"),)
    return (("P-Asserted-Identity", name_addr(party, domain)),)


def connected_identity(party: Party, to: Party, domain: str) -> Extra:
    """Who talks with `to` now, if that is somebody in the office: outside nobody learns of our extensions."""
    return () if to.is_outside else assert_identity(party, domain)


def kept_headers(request: Request) -> Extra:
    """Headers of the caller's INVITE that are passed on as they are."""
    if request.headers.first.keys().isdisjoint(KEPT):
        return ()
    return tuple((name, value) for name in KEPT for value in request.headers.get_all(name))
