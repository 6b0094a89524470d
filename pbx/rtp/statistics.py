"""What is counted on one endpoint, kept for the call record."""

from pbx.immutable import immutable


@immutable
class EndpointStats:
    """The state of one endpoint's counters.

    Attributes:
        packets_in, bytes_in: RTP taken from the peer; bytes of UDP payload as it came.
        packets_out, bytes_out: RTP sent to the peer.
        kernel_in: packets_in that the kernel passed on, unseen: not in `lost` and `jitter_s`.
        lost: packets the peer sent that never came (RFC 3550 A.3); negative when duplicates outweigh losses.
        jitter_s: inter-arrival jitter of what came (RFC 3550 A.8).
        round_trip_s: our way to the peer and back, from the peer's last RTCP report; None: no report.
        lost_out: packets sent to the peer that it reports lost; None: no report.
        jitter_out_s: the jitter the peer reports; None: no report.
        playout_s: so long what the peer says is kept before it goes on as sound, packet time included;
            None: it was not heard as sound.
        strangers: packets dropped because they came from another source than the peer.
        refused: packets dropped because they failed SRTP authentication, were replayed or are no RTP.
        ssrc: synchronization source last heard; None: nothing came.
        payload_type: payload type last heard, telephone-events apart.
        source: where the peer's RTP comes from; None: not heard yet.
    """

    packets_in: int = 0
    bytes_in: int = 0
    packets_out: int = 0
    bytes_out: int = 0
    kernel_in: int = 0
    lost: int = 0
    jitter_s: float = 0.0
    round_trip_s: float | None = None
    lost_out: int | None = None
    jitter_out_s: float | None = None
    playout_s: float | None = None
    strangers: int = 0
    refused: int = 0
    ssrc: int | None = None
    payload_type: int | None = None
    source: tuple[str, int] | None = None


def total(before: EndpointStats | None, after: EndpointStats) -> EndpointStats:
    """The counters of an endpoint that went on elsewhere: counts add up, else the later word holds."""
    if before is None:
        return after
    return EndpointStats(
        packets_in=before.packets_in + after.packets_in,
        bytes_in=before.bytes_in + after.bytes_in,
        packets_out=before.packets_out + after.packets_out,
        bytes_out=before.bytes_out + after.bytes_out,
        kernel_in=before.kernel_in + after.kernel_in,
        lost=before.lost + after.lost,
        jitter_s=after.jitter_s if after.packets_in else before.jitter_s,
        round_trip_s=before.round_trip_s if after.round_trip_s is None else after.round_trip_s,
        lost_out=before.lost_out if after.lost_out is None else after.lost_out,
        jitter_out_s=before.jitter_out_s if after.jitter_out_s is None else after.jitter_out_s,
        playout_s=before.playout_s if after.playout_s is None else after.playout_s,
        strangers=before.strangers + after.strangers,
        refused=before.refused + after.refused,
        ssrc=before.ssrc if after.ssrc is None else after.ssrc,
        payload_type=before.payload_type if after.payload_type is None else after.payload_type,
        source=before.source if after.source is None else after.source,
    )
