"""A jitter buffer: packets come when they like, and are taken in order, one for each packet time.

A packet's delay is counted from when it would have come at the earliest: from the shortest transit seen. The
buffer begins to play a stream, and goes on after it ran dry, when the first packet's delay has reached the
target; the target is the greatest delay of late, which fades over some ten seconds, within 20 to 200 ms. From
there on one packet follows the other by their timestamps. So the pauses of silence suppression come out as
they were, and with each new spurt of talk the depth is right. In between the depth shrinks by a packet left
out, at most two a second, and grows by waiting for a packet that is missing.

When all packets of SHIFT_S are later than any target, it is no jitter: their way has become longer, or their
timestamps stood still for a while. The shortest transit is that of these packets from then on.
"""

from enum import Enum
from math import inf
from typing import Final

from pbx.errors import UsageError

LEAST_S: Final = 0.020
MOST_S: Final = 0.200
MARGIN_S: Final = 0.005  # of the target over the greatest delay
FADE: Final = 0.5 ** (1 / 500)  # of the greatest delay, for each packet: by half in ten seconds
LEAK_S: Final = 20e-6  # so much the shortest transit grows with each packet: 1 ms a second, clocks drift less
SHIFT_S: Final = 0.5
START_S: Final = 0.035  # the greatest delay before any is known
DEEP_S: Final = 0.020  # this much over the target, and a packet time,
DEEP_POPS: Final = 25  # for so long is too deep
MAX_PACKETS: Final = 60
MAX_DROPOUT: Final = 3_000  # sequence numbers (RFC 3550 A.1); further on it is another stream
MAX_MISORDER: Final = 100
MAX_LATE_S: Final = 2.0  # by its timestamp; beyond it the timestamps began anew
MAX_EARLY_S: Final = 0.5
MIN_PTIME_S: Final = 0.0025  # the shortest frame that a codec makes is Opus's (RFC 6716 §2.1.4)
MAX_PTIME_S: Final = 0.120
DRY_POPS: Final = 3  # that are taken for lost packets before they are a pause
HALF: Final = 1 << 31
MASK: Final = (1 << 32) - 1


class Gap(Enum):
    """What comes in the place of a packet: one is lost and to be concealed, or nothing was sent."""

    LOST = "lost"
    EMPTY = "empty"


class JitterBuffer:
    """The packets of one stream of sound.

    Attributes:
        step_ticks: timestamp units from packet to packet, as seen; 20 ms to begin with.
        late: packets that came when their turn was over, or twice.
        lost: packets missing when their turn came.
        dropped: packets left out because the buffer was too deep or full.
        delay_s: so long after the earliest that it could have come was the last packet taken; None: none was.
    """

    __slots__ = (
        "_base_s", "_calm_peak_s", "_clock_hz", "_deep", "_dry", "_gap_ticks", "_highest", "_is_waiting",
        "_least_late_s", "_next", "_packets", "_peak_s", "_position", "_shifted_at", "_skipped", "_ticks",
        "delay_s", "dropped", "late", "lost", "step_ticks",
    )  # fmt: skip

    def __init__(self, clock_hz: int) -> None:
        if clock_hz <= 0:
            raise UsageError(f"a clock of {clock_hz} Hz")
        self._clock_hz = clock_hz
        self.step_ticks = clock_hz // 50
        self._gap_ticks = 0
        self.late = self.lost = self.dropped = 0
        self._packets: dict[int, tuple[int, bytes]] = {}
        self._skipped: set[int] = set()
        self._peak_s = self._calm_peak_s = START_S
        self.delay_s: float | None = None
        self.reset()

    def reset(self) -> None:
        """Another stream begins (a new SSRC); what is known of the network's jitter stays."""
        self._packets.clear()
        self._skipped.clear()
        self._next = -1
        self._highest = self._ticks = self._position = 0
        self._base_s = 0.0
        self._is_waiting = True
        self._deep = 0
        self._dry = DRY_POPS
        self._shifted_at: float | None = None
        self._least_late_s = inf

    @property
    def target_s(self) -> float:
        """The delay that packets are to have before they are taken."""
        return min(max(self._peak_s + MARGIN_S, LEAST_S), MOST_S)

    @property
    def pause_ticks(self) -> int:
        """How long an EMPTY lasts, in timestamp units: a packet, but 20 ms at most."""
        return min(self.step_ticks, self._clock_hz // 50)

    def __len__(self) -> int:
        return len(self._packets)

    def push(self, sequence: int, timestamp: int, payload: bytes, now: float) -> None:
        """Keep a packet that came at `now`."""
        step = ((sequence - self._highest + 0x8000) & 0xFFFF) - 0x8000
        ticks = self._ticks + ((timestamp - self._ticks + HALF) & MASK) - HALF
        late_s = now - ticks / self._clock_hz - self._base_s
        if self._next < 0 or not -MAX_MISORDER < step < MAX_DROPOUT or not -MAX_EARLY_S < late_s < MAX_LATE_S:
            self._begin(sequence, timestamp, now)
            step, ticks, late_s = 0, timestamp, 0.0
        number = self._highest + step
        if step > 0:
            if step == 1:
                self._learn_step(ticks - self._ticks)
            self._highest, self._ticks = number, ticks
        if late_s < 0:
            self._base_s += late_s
        else:
            self._base_s += LEAK_S
        if late_s > MOST_S:
            late_s -= self._notice_shift(late_s, now)
        else:
            self._shifted_at = None
        self._peak_s = min(late_s, MOST_S) if late_s > self._peak_s else self._peak_s * FADE
        if number < self._next or number in self._packets:
            self.late += 1
            return
        self._packets[number] = ticks, payload
        if len(self._packets) > MAX_PACKETS:
            self._drop(min(self._packets))

    def skip(self, sequence: int) -> None:
        """A packet of the stream that is no sound, such as an event: it takes a number, and is not lost."""
        step = ((sequence - self._highest + 0x8000) & 0xFFFF) - 0x8000
        if self._next < 0 or not -MAX_MISORDER < step < MAX_MISORDER:
            return
        if step > 0:
            self._highest += step
        if len(self._skipped) >= MAX_PACKETS:
            self._skipped.clear()
        self._skipped.add(self._highest + min(step, 0))

    def pop(self, now: float) -> bytes | Gap:
        """The next packet's payload, or what is in its place; to be asked when that has been played.

        A LOST lasts `step_ticks`, an EMPTY `pause_ticks`.
        """
        packets = self._packets
        if not packets:
            self._is_waiting = True
            return self._wait()
        if self._skipped:
            self._pass_skipped()
        number = self._next
        if number not in packets:
            number = min(packets)
        ticks, payload = packets[number]
        delay_s = now - ticks / self._clock_hz - self._base_s
        if self._is_waiting:
            if delay_s < self.target_s:
                return self._wait()
            self._is_waiting = False
            self.lost += number - self._next
        elif ticks - self._position > self.step_ticks // 2 and (gap := self._cross(number, ticks, now)):
            return gap
        if delay_s < self.target_s + DEEP_S + self.step_ticks / self._clock_hz:
            self._deep = 0
        else:
            self._deep += 1
            if self._deep > DEEP_POPS and number + 1 in packets:
                self._deep = 0
                self._drop(number)
                number += 1
                ticks, payload = packets[number]
        del packets[number]
        self._next = number + 1
        self._position = ticks + self.step_ticks
        self._dry = 0
        self.delay_s = delay_s
        return payload

    def _pass_skipped(self) -> None:
        while self._next in self._skipped:
            self._skipped.remove(self._next)
            self._next += 1
        if self._skipped and max(self._skipped) < self._next:
            self._skipped.clear()

    def _cross(self, number: int, ticks: int, now: float) -> Gap | None:
        """What stands at the position before packet `number`, which is further on; None: nothing does."""
        if ticks - self._position > MAX_LATE_S * self._clock_hz:
            self.lost += number - self._next
            return None
        if number == self._next:
            self._position += self.pause_ticks
            return Gap.EMPTY
        if now - self._position / self._clock_hz - self._base_s < self.target_s:
            return Gap.LOST  # it may come yet
        self._position += self.step_ticks
        self._next += 1
        self.lost += 1
        return Gap.LOST

    def _wait(self) -> Gap:
        if self._dry >= DRY_POPS:
            return Gap.EMPTY
        self._dry += 1
        return Gap.LOST

    def _begin(self, sequence: int, timestamp: int, now: float) -> None:
        dry = self._dry
        self.reset()
        self._dry = dry
        # Some way up: numbers before this one may come yet, and are above zero too.
        self._next = self._highest = sequence + 0x10000
        self._ticks = timestamp
        self._base_s = now - timestamp / self._clock_hz

    def _notice_shift(self, late_s: float, now: float) -> float:
        """A packet is later than any target; by how much all were that came in SHIFT_S, else 0."""
        if self._shifted_at is None:
            self._shifted_at, self._least_late_s, self._calm_peak_s = now, late_s, self._peak_s
        self._least_late_s = min(self._least_late_s, late_s)
        if now - self._shifted_at < SHIFT_S:
            return 0.0
        self._base_s += self._least_late_s
        self._peak_s, self._shifted_at = self._calm_peak_s, None
        return self._least_late_s

    def _learn_step(self, ticks: int) -> None:
        """The first two packets, and any three that follow each other evenly, show the packet time."""
        is_even = ticks == self._gap_ticks or not self._gap_ticks
        if is_even and MIN_PTIME_S * self._clock_hz <= ticks <= MAX_PTIME_S * self._clock_hz:
            self._position += ticks - self.step_ticks
            self.step_ticks = ticks
        self._gap_ticks = ticks

    def _drop(self, number: int) -> None:
        """Leave a packet out: what follows stands where it stood, or a full buffer would never be played."""
        ticks, _ = self._packets.pop(number)
        if number >= self._next:
            self._next, self._position = number + 1, ticks + self.step_ticks
        self.dropped += 1
