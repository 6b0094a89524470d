"""Digits as RTP events (RFC 4733): each key press of a stream told once, and the packets that make one."""

from collections import deque
from dataclasses import dataclass
from typing import Final

from pbx.errors import UsageError
from pbx.immutable import immutable
from pbx.rtp.telephone_event import DIGITS, TelephoneEvent, unpack

CLOCK_HZ: Final = 8_000
LONGEST_TICKS: Final = 0xFFFF  # of one segment (§2.5.1.3)
CIRCLE: Final = 1 << 32
SILENT_S: Final = 2.0  # without any event: what comes then is new, whatever its timestamp
HELD_S: Final = 0.2  # without a packet: the key is up and its end was lost
END_PACKETS: Final = 3  # (§2.5.1.4)
PTIME_MS: Final = 20
VOLUME: Final = 10  # -10 dBm0
SHORTEST_MS: Final = 40


class EventReceiver:
    """Tells each key press of one stream once, at the first packet that shows it.

    An event is known by its timestamp, which all its packets have (§2.2), and its code: some senders keep the
    timestamp from digit to digit. Older timestamps are packets that came late. An event longer than 0xFFFF
    ticks goes on under a timestamp that is 0xFFFF later, without a marker (§2.5.1.3). Nothing here grows.
    """

    __slots__ = ("_clock_hz", "_code", "_ended", "_heard", "_start")

    def __init__(self, clock_hz: int = CLOCK_HZ) -> None:
        self._clock_hz = clock_hz
        self._start: int | None = None
        self._code = 0
        self._ended = True
        self._heard = 0.0

    def receive(self, timestamp: int, marker: bool, payload: bytes, now: float) -> str | None:
        """One packet of events that came at `now`: the key, when this is the first that shows it.

        Other events than the 16 keys are told to nobody, and neither are events without duration (§2.5.2.2:
        only states have none).

        Raises:
            MalformedPacketError: the payload is shorter than an event.
        """
        event = unpack(payload)
        digit = event.digit
        if digit is None or not event.duration_ticks:
            return None
        is_new = self._is_new(timestamp, marker, event, now)
        if is_new is None:
            return None
        self._ended = event.end or (self._ended and not is_new and timestamp == self._start)
        self._start, self._code, self._heard = timestamp, event.code, now
        return digit if is_new else None

    def is_held(self, now: float) -> bool:
        """Whether the key told last is down still; a lost end is made up for after 0.2 s of silence."""
        return not self._ended and now - self._heard < HELD_S

    def _is_new(self, timestamp: int, marker: bool, event: TelephoneEvent, now: float) -> bool | None:
        """Whether the packet begins a press, or belongs to the one at hand; None: it is of one before."""
        if self._start is None:
            return True
        later = (timestamp - self._start) % CIRCLE
        is_same_key = event.code == self._code and not self._ended
        # Some senders end a segment at their last whole packet before 0xFFFF.
        is_next_segment = not marker and LONGEST_TICKS - self._clock_hz // 50 <= later <= LONGEST_TICKS
        if is_same_key and (later == 0 or is_next_segment):
            return False
        if now - self._heard > SILENT_S:
            return True
        if later == 0:
            return event.code != self._code
        return True if later < CIRCLE // 2 else None


@dataclass(slots=True)
class _Press:
    """A key press that was told, by whom, and when first."""

    digit: str
    at_ticks: int
    told: float
    places: set[str]


class PressedOnce:
    """Tells apart one press that is seen in two places from two presses.

    In a call that the kernel relays its log shows the keys. One that completes a code has the call taken out
    of the kernel, and the rest of its packets comes to the media worker, which has not seen their beginning.
    When the kernel takes a call it is the other way round. Either place may tell late what it has seen.
    """

    MOST: Final = 1000  # endpoints whose last presses are known
    KEPT: Final = 16  # presses of one endpoint

    def __init__(self) -> None:
        self._presses: dict[str, deque[_Press]] = {}

    def is_new(self, where: str, endpoint: str, digit: str, at_ticks: int | None, now: float) -> bool:
        """Whether nobody has told this press yet.

        Args:
            where: it was seen; what one place tells twice was pressed twice.
            at_ticks: the RTP timestamp of the event, None = a tone.
        """
        if at_ticks is None:
            return True
        presses = self._presses.pop(endpoint, None) or deque(maxlen=self.KEPT)
        self._presses[endpoint] = presses
        if len(self._presses) > self.MOST:
            del self._presses[next(iter(self._presses))]
        for press in presses:
            is_same = (press.digit, press.at_ticks) == (digit, at_ticks) and now - press.told <= SILENT_S
            if is_same and where not in press.places:
                press.places.add(where)
                return False
        presses.append(_Press(digit, at_ticks, now, {where}))
        return True


@immutable
class EventPacket:
    """One packet to be sent for a key.

    Attributes:
        at_ms: when, after the first one.
        timestamp_offset: what its RTP timestamp is beyond that of the press.
        payload: the event.
        marker: of the RTP header.
    """

    at_ms: int
    timestamp_offset: int
    payload: bytes
    marker: bool


def plan_digit(digit: str, milliseconds: int, clock_hz: int = CLOCK_HZ) -> tuple[EventPacket, ...]:
    """The packets of one key press.

    The first one has the marker, each tells the duration until its own end, and the last one is sent three
    times, a packet time apart (§2.5.1.4). The stream's timestamps go on by the audio clock all the while.

    Args:
        digit: one of 0 to 9, *, #, A to D.
        milliseconds: how long the key is down; made a multiple of PTIME_MS, and 40 at least.
        clock_hz: of the payload type: that of the audio codec beside it, so 48,000 beside Opus.

    Raises:
        UsageError: no such key.
    """
    if len(digit) != 1 or digit not in DIGITS:
        raise UsageError(f"{digit!r} is none of the keys {DIGITS}")
    code = DIGITS.index(digit)
    steps = -(-max(milliseconds, SHORTEST_MS) // PTIME_MS)
    step_ticks = clock_hz * PTIME_MS // 1000
    packets, segment = [], 0
    for number in range(1, steps + 1):
        duration = number * step_ticks - segment
        if duration > LONGEST_TICKS:
            closing = TelephoneEvent(code, False, VOLUME, LONGEST_TICKS)
            at_ms = (number - 1) * PTIME_MS
            packets.append(EventPacket(at_ms, segment, closing.pack(), False))
            segment += LONGEST_TICKS
            duration -= LONGEST_TICKS
        event = TelephoneEvent(code, number == steps, VOLUME, duration)
        packets.append(EventPacket((number - 1) * PTIME_MS, segment, event.pack(), number == 1))
    last = packets[-1]
    for again in range(1, END_PACKETS):
        packets.append(EventPacket(last.at_ms + again * PTIME_MS, segment, last.payload, False))
    return tuple(packets)
