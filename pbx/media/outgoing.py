"""The stream of RTP packets in which the PBX speaks to one peer."""

from typing import Final

from pbx.rtp.packet import HEADER

FRAMES_A_SECOND: Final = 50


class Outgoing:
    """Sequence numbers and timestamps, which go on however often the PBX falls silent and speaks again.

    One SSRC for all of a call: a phone takes each new one for another speaker, and an SRTP session keeps a
    context for each as long as it lives.

    Attributes:
        timestamp: of the frame that is due.
        is_new: what is sent next begins a talk spurt (RFC 3551 §4.1).
    """

    __slots__ = ("_at", "_is_resting", "_sequence", "_ssrc", "_step", "is_new", "timestamp")

    def __init__(self, ssrc: int, sequence: int, timestamp: int) -> None:
        self.timestamp = timestamp
        self.is_new = True
        self._ssrc, self._sequence = ssrc, sequence
        self._step, self._at, self._is_resting = 0, 0.0, False

    def advance(self, step: int, now: float) -> None:
        """20 ms more, which are `step` timestamp units, are due."""
        if self._is_resting:  # timestamps count on by the clock meanwhile (RFC 3550 §5.1)
            self._is_resting = False
            missed = max(0, round((now - self._at) * FRAMES_A_SECOND) - 1)
            self.timestamp += missed * self._step
        self._step, self._at = step, now
        self.timestamp = self.timestamp + step & 0xFFFFFFFF

    def resume(self) -> None:
        """The PBX begins to speak, perhaps after a while."""
        self._is_resting = self.is_new = True

    def pack(self, payload_type: int, payload: bytes, marker: bool, timestamp: int) -> bytes:
        """The next packet."""
        self._sequence = self._sequence + 1 & 0xFFFF
        return HEADER.pack(0x80, marker << 7 | payload_type, self._sequence, timestamp, self._ssrc) + payload
