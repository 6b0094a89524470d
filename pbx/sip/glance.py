"""A look at a datagram that costs less than reading it: enough to turn a request away.

Only what phones mostly send is recognised: one Via, no folded lines, full header names, a plain user name.
Everything else is left to the parser.
"""

import re
from typing import Final, NamedTuple

from pbx.sip.transaction.key import TransactionKey

METHODS: Final = ("INVITE", "REGISTER", "OPTIONS", "SUBSCRIBE", "MESSAGE")
_BEGINNINGS: Final = frozenset(method[:4].encode() for method in METHODS)

_start: Final = re.compile(
    rf"({'|'.join(METHODS)}) sip:(?:([0-9A-Za-z.+*#_-]+)@)?[!-?A-~]+ SIP/2\.0\r\n"
).match
_via: Final = re.compile(
    r"SIP/2\.0/UDP ([0-9A-Za-z.-]+)(?::([0-9]{1,5}))?((?:;[a-z]+(?:=[0-9A-Za-z.!%*_+`'~-]+)?)+)"
).fullmatch
_branch: Final = re.compile(r";branch=(z9hG4bK[^;]+)").search


class Glance(NamedTuple):
    """What was seen of a request without To tag; headers as they are written."""

    method: str  # of METHODS
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
        return TransactionKey(True, self.method, self.branch.lower(), self.host.lower(), self.port)

    def reply_via(self, host: str, port: int) -> str:
        """The Via with where it came from (RFC 3581 §4), for which it asks."""
        head, tail = f"{self.via};".split(";rport;")
        return f"{head};rport={port};received={host};{tail}"[:-1]


def glance(data: bytes) -> Glance | None:
    """Look at a datagram; None for all that is not plainly a request of METHODS without To tag."""
    end = data.find(b"\r\n\r\n")
    if end < 0 or data[:4] not in _BEGINNINGS or not (head := data[: end + 2]).isascii():
        return None
    text = head.decode()
    if "\r\n " in text or "\r\n\t" in text or text.count("\r") != text.count("\n"):
        return None
    start, via_text = _start(text), _value(text, "\r\nVia: ")
    if start is None or text.count("\r\nV") + text.count("\r\nv") != 1:  # such headers are Vias
        return None
    from_, to = _value(text, "\r\nFrom: "), _value(text, "\r\nTo: ")
    call_id, cseq = _value(text, "\r\nCall-ID: "), _value(text, "\r\nCSeq: ")
    via = _via(via_text)
    if via is None or not (from_ and to and call_id and cseq) or "tag" in to.lower():
        return None
    host, port, params = via.groups()
    branch = _branch(params)
    if branch is None or f"{params};".count(";rport;") != 1:
        return None
    method, user = start.groups()
    return Glance(
        method,
        user or "",
        "uthorization: " in text,  # whoever has it elsewhere is taken for one who has them
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
