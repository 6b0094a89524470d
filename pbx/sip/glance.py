"""A look at a datagram that costs less than reading it: enough to turn an INVITE away, or to know its ACK.

Only what phones mostly send is recognised: one Via, no folded lines, full header names, a plain user name.
Everything else is left to the parser.
"""

import re
from typing import Final, NamedTuple

from pbx.sip.transaction.key import TransactionKey

_start: Final = re.compile(r"(INVITE|ACK) sip:(?:([0-9A-Za-z.+*#_-]+)@)?[!-?A-~]+ SIP/2\.0\r\n").match
_via: Final = re.compile(
    r"SIP/2\.0/UDP ([0-9A-Za-z.-]+)(?::([0-9]{1,5}))?((?:;[a-z]+(?:=[0-9A-Za-z.!%*_+`'~-]+)?)+)"
).fullmatch
_branch: Final = re.compile(r";branch=(z9hG4bK[^;]+)").search


class Glance(NamedTuple):
    """What was seen of an INVITE without To tag, or of an ACK; headers as they are written."""

    method: str
    user: str  # of the Request-URI
    has_credentials: bool
    branch: str
    host: str  # sent-by
    port: int
    via: str
    from_: str
    to: str
    call_id: str
    cseq: str

    @property
    def key(self) -> TransactionKey:
        """Of the server transaction that it would belong to (key.server_key)."""
        return TransactionKey(True, "INVITE", self.branch.lower(), self.host.lower(), self.port)

    def reply_via(self, host: str, port: int) -> str:
        """The Via with where it came from (RFC 3581 §4), for which it asks."""
        head, tail = f"{self.via};".split(";rport;")
        return f"{head};rport={port};received={host};{tail}"[:-1]


def glance(data: bytes) -> Glance | None:
    """Look at a datagram; None for all that is not plainly an INVITE without To tag, or an ACK."""
    end = data.find(b"\r\n\r\n")
    if end < 0 or data[:1] not in b"IA" or not (head := data[: end + 2]).isascii():
        return None
    text = head.decode()
    start = _start(text)
    lower = text.lower()
    if start is None or lower.count("\r\nv") != 1 or "\r\n " in text or "\r\n\t" in text:
        return None  # headers that begin with a V are Vias
    if text.count("\r") != text.count("\n"):
        return None
    via_text, call_id, cseq = (
        _value(text, "\r\nVia: "),
        _value(text, "\r\nCall-ID: "),
        _value(text, "\r\nCSeq: "),
    )
    from_, to = _value(text, "\r\nFrom: "), _value(text, "\r\nTo: ")
    via = _via(via_text)
    method, user = start.groups()
    if via is None or not (from_ and to and call_id and cseq):
        return None
    if method == "INVITE" and f"{via_text};".count(";rport;") != 1:
        return None  # nothing is answered to an ACK, whose Via may be that of the answer (SIPp's is)
    host, port, params = via.groups()
    branch = _branch(params)
    if branch is None or (method == "INVITE" and "tag" in to.lower()):
        return None
    has_credentials = "\r\nauthorization:" in lower or "\r\nproxy-authorization:" in lower
    return Glance(
        method,
        user or "",
        has_credentials,
        branch[1],
        host,
        int(port or 0),
        via_text,
        from_,
        to,
        call_id,
        cseq,
    )


def _value(text: str, name: str) -> str:
    """Of the first header of that name; empty without one."""
    at = text.find(name)
    return text[at + len(name) : text.find("\r\n", at + 2)].strip(" \t") if at >= 0 else ""
