"""Carries out what the exchange asks for. Each kind of effect has one line here."""

import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from twisted.logger import Logger, LogLevel

from pbx.app.printable import LONGEST, printable
from pbx.call.carrier import Resolve
from pbx.call.effects import (
    ChargeUsage,
    EmergencyDialled,
    Missed,
    Note,
    OpenUsage,
    SaveBindings,
    SaveLogins,
    Traced,
    UsageReached,
    WriteRecord,
)
from pbx.call.sound import Question, Render
from pbx.media.orders import SOUND_ORDERS, CloseEndpoint, Join, OpenEndpoint, Part, ReadStats, SetRemote
from pbx.sip.flow import Flow
from pbx.sip.transaction.types import Ignored, Send

log: Final = Logger()
observe: Final[Callable[[dict[str, Any]], None]] = log.observer
LEVELS: Final = {
    "debug": LogLevel.debug,
    "info": LogLevel.info,
    "warn": LogLevel.warn,
    "error": LogLevel.error,
    "critical": LogLevel.critical,
}


class Wire(Protocol):
    """net.Transports, as far as it is needed here."""

    def send(self, data: bytes, flow: Flow) -> None: ...


class Media(Protocol):
    """media.MediaControl, the same."""

    def perform(self, order: Any) -> None: ...

    def flush(self) -> None: ...


class Voices(Protocol):
    """app.Voices, the same."""

    def render(self, effect: Render) -> None: ...

    def answer(self, effect: Question) -> None: ...

    def missed(self, effect: Missed) -> None: ...

    def emergency(self, effect: EmergencyDialled) -> None: ...


class Finder(Protocol):
    """app.Finder, the same."""

    def find(self, effect: Resolve) -> None: ...


class Usage(Protocol):
    """app.UsageDesk, the same."""

    def open(self, effect: OpenUsage) -> None: ...

    def charge(self, effect: ChargeUsage) -> None: ...

    def reached(self, effect: UsageReached) -> None: ...


class Performer:
    """A table from the type of an effect to who carries it out.

    `wire` is set and `connect` called before the first step: what these parts hear becomes steps, whose
    effects come here.
    """

    wire: Wire

    def __init__(
        self,
        media: Media,
        save_bindings: Callable[[SaveBindings], None],
        write_record: Callable[[WriteRecord], None],
        save_logins: Callable[[SaveLogins], None],
        write_trace: Callable[[Traced], None],
    ) -> None:
        self._media = media
        self._is_opening = False
        self._table: dict[type, Callable[[Any], None]] = {
            Note: _note,
            Ignored: _ignored,
            SaveBindings: save_bindings,
            WriteRecord: write_record,
            SaveLogins: save_logins,
            Traced: write_trace,
            OpenEndpoint: self._open,
            **dict.fromkeys((SetRemote, Join, Part, CloseEndpoint, ReadStats, *SOUND_ORDERS), media.perform),
        }

    def connect(self, voices: Voices, finder: Finder, usage: Usage) -> None:
        """The rest of the table."""
        self._table |= {
            Render: voices.render,
            Question: voices.answer,
            Missed: voices.missed,
            EmergencyDialled: voices.emergency,
            Resolve: finder.find,
            OpenUsage: usage.open,
            ChargeUsage: usage.charge,
            UsageReached: usage.reached,
        }

    def __call__(self, effect: Any) -> None:
        if type(effect) is Send:  # every other one
            if self._is_opening:
                self._is_opening = False
                self._media.flush()
            self.wire.send(effect.data, effect.flow)
        else:
            self._table[type(effect)](effect)

    def _open(self, order: OpenEndpoint) -> None:
        # The port must be open when the SDP sent next names it, or the first packet of a quick phone meets
        # nobody. All other orders can wait for what more these steps have to say.
        self._is_opening = True
        self._media.perform(order)


def _note(effect: Note) -> None:
    fields = effect.fields
    text = "".join(map(str, fields.values()))
    if len(text) > LONGEST or not text.isprintable():
        fields = {name: printable(v) if isinstance(v, str) else v for name, v in fields.items()}
    # What `Logger.emit` makes and does, in a third of its time.
    observe(
        {
            **fields,
            "log_logger": log,
            "log_level": LEVELS[effect.level],
            "log_namespace": log.namespace,
            "log_source": None,
            "log_format": effect.text,
            "log_time": time.time(),
        }
    )


def _ignored(effect: Ignored) -> None:
    log.debug("ignored: {why}", why=effect.why)
