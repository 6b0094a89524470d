"""Requests and responses (RFC 3261 §7): start line, headers, body. Typed values are made when asked for."""

from typing import Final

from pbx.errors import UsageError
from pbx.sip.fields import (
    CSeq,
    NameAddr,
    Via,
    parse_cseq,
    parse_name_addr,
    parse_name_addrs,
    parse_number,
    parse_seconds,
    parse_via,
)
from pbx.sip.grammar import REASONS, MalformedMessageError, first_of_commas, split_commas
from pbx.sip.headers import Extra, Headers
from pbx.sip.uri import OpaqueUri, SipUri, parse_uri

__all__ = ["REASONS", "Request", "Response", "is_answerable", "make_response", "render_response"]

# What every message has (RFC 3261 §8.1.1; Max-Forwards is forgiven), and all that an answer needs.
MANDATORY: Final = ("Via", "From", "To", "Call-ID", "CSeq")
_MANDATORY: Final = frozenset(MANDATORY)


class Message:
    """What requests and responses share. A typed value that is none raises MalformedMessageError."""

    __slots__ = ("body", "headers")

    headers: Headers
    body: bytes

    @property
    def start_line(self) -> str:
        raise NotImplementedError

    def render(self) -> bytes:
        """The bytes to send; sets Content-Length.

        Raises:
            UsageError: a line break in the start line.
        """
        body, start = self.body, self.start_line
        self.headers.set_length(len(body))
        if "\r" in start or "\n" in start:
            raise UsageError(f"line break in start line: {start!r}")
        return f"{start}\r\n{self.headers.render()}\r\n".encode("utf-8", "surrogateescape") + body

    @property
    def via(self) -> Via:
        """The top Via, as it was read: what is written into it later (reply_path.py) says nothing new."""
        via: Via | None = self.headers.memo.get("Via")
        if via is None:
            value = self._require("Via")
            if "," in value:
                value = first_of_commas("Via", value)
            via = self.headers.memo["Via"] = parse_via(value)
        return via

    def set_top_via(self, via: Via) -> None:
        """Replace the top Via, leaving others of its line as they are (received and rport, RFC 3581 §4)."""
        headers, text = self.headers, via.render()
        line = headers.first["Via"]
        if "," in line:
            text = ", ".join([text, *split_commas("Via", line)[1:]])
        headers.set_first("Via", text)
        headers.memo["Via"] = via

    @property
    def from_(self) -> NameAddr:
        value: NameAddr | None = self.headers.memo.get("From")
        return self._name_addr("From") if value is None else value

    @property
    def to(self) -> NameAddr:
        value: NameAddr | None = self.headers.memo.get("To")
        return self._name_addr("To") if value is None else value

    @property
    def call_id(self) -> str:
        return self.headers.first.get("Call-ID") or self._require("Call-ID")

    @property
    def cseq(self) -> CSeq:
        cseq: CSeq | None = self.headers.memo.get("CSeq")
        if cseq is None:
            cseq = self.headers.memo["CSeq"] = parse_cseq(self._require("CSeq"))
        return cseq

    @property
    def contacts(self) -> list[NameAddr]:
        """All Contact values; none for "*"."""
        values: list[NameAddr] | None = self.headers.memo.get("Contact")
        if values is not None:
            return values.copy()
        return [] if self.is_star_contact else self._name_addrs("Contact")

    @property
    def is_star_contact(self) -> bool:
        """Whether Contact is "*": every binding (RFC 3261 §10.2.2)."""
        return self.headers.first.get("Contact") == "*" and len(self.headers.get_all("Contact")) == 1

    @property
    def routes(self) -> list[NameAddr]:
        return self._name_addrs("Route")

    @property
    def record_routes(self) -> list[NameAddr]:
        return self._name_addrs("Record-Route")

    @property
    def max_forwards(self) -> int | None:
        value = self.headers.first.get("Max-Forwards")
        return None if value is None else parse_number(value, "Max-Forwards", 255)

    @property
    def expires(self) -> int | None:
        """Seconds; clamped to 2**32 - 1 when larger."""
        value = self.headers.first.get("Expires")
        return None if value is None else parse_seconds(value, "Expires")

    @property
    def content_type(self) -> str | None:
        """The media type in lower case without parameters, None without one."""
        value = self.headers.first.get("Content-Type")
        return None if value is None else value.partition(";")[0].strip(" \t").lower()

    def _require(self, name: str) -> str:
        value = self.headers.first.get(name)
        if value is None:
            raise MalformedMessageError(name, "missing")
        return value

    def _name_addr(self, name: str) -> NameAddr:
        value = self.headers.memo[name] = parse_name_addr(self._require(name), name)
        return value

    def _name_addrs(self, name: str) -> list[NameAddr]:
        if name not in self.headers.first:
            return []
        memo = self.headers.memo
        values: list[NameAddr] | None = memo.get(name)
        if values is None:
            values = memo[name] = parse_name_addrs(self.headers.get_all(name), name)
        return values.copy()

    def __repr__(self) -> str:
        return f"<{self.start_line!r} {self.headers.get('CSeq')!r} {self.headers.get('Call-ID')!r}>"


class Request(Message):
    """A request. Equal to another with the same start line, headers (in order) and body."""

    __slots__ = ("_parsed_uri", "method", "uri")

    def __init__(self, method: str, uri: str, headers: Headers, body: bytes = b"") -> None:
        self.method = method
        self.uri = uri  # the Request-URI as text; it stays
        self.headers = headers
        self.body = body
        self._parsed_uri: SipUri | OpaqueUri | None = None

    @property
    def start_line(self) -> str:
        return f"{self.method} {self.uri} SIP/2.0"

    @property
    def parsed_uri(self) -> SipUri | OpaqueUri:
        """The Request-URI taken apart.

        Raises:
            MalformedMessageError: it is no URI.
        """
        parsed = self._parsed_uri
        if parsed is None:
            parsed = self._parsed_uri = parse_uri(self.uri, "Request-URI")
        return parsed

    def copy(self) -> "Request":
        return Request(self.method, self.uri, self.headers.copy(), self.body)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Request):
            return NotImplemented
        return (self.method, self.uri, self.headers, self.body) == (
            other.method,
            other.uri,
            other.headers,
            other.body,
        )

    __hash__ = None  # type: ignore[assignment]  # mutable: mypy wants a method, Python a None


class Response(Message):
    """A response. Equal to another with the same start line, headers (in order) and body."""

    __slots__ = ("reason", "status")

    def __init__(self, status: int, reason: str, headers: Headers, body: bytes = b"") -> None:
        self.status = status
        self.reason = reason
        self.headers = headers
        self.body = body

    @property
    def start_line(self) -> str:
        return f"SIP/2.0 {self.status} {self.reason}"

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    def copy(self) -> "Response":
        return Response(self.status, self.reason, self.headers.copy(), self.body)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Response):
            return NotImplemented
        return (self.status, self.reason, self.headers, self.body) == (
            other.status,
            other.reason,
            other.headers,
            other.body,
        )

    __hash__ = None  # type: ignore[assignment]  # mutable: mypy wants a method, Python a None


def make_response(request: Request, status: int, reason: str = "", to_tag: str | None = None) -> Response:
    """An answer with what RFC 3261 §8.2.6 has it copy: every Via, From, To, Call-ID, CSeq (a 100: Timestamp).

    Args:
        request: may be one that only `is_answerable`.
        reason: the standard phrase of `status` when empty.
        to_tag: added to To when that has no tag and this is no 100.
    """
    source = request.headers
    headers = source.select(MANDATORY)
    if to_tag is not None and status > 100 and not _has_tag(request):
        headers.set("To", f"{headers.get('To') or ''};tag={to_tag}")
    if status == 100 and (timestamp := source.get("Timestamp")) is not None:
        headers.add("Timestamp", timestamp)
    return Response(status, reason or REASONS.get(status, "Unknown"), headers, b"")


def render_response(
    request: Request,
    status: int,
    reason: str = "",
    to_tag: str | None = None,
    extra: Extra = (),
    body: bytes = b"",
) -> bytes:
    """A final response as octets, without a Response in between, at which nobody would look.

    Args:
        request: a valid one.
        reason: the standard phrase of `status` when empty.
        to_tag: added to To, which has none then.
        extra: headers that follow those which are copied (§8.2.6, as `make_response`).
        body: its type is among `extra`.

    Raises:
        UsageError: a line break in `reason` or `extra`.
    """
    headers = request.headers
    first = headers.first
    added = "".join([reason, *map("".join, extra)])
    if "\n" in added or "\r" in added:
        raise UsageError(f"line break in {reason!r} or {extra!r}")
    via = "\r\nVia: ".join(headers.get_all("Via")) if headers.has_repeated else first["Via"]
    tag = f";tag={to_tag}" if to_tag is not None else ""
    lines = [
        f"SIP/2.0 {status} {reason or REASONS.get(status, 'Unknown')}",
        f"Via: {via}\r\nFrom: {first['From']}\r\nTo: {first['To']}{tag}",
        f"Call-ID: {first['Call-ID']}\r\nCSeq: {first['CSeq']}",
        *map(": ".join, extra),
        f"Content-Length: {len(body)}\r\n\r\n",
    ]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + body


def _has_tag(request: Request) -> bool:
    try:
        return request.to.tag is not None
    except MalformedMessageError:  # answering what could not be read
        return "tag=" in (request.headers.get("To") or "")


def is_answerable(headers: Headers) -> bool:
    """Whether a request with these headers can be given a response at all."""
    return headers.has_all(_MANDATORY)
