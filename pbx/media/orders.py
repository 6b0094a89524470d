"""What the core orders from the media workers, and what they report back: plain values.

An **endpoint** is one even/odd UDP port pair of ours that talks with one peer; two joined endpoints relay
what each receives to the other. Endpoints are named by the core; names are never used twice.
"""

from typing import TypeAlias

from pbx.immutable import immutable
from pbx.rtp.statistics import EndpointStats
from pbx.sdp.crypto import SrtpKeys

__all__ = [
    "Address",
    "CloseEndpoint",
    "EndpointClosed",
    "EndpointFailed",
    "EndpointStats",
    "Event",
    "Join",
    "Latched",
    "OpenEndpoint",
    "Order",
    "Part",
    "ReadStats",
    "Resumed",
    "SetRemote",
    "Silent",
    "SrtpKeys",
    "StatsRead",
    "WorkerRestarted",
]

Address: TypeAlias = tuple[str, int]


@immutable
class OpenEndpoint:
    """Bind `rtp_port` (even) and the next odd port on `address`, an IP literal of ours.

    All endpoints of one `call` live in one worker.
    """

    endpoint: str
    call: str
    address: str
    rtp_port: int


@immutable
class SetRemote:
    """What SDP agreed with the peer of an endpoint; each order replaces the one before.

    Attributes:
        rtp: where the peer said it listens; None: nowhere yet (only latching tells).
        rtcp: the same for RTCP; None: the port after `rtp`.
        rtcp_mux: RTCP goes to, and comes from, the RTP port (RFC 5761).
        may_send: RTP may go to the peer; RTCP goes in any case.
        may_receive: the peer's RTP is passed on; otherwise it is counted and dropped.
        symmetric: take the stream from where it comes, when that is another source than announced (NAT).
        is_direct: the peer signals from the announced host, so no NAT is between: its media comes from there.
        srtp: keys of SAVP and SAVPF lines.
        relatch: forget a learnt source: `rtp` holds again until the peer is heard anew (after a re-INVITE).
        clock_rates: (payload type, RTP clock in Hz) of all formats agreed on; empty: any type is valid.
        telephone_event: the payload type of RFC 4733 events, if agreed on.
        payload_map: (payload type as this peer sends it, as the joined peer expects it), where they differ.
    """

    endpoint: str
    rtp: Address | None
    rtcp: Address | None = None
    rtcp_mux: bool = False
    may_send: bool = True
    may_receive: bool = True
    symmetric: bool = True
    is_direct: bool = False
    srtp: SrtpKeys | None = None
    relatch: bool = False
    clock_rates: tuple[tuple[int, int], ...] = ()
    telephone_event: int | None = None
    payload_map: tuple[tuple[int, int], ...] = ()


@immutable
class Join:
    """Relay between `a` and `b`; whatever either was joined with before is parted."""

    a: str
    b: str


@immutable
class Part:
    """End the join of `a`, if there is one; both endpoints stay open."""

    a: str


@immutable
class CloseEndpoint:
    """Free both ports; answered by EndpointClosed."""

    endpoint: str


@immutable
class ReadStats:
    """Answered by StatsRead."""

    endpoint: str


@immutable
class EndpointFailed:
    """The endpoint is gone (ports not bound, worker not kept alive); no other event follows."""

    endpoint: str
    why: str


@immutable
class Latched:
    """The peer's RTP comes from `source`; from now on it is sent there."""

    endpoint: str
    source: Address


@immutable
class EndpointClosed:
    """The last word about an endpoint that was closed by order."""

    endpoint: str
    stats: EndpointStats


@immutable
class StatsRead:
    """How it stands with the endpoint."""

    endpoint: str
    stats: EndpointStats


@immutable
class Silent:
    """Neither RTP nor RTCP came for `seconds` though the endpoint may receive: once a silence."""

    endpoint: str
    seconds: float


@immutable
class Resumed:
    """The peer is heard again after Silent."""

    endpoint: str


@immutable
class WorkerRestarted:
    """The worker of these calls died; their endpoints are open again on the same ports, counting anew."""

    calls: tuple[str, ...]
    why: str


Order: TypeAlias = OpenEndpoint | SetRemote | Join | Part | CloseEndpoint | ReadStats
Event: TypeAlias = EndpointFailed | Latched | EndpointClosed | StatsRead | Silent | Resumed | WorkerRestarted
