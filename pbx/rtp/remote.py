"""What SDP agreed with the peer of one endpoint."""

from dataclasses import dataclass

from pbx.rtp.latch import Address
from pbx.sdp.crypto import SrtpKeys


@dataclass(frozen=True, slots=True)
class Remote:
    """The peer, as far as it is announced.

    Attributes:
        rtp: where the peer said it listens; None: nowhere yet (only latching tells).
        rtcp: the same for RTCP; None: the port after `rtp`.
        rtcp_mux: RTCP goes to, and comes from, the RTP port (RFC 5761).
        may_send: RTP may go to the peer; RTCP goes in any case.
        may_receive: the peer's RTP is passed on; otherwise it is counted and dropped.
        symmetric: take the stream from where it comes, when that is another source than announced (NAT).
        signalling: the host that the peer signals from, "" = not known. Behind NAT media comes from there,
            most likely; where it is the announced host no NAT is between, and media comes from nowhere else.
        srtp: keys of SAVP and SAVPF lines.
        relatch: forget a learnt source, should another be heard.
        clock_rates: (payload type, RTP clock in Hz) of all formats agreed on; empty: any type is valid.
        telephone_event: the payload type of RFC 4733 events that the peer sends, if agreed on.
        telephone_event_send: the same of those sent to the peer; None: no other than `telephone_event`.
        payload_map: (payload type as this peer sends it, as the joined peer expects it), where they differ.
        codecs: (payload type, encoding name) of the formats that may be sent to the peer, the best first.
        heard_codecs: the same of those that the peer sends with.
        has_digits: keys that the peer presses have to be seen.
    """

    rtp: Address | None
    rtcp: Address | None = None
    rtcp_mux: bool = False
    may_send: bool = True
    may_receive: bool = True
    symmetric: bool = True
    signalling: str = ""
    srtp: SrtpKeys | None = None
    relatch: bool = False
    clock_rates: tuple[tuple[int, int], ...] = ()
    telephone_event: int | None = None
    payload_map: tuple[tuple[int, int], ...] = ()
    codecs: tuple[tuple[int, str], ...] = ()
    heard_codecs: tuple[tuple[int, str], ...] = ()
    has_digits: bool = False
    telephone_event_send: int | None = None
