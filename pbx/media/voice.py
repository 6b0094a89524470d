"""The sound of one endpoint: what its peer says, as samples, and what the PBX says to it, as RTP packets."""

from collections import deque
from collections.abc import Callable
from typing import Final

import numpy as np

from pbx.errors import MediaError
from pbx.media import codecs, dtmf
from pbx.media.digit_events import plan_digit
from pbx.media.orders import Play
from pbx.media.outgoing import Outgoing
from pbx.media.player import Player
from pbx.media.playout import Playout
from pbx.media.recorder import Recorder
from pbx.media.samples import FRAME_MS, RATES_HZ, Samples, UndecodableError, frame_size, silence
from pbx.media.tone_keys import ToneKeys
from pbx.rtp.packet import MalformedPacketError, unpack
from pbx.rtp.relay import Endpoint
from pbx.rtp.remote import Remote
from pbx.rtp.reporter import Reporter
from pbx.rtp.telephone_event import DIGITS

NARROW_HZ, WIDE_HZ = RATES_HZ
WAIT_S: Final = 0.6  # for a phone that holds to play music of its own
TAIL_S: Final = 0.3  # of it: what the phone has said before it held may still be on its way
COMFORT_NOISE: Final = 13  # (RFC 3389)
MOST_PRESSES: Final = 64  # that wait: who presses by INFO has no end of them
SHORTEST_MS, LONGEST_MS = 40, 5_000
LOUD: Final = 60.0  # RMS of 16-bit samples: more than a microphone in a quiet room


class Voice:
    """Ear and mouth of the PBX at one endpoint; ticked once each 20 ms by its room.

    Args:
        report: called with a play's name and the reason when a sound is over.
        reporter: reports to the peer as long as it hears nobody else.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        stream: Outgoing,
        report: Callable[[str, str], None],
        reporter: Reporter,
    ) -> None:
        self.endpoint = endpoint
        self.is_muted = False  # nobody hears it
        self.is_among_others = False
        self.rate_hz = NARROW_HZ
        self.heard: Samples = silence(frame_size(self.rate_hz))  # in the last 20 ms, if listening
        self.recorders: list[Recorder] = []
        self.hears_tones = False  # keys are looked for in the sound
        self._report, self._reporter = report, reporter
        self._stream = stream
        self._silence = silence(frame_size(NARROW_HZ))
        self._playout: Playout | None = None
        self._last_delay_s: float | None = None
        self._source: tuple[int, int, str] | None = None  # SSRC, payload type and codec of what is played out
        self._agreed: Remote | None = None
        self._chosen: tuple[int, str] | None = None  # payload type and codec, as agreed then
        self._tones: ToneKeys | None = None  # in what `_tones_of` says
        self._tones_of: tuple[int, int, str] | None = None
        self._encoder: tuple[str, int, codecs.Encoder] | None = None  # codec and rate it is for
        self._player: Player | None = None
        self._play = ""
        self._is_instead = False  # of what the others in its room say: this peer waits
        self._lead = 0  # frames of silence before it
        self._waits_until: float | None = None  # a filler that is not sure yet that it is wanted
        self._others_heard = False
        self._presses: deque[tuple[str, int]] = deque()
        self._press: _Press | None = None

    # Orders.

    def play(self, player: Player, now: float, order: Play) -> None:
        """Play a sound in place of whatever is played."""
        self.stop("replaced")
        self._play, self._player = order.play, player
        self._is_instead = order.loop
        self._lead = order.lead_ms // FRAME_MS
        self._waits_until = now + WAIT_S if order.is_filler else None
        self._others_heard = False
        self.listen()

    def stop(self, why: str = "stopped") -> None:
        """Stop playing."""
        if self._player is not None:
            name, self._player = self._play, None
            self.listen()
            self._report(name, why)

    def press(self, digit: str, duration_ms: int) -> None:
        """Press a key towards the peer, after those that wait; what is no key, or one too many, is not."""
        if digit in DIGITS and len(digit) == 1 and len(self._presses) < MOST_PRESSES:
            self._presses.append((digit, min(max(duration_ms, SHORTEST_MS), LONGEST_MS)))
            self.listen()

    def mute(self, is_muted: bool) -> None:
        """Let the others in its room hear it, or not."""
        self.is_muted = is_muted
        self.listen()

    def listen(self) -> None:
        """Tell the endpoint what of its packets is needed here, and what not to send by itself."""
        cover = self._suppressed if self.is_speaking or self.is_among_others else None
        if not self.hears_tones:
            self._tones = self._tones_of = None
        if not self._is_played_out and self._playout is not None:
            self._last_delay_s = self._playout.delay_s
            self._playout = self._source = None  # what is in it would be stale when somebody listens again
            self.heard = self._silence
        self.endpoint.listen(self if self.is_listening or self.endpoint.peer is None else None, cover)

    def set_rate(self, rate_hz: int) -> None:
        """At which rate samples are wanted."""
        if rate_hz != self.rate_hz:
            self.rate_hz = rate_hz
            self._playout = None
            self.heard = self._silence = silence(frame_size(rate_hz))

    @property
    def is_listening(self) -> bool:
        """What the peer says is needed as samples."""
        return self._is_played_out or self.hears_tones

    @property
    def _is_played_out(self) -> bool:
        """They are needed as time goes by."""
        return (self.is_among_others and not self.is_muted) or bool(self.recorders)

    @property
    def is_silent(self) -> bool:
        """The peer has sent nothing that sounds in the last 20 ms."""
        return self._playout is None or self._playout.is_silent

    @property
    def is_speaking(self) -> bool:
        """The peer is to hear the PBX, and nobody else."""
        return self._player is not None or bool(self._presses) or self._press is not None

    @property
    def is_wanted(self) -> bool:
        """There is something to do here for a room with nobody else in it."""
        return self.is_speaking or self.is_listening or self.endpoint.peer is None

    @property
    def is_wide(self) -> bool:
        """The peer gets more than telephone quality."""
        chosen = self._codec()
        return chosen is not None and codecs.CODECS[chosen[1]].rate_hz > NARROW_HZ

    # What the peer says.

    @property
    def delay_s(self) -> float | None:
        """How long what the peer says is kept before the PBX says it on; as last, if nobody listens now."""
        return self._last_delay_s if self._playout is None else self._playout.delay_s

    def hear(self, packet: bytes, now: float) -> None:
        """From the endpoint."""
        if not self.is_listening:
            return
        try:
            opened = unpack(packet)
        except MalformedPacketError:
            return
        remote = self.endpoint.remote
        if remote is None:
            return
        name = dict(remote.heard_codecs).get(opened.payload_type, "")
        number, ticks = opened.sequence, opened.timestamp_ticks
        if opened.payload_type == remote.telephone_event or name not in codecs.CODECS:
            if self._playout is not None and self._source is not None and opened.ssrc == self._source[0]:
                self._playout.buffer.skip(number)
            if self._tones is not None and self._tones_of is not None and opened.ssrc == self._tones_of[0]:
                self._tones.push(number, ticks, None, now)
            return
        source = (opened.ssrc, opened.payload_type, name)
        if self.hears_tones:
            if self._tones is None or source != self._tones_of:
                self._tones_of, self._tones = source, ToneKeys(name)
            self._tones.push(number, ticks, opened.payload, now)
        if self._is_played_out:
            if self._playout is None or source != self._source:
                self._source, self._playout = source, Playout(name, self.rate_hz)
            self._playout.push(number, ticks, opened.payload, now)

    def take(self, now: float) -> list[str]:
        """Hear the next 20 ms of what the peer says; returns keys that were heard as tones."""
        self.heard = self._silence if self._playout is None else self._playout.frame(now)
        for recorder in self.recorders:
            recorder.add(self, self.heard)
        return [] if self._tones is None else self._tones.take(now)

    def _is_judging(self, now: float) -> bool:
        """What the others say now is that of a phone that holds."""
        return self._waits_until is not None and now >= self._waits_until - WAIT_S + TAIL_S

    def _suppressed(self, packet: bytes, now: float) -> None:
        """What the joined peer says meanwhile: music of a phone that holds?"""
        if not self._is_judging(now) or self._others_heard:
            return
        remote = self.endpoint.remote
        if remote is None:
            return
        payload_type = packet[1] & 0x7F
        name = dict(remote.codecs).get(payload_type, "")
        if (
            payload_type in {COMFORT_NOISE, remote.telephone_event, remote.telephone_event_send}
            or name == "CN"
        ):
            return
        if name not in codecs.CODECS:
            self._others_heard = True
            return
        try:
            samples = codecs.make_decoder(name, NARROW_HZ).decode(unpack(packet).payload)
        except (MalformedPacketError, UndecodableError):
            return
        self._others_heard = _is_loud(samples)

    # What the PBX says.

    def put(self, mixed: Samples | None, now: float) -> None:
        """Say the next 20 ms to the peer; `mixed` is what the others in its room say, if there are any."""
        chosen = self._codec()
        if chosen is None:
            self.stop("no codec that the PBX knows was agreed on")
            self._presses.clear()
            self._press = None
            self.listen()
            return
        payload_type, name = chosen
        stream, step = self._stream, codecs.CODECS[name].frame_ticks
        stream.advance(step, now)
        if self._presses or self._press is not None:
            self._put_press(step, payload_type, name)
        elif (payload := self._payload(mixed, name, now)) is None:
            stream.is_new = True
        else:
            self._send(payload_type, payload, stream.is_new, stream.timestamp)
            stream.is_new = False
        if self.endpoint.peer is None:
            self._reporter.tick(stream.timestamp, step * 50, now)

    def _payload(self, mixed: Samples | None, name: str, now: float) -> bytes | None:
        player = self._player
        if player is not None and self._waits_until is not None:
            if mixed is not None and self._is_judging(now):
                self._others_heard = self._others_heard or _is_loud(mixed)
            if self._others_heard:
                self.stop("not needed")
            elif now < self._waits_until:
                player = None
                if mixed is None and self.endpoint.peer is not None:
                    return None
            else:
                self._waits_until = None
            player = player and self._player
        if player is not None and self._lead:
            self._lead -= 1
            return self._encode(mixed, name)
        if player is not None and player.is_over:
            self.stop("ended")
            player = self._player
        if player is not None:
            try:
                if mixed is None or self._is_instead:
                    return player.payload(name)
                over = player.samples(self.rate_hz)
            except MediaError as error:
                self.stop(str(error))
            else:
                mixed = np.clip(mixed.astype(np.int32) + over, -32768, 32767).astype(np.int16)
        if mixed is None and self.endpoint.peer is not None:
            return None
        return self._encode(mixed, name)

    def _encode(self, samples: Samples | None, name: str) -> bytes:
        if samples is None:
            samples = silence(frame_size(self.rate_hz))
        encoder = self._encoder
        if encoder is None or encoder[:2] != (name, self.rate_hz):
            encoder = (name, self.rate_hz, codecs.make_encoder(name, self.rate_hz))
            self._encoder = encoder
        return encoder[2].encode(samples)

    def _put_press(self, step: int, payload_type: int, name: str) -> None:
        """Send the key that is being pressed."""
        remote, stream = self.endpoint.remote, self._stream
        assert remote is not None  # there is a codec
        events = (
            remote.telephone_event if remote.telephone_event_send is None else remote.telephone_event_send
        )
        if self._press is None:
            # By the number that the peer sends with; under another one that it is sent it has the same clock.
            clocks = dict(remote.clock_rates)
            arriving = remote.telephone_event
            clock_hz = clocks.get(-1 if arriving is None else arriving) or step * 50
            self._press = _Press(*self._presses.popleft(), clock_hz, stream.timestamp)
        press = self._press
        if events is not None:
            for payload, marker, offset in press.events():
                at = press.timestamp + offset & 0xFFFFFFFF
                self._send(events, payload, marker, at)
            stream.is_new = True
        else:
            payload = self._encode(press.tone(self.rate_hz), name)
            self._send(payload_type, payload, stream.is_new, stream.timestamp)
            stream.is_new = False
        if press.is_over:
            self._press = None
            self.listen()

    def _send(self, payload_type: int, payload: bytes, marker: bool, timestamp: int) -> None:
        self.endpoint.say(self._stream.pack(payload_type, payload, marker, timestamp))
        self._reporter.sent(len(payload))

    def _codec(self) -> tuple[int, str] | None:
        """Payload type and name of what the peer is told in."""
        remote = self.endpoint.remote
        if remote is not self._agreed:
            known = () if remote is None else remote.codecs
            self._agreed, self._chosen = (
                remote,
                next((each for each in known if each[1] in codecs.CODECS), None),
            )
        return self._chosen


def _is_loud(samples: Samples) -> bool:
    return bool(np.sqrt(np.mean(np.square(samples.astype(np.float64)))) > LOUD)


class _Press:
    """A key that is being pressed towards the peer, 20 ms at a time: as events, or as tones and a pause."""

    PAUSE: Final = 3  # frames

    def __init__(self, digit: str, duration_ms: int, clock_hz: int, timestamp: int) -> None:
        self.timestamp = timestamp
        self._digit, self._duration_ms = digit, duration_ms
        self._packets = plan_digit(digit, duration_ms, clock_hz)
        self._frames = max(-(-duration_ms // FRAME_MS) + self.PAUSE, self._packets[-1].at_ms // FRAME_MS + 1)
        self._tone: tuple[int, Samples] | None = None
        self._at = 0

    @property
    def is_over(self) -> bool:
        return self._at >= self._frames

    def events(self) -> list[tuple[bytes, bool, int]]:
        """Payload, marker and timestamp offset of the packets of the next 20 ms."""
        now_ms = self._at * FRAME_MS
        self._at += 1
        return [
            (each.payload, each.marker, each.timestamp_offset)
            for each in self._packets
            if now_ms <= each.at_ms < now_ms + FRAME_MS
        ]

    def tone(self, rate_hz: int) -> Samples:
        """The next 20 ms."""
        if self._tone is None or self._tone[0] != rate_hz:
            self._tone = rate_hz, dtmf.make_digit(self._digit, self._duration_ms, rate_hz)
        size = frame_size(rate_hz)
        found = self._tone[1][self._at * size : (self._at + 1) * size]
        self._at += 1
        return np.concatenate((found, silence(size - len(found))))
