"""A refusal of a request, and how it is written where nothing is kept of it (RFC 3261 §8.2.6.2)."""

from collections.abc import Iterable

from pbx.errors import PeerError
from pbx.sip.headers import Extra


class Refusal(PeerError):
    """A PeerError whose answer carries headers of its own."""

    def __init__(self, status: int, reason: str, headers: Extra = ()) -> None:
        super().__init__(status, reason)
        self.headers = headers


def render_refusal(
    refusal: Refusal, vias: Iterable[str], from_: str, to: str, call_id: str, cseq: str, tag: str
) -> bytes:
    """A refusal as octets, without a Response in between, at which nobody would look (§8.2.6.2)."""
    via = "\r\nVia: ".join(vias)
    lines = [
        f"SIP/2.0 {refusal.status} {refusal.reason}\r\nVia: {via}\r\nFrom: {from_}\r\nTo: {to};tag={tag}",
        f"Call-ID: {call_id}\r\nCSeq: {cseq}",
        *map(": ".join, refusal.headers),
        "Content-Length: 0\r\n\r\n",
    ]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")
