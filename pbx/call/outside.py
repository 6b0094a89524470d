"""The INVITE to a trunk or gateway: who is called in the carrier's number format, and who is shown.

RFC 3261 §8.1.1, RFC 3325 (P-Asserted-Identity), RFC 3323 (Privacy), RFC 5806 (Diversion), RFC 7044
(History-Info). Which host From names, and why, is in docs/decisions/trunks.md.
"""

from dataclasses import replace
from typing import Final

from pbx.call.identity import ANONYMOUS
from pbx.call.own_media import extended
from pbx.entropy import Entropy
from pbx.office.gateway import Gateway
from pbx.office.trunk import Trunk
from pbx.rules.caller_id import shown_by
from pbx.rules.decision import Outside, Shown
from pbx.sdp.content import Content, with_codecs
from pbx.sip.grammar import quote
from pbx.sip.headers import Headers
from pbx.sip.message import Request
from pbx.sip.uri import SipUri, parse_uri

MAX_FORWARDS: Final = 70

Lines = list[tuple[str, str]]


def make_invite(
    to: Trunk | Gateway, outside: Outside, domain: str, entropy: Entropy, hops: int | None = None
) -> Request:
    """An INVITE outside of dialogs, without Via, Contact and body.

    Args:
        to: where it goes.
        outside: whom it calls, and who is shown.
        domain: ours.
        entropy: makes From tag, Call-ID and CSeq.
        hops: Max-Forwards of the caller's INVITE, None without one.
    """
    server = server_of(to)
    dialled = outside.number if outside.is_emergency else format_number(outside.number, to)
    called = SipUri(server.scheme, dialled, server.host)
    host = account_of(to).host if to.username else domain
    forwards = MAX_FORWARDS if hops is None else min(hops, MAX_FORWARDS)
    identity = _identity(to, outside.shown, host, called)
    headers = Headers(
        [
            ("Max-Forwards", str(max(forwards - 1, 0))),
            ("From", f"{_from(to, outside.shown, host)};tag={entropy.token()}"),
            ("To", f"<{called}>"),
            ("Call-ID", f"{entropy.token()}{entropy.token()}"),
            ("CSeq", f"{1 + entropy.below(2**15)} INVITE"),
            *identity,
        ]
    )
    return Request("INVITE", replace(server, user=dialled).render(), headers, b"")


def contact_user(to: Trunk | Gateway, shown: Shown) -> str:
    """The user of our Contact: the account, as it registers; without one, the number that is shown."""
    if to.username:
        return account_of(to).user or ""
    return "" if shown.is_hidden else format_number(shown.number, to)


def format_number(number: str, to: Trunk | Gateway) -> str:
    """A number of E.164 as the carrier wants it; anything else, and all for a gateway, as it is."""
    if isinstance(to, Gateway) or not number.startswith("+"):
        return number
    return to.prefix + number[1:]


def server_of(to: Trunk | Gateway) -> SipUri:
    """The address of a trunk's or gateway's server."""
    uri = parse_uri(to.server, "server")
    assert isinstance(uri, SipUri)  # the office takes nothing else
    return uri


def account_of(to: Trunk | Gateway) -> SipUri:
    """Our address-of-record at the carrier; a user name may bring its own domain."""
    server = server_of(to)
    user, at, domain = to.username.rpartition("@")
    return SipUri("sip", user, domain) if at else SipUri("sip", to.username or None, server.host)


def order_codecs(content: Content, codecs: tuple[str, ...]) -> Content:
    """An offer with only these codecs, in this order, and what accompanies them (telephone-event).

    Where the caller has none of them, those among them that the PBX translates.
    """
    wanted = frozenset(codecs)
    is_enough = all(
        line.rejected or any(each.name in wanted for each in line.formats)
        for line in content.lines
        if line.kind == "audio"
    )
    return with_codecs(content if is_enough else extended(content), codecs)


def _from(to: Trunk | Gateway, shown: Shown, host: str) -> str:
    number = format_number(shown_by(to, shown), to)
    if shown.is_hidden or not (number or to.username):
        return ANONYMOUS  # RFC 3323 §4.1.1.3
    return _name_addr(shown.name, number or account_of(to).user or "", host)


def _identity(to: Trunk | Gateway, shown: Shown, host: str, called: SipUri) -> Lines:
    """What the carrier, whom we trust with it (RFC 3325 §6), is told besides."""
    lines: Lines = []
    number = shown_by(to, shown)
    if number:
        name = "" if shown.is_hidden else shown.name
        lines.append(("P-Asserted-Identity", _name_addr(name, format_number(number, to), host)))
    if shown.is_hidden:
        lines.append(("Privacy", "id"))
    if shown.original and number != shown.original:
        original = SipUri("sip", format_number(shown.original, to), host)
        privacy = "full" if shown.is_hidden else "off"
        # Which of a forward's reasons it was, nobody outside needs to know (RFC 5806 §9.1).
        lines.append(("Diversion", f"<{original}>;reason=unknown;counter=1;privacy={privacy}"))
        hidden = "?Privacy=history" if shown.is_hidden else ""
        lines.append(("History-Info", f"<{original}{hidden}>;index=1, <{called}>;index=1.1;mp=1"))
    return lines


def _name_addr(name: str, user: str, host: str) -> str:
    uri = SipUri("sip", user, host)
    return f"{quote(name)} <{uri}>" if name else f"<{uri}>"
