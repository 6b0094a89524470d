"""Everything in a media worker that deals with sound itself: voices, rooms, recordings, and their clock.

Each room is ticked every 20 ms, on a schedule that does not drift; rooms are spread over four phases, so that
a thousand players do not speak in the same millisecond.
"""

from collections.abc import Callable
from functools import partial
from math import inf
from random import Random
from typing import Any, Final

from pbx.errors import MediaError
from pbx.media.digit_events import EventReceiver
from pbx.media.encoded import SoundCache
from pbx.media.files import Files
from pbx.media.orders import (
    Detect,
    Digit,
    Mix,
    Play,
    Played,
    Record,
    Recorded,
    SendDigit,
    SoundEvent,
    StopPlay,
    StopRecord,
)
from pbx.media.outgoing import Outgoing
from pbx.media.player import Player
from pbx.media.recorder import Recorder
from pbx.media.room import Room
from pbx.media.voice import NARROW_HZ, WIDE_HZ, Voice
from pbx.rtp.packet import MalformedPacketError, unpack
from pbx.rtp.relay import Endpoint
from pbx.rtp.reporter import Reporter

PHASES: Final = 4
PHASE_S: Final = 0.02 / PHASES
LATE_S: Final = 0.1  # what a stall longer than this has missed is not made up for


class Studio:
    """
    Args:
        endpoints: of the worker, by name.
        report: tells the core.
        beat: lets `tick` be called at a time.
        failed: a bug has met an endpoint, which is to be closed.
        open_files: makes the thread that writes, when the first recording begins.
        chance: for SSRCs, first sequence numbers and timestamps.
    """

    def __init__(
        self,
        endpoints: dict[str, Endpoint],
        report: Callable[[SoundEvent], None],
        beat: Callable[[float], None],
        failed: Callable[[str, Exception], None],
        open_files: Callable[[], Files],
        chance: Random,
    ) -> None:
        self._endpoints, self._report, self._beat, self._failed = endpoints, report, beat, failed
        self._open_files, self._chance = open_files, chance
        self._sounds = SoundCache()
        self._voices: dict[str, Voice] = {}
        self._rooms: dict[str, Room] = {}  # those with a name
        self._room_of: dict[Voice, Room] = {}
        self._phases: list[list[Room]] = [[] for _ in range(PHASES)]
        self._phase = 0
        self._due = inf
        self._recorders: dict[tuple[str, str], Recorder] = {}  # by endpoint and name
        self._files: Files | None = None
        self._receivers: dict[str, tuple[int, int, EventReceiver]] = {}  # with its SSRC and clock
        self._streams: dict[str, tuple[Outgoing, Reporter]] = {}  # of voices, also those that rest

    def __len__(self) -> int:
        """How much there is: nothing when all endpoints are closed."""
        return (
            len(self._voices)
            + len(self._rooms)
            + len(self._room_of)
            + sum(map(len, self._phases))
            + len(self._recorders)
            + len(self._receivers)
            + len(self._streams)
        )

    # Orders.

    def perform(self, order: Any, now: float) -> None:
        """Carry out an order; one for an endpoint that is gone does nothing, but a recording is answered."""
        endpoint = self._endpoints.get(order.endpoint)
        if endpoint is not None:
            ACTIONS[type(order)](self, endpoint, order, now)
        elif isinstance(order, Record):
            self._report(Recorded(order.endpoint, order.recording, 0.0, "closed"))

    def _mix(self, endpoint: Endpoint, order: Mix, now: float) -> None:
        voice = self._voice(endpoint, now)
        voice.mute(order.muted)
        room = self._room_of[voice]
        if room.name != order.room:
            self._leave(voice)
            if order.room:
                room = self._rooms.get(order.room) or self._open_room(order.room, now)
            else:
                room = self._open_room("", now)
            self._enter(voice, room)
        room.is_echoing = order.echo
        self._tidy(voice)

    def _play(self, endpoint: Endpoint, order: Play, now: float) -> None:
        try:
            player = Player(self._sounds, order.stem, loop=order.loop)
        except MediaError as error:
            self._report(Played(order.endpoint, order.play, str(error)))
            return
        self._voice(endpoint, now).play(player, now, order)

    def _stop_play(self, endpoint: Endpoint, _order: StopPlay, _now: float) -> None:
        if (voice := self._voices.get(endpoint.name)) is not None:
            voice.stop()
            self._tidy(voice)

    def _record(self, endpoint: Endpoint, order: Record, now: float) -> None:
        key, ends = (order.endpoint, order.recording), [endpoint]
        if key in self._recorders:
            self._report(Recorded(*key, 0.0, "there is one of this name already"))
            return
        if order.other:
            other = self._endpoints.get(order.other)
            if other is None or other is endpoint:
                self._report(Recorded(*key, 0.0, "the other side is gone"))
                return
            ends.append(other)
        voices = [self._voice(each, now) for each in ends]
        rate_hz = WIDE_HZ if any(voice.is_wide for voice in voices) else NARROW_HZ
        if self._files is None:
            self._files = self._open_files()
        writer = self._files.open(order.path, rate_hz, len(voices))
        recorder = Recorder(voices, writer, rate_hz, max_s=order.max_s, silence_s=order.silence_s)
        self._recorders[key] = recorder
        for voice in voices:
            voice.recorders.append(recorder)
            voice.listen()
            self._room_of[voice].tune()

    def _stop_record(self, _endpoint: Endpoint, order: StopRecord, _now: float) -> None:
        recorder = self._recorders.get((order.endpoint, order.recording))
        if recorder is not None:
            recorder.stop("stopped")
            self._finish(order.endpoint, order.recording, recorder)

    def _detect(self, endpoint: Endpoint, order: Detect, now: float) -> None:
        if not order.on and endpoint.name not in self._voices:
            return
        voice = self._voice(endpoint, now)
        voice.hears_tones = order.on
        voice.listen()
        self._tidy(voice)

    def _send_digit(self, endpoint: Endpoint, order: SendDigit, now: float) -> None:
        self._voice(endpoint, now).press(order.digit, order.duration_ms)

    # What the worker tells.

    def signalled(self, endpoint: Endpoint, packet: bytes, now: float) -> None:
        """An RFC 4733 event of the peer."""
        remote = endpoint.remote
        clocks = dict(remote.clock_rates) if remote is not None else {}
        clock_hz = clocks.get(packet[1] & 0x7F, NARROW_HZ)
        try:
            opened = unpack(packet)
            known = self._receivers.get(endpoint.name)
            if known is None or known[:2] != (opened.ssrc, clock_hz):  # another source counts anew
                known = self._receivers[endpoint.name] = opened.ssrc, clock_hz, EventReceiver(clock_hz)
            digit = known[2].receive(opened.timestamp_ticks, opened.marker, opened.payload, now)
        except MalformedPacketError:
            return
        if digit is not None:
            self._report(Digit(endpoint.name, digit, opened.timestamp_ticks))

    def changed(self, endpoint: Endpoint) -> None:
        """SDP has agreed on something else."""
        voice = self._voices.get(endpoint.name)
        if voice is not None:
            voice.listen()
            self._room_of[voice].tune()

    def joined(self, endpoint: Endpoint | None) -> None:
        """It has another joined peer, or none."""
        voice = self._voices.get(endpoint.name) if endpoint is not None else None
        if voice is not None:
            voice.listen()
            self._tidy(voice)

    def closed(self, name: str) -> None:
        """An endpoint is closed."""
        self._receivers.pop(name, None)
        self._streams.pop(name, None)
        voice = self._voices.pop(name, None)
        if voice is None:
            return
        for (endpoint, recording), recorder in tuple(self._recorders.items()):
            if voice in recorder.voices:
                recorder.stop("closed")
                self._finish(endpoint, recording, recorder)
        voice.stop("closed")
        self._leave(voice)

    def close(self) -> None:
        """End all recordings in order: the core is gone."""
        for (endpoint, recording), recorder in tuple(self._recorders.items()):
            recorder.stop("closed")
            self._finish(endpoint, recording, recorder)
        if self._files is not None:
            self._files.stop()

    # The clock.

    def tick(self, now: float) -> float:
        """Tick the rooms that are due; returns when the next ones are."""
        if now - self._due > LATE_S:
            self._due = now
        while self._due <= now:
            for room in tuple(self._phases[self._phase]):
                self._tick_room(room, now)
                if not room.name and room.voices and not room.voices[0].is_wanted:
                    self._tidy(room.voices[0])
            self._phase = (self._phase + 1) % PHASES
            self._due += PHASE_S
        for (endpoint, recording), recorder in tuple(self._recorders.items()):
            if recorder.why:
                self._finish(endpoint, recording, recorder)
        if not any(self._phases):
            self._due = inf
        return self._due

    # Inside.

    def _tick_room(self, room: Room, now: float) -> None:
        try:
            for voice, digit in room.tick(now):
                self._report(Digit(voice.endpoint.name, digit))
        except Exception as error:  # the edge of the process: a bug in one room hurts no other
            for voice in tuple(room.voices):
                self._failed(voice.endpoint.name, error)

    def _voice(self, endpoint: Endpoint, now: float) -> Voice:
        voice = self._voices.get(endpoint.name)
        if voice is None:
            known = self._streams.get(endpoint.name)
            if known is None:
                chance, ssrc = self._chance, self._chance.getrandbits(32)
                stream = Outgoing(ssrc, chance.getrandbits(15), chance.getrandbits(31))
                known = self._streams[endpoint.name] = (stream, Reporter(endpoint, ssrc, chance))
            stream, reporter = known
            stream.resume()
            voice = Voice(endpoint, stream, partial(self._played, endpoint.name), reporter)
            self._voices[endpoint.name] = voice
            self._enter(voice, self._open_room("", now))
        return voice

    def _open_room(self, name: str, now: float) -> Room:
        room = Room(name)
        room.phase = min(range(PHASES), key=lambda phase: len(self._phases[phase]))
        self._phases[room.phase].append(room)
        if name:
            self._rooms[name] = room
        if self._due == inf:
            self._due = now
            self._beat(now)
        return room

    def _enter(self, voice: Voice, room: Room) -> None:
        self._room_of[voice] = room
        room.enter(voice)

    def _leave(self, voice: Voice) -> None:
        room = self._room_of.pop(voice)
        room.leave(voice)
        if not room.voices:
            self._phases[room.phase].remove(room)
            self._rooms.pop(room.name, None)

    def _tidy(self, voice: Voice) -> None:
        """Forget a voice that has nothing to do: its packets go the short way again."""
        room = self._room_of.get(voice)
        if self._voices.get(voice.endpoint.name) is not voice or room is None:
            return
        if not room.name and not voice.is_wanted:
            del self._voices[voice.endpoint.name]
            self._leave(voice)
            voice.endpoint.listen(None, None)

    def _played(self, endpoint: str, play: str, why: str) -> None:
        self._report(Played(endpoint, play, why))

    def _finish(self, endpoint: str, recording: str, recorder: Recorder) -> None:
        del self._recorders[endpoint, recording]
        for voice in recorder.voices:
            voice.recorders.remove(recorder)
            if voice in self._room_of:
                voice.listen()
                self._tidy(voice)

        def told(trouble: str) -> None:
            seconds = -1.0 if trouble else recorder.seconds
            self._report(Recorded(endpoint, recording, seconds, trouble or recorder.why))

        recorder.close(told)


ACTIONS: Final[dict[type, Callable[[Studio, Endpoint, Any, float], None]]] = {
    Mix: Studio._mix,
    Play: Studio._play,
    StopPlay: Studio._stop_play,
    Record: Studio._record,
    StopRecord: Studio._stop_record,
    Detect: Studio._detect,
    SendDigit: Studio._send_digit,
}
