"""The recording of a call: whoever talks with whom, one side in each channel."""

from typing import Any, Final, Protocol

from pbx.call.effects import CallRecord
from pbx.call.leg import Leg
from pbx.call.phrases import Phrases
from pbx.call.questions import NewRecording
from pbx.call.routing import Router
from pbx.call.sound import Begin, Sound
from pbx.immutable import immutable
from pbx.media.orders import Record, StopRecord
from pbx.media.prompt import Prompt

MOST_S: Final = 4 * 3600.0


class RecordingHost(Protocol):
    """The exchange."""

    sound: Sound

    @property
    def services(self) -> Any: ...
    @property
    def entropy(self) -> Any: ...
    def order(self, order: Any) -> None: ...
    @property
    def router(self) -> Router: ...
    def note(self, text: str, **fields: object) -> None: ...


class RecordedCall(Protocol):
    """The call."""

    id: str
    record: CallRecord

    @property
    def host(self) -> Any: ...
    @property
    def talk(self) -> tuple[Leg, Leg] | None: ...
    def play(self, leg: Leg, prompt: Prompt) -> None: ...


@immutable
class _Going:
    """What is being recorded: whose sound, by their endpoints."""

    name: str
    left: str
    right: str


class CallRecording:
    """Begun by an extension's setting, begun and ended by `*1`. The call is handed in each time.

    Whoever talks with somebody else now, after a transfer, has another recording, if one of the two wants it.
    """

    def __init__(self) -> None:
        self._going: _Going | None = None
        self._wish = ""  # key of the extension that has asked for it by key
        self._is_off = False  # by key: the setting counts no more in this call
        self._count = 0

    def begin(self, call: RecordedCall, a: Leg, b: Leg) -> None:
        """These two talk from now on: record them, if one of their extensions wants that."""
        host: RecordingHost = call.host
        going = self._going
        if going is not None:
            if {a.media.sound_endpoint, b.media.sound_endpoint} == {going.left, going.right}:
                return
            self._stop(host)
        wish = self._wish if self._wish in (a.party.key, b.party.key) else ""
        key = "" if self._is_off else host.router.recorded(a) or host.router.recorded(b) or wish
        if key:
            self._start(call, a, b, key)
            self._tell(call, a, b)

    def toggle(self, call: RecordedCall, leg: Leg) -> None:
        """A key was pressed for it."""
        host: RecordingHost = call.host
        phrases: Phrases = host.services.phrases
        if self._going is not None:
            self._is_off, self._wish = True, ""
            self._stop(host)
            call.play(leg, phrases.say("record-off"))
        elif call.talk is not None:
            self._is_off, self._wish = False, leg.party.key
            self._start(call, *call.talk, leg.party.key)
            self._tell(call, *[each for each in call.talk if each is not leg])
            call.play(leg, phrases.say("record-on"))

    def _tell(self, call: RecordedCall, *legs: Leg) -> None:
        phrases: Phrases = call.host.services.phrases
        if phrases.announces_recording:
            for leg in legs:
                call.play(leg, phrases.say("record-announcement"))

    def _stop(self, host: RecordingHost) -> None:
        if self._going is not None:
            host.order(StopRecord(self._going.left, self._going.name))
            self._going = None

    def _start(self, call: RecordedCall, a: Leg, b: Leg, key: str) -> None:
        host: RecordingHost = call.host
        left, right = a.media.sound_endpoint, b.media.sound_endpoint
        if left is None or right is None:
            return
        self._count += 1
        going = self._going = _Going(f"recording {self._count}", left, right)
        record = call.record
        what = NewRecording(f"{call.id}-{self._count}", call.id, key, record.caller, record.callee)

        def begun(path: Any) -> None:
            if self._going is not going:
                host.sound.give_up(what, path)
                return
            if not isinstance(path, str):
                host.note("call {call} is not recorded: {why}", call=what.call, why=path.why)
                self._going = None
                return
            record.recordings.append(what.id)
            host.sound.record(Record(left, going.name, path, right, MOST_S), what, ended)

        def ended(_seconds: float, _why: str, kept: Any) -> None:
            if kept is None:  # too short to hold words
                record.recordings.remove(what.id)
            if self._going is going:
                self._going = None

        host.sound.ask(Begin(what), begun)
