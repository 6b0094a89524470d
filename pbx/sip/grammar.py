"""Tokens beside their ABNF (RFC 3261 §25.1), and the error of everything that reads SIP text.

Possessive quantifiers (`++`, `*+`) on single characters, and alternatives that differ in their first one,
keep every pattern linear in the length of what a stranger sends. (Not on groups: Python before 3.11.5 forgets
to step back when such a group fails halfway, gh-106052.)
Text has been unfolded before it comes here: the only white space left is SP and HTAB.
"""

import re
from collections.abc import Mapping
from ipaddress import IPv6Address
from typing import Any, Final

from pbx.errors import PeerError

# ABNF token: letters, digits and these marks
TOKEN: Final = r"[A-Za-z0-9\-.!%*_+`'~]++"  # noqa: S105 (a token of a grammar)
# ABNF quoted-string, without the white space before it
QUOTED: Final = r'"(?:[^"\\]++|\\.)*"'
# ABNF host; names are read leniently: underscores and the like occur
HOST: Final = r"(?:\[[0-9A-Fa-f:.]++\]|[A-Za-z0-9_.\-]++)"
# ABNF SWS: white space that need not be there
SWS: Final = r"[ \t]*+"

MAX_ELEMENTS: Final = 256  # of one comma list
MAX_PARAMS: Final = 8192  # characters of one value's parameters

REASONS: Final[dict[int, str]] = {
    100: "Trying",
    180: "Ringing",
    181: "Call Is Being Forwarded",
    182: "Queued",
    183: "Session Progress",
    199: "Early Dialog Terminated",
    200: "OK",
    202: "Accepted",
    204: "No Notification",
    300: "Multiple Choices",
    301: "Moved Permanently",
    302: "Moved Temporarily",
    305: "Use Proxy",
    380: "Alternative Service",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    410: "Gone",
    412: "Conditional Request Failed",
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    417: "Unknown Resource-Priority",
    420: "Bad Extension",
    421: "Extension Required",
    422: "Session Interval Too Small",
    423: "Interval Too Brief",
    424: "Bad Location Information",
    428: "Use Identity Header",
    429: "Provide Referrer Identity",
    430: "Flow Failed",
    433: "Anonymity Disallowed",
    436: "Bad Identity Info",
    437: "Unsupported Credential",
    438: "Invalid Identity Header",
    439: "First Hop Lacks Outbound Support",
    440: "Max-Breadth Exceeded",
    469: "Bad Info Package",
    470: "Consent Needed",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    484: "Address Incomplete",
    485: "Ambiguous",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    489: "Bad Event",
    491: "Request Pending",
    493: "Undecipherable",
    494: "Security Agreement Required",
    500: "Server Internal Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    513: "Message Too Large",
    555: "Push Notification Service Not Supported",
    580: "Precondition Failure",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
    607: "Unwanted",
    608: "Rejected",
}


class MalformedMessageError(PeerError):
    """SIP that cannot be used: which field, and what it said.

    Attributes:
        field: the header's name, or "start line", "Request-URI", "framing".
        value: its text, cut short.
        request: the message.Request (typed Any, for message.py builds on this module) when enough of it
            could be read to answer it with `status`; else None.
        is_stream_lost: on a stream, whether the next message's beginning can no longer be known.
    """

    def __init__(
        self,
        field: str,
        value: str,
        request: Any = None,
        status: int = 400,
        *,
        is_stream_lost: bool = False,
    ) -> None:
        super().__init__(status, REASONS[status] if status != 400 else f"Bad {field}")
        self.field = field
        self.value = value if len(value) <= 200 else value[:200] + "…"
        self.request = request
        self.is_stream_lost = is_stream_lost

    def __str__(self) -> str:
        return f"{self.status} {self.reason}: {self.field} {self.value!r}"


is_token: Final = re.compile(TOKEN).fullmatch
_is_quoted = re.compile(QUOTED, re.DOTALL).fullmatch
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_CONTROL = re.compile(r"[\r\n\0]+")
_ELEMENT = re.compile(rf"(?:[^,\"<]++|{QUOTED}|<[^>]*+>)*", re.DOTALL)
# generic-param = token [ EQUAL gen-value ]; gen-value = token / host / quoted-string, read leniently
_PARAM = re.compile(
    rf";{SWS}({TOKEN}){SWS}(?:={SWS}({QUOTED}|[^ \t;,\"]*+){SWS})?",
    re.DOTALL,
)
_COMMON_PARAMS: Final = frozenset(
    ["tag", "branch", "rport", "received", "expires", "q", "lr", "ob", "refresher"]
)


def quote(text: str) -> str:
    """`text` as a quoted-string; line breaks, which one cannot hold, become spaces."""
    if "\r" in text or "\n" in text or "\0" in text:
        text = _CONTROL.sub(" ", text)
    if "\\" in text or '"' in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def unquote(text: str) -> str:
    """What a quoted-string says; text without quotes as it is."""
    if text[:1] != '"' or not _is_quoted(text):
        return text
    return unquote_matched(text)


def unquote_matched(text: str) -> str:
    """The same for text that is known to be a quoted-string."""
    inner = text[1:-1]
    return _QUOTED_PAIR.sub(r"\1", inner) if "\\" in inner else inner


def parse_ipv6(reference: str) -> str:
    """The address in "[...]", checked and without its brackets.

    The grammar of RFC 3261 allows one colon too many before an embedded IPv4 address (RFC 5118 §4.10):
    it is taken out.

    Raises:
        ValueError: no IPv6 address; also one with a zone, which means nothing on another host.
    """
    address = reference.strip("[]")
    if "." in address:
        address = address.replace(":::", "::")
    IPv6Address(address)
    if "%" in address:
        raise ValueError(address)
    return address


def split_commas(field: str, text: str) -> list[str]:
    """The elements of a comma list (RFC 3261 §7.3.1) but empty ones; commas in quotes and <> do not count.

    Raises:
        MalformedMessageError: a quote or an angle bracket that never closes; more than MAX_ELEMENTS.
    """
    if "," not in text and '"' not in text:
        text = text.strip(" \t")
        return [text] if text else []
    elements: list[str] = []
    position, length = 0, len(text)
    while position <= length:
        element, position = _element(field, text, position)
        elements.append(element)
        if len(elements) > MAX_ELEMENTS:  # empty ones cost as much
            raise MalformedMessageError(field, text)
        position += 1
    return list(filter(None, elements))


def first_of_commas(field: str, text: str) -> str:
    """The first element of a comma list, the rest unread; raises as `split_commas`."""
    return _element(field, text, 0)[0]


def _element(field: str, text: str, position: int) -> tuple[str, int]:
    match = _ELEMENT.match(text, position)
    assert match is not None  # the pattern matches the empty string
    end = match.end()
    if end < len(text) and text[end] != ",":
        raise MalformedMessageError(field, text)
    return match[0].strip(" \t"), end


def parse_params(field: str, text: str) -> dict[str, str | None]:
    """Parameters from ";a=1;b" on; names in lower case, values as written (quotes kept), None without "=".

    Raises:
        MalformedMessageError: an empty parameter, a name that is no token, an open quote; more than
            MAX_PARAMS characters.
    """
    if not text:
        return {}
    if len(text) > MAX_PARAMS:
        raise MalformedMessageError(field, text)
    params: dict[str, str | None] = {}
    if text[0] == ";" and not ('"' in text or " " in text or "," in text or "\t" in text):
        for part in text[1:].split(";"):
            name, equals, value = part.partition("=")
            if name not in _COMMON_PARAMS and not is_token(name):
                raise MalformedMessageError(field, text)
            params.setdefault(name.lower(), value if equals else None)
        return params
    position, length = 0, len(text)
    match_param = _PARAM.match
    while position < length:
        match = match_param(text, position)
        if match is None:
            raise MalformedMessageError(field, text)
        name, value = match.groups()
        params.setdefault(name.lower(), value)
        position = match.end()
    return params


def render_params(params: Mapping[str, str | None]) -> str:
    return "".join([f";{name}" if value is None else f";{name}={value}" for name, value in params.items()])
