"""SIP and SIPS URIs (RFC 3261 §19.1), numbers of tel: URIs (RFC 3966), and other schemes, only carried."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote as escape
from urllib.parse import unquote as unescape

from pbx.sip.grammar import HOST, MalformedMessageError, parse_ipv6

# SIP-URI = "sip:" [ userinfo ] hostport uri-parameters [ headers ]; the user part is read leniently, for
# phones put "#" and the like there. Nothing may hold white space, quotes or angle brackets.
_SIP = re.compile(
    rf"(?P<scheme>sips?):(?:(?P<user>[^@: \t<>\"]++)(?::(?P<password>[^@ \t<>\"]*+))?@)?(?P<host>{HOST})"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<params>(?:;[^;?@ \t<>\"]++)*)(?:\?(?P<headers>[^@ \t<>\"]++))?",
    re.IGNORECASE | re.ASCII,
)
# absoluteURI = scheme ":" ( hier-part / opaque-part )
_OTHER = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*+):([^ \t<>\"]++)")
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")

_VISUAL: Final = str.maketrans("", "", "-.()")  # RFC 3966 §3, visual-separator
# What needs no escape beside letters, digits and -._~ in a user, a password, a parameter, a header.
_MARK: Final = "!*'()"
_USER_SAFE: Final = _MARK + "&=+$,;?/"
_PASSWORD_SAFE: Final = _MARK + "&=+$,"
_PARAM_SAFE: Final = _MARK + "[]/:&+$"
_HEADER_SAFE: Final = _MARK + "[]/?:+$"
# RFC 3261 §19.1.4: these matter even when only one of two URIs has them.
_TELLING: Final = ("transport", "user", "ttl", "method", "maddr")


@dataclass(frozen=True, slots=True, eq=False)
class SipUri:
    """A sip: or sips: URI, unescaped; equal as RFC 3261 §19.1.4 says, which is not transitive.

    A parsed URI renders exactly as it came; one made or `dataclasses.replace`d is escaped anew.
    """

    scheme: str
    user: str | None
    host: str  # as written; IPv6 without its brackets
    port: int | None = None
    params: Mapping[str, str | None] = field(default_factory=dict)  # names in lower case
    headers: Mapping[str, str] = field(default_factory=dict)
    password: str | None = None
    _text: str = field(default="", init=False, repr=False)

    @property
    def is_secure(self) -> bool:
        return self.scheme == "sips"

    @property
    def transport(self) -> str | None:
        """The transport parameter in capitals, or None."""
        value = self.params.get("transport")
        return value.upper() if value else None

    def render(self) -> str:
        return self._text or self._compose()

    __str__ = render

    def _compose(self) -> str:
        parts = [self.scheme, ":"]
        if self.user is not None:
            parts.append(_escape(self.user, _USER_SAFE))
            if self.password is not None:
                parts += ":", _escape(self.password, _PASSWORD_SAFE)
            parts.append("@")
        parts.append(f"[{self.host}]" if ":" in self.host else self.host)
        if self.port is not None:
            parts.append(f":{self.port}")
        for name, value in self.params.items():
            parts += ";", _escape(name, _PARAM_SAFE)
            if value is not None:
                parts += "=", _escape(value, _PARAM_SAFE)
        pairs = [f"{_escape(n, _HEADER_SAFE)}={_escape(v, _HEADER_SAFE)}" for n, v in self.headers.items()]
        return "".join(parts) + ("?" + "&".join(pairs) if pairs else "")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SipUri):
            return NotImplemented
        return (
            self._identity() == other._identity() and self._same_params(other) and self._same_headers(other)
        )

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[str, str | None, str | None, str, int | None]:
        return self.scheme, self.user, self.password, self.host.lower(), self.port

    def _same_params(self, other: "SipUri") -> bool:
        mine, theirs = self.params, other.params
        if not mine and not theirs:
            return True
        if any((name in mine) != (name in theirs) for name in _TELLING):
            return False
        return all((mine[n] or "").lower() == (theirs[n] or "").lower() for n in mine if n in theirs)

    def _same_headers(self, other: "SipUri") -> bool:
        mine = {name.lower(): value for name, value in self.headers.items()}
        return mine == {name.lower(): value for name, value in other.headers.items()}


@dataclass(frozen=True, slots=True)
class OpaqueUri:
    """A URI of another scheme (tel:, urn:, mailto: ...), not looked into."""

    scheme: str
    rest: str

    def render(self) -> str:
        return f"{self.scheme}:{self.rest}"

    __str__ = render


def user_of(uri: SipUri | OpaqueUri) -> str:
    """Whom a URI names: its user, or the number of a tel: URI without visual separators; "" = nobody."""
    if isinstance(uri, SipUri):
        return uri.user or ""
    return _unescape(uri.rest.partition(";")[0]).translate(_VISUAL) if uri.scheme == "tel" else ""


def host_of(uri: SipUri | OpaqueUri) -> str:
    """Where that user is known: at a host, or in the phone-context of a tel: URI (RFC 3966 §5.1.5), which is
    a domain, or "+" and the first digits of global numbers; "" = everywhere, or it does not say."""
    if isinstance(uri, SipUri):
        return uri.host
    for part in uri.rest.split(";")[1:]:
        name, _, value = part.partition("=")
        if name.lower() == "phone-context" and uri.scheme == "tel":
            return value.translate(_VISUAL) if value.startswith("+") else value
    return ""


def parse_uri(text: str, field: str = "URI") -> SipUri | OpaqueUri:
    """Read a URI that has neither angle brackets nor white space around it.

    Raises:
        MalformedMessageError: naming `field`.
    """
    try:
        # The same few URIs come again and again: remembering them saves a third of reading a message.
        return _remembered(text) if len(text) <= 200 else _parse(text)
    except ValueError:
        raise MalformedMessageError(field, text) from None


def _parse(text: str) -> SipUri | OpaqueUri:
    match = _SIP.fullmatch(text)
    if match is None:
        return _parse_other(text)
    scheme, user, password, host, port_text, params_text, headers_text = match.groups()
    if "%" in text:
        if _BAD_ESCAPE.search(text):
            raise ValueError
        user = user and _unescape(user)
        password = password and _unescape(password)
    if host[0] == "[":
        host = parse_ipv6(host)
    port = None
    if port_text is not None and (port := int(port_text)) > 65535:
        raise ValueError
    uri = SipUri(
        scheme.lower(),
        user,
        host,
        port,
        _uri_params(params_text) if params_text else _NOTHING,
        _uri_headers(headers_text) if headers_text else _NOTHING,
        password,
    )
    object.__setattr__(uri, "_text", text)
    return uri


_remembered = lru_cache(maxsize=4096)(_parse)  # a few of each phone


def _parse_other(text: str) -> OpaqueUri:
    match = _OTHER.fullmatch(text)
    if match is None or match[1].lower() in ("sip", "sips"):
        raise ValueError
    return OpaqueUri(match[1].lower(), match[2])


def _uri_params(params_text: str) -> Mapping[str, str | None]:
    params: dict[str, str | None] = {}
    for part in params_text[1:].split(";"):
        name, equals, value = part.partition("=")
        if not name:
            raise ValueError
        if "%" in part:
            name, value = _unescape(name), _unescape(value)
        given = value if equals else None
        # RFC 3261 §19.1.1: no parameter twice; but some phones write the same one again.
        if params.setdefault(name.lower(), given) != given:
            raise ValueError
    return MappingProxyType(params)


def _uri_headers(headers_text: str) -> Mapping[str, str]:
    headers: dict[str, str] = {}
    for part in headers_text.split("&"):
        name, equals, value = part.partition("=")
        if not name or not equals:
            raise ValueError
        headers.setdefault(_unescape(name), _unescape(value))
    return MappingProxyType(headers)


def _unescape(text: str) -> str:
    return unescape(text, errors="surrogateescape") if "%" in text else text


def escape_user(user: str) -> str:
    """A user part as a URI writes it (RFC 3261 §25.1)."""
    return _escape(user, _USER_SAFE)


def _escape(text: str, safe: str) -> str:
    if text.isalnum() and text.isascii():  # as numbers and most names are
        return text
    return escape(text, safe, errors="surrogateescape")
