"""What we understand: methods, extensions, encodings (RFC 3261 §8.2, §20.5, §20.37)."""

from functools import lru_cache
from typing import Final

from pbx.errors import PeerError
from pbx.sip.grammar import split_commas
from pbx.sip.headers import MAX_REMEMBERED, Headers
from pbx.sip.message import Request
from pbx.sip.refusal import Refusal
from pbx.sip.uri import SipUri

ALLOW: Final = (
    "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, PRACK, UPDATE, REFER, SUBSCRIBE, NOTIFY, INFO, MESSAGE"
)
METHODS: Final = frozenset(ALLOW.split(", "))
RECOGNISED: Final = METHODS | {"PUBLISH"}
SUPPORTED: Final = "100rel, replaces, timer, norefersub, outbound, path"
WITHOUT_100REL: Final = SUPPORTED.replace("100rel, ", "")
OPTION_TAGS: Final = frozenset((*SUPPORTED.split(", "), "histinfo", "from-change"))


def check_understood(request: Request) -> None:
    """What every request must meet before anybody looks at it (§8.2.1 to §8.2.3).

    Raises:
        PeerError: 400, 405, 415, 416, 420 or 501.
    """
    if request.method not in METHODS:
        status, reason = (
            (405, "Method Not Allowed") if request.method in RECOGNISED else (501, "Not Implemented")
        )
        raise Refusal(status, reason, (("Allow", ALLOW),))
    uri = request.parsed_uri
    if not isinstance(uri, SipUri) and (uri.scheme != "tel" or request.method == "REGISTER"):
        raise PeerError(416, "Unsupported URI Scheme")
    first = request.headers.first
    if "Require" in first:
        unknown = [tag for tag in request.headers.values("Require") if tag.lower() not in OPTION_TAGS]
        if unknown:
            raise Refusal(420, "Bad Extension", (("Unsupported", ", ".join(unknown)),))
    if "Replaces" in first and request.method != "INVITE":
        raise PeerError(400, "Replaces Belongs In An INVITE")  # RFC 3891 §3
    encoding = first.get("Content-Encoding")
    if encoding and encoding.lower() != "identity":
        raise Refusal(415, "Unsupported Media Type", (("Accept-Encoding", "identity"),))


def option_tags(headers: Headers, name: str) -> frozenset[str]:
    """Those of a header (Supported, Require), in lower case (§19.2).

    Raises:
        MalformedMessageError: a quote that never closes.
    """
    if name not in headers.first:
        return frozenset()
    lines = tuple(headers.get_all(name))
    return (_remembered_tags if sum(map(len, lines)) <= MAX_REMEMBERED else _tags)(lines)


def _tags(lines: tuple[str, ...]) -> frozenset[str]:
    return frozenset([tag.lower() for line in lines for tag in split_commas("option tags", line)])


_remembered_tags: Final = lru_cache(64)(_tags)  # phones of a kind say the same in each of their calls


def wants_tls(request: Request) -> bool:
    """Whether its sender counts on TLS all the way: its Request-URI is sips: (§26.2.2)."""
    uri = request.parsed_uri
    return isinstance(uri, SipUri) and uri.is_secure


def sips_not_allowed(host: str) -> Refusal:
    """The answer to one that came without TLS (RFC 5630 §5.1.2): by sip:, which promises nothing, it may ask.

    Args:
        host: ours, with its port, which warns.
    """
    return Refusal(480, "Temporarily Unavailable", (("Warning", f'380 {host} "SIPS Not Allowed"'),))
