"""Staff are mailed of emergency calls: of the first at once, together of those that its phone repeats."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from pbx.mail.facts import EmergencyCall

GATHER_S: Final = 300.0  # after each mail

Repeated = tuple[str, str, str]  # extension, phone, what was dialled


class EmergencyMails:
    """A phone that dials for help again and again fills no mailbox, and no call of it is kept back for long.

    Args:
        clock: a reactor.
        send: mails the staff.
    """

    def __init__(self, clock: Any, send: Callable[[EmergencyCall], None]) -> None:
        self._clock, self._send = clock, send
        self._timers: dict[Repeated, Any] = {}  # while one runs, calls like the mailed one are gathered
        self._gathered: dict[Repeated, EmergencyCall] = {}  # the last of those, with how many they are

    def tell(self, facts: EmergencyCall) -> None:
        """Mail it, now or with those that follow."""
        kind = (facts.caller.key, facts.phone, facts.dialled)
        if kind in self._timers:
            before = self._gathered.get(kind)
            self._gathered[kind] = replace(facts, repeated=1 + (before.repeated if before else 0))
        else:
            self._mail(kind, facts)

    def stop(self) -> None:
        """Mail what was gathered."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for facts in self._gathered.values():
            self._send(facts)
        self._gathered.clear()

    def _mail(self, kind: Repeated, facts: EmergencyCall) -> None:
        self._timers[kind] = self._clock.callLater(GATHER_S, self._look, kind)
        self._send(facts)

    def _look(self, kind: Repeated) -> None:
        del self._timers[kind]
        if (facts := self._gathered.pop(kind, None)) is not None:
            self._mail(kind, facts)
