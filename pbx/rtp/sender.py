"""What goes to the peer of one endpoint: RTP as far as was agreed, RTCP in any case."""

from contextlib import suppress

from pbx.rtp.packet import MalformedPacketError
from pbx.rtp.port_pair import PortPair
from pbx.rtp.session import RtpSession


class Sender:
    """Protects what is sent in a session, sends it by the session's ports, and counts it."""

    __slots__ = ("_ports", "_session")

    def __init__(self, session: RtpSession, ports: PortPair) -> None:
        self._session, self._ports = session, ports

    @property
    def is_plain(self) -> bool:
        """Whether RTP goes out as it is, by a connected socket: anybody may send it there."""
        remote = self._session.remote
        return (
            self._ports.connected is not None
            and self._session.srtp is None
            and remote is not None
            and remote.may_send
        )

    def send_rtp(self, packet: bytes) -> None:
        """Send an RTP packet, if the peer is to get any."""
        session = self._session
        if session.remote is None or not session.remote.may_send:
            return
        if session.srtp is not None:
            try:
                packet = session.srtp.protect(packet)
            except MalformedPacketError:
                return
        if self._ports.send(packet):
            session.packets_out += 1
            session.bytes_out += len(packet)

    def send_rtcp(self, compound: bytes) -> None:
        """Send an RTCP compound, by the RTP port where both share one (RFC 5761)."""
        session = self._session
        if session.remote is None:
            return
        if session.srtp is not None:
            try:
                compound = session.srtp.protect_rtcp(compound)
            except MalformedPacketError:
                return
        if session.remote.rtcp_mux:
            self._ports.send(compound)
        elif (target := session.rtcp_path.target) is not None:
            with suppress(OSError):
                self._ports.rtcp.sendto(compound, target)
