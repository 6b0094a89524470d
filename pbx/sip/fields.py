"""Typed values of header fields (RFC 3261 §20 and the RFCs named below).

Every `parse_*` takes the unfolded text of one value and raises only MalformedMessageError. Parameters keep
their values as written, quotes too, so that what is passed on stays exact; `param()` takes the quotes off.
"""

import re
from collections.abc import Mapping
from dataclasses import field
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from pbx.immutable import immutable
from pbx.sip.grammar import (
    HOST,
    QUOTED,
    SWS,
    TOKEN,
    MalformedMessageError,
    parse_ipv6,
    parse_params,
    quote,
    render_params,
    split_commas,
    unquote,
    unquote_matched,
)
from pbx.sip.uri import OpaqueUri, SipUri, parse_uri

MAX_REMEMBERED: Final = 200  # characters of a value worth remembering
MAX_CSEQ: Final = 2**31 - 1  # RFC 3261 §8.1.1.5
MAX_SECONDS: Final = 2**32 - 1  # RFC 3261 §20.19

# name-addr / addr-spec, then parameters. A display name without quotes is read leniently (RFC 4475 §3.1.2.15
# has one that is no row of tokens, and asks to be accepted).
_NAME_ADDR = re.compile(
    rf"{SWS}(?:(?:({QUOTED}){SWS}|([^\"<>]*+))<{SWS}([^<> \t]*+){SWS}>|([^\"<>;,? \t]++))"
    rf"{SWS}(;.*+)?",
    re.DOTALL,
)
# via-parm = sent-protocol LWS sent-by *( SEMI via-params ), white space where SLASH and COLON allow it
_VIA = re.compile(
    rf"{SWS}{TOKEN}{SWS}/{SWS}{TOKEN}{SWS}/{SWS}({TOKEN})[ \t]++({HOST})"
    rf"{SWS}(?::{SWS}([0-9]{{1,5}}))?"
    rf"{SWS}(;.*+)?",
    re.DOTALL,
)
# The same as nearly every phone writes it.
_PLAIN_VIA = re.compile(
    rf"SIP/2\.0/(UDP|TCP|TLS) ([0-9.]++):([0-9]{{1,5}})(;rport)?;branch=({TOKEN})(;rport)?"
)
_CSEQ = re.compile(rf"([0-9]++)[ \t]++({TOKEN})")
_RACK = re.compile(rf"([0-9]++)[ \t]++([0-9]++)[ \t]++({TOKEN})")
_LEADING_TOKEN = re.compile(rf"({TOKEN}(?:/{TOKEN})?){SWS}")
_NO_PARAMS: Final[Mapping[str, Any]] = MappingProxyType({})
_DISPLAY_TOKENS = re.compile(rf"{TOKEN}(?: {TOKEN})*").fullmatch


@immutable
class NameAddr:
    """A display name, a URI and header parameters: From, To, Contact, Route, Refer-To (RFC 3261 §20.10)."""

    display: str
    uri: SipUri | OpaqueUri
    params: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def tag(self) -> str | None:
        return self.params.get("tag")

    def param(self, name: str) -> str | None:
        """The value of a parameter without quotes; "" for one without a value; None when it is not there."""
        if name not in self.params:
            return None
        return unquote(self.params[name] or "")

    def render(self) -> str:
        uri = self.uri.render()
        tail = render_params(self.params) if self.params else ""
        if not self.display:
            return f"<{uri}>{tail}"
        if _DISPLAY_TOKENS(self.display):
            return f"{self.display} <{uri}>{tail}"
        return f"{quote(self.display)} <{uri}>{tail}"

    __str__ = render


def parse_name_addr(text: str, field: str = "name-addr") -> NameAddr:
    # The same From and To come with every message of a dialog, the same Contact with every call of a phone:
    # those of the calls of a few seconds would drive out these.
    if len(text) > MAX_REMEMBERED:
        return _parse_name_addr(text, field)
    return _remembered_contact(text, field) if field == "Contact" else _remembered_name_addr(text, field)


def _parse_name_addr(text: str, field: str) -> NameAddr:
    match = _NAME_ADDR.fullmatch(text)
    if match is None:
        raise MalformedMessageError(field, text)
    quoted, words, bracketed, bare, params = match.groups()
    display = unquote_matched(quoted) if quoted else words.strip(" \t") if words else ""
    uri = parse_uri(bracketed if bare is None else bare, field)
    return NameAddr(display, uri, MappingProxyType(parse_params(field, params)) if params else _NO_PARAMS)


_remembered_name_addr = lru_cache(maxsize=2048)(_parse_name_addr)
_remembered_contact = lru_cache(maxsize=4096)(_parse_name_addr)


def parse_name_addrs(lines: list[str], field: str) -> list[NameAddr]:
    """All values of a header that may be a comma list, given its lines."""
    if len(lines) == 1 and "," not in lines[0]:
        return [parse_name_addr(lines[0], field)]
    return [parse_name_addr(value, field) for line in lines for value in split_commas(field, line)]


@immutable
class Via:
    """One hop that the request took (RFC 3261 §20.42, RFC 3581)."""

    transport: str  # in capitals
    host: str  # IPv6 without brackets
    port: int | None = None
    params: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def branch(self) -> str | None:
        return self.params.get("branch")

    @property
    def received(self) -> str | None:
        """The received parameter, IPv6 without brackets (RFC 5118 §4.5: both forms are seen)."""
        value = self.params.get("received")
        if not value or ":" not in value:
            return value
        try:
            return parse_ipv6(value)
        except ValueError:
            return None

    def render(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        sent_by = host if self.port is None else f"{host}:{self.port}"
        return f"SIP/2.0/{self.transport} {sent_by}{render_params(self.params)}"

    __str__ = render


def parse_via(text: str) -> Via:
    """Read one via-parm (split a line that holds several first)."""
    match = _PLAIN_VIA.fullmatch(text)
    if match is not None:
        transport, host, port_text, early, branch, late = match.groups()
        if len(port_text) < 5 or int(port_text) < 65536:
            plain: dict[str, str | None] = {"branch": branch}
            if early is not None:
                plain = {"rport": None, "branch": branch}
            elif late is not None:
                plain["rport"] = None
            return Via(transport, host, int(port_text), plain)
    match = _VIA.fullmatch(text)
    if match is None:
        raise MalformedMessageError("Via", text)
    transport, host, port_text, params = match.groups()
    port = int(port_text) if port_text else None
    if port is not None and port > 65535:
        raise MalformedMessageError("Via", text)
    if host[0] == "[":
        try:
            host = parse_ipv6(host)
        except ValueError:
            raise MalformedMessageError("Via", text) from None
    return Via(transport.upper(), host, port, parse_params("Via", params) if params else {})


class CSeq(NamedTuple):
    number: int
    method: str

    def render(self) -> str:
        return f"{self.number} {self.method}"


@lru_cache(maxsize=1024)
def parse_cseq(text: str) -> CSeq:
    match = _CSEQ.fullmatch(text) if len(text) <= MAX_REMEMBERED else None
    if match is None or len(match[1]) > 32 or (number := int(match[1])) > MAX_CSEQ:
        raise MalformedMessageError("CSeq", text)
    return CSeq(number, match[2])


class RAck(NamedTuple):
    """Which provisional response a PRACK acknowledges (RFC 3262 §7.2)."""

    rseq: int
    cseq: int
    method: str

    def render(self) -> str:
        return f"{self.rseq} {self.cseq} {self.method}"


def parse_rack(text: str) -> RAck:
    match = _RACK.fullmatch(text)
    if match is None:
        raise MalformedMessageError("RAck", text)
    return RAck(parse_number(match[1], "RAck"), parse_number(match[2], "RAck"), match[3])


def parse_number(text: str, field: str, limit: int = MAX_SECONDS) -> int:
    """1*DIGIT within `limit`; leading zeros are fine.

    Raises:
        MalformedMessageError: anything else, or too large.
    """
    if not (text.isascii() and text.isdigit()) or len(text) > 32 or (number := int(text)) > limit:
        raise MalformedMessageError(field, text)
    return number


def parse_seconds(text: str, field: str) -> int:
    """delta-seconds, clamped to 2**32 - 1 when larger (RFC 4475 §3.1.2.4: as if it were the largest).

    What may follow them in Retry-After, a comment and parameters, is left out.
    """
    return (_remembered_seconds if len(text) <= MAX_REMEMBERED else _parse_seconds)(text, field)


def _parse_seconds(text: str, field: str) -> int:
    seconds = text.partition(";")[0].partition("(")[0].strip(" \t")
    if not (seconds.isascii() and seconds.isdigit()):
        raise MalformedMessageError(field, text)
    return min(int(seconds), MAX_SECONDS) if len(seconds) <= 32 else MAX_SECONDS


_remembered_seconds = lru_cache(maxsize=256)(_parse_seconds)


def parse_q(text: str) -> float:
    """qvalue: 0 to 1 with up to three digits (RFC 3261 §25.1); more digits are tolerated."""
    if re.fullmatch(r"0(?:\.[0-9]{0,8})?|1(?:\.0{0,8})?|\.[0-9]{1,8}", text) is None:
        raise MalformedMessageError("q", text)
    return float(text)


class SessionExpires(NamedTuple):
    """How long a session lives without a refresh, and who refreshes: "uac", "uas" or None (RFC 4028 §4)."""

    seconds: int
    refresher: str | None = None

    def render(self) -> str:
        return f"{self.seconds};refresher={self.refresher}" if self.refresher else str(self.seconds)


def parse_session_expires(text: str) -> SessionExpires:
    seconds, semicolon, rest = text.partition(";")
    refresher = parse_params("Session-Expires", semicolon + rest).get("refresher")
    if refresher is not None and (refresher := refresher.lower()) not in ("uac", "uas"):
        raise MalformedMessageError("Session-Expires", text)
    return SessionExpires(parse_seconds(seconds, "Session-Expires"), refresher)


@immutable
class Replaces:
    """The dialog that an INVITE takes the place of (RFC 3891 §6.1)."""

    call_id: str
    to_tag: str
    from_tag: str
    is_early_only: bool = False

    def render(self) -> str:
        early = ";early-only" if self.is_early_only else ""
        return f"{self.call_id};to-tag={self.to_tag};from-tag={self.from_tag}{early}"


def parse_replaces(text: str) -> Replaces:
    call_id, semicolon, rest = text.partition(";")
    params = parse_params("Replaces", semicolon + rest)
    to_tag, from_tag = params.get("to-tag"), params.get("from-tag")
    if not (call_id := call_id.strip(" \t")) or not to_tag or not from_tag:
        raise MalformedMessageError("Replaces", text)
    return Replaces(call_id, to_tag, from_tag, "early-only" in params)


@immutable
class Valued:
    """A token and its parameters: Event, Subscription-State, Content-Type, Content-Disposition, Join ..."""

    value: str
    params: Mapping[str, str | None] = field(default_factory=dict)

    def param(self, name: str) -> str | None:
        """The value of a parameter without quotes; "" for one without a value; None when it is not there."""
        if name not in self.params:
            return None
        return unquote(self.params[name] or "")

    def render(self) -> str:
        return self.value + render_params(self.params)

    __str__ = render


def parse_valued(text: str, field: str) -> Valued:
    match = _LEADING_TOKEN.match(text)
    if match is None:
        raise MalformedMessageError(field, text)
    return Valued(match[1], parse_params(field, text[match.end() :]))


@immutable
class Event:
    """An event package and which subscription to it (RFC 6665 §8.2.1)."""

    package: str
    id: str | None = None
    params: Mapping[str, str | None] = field(default_factory=dict)

    def render(self) -> str:
        params = {**self.params, "id": self.id} if self.id is not None else self.params
        return self.package + render_params(params)


def parse_event(text: str) -> Event:
    valued = parse_valued(text, "Event")
    params = {name: value for name, value in valued.params.items() if name != "id"}
    return Event(valued.value, valued.param("id"), params)
