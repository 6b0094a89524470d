"""SIP messages as they may be kept and shown: without what proves who somebody is, and at the same length."""

import re
from collections.abc import Callable
from typing import Final

# The end of a header line is where the next one begins without white space (folding, RFC 3261 §7.3.1).
_REST: Final = r"[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*"
_CREDENTIALS: Final = re.compile(
    rf"^(?P<kept>(?:proxy-)?authorization[ \t]*:|(?:proxy-)?authentication-info[ \t]*:)(?P<secret>{_REST})",
    re.IGNORECASE | re.MULTILINE,
)
_DIGEST: Final = re.compile(r"^\s*digest\s", re.IGNORECASE)
# What follows from the password (RFC 7616 §3.4), or helps to guess it.
_PROOF: Final = re.compile(
    r'(?P<kept>\b(?:response|cnonce|rspauth)\s*=\s*"?)(?P<secret>[^",\s]+)', re.IGNORECASE
)
# Passwords in URIs. Not beyond the beginning of the next URI: who repeats "sip:a:" has it read once.
_WITHIN: Final = r"(?:(?!\bsips?:)[^\s<>@])+"
_OTHERS: Final = (
    re.compile(rf"(?P<kept>\bsips?:(?:(?!\bsips?:)[^\s<>@:])+:)(?P<secret>{_WITHIN})(?=@)", re.IGNORECASE),
    re.compile(
        r"(?P<kept>^a=crypto:.*?inline:)(?P<secret>[^|\s;]+)", re.IGNORECASE | re.MULTILINE
    ),  # RFC 4568
    re.compile(r"(?P<kept>;[ \t]*inline:)(?P<secret>[^|\s;]+)", re.IGNORECASE),  # more
    re.compile(r"(?P<kept>^a=key-mgmt:\S+ )(?P<secret>\S+)", re.IGNORECASE | re.MULTILINE),  # RFC 4567
    re.compile(r"(?P<kept>^k=\w+:)(?P<secret>\S+)", re.MULTILINE),  # RFC 4566 §5.12
    # Keys that are pressed: they may be somebody's passcode.
    re.compile(r"(?P<kept>^[ \t]*signal[^=\r\n]*=[ \t]*)(?P<secret>[^\r\n]+)", re.IGNORECASE | re.MULTILINE),
)
_DTMF: Final = re.compile(
    r"^(?:content-type|c)[ \t]*:\s*application/dtmf\s*(?:;|$)", re.IGNORECASE | re.MULTILINE
)


def censor(data: bytes) -> str:
    """A message as text, with each octet of a secret as "*": Content-Length still holds."""
    text = data.decode("utf-8", "replace")
    head, gap, body = text.partition("\r\n\r\n")
    head = _CREDENTIALS.sub(_without_proof, head)
    if _DTMF.search(head):
        body = "*" * len(body)
    text = head + gap + body
    for pattern in _OTHERS:
        text = pattern.sub(_starred, text)
    return text


def _starred(found: "re.Match[str]") -> str:
    return found["kept"] + "*" * len(found["secret"].encode())


def _without_proof(found: "re.Match[str]") -> str:
    value = found["secret"]
    is_info = found["kept"].lower().rstrip(" \t:").endswith("info")
    if is_info or _DIGEST.match(value):
        return found["kept"] + _PROOF.sub(_starred, value)
    star: Callable[[re.Match[str]], str] = lambda each: "*" * len(each[0].encode())  # noqa: E731
    return found["kept"] + re.sub(r"\S+", star, value)
