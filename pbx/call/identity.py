"""Who is shown to whom: From, P-Asserted-Identity and Privacy between extensions (RFC 3325, RFC 3323)."""

import re
from functools import lru_cache
from typing import Final

from pbx.call.party import Party
from pbx.sip.fields import MAX_REMEMBERED, parse_name_addrs
from pbx.sip.grammar import MalformedMessageError
from pbx.sip.message import Request
from pbx.sip.uri import SipUri, escape_user, user_of

ANONYMOUS_HOST: Final = "anonymous.invalid"  # RFC 3323 §4.1.1.3
ANONYMOUS: Final = f'"Anonymous" <sip:anonymous@{ANONYMOUS_HOST}>'
# What a caller's INVITE may carry to the phone that it rings.
KEPT: Final = ("Diversion", "History-Info", "Subject", "Priority", "Alert-Info", "Call-Info", "Referred-By")
# Of somebody outside not what makes a phone answer by itself, for him to listen to the room.
KEPT_OF_OUTSIDE: Final = tuple(name for name in KEPT if name not in ("Alert-Info", "Call-Info"))

# What no header may hold (RFC 3261 §25.1): control characters and broken UTF-8.
_has_odd: Final = re.compile("[\\x00-\\x08\\x0a-\\x1f\\x7f\\ud800-\\udfff]").search

# Characters of all of them: an INVITE has to fit into UDP, for each place that it rings. The History-Info of
# ten forwards takes half of it.
LONGEST_KEPT: Final = 4000

Extra = tuple[tuple[str, str], ...]


def called_user(request: Request) -> str:
    """Whom a request is for: the user or number in its Request-URI, "" = nobody."""
    return user_of(request.parsed_uri)


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
    key, label = party.key, party.label
    is_short = len(key) + len(label) <= MAX_REMEMBERED
    return (_remembered_name_addr if is_short else _name_addr)(key, label, domain)


def _name_addr(key: str, label: str, domain: str) -> str:
    label = label.replace("\\", "\\\\").replace('"', '\\"')
    user = escape_user(key)  # somebody outside has chosen his
    return f'"{label}" <sip:{user}@{domain}>' if label else f"<sip:{user}@{domain}>"


_remembered_name_addr: Final = lru_cache(2048)(_name_addr)  # four times in each call


def from_value(party: Party, domain: str) -> str:
    """The From value, without tag, of an INVITE on behalf of `party`."""
    return ANONYMOUS if party.is_private else name_addr(party, domain)


def assert_identity(party: Party, domain: str) -> Extra:
    """P-Asserted-Identity for `party`, or Privacy when it hides: a phone is outside of the trust domain."""
    if party.is_private:
        return (("Privacy", "id"),)
    return (("P-Asserted-Identity", name_addr(party, domain)),)


def introduce(party: Party, to: Party, domain: str) -> Extra:
    """Tell a phone who it talks with now; outside nobody learns of our extensions, or of one another."""
    return () if to.is_outside else assert_identity(party, domain)


def kept_headers(request: Request, *, is_outside: bool = False) -> Extra:
    """Headers of the caller's INVITE that are passed on as they are, or not at all."""
    if request.headers.first.keys().isdisjoint(KEPT):
        return ()
    kept: list[tuple[str, str]] = []
    room = LONGEST_KEPT
    for name in KEPT_OF_OUTSIDE if is_outside else KEPT:
        for value in request.headers.get_all(name):
            if len(value) <= room and not _has_odd(value) and not _hides(name, value):
                kept.append((name, value))
                room -= len(value)
    return tuple(kept)


def _hides(name: str, value: str) -> bool:
    """Whether somebody in a Diversion (RFC 5806 §4) or History-Info (RFC 7044 §10.1) wants not to be shown:
    a phone is outside of the trust domain."""
    if name not in ("Diversion", "History-Info"):
        return False
    try:
        each = parse_name_addrs([value], name)
    except MalformedMessageError:
        return True
    if name == "Diversion":
        return any((one.param("privacy") or "off").lower() != "off" for one in each)
    headers = [one.uri.headers for one in each if isinstance(one.uri, SipUri)]
    return any(k.lower() == "privacy" and "history" in v.lower() for one in headers for k, v in one.items())
