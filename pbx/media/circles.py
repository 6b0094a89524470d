"""Media that would go round and round between endpoints of ours."""

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from pbx.media.orders import Address, SetRemote
from pbx.media.roster import CrewEndpoint
from pbx.rtp.latch import normalize

Ports: TypeAlias = Mapping[int, list[CrewEndpoint]]  # the endpoints on each even port of ours


def goes_round(start: CrewEndpoint, ports: Ports) -> bool:
    """Whether a packet that arrives at `start` comes back there: RTP counts no hops, so it never ends.

    It can be so only when phones named ports of ours as theirs.
    """
    seen = _next_of(start, ports)
    waiting = seen.copy()
    while waiting:
        for found in _next_of(waiting.pop(), ports):
            if found not in seen:
                seen.append(found)
                waiting.append(found)
    return start in seen


def _next_of(endpoint: CrewEndpoint, ports: Ports) -> list[CrewEndpoint]:
    """Endpoints of ours that the peer's side sends to what `endpoint` receives."""
    peer = endpoint.peer
    if peer is None or (remote := peer.remote) is None:
        return []
    rtp, rtcp = remote.rtp, remote.rtcp
    # Nearly always a port's number tells that it is not ours, whosever the address is.
    if (rtp is None or (rtp[1] & ~1 not in ports and rtp[1] + 1 & ~1 not in ports)) and (
        rtcp is None or rtcp[1] & ~1 not in ports
    ):
        return []
    return [
        found
        for host, port in _targets(remote)
        for found in ports.get(port & ~1, ())
        if found.order.address == host
    ]


def _targets(remote: SetRemote) -> Iterator[Address]:
    """Where packets to this peer go, as far as it was announced."""
    if remote.rtp is not None and (rtp := normalize(remote.rtp)) is not None:
        yield rtp
        yield rtp[0], rtp[1] + 1
    if remote.rtcp is not None and (rtcp := normalize(remote.rtcp)) is not None:
        yield rtcp
