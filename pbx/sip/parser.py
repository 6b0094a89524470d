"""From bytes to messages (RFC 3261 §7, §18.3): framing is strict, what a header says is looked at later.

Only here terseness is bought for speed: bench/parts/parse.py has the numbers.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from pbx.immutable import immutable
from pbx.sip.fields import parse_cseq, parse_name_addr, parse_seconds, parse_via
from pbx.sip.grammar import MalformedMessageError, first_of_commas, is_token
from pbx.sip.headers import MAX_REMEMBERED, NAMES, Headers, canonical_name
from pbx.sip.message import MANDATORY, Request, Response, is_answerable
from pbx.sip.uri import SipUri

__all__ = [
    "PING",
    "MalformedMessageError",
    "Ping",
    "StreamParser",
    "is_keep_alive",
    "parse_datagram",
    "validate",
]

_MANDATORY: Final = frozenset(MANDATORY)
MAX_MESSAGE: Final = 65536  # bytes, head and body
MAX_HEADERS: Final = 256  # lines
MOST_LINES: Final = 8192  # remembered

# RFC 3261 §7.3.1 lets only comma lists come more than once.
SINGLE: Final = (
    "From",
    "To",
    "Call-ID",
    "CSeq",
    "Max-Forwards",
    "Content-Length",
    "Content-Type",
    "Expires",
    "Event",
    "Refer-To",
    "Referred-By",
    "Replaces",
    "Session-Expires",
    "Min-SE",
    "RAck",
    "RSeq",
    "Subscription-State",
    "Min-Expires",
)
# Methods that need no look whether they are tokens.
METHODS: Final = frozenset(
    {"ACK", "BYE", "CANCEL", "INFO", "INVITE", "MESSAGE", "NOTIFY", "OPTIONS", "PRACK", "PUBLISH", "REFER"}
    | {"REGISTER", "SUBSCRIBE", "UPDATE"}
)
# What a phone says word for word in most of its messages.
_REPEATED: Final = frozenset(
    {"Accept", "Allow", "Allow-Events", "Contact", "Content-Length", "Content-Type", "Event", "Expires"}
    | {"Max-Forwards", "Min-SE", "Require", "Route", "Server", "Session-Expires", "Supported", "To"}
    | {"User-Agent"}
)
_LABELS: Final = {f"{spelling}:": name for spelling, name in NAMES.items()}
_unfold = re.compile(r"(?<![ \t])(?:[ \t]*+\r\n[ \t]++)+").sub  # looks behind, else it were quadratic
_is_version = re.compile(r"SIP/[0-9]+\.[0-9]+", re.IGNORECASE | re.ASCII).fullmatch


@immutable
class Ping:
    """CRLF CRLF between messages on a stream: the peer wants a CRLF for an answer (RFC 5626 §4.4.1)."""


PING: Final = Ping()


def is_keep_alive(data: bytes) -> bool:
    """Whether a datagram holds nothing but line ends, zeros and blanks, as phones behind NAT send them."""
    return not data.strip(b"\r\n\0 \t")


def parse_datagram(data: bytes) -> Request | Response:
    """Read one message from one datagram; octets after its Content-Length are ignored (RFC 3261 §18.3).

    Raises:
        MalformedMessageError: with `.request` when it can be answered.
    """
    if len(data) > MAX_MESSAGE:
        raise MalformedMessageError("framing", f"{len(data)} bytes", status=513)
    if data[:2] == b"\r\n":
        data = data.lstrip(b"\r\n")
    end = data.find(b"\r\n\r\n")
    if end < 0:
        raise _unusable("framing", "no empty line after the headers", *_read_head(data.rstrip(b"\r\n")))
    start, headers, fault = _read_head(data[:end])
    body = data[end + 4 :]
    length_text = headers.first.get("Content-Length")
    if length_text is not None and length_text != str(len(body)):
        if not (length_text.isascii() and length_text.isdigit()):
            raise _unusable("Content-Length", length_text, start, headers, fault)
        length = int(length_text) if len(length_text) <= 9 else MAX_MESSAGE
        if length > len(body):
            raise _unusable("Content-Length", length_text, start, headers, fault)
        body = body[:length]
    return _build(start, headers, fault, body)


class StreamParser:
    """Cuts a byte stream into messages by their Content-Length, which has to be there (RFC 3261 §18.3)."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0  # the end of the headers begins nowhere before here
        self._head: _Head | None = None  # of a message whose body is still coming
        self._is_lost = False

    @property
    def buffered(self) -> int:
        """Bytes of a message that is not complete yet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> Iterator[Request | Response | Ping]:
        """Take in `data`; iterate over what is complete.

        Raises (while iterating):
            MalformedMessageError: when `is_stream_lost`, close the connection: nothing more will come.
                Otherwise the message is skipped, and `feed(b"")` goes on behind it.
        """
        if not self._is_lost:
            self._buffer += data
        return self._cut()

    def _cut(self) -> Iterator[Request | Response | Ping]:
        buffer = self._buffer
        while buffer and not self._is_lost:
            if buffer[0] in b"\r\n":
                if (count := self._count_line_ends()) == 0:
                    return
                del buffer[:count]
                if count == 4:
                    yield PING
            elif (message := self._take_message()) is not None:
                yield message
            else:
                return

    def _count_line_ends(self) -> int:
        """Bytes of line ends to take from the buffer's start; 0 when it cannot be said yet."""
        start = bytes(self._buffer[:4])
        if start == b"\r\n\r\n":
            return 4
        if b"\r\n\r\n".startswith(start):
            return 0
        if start[:2] == b"\r\n" and start[2:3] != b"\r":
            return 2  # RFC 3261 §7.5: line ends before the start line are ignored
        raise self._lose(MalformedMessageError("framing", repr(start)))

    def _take_message(self) -> Request | Response | None:
        buffer = self._buffer
        if self._head is None:
            if not 0x21 <= buffer[0] <= 0x7E:
                raise self._lose(MalformedMessageError("framing", repr(bytes(buffer[:16]))))
            end = buffer.find(b"\r\n\r\n", self._searched)
            if end + 4 > MAX_MESSAGE or (end < 0 and len(buffer) > MAX_MESSAGE):
                raise self._lose(MalformedMessageError("framing", "headers too long", status=513))
            if end < 0:
                self._searched = max(0, len(buffer) - 3)
                return None
            self._head = self._read_head(end)
        head = self._head
        if len(buffer) < head.end:
            return None
        body = bytes(buffer[head.start : head.end])
        del buffer[: head.end]
        self._head, self._searched = None, 0
        return _build(head.line, head.headers, head.fault, body)

    def _read_head(self, end: int) -> "_Head":
        line, headers, fault = _read_head(bytes(self._buffer[:end]))
        text = headers.get("Content-Length")
        if (
            text is None
            or not (text.isascii() and text.isdigit())
            or (fault and fault.field == "Content-Length")
        ):
            raise self._lose(_unusable("Content-Length", text or "missing", line, headers, fault))
        length = int(text) if len(text) <= 9 else MAX_MESSAGE
        if end + 4 + length > MAX_MESSAGE:
            raise self._lose(_unusable("Content-Length", text, line, headers, fault, status=513))
        return _Head(line, headers, fault, end + 4, end + 4 + length)

    def _lose(self, error: MalformedMessageError) -> MalformedMessageError:
        self._is_lost = error.is_stream_lost = True
        self._buffer.clear()
        return error


class _Head(NamedTuple):
    """The head of a message on a stream; its body is from `start` to `end` of the buffer."""

    line: str
    headers: Headers
    fault: MalformedMessageError | None
    start: int
    end: int


def validate(message: Request | Response) -> None:
    """Check what every message must have right before anybody acts on it; what is parsed for that is kept.

    The headers of MANDATORY are there and readable, those of SINGLE come once, the CSeq names the request's
    method, Request-URI, Max-Forwards, Contact and Expires are readable (RFC 3261 §8.1.1, §8.2, §16.3).

    Raises:
        MalformedMessageError: with `.request` when it can be answered.
    """
    try:
        _check(message)
    except MalformedMessageError as error:
        if isinstance(message, Request) and is_answerable(message.headers):
            error.request = message
        raise


def _check(message: Request | Response) -> None:
    headers = message.headers
    first, memo, has_repeated = headers.first, headers.memo, headers.has_repeated
    if not first.keys() >= _MANDATORY:
        raise MalformedMessageError(next(name for name in MANDATORY if name not in headers), "missing")
    if has_repeated:
        for name in SINGLE:
            if name in first and len(values := headers.get_all(name)) > 1:
                raise MalformedMessageError(name, " | ".join(values))
    cseq = memo["CSeq"] = parse_cseq(first["CSeq"])
    via = first["Via"]
    if "," in via or has_repeated:
        _ = headers.values("Via")  # where each ends is asked for later
    memo["Via"] = parse_via(first_of_commas("Via", via) if "," in via else via)
    memo["From"] = parse_name_addr(first["From"], "From")
    memo["To"] = parse_name_addr(first["To"], "To")
    call_id = first["Call-ID"]
    if not call_id or " " in call_id or "\t" in call_id:
        raise MalformedMessageError("Call-ID", call_id)
    contact = first.get("Contact")
    if contact is not None:
        if contact == "*" or "," in contact or has_repeated:
            _ = message.contacts
        else:
            memo["Contact"] = [parse_name_addr(contact, "Contact")]
    if "Expires" in first:
        parse_seconds(first["Expires"], "Expires")
    if isinstance(message, Request):
        if cseq.method != message.method:
            raise MalformedMessageError("CSeq", f"{cseq.method} in a {message.method}")
        uri = message.parsed_uri
        if first.get("Max-Forwards", "70") != "70":
            _ = message.max_forwards
        if isinstance(uri, SipUri) and uri.headers:  # RFC 3261 §19.1.1, table 1
            raise MalformedMessageError("Request-URI", message.uri)


def _read_head(head: bytes) -> tuple[str, Headers, MalformedMessageError | None]:
    """The start line, the headers, and the first thing wrong with them (the rest is still read)."""
    text = head.decode("utf-8", "surrogateescape")
    lines = text.split("\r\n")
    start = lines.pop(0)
    joined = "".join(lines)
    if "\n" in joined or "\r" in joined or len(lines) > MAX_HEADERS:
        return _read_odd_head(text)
    try:
        items = list(map(_read_line, lines))
    except KeyError:
        return _read_odd_head(text)
    first = dict(reversed(items))
    headers = Headers.of_parsed(items, first)
    return start, headers, _length_fault(headers) if len(first) != len(items) else None


class _Lines(dict[str, tuple[str, str]]):
    """Names and values of header lines, read when they are asked for; those of _REPEATED are remembered."""

    def __missing__(self, line: str) -> tuple[str, str]:
        label, _, value = line.partition(" ")
        name = _LABELS[label]  # KeyError: an odd one, or the continuation of a folded line
        item = name, value.strip(" \t")
        if name in _REPEATED and len(line) <= MAX_REMEMBERED and ";tag=" not in value:
            if len(self) >= MOST_LINES:
                self.clear()
            self[line] = item
        return item


_read_line: Final = _Lines().__getitem__


def _read_odd_head(text: str) -> tuple[str, Headers, MalformedMessageError | None]:
    """The same for heads with folded lines, unusual spelling, unknown names, or mistakes."""
    start, _, rest = text.partition("\r\n")  # the start line cannot be folded
    lines = _unfold(" ", rest).split("\r\n") if rest else []
    fault: MalformedMessageError | None = None
    joined = "".join([start, *lines])
    if "\n" in joined or "\r" in joined:
        fault = MalformedMessageError("framing", "a CR or LF alone")
        lines = [line for line in lines if "\r" not in line and "\n" not in line]
        start = start.replace("\r", " ").replace("\n", " ")
    if len(lines) > MAX_HEADERS:
        fault = MalformedMessageError("framing", f"{len(lines)} headers", status=513)
        del lines[MAX_HEADERS:]
    headers = Headers()
    for line in lines:
        name, colon, value = line.partition(":")
        try:
            known = canonical_name(name.rstrip(" \t"))
        except MalformedMessageError as error:
            fault = fault or error
        else:
            if colon:
                headers.add(known, value.strip(" \t"))
            else:
                fault = fault or MalformedMessageError("header line", line)
    return start, headers, _length_fault(headers) or fault


def _length_fault(headers: Headers) -> MalformedMessageError | None:
    if len(lengths := set(headers.get_all("Content-Length"))) > 1:
        return MalformedMessageError("Content-Length", " | ".join(sorted(lengths)))
    return None


def _build(
    start: str, headers: Headers, fault: MalformedMessageError | None, body: bytes
) -> Request | Response:
    if fault is None and "\n" not in start and "\r" not in start:
        first, _, rest = start.partition(" ")
        second, _, third = rest.partition(" ")
        if first == "SIP/2.0":
            if len(second) == 3 and second.isdigit() and second.isascii() and 100 <= int(second) <= 699:
                return Response(int(second), third, headers, body)
        elif third == "SIP/2.0" and (first in METHODS or is_token(first)):
            return Request(first, second, headers, body)
    raise _unusable("start line", start, start, headers, fault)


def _unusable(
    field: str,
    value: str,
    start: str,
    headers: Headers,
    fault: MalformedMessageError | None = None,
    status: int = 400,
) -> MalformedMessageError:
    """The error for this message (`fault` before others), with the request made of it to answer."""
    method, _, rest = start.partition(" ")
    uri, _, version = rest.strip(" ").rpartition(" ")
    error = fault or MalformedMessageError(field, value, status=status)
    if method.upper().startswith("SIP/") or not is_token(method) or not _is_version(version):
        return error
    if version.upper() != "SIP/2.0":
        error = MalformedMessageError("SIP-Version", version, status=505)
    if is_answerable(headers):
        error.request = Request(method, uri.strip(" "), headers, b"")
    return error
