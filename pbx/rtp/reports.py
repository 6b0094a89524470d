"""What RTCP reports tell about the streams of one endpoint, and what ours tell the peer (RFC 3550 §6.4)."""

from pbx.rtp.rtcp import Report, ReportBlock, RoundTrip, SenderInfo
from pbx.rtp.sequence import Reception


class Reports:
    """The reports of one peer, and ours to it.

    Attributes:
        lost_out: packets of the stream to the peer that it missed; None: it has not said.
        jitter_out_s: the jitter of that stream, as the peer measured it.
    """

    __slots__ = ("_before", "_last", "_own", "_reported", "jitter_out_s", "lost_out", "round_trip")

    def __init__(self) -> None:
        self.round_trip = RoundTrip()
        self.lost_out: int | None = None
        self.jitter_out_s: float | None = None
        self._own: tuple[int, int] | None = None  # SSRC and clock of what the PBX itself says
        self._last: tuple[int, int, float] | None = None  # the peer's: SSRC, name, when it came
        self._before: int | None = 0  # lost at the report before; None: since then something else was heard
        self._reported = (0, 0)  # packets that had come, and were lost, when we last reported

    def said(self, ssrc: int, clock_hz: int, sender: SenderInfo | None, now: float) -> None:
        """The PBX reports as a party with that SSRC."""
        self._own = (ssrc, clock_hz)
        if sender is not None:
            self.round_trip.sent(sender.sr_id, now)

    def passed_on(self, sr_id: int, now: float) -> None:
        """A sender report of the joined peer goes to the peer."""
        self.round_trip.sent(sr_id, now)

    def read(self, report: Report, heard: tuple[int | None, int] | None, now: float) -> None:
        """The peer's word on the stream that it gets from us.

        Args:
            heard: SSRC and clock of the joined peer's stream; None: there is none, it hears the PBX.
        """
        if report.sr_id is not None:
            self._last = (report.ssrc, report.sr_id, now)
        source = self._own if heard is None else heard
        for block in report.blocks:
            self.round_trip.received(block, now)
            if source is not None and block.ssrc == source[0]:
                if self._before is not None:
                    self.lost_out = (self.lost_out or 0) + block.lost - self._before
                    self.jitter_out_s = block.jitter_ticks / source[1]
                self._before = block.lost

    def interrupted(self) -> None:
        """The peer hears another stream from now on, or one again of which it has not got all.

        Its next report takes what we did not send for lost (and phones that look at no SSRC, the distance
        between two streams): only what comes after that is known.
        """
        self._before = None

    def hearing(self, stream: Reception, packets_in: int, now: float) -> ReportBlock | None:
        """How the peer's stream has come since this was last asked; None: it has not (§6.4.1)."""
        packets, lost = packets_in - self._reported[0], stream.lost - self._reported[1]
        if stream.ssrc is None or packets <= 0:
            return None
        self._reported = (packets_in, stream.lost)
        fraction = lost / (packets + lost) if lost > 0 else 0.0
        last_sr, delay_s = 0, 0.0
        if self._last is not None and self._last[0] == stream.ssrc:
            last_sr, delay_s = self._last[1], now - self._last[2]
        return ReportBlock(
            stream.ssrc,
            fraction,
            stream.lost_of_source,
            stream.highest,
            round(stream.jitter_ticks),
            last_sr,
            delay_s,
        )
