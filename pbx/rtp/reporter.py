"""When the PBX as a party reports, and what of itself (RFC 3550 §6)."""

from base64 import b64encode
from random import Random
from typing import Final

from pbx.rtp.relay import Endpoint
from pbx.rtp.rtcp import SenderInfo, ntp_of

FIRST_S: Final = 1.0  # §6.2: with one peer no wait would be needed at all
INTERVAL_S: Final = 5.0  # the least of §6.2; two parties with one stream each need far less than their 5 %


class Reporter:
    """The reports about one stream of ours to one peer.

    Times of reports are spread by half of the interval to both sides (§6.3.1), without the reconsideration
    that is for groups whose size is not known. When the stream ends, no BYE is sent: the stream of a joined
    peer may follow, and some phones take a BYE for the end of the call.
    """

    def __init__(self, endpoint: Endpoint, ssrc: int, chance: Random) -> None:
        self._endpoint, self._ssrc, self._chance = endpoint, ssrc, chance
        # RFC 7022 §4.2: 96 random bits, so that nobody can tell who is the same in another call.
        self._cname = b64encode(chance.randbytes(12)).decode()
        self._due: float | None = None
        self._packets = self._octets = 0
        self._packets_before = [0, 0]  # when the last two reports were sent

    def sent(self, octets: int) -> None:
        """An RTP packet of ours went out, with so many octets of payload."""
        self._packets += 1
        self._octets += octets

    def tick(self, timestamp_ticks: int, clock_hz: int, now: float) -> None:
        """Report, if it is time; `timestamp_ticks` is that of sound that is said now."""
        if self._due is None:
            self._due = now + self._spread(FIRST_S)
        if now < self._due:
            return
        self._due = now + self._spread(INTERVAL_S)
        sender = None
        if self._packets > self._packets_before.pop(
            0
        ):  # §6.4: who has sent since the report before the last one
            # §4: without a common wallclock, the time of our own clock does: only differences are looked at.
            sender = SenderInfo(ntp_of(now), timestamp_ticks, self._packets, self._octets)
        self._packets_before.append(self._packets)
        self._endpoint.report(self._ssrc, clock_hz, sender, self._cname, now)

    def _spread(self, seconds: float) -> float:
        return seconds * self._chance.uniform(0.5, 1.5)
