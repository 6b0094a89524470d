"""How well a call was heard, by the E-model (ITU-T G.107): mean opinion scores from 1.0 to about 4.4.

With all defaults of G.107 only two impairments are left, loss and delay: R = 93.2 - Idd - Ie,eff (§7.2 to
§7.7). What is judged is one leg in one direction, and so the delay is that leg's alone. G.722 and Opus are
put on the narrowband scale and taken for as good as G.711 with concealment: ITU's values for wideband codecs
are for the scale of G.107.1, and there are none for Opus. So a score says how much the network took away,
and not that wideband sounds better.
"""

from dataclasses import dataclass
from math import log2
from typing import Final

from pbx.rtp.statistics import EndpointStats

BEST: Final = 93.2  # R with the defaults of G.107 Table 2
UNHEARD_S: Final = 0.1  # mT: a shorter delay does not hurt (G.107 Table 1, default class)
PACKET_S: Final = 0.02

# Ie and Bpl (G.113 Appendix I, Table I.3: G.711 with its own concealment, G.723.1 and G.729A with VAD).
CODECS: Final = {
    "pcmu": (0.0, 25.1),
    "pcma": (0.0, 25.1),
    "g722": (0.0, 25.1),
    "opus": (0.0, 25.1),
    "g723": (15.0, 16.1),
    "g729": (11.0, 19.0),
}
STATIC: Final = {0: "pcmu", 4: "g723", 8: "pcma", 9: "g722", 18: "g729"}  # payload types (RFC 3551 §6)


@dataclass(frozen=True, slots=True)
class Quality:
    """One direction of a leg.

    Attributes:
        packets: that the other side sent; loss: the share that never came, 0.0 to 1.0.
        delay_s: on the way, packet and jitter buffer included, as far as it is known.
        mos: None = of a codec that nothing is known about.
    """

    packets: int
    loss: float
    jitter_s: float
    delay_s: float
    mos: float | None


def quality_in(stats: EndpointStats, codec: str) -> Quality | None:
    """How the peer is heard; None: nothing came, or the kernel passed all of it on unseen."""
    seen = stats.packets_in - stats.kernel_in
    expected = seen + stats.lost
    if seen <= 0 or expected <= 0:
        return None
    loss = max(0, stats.lost) / expected
    return _quality(stats, codec, stats.packets_in + max(0, stats.lost), loss, stats.jitter_s)


def quality_out(stats: EndpointStats, codec: str) -> Quality | None:
    """How the peer hears, as it reports itself by RTCP; None: nothing was sent, or it has said nothing."""
    if stats.packets_out <= 0 or stats.lost_out is None:
        return None
    loss = min(1.0, max(0, stats.lost_out) / stats.packets_out)
    return _quality(stats, codec, stats.packets_out, loss, stats.jitter_out_s or 0.0)


def _quality(stats: EndpointStats, codec: str, packets: int, loss: float, jitter_s: float) -> Quality:
    # Half of the way there and back, a packet's time, and a jitter buffer of twice the jitter.
    delay_s = (stats.round_trip_s or 0.0) / 2 + PACKET_S + 2 * jitter_s
    name = codec.partition("/")[0].lower() or STATIC.get(stats.payload_type or 0, "")
    known = CODECS.get(name)
    score = None if known is None else mos(rating(*known, loss, delay_s))
    return Quality(packets, loss, jitter_s, delay_s, score)


def rating(ie: float, bpl: float, loss: float, delay_s: float = 0.0) -> float:
    """The transmission rating factor R.

    Args:
        ie: equipment impairment of the codec; bpl: its robustness against loss (G.113 Appendix I).
        loss: share of packets, 0.0 to 1.0, at random (BurstR = 1).
        delay_s: mouth to ear, without echo.
    """
    percent = 100.0 * loss
    ie_eff = ie + (95.0 - ie) * percent / (percent + bpl)  # G.107 (7-29)
    return BEST - _idd(delay_s) - ie_eff


def _idd(delay_s: float) -> float:
    """What too long a delay takes from the rating, even without echo (G.107 (7-27), sT = 1)."""
    if delay_s <= UNHEARD_S:
        return 0.0
    x = log2(delay_s / UNHEARD_S)
    return 25.0 * (_root(1 + x**6) - 3 * _root(1 + (x / 3) ** 6) + 2)


def _root(value: float) -> float:
    return float(value ** (1 / 6))


def mos(r: float) -> float:
    """The mean opinion score of a rating (G.107 Annex B, B-4)."""
    if r <= 0.0:
        return 1.0
    if r >= 100.0:
        return 4.5
    # The curve dips under 1 near zero, where G.107 means 1.
    return max(1.0, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6)
