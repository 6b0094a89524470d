"""Our side's media lines: content dressed with our transport, and how that is written."""

from functools import lru_cache
from typing import NamedTuple

from pbx.sdp.content import INACTIVE, Direction, Line
from pbx.sdp.crypto import CryptoAttribute, SrtpKeys
from pbx.sdp.formats import Format
from pbx.sdp.pairing import Key
from pbx.sdp.remote import RemoteLine


class Transport(NamedTuple):
    """Where one line of ours listens: an IP literal (no brackets) and two ports."""

    address: str
    rtp_port: int
    rtcp_port: int


class LocalLine(NamedTuple):
    """One media line as we described it, and as the peer did where both have.

    Without a transport the line is off (port 0) and `written` is the format list that stands there, or else
    the numbers of `formats`.
    `numbers` remembers every payload type that the line ever gave a meaning to (RFC 3264 §8.3.2).
    """

    kind: str
    ordinal: int
    protocol: str
    written: tuple[str, ...]
    transport: Transport | None = None
    formats: tuple[Format, ...] = ()
    direction: Direction = INACTIVE
    rtcp_mux: bool = False
    crypto: tuple[CryptoAttribute, ...] = ()
    srtp: SrtpKeys | None = None
    line: Line | None = None
    remote: RemoteLine | None = None
    numbers: tuple[tuple[int, str], ...] = ()

    @property
    def key(self) -> Key:
        return (self.kind, self.ordinal)

    def render(self, session_address: str) -> str:
        """The m= section; c= only where it differs from the session's."""
        line = self.line
        if self.transport is None or line is None:
            written = self.written or [str(each.payload_type) for each in self.formats]
            return f"m={self.kind} 0 {self.protocol} {' '.join(written)}\r\n"
        address, port, rtcp_port = self.transport
        numbers, attributes = _describe(self.formats, line)
        text = f"m={self.kind} {port} {self.protocol} {numbers}\r\n"
        if address != session_address:
            text += f"c={render_connection(address)}\r\n"
        for bandwidth in line.bandwidths:
            text += f"b={bandwidth}\r\n"
        text += attributes
        if self.rtcp_mux:
            text += "a=rtcp-mux\r\n"
        elif rtcp_port != port + 1:
            text += f"a=rtcp:{rtcp_port}\r\n"
        for crypto in self.crypto:
            text += f"a={crypto.render()}\r\n"
        return f"{text}a={self.direction}\r\n"


@lru_cache(256)  # lines of one phone are written to another in each of their calls: saves 5 microseconds
def _describe(formats: tuple[Format, ...], line: Line) -> tuple[str, str]:
    """The payload types of the m= line, and all attributes that say nothing of transport and keys."""
    lines = []
    for number, encoding, _, parameters, feedback in formats:
        lines.append(f"a=rtpmap:{number} {encoding}\r\n")
        for value in parameters:
            lines.append(f"a=fmtp:{number} {value}\r\n")
        for value in feedback:
            lines.append(f"a=rtcp-fb:{number} {value}\r\n")
    for value in line.feedback:
        lines.append(f"a=rtcp-fb:* {value}\r\n")
    if line.ptime_ms:
        lines.append(f"a=ptime:{line.ptime_ms}\r\n")
    if line.maxptime_ms:
        lines.append(f"a=maxptime:{line.maxptime_ms}\r\n")
    for attribute in line.attributes:
        lines.append(f"a={attribute}\r\n")
    return " ".join([str(each.payload_type) for each in formats]), "".join(lines)


def render_connection(address: str) -> str:
    return f"IN IP6 {address}" if ":" in address else f"IN IP4 {address}"


def first_address(lines: tuple[LocalLine, ...], default: str) -> str:
    """Where the first line that is on listens."""
    for each in lines:
        if each.transport is not None:
            return each.transport.address
    return default


def render_body(lines: tuple[LocalLine, ...], address: str, bandwidths: tuple[str, ...]) -> str:
    """Everything after the o= line; `address` is the session's."""
    text = f"s=-\r\nc={render_connection(address)}\r\n"
    for bandwidth in bandwidths:
        text += f"b={bandwidth}\r\n"
    text += "t=0 0\r\n"
    for each in lines:
        text += each.render(address)
    return text
