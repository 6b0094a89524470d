"""Our side's media lines: content dressed with our transport, and how that is written."""

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

    Without a transport the line is off (port 0) and `written` is the format list that stands there.
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

    def lines(self, session_address: str) -> list[str]:
        """The m= section; c= only where it differs from the session's."""
        if self.transport is None or self.line is None:
            return [f"m={self.kind} 0 {self.protocol} {' '.join(self.written)}"]
        address, port, rtcp_port = self.transport
        line = self.line
        numbers = " ".join([str(each.payload_type) for each in self.formats])
        lines = [f"m={self.kind} {port} {self.protocol} {numbers}"]
        if address != session_address:
            lines.append(f"c={render_connection(address)}")
        for bandwidth in line.bandwidths:
            lines.append(f"b={bandwidth}")
        for number, encoding, _, parameters, feedback in self.formats:
            lines.append(f"a=rtpmap:{number} {encoding}")
            for value in parameters:
                lines.append(f"a=fmtp:{number} {value}")
            for value in feedback:
                lines.append(f"a=rtcp-fb:{number} {value}")
        for value in line.feedback:
            lines.append(f"a=rtcp-fb:* {value}")
        if line.ptime_ms:
            lines.append(f"a=ptime:{line.ptime_ms}")
        if line.maxptime_ms:
            lines.append(f"a=maxptime:{line.maxptime_ms}")
        for attribute in line.attributes:
            lines.append(f"a={attribute}")
        if self.rtcp_mux:
            lines.append("a=rtcp-mux")
        elif rtcp_port != port + 1:
            lines.append(f"a=rtcp:{rtcp_port}")
        for crypto in self.crypto:
            lines.append(f"a={crypto.render()}")
        lines.append(f"a={self.direction}")
        return lines


def render_connection(address: str) -> str:
    return f"IN IP6 {address}" if ":" in address else f"IN IP4 {address}"


def render_body(locals_: tuple[LocalLine, ...], address: str, bandwidths: tuple[str, ...]) -> str:
    """Everything after the o= line."""
    active = [each.transport.address for each in locals_ if each.transport is not None]
    session_address = active[0] if active else address
    lines = ["s=-", f"c={render_connection(session_address)}"]
    lines += [f"b={bandwidth}" for bandwidth in bandwidths]
    lines.append("t=0 0")
    for each in locals_:
        lines += each.lines(session_address)
    lines.append("")
    return "\r\n".join(lines)
