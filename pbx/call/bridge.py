"""Two legs that are up, and agreed on their media with others, come to hear one another (RFC 3725 §4.4)."""

from typing import Protocol

from pbx.call.call_host import CallHost
from pbx.call.identity import introduce
from pbx.call.leg import UP, Leg
from pbx.call.own_media import own_offer
from pbx.call.playing import Playing
from pbx.call.renegotiation import Done
from pbx.sdp.content import Content, with_direction
from pbx.sip.headers import Extra


class BridgedCall(Protocol):
    """The call."""

    playing: Playing

    @property
    def host(self) -> CallHost: ...
    def peer_of(self, leg: Leg) -> Leg | None: ...
    def connect(self, a: Leg, b: Leg) -> None: ...
    def join(self, a: Leg, b: Leg) -> None: ...
    def leave_booth(self) -> None: ...
    def leg_withdrew(self, leg: Leg) -> None: ...
    def end(self, why: str, status: int = 480, extra: Extra = ()) -> None: ...


def bridge(call: BridgedCall, x: Leg, y: Leg) -> None:
    """Renegotiate until two legs that talk by now hear one another.

    `y` is offered what `x` can do, then `x` what `y` answered; where that fits nothing, `y` makes the offer;
    where that fits nothing either, the PBX speaks with both.
    """
    _Bridge(call, x, y).begin()


class _Bridge:
    """One such renegotiation; it goes no further when somebody leaves, who tells the call himself."""

    def __init__(self, call: BridgedCall, x: Leg, y: Leg) -> None:
        self._call, self._x, self._y = call, x, y

    def begin(self) -> None:
        known = self._x.media.content
        if known is None:
            self._y_answered(488, None)
        else:
            self._reoffer(self._y, with_direction(known), self._y_answered)

    @property
    def _is_past(self) -> bool:
        x, y = self._x, self._y
        return self._call.peer_of(x) is not y or x.state != UP or y.state != UP

    def _reoffer(self, leg: Leg, content: Content | None, done: Done) -> None:
        other = self._y if leg is self._x else self._x
        who = introduce(other.party, leg.party, self._call.host.domain)
        leg.reoffer(content, done, who, persistent=True)

    def _y_answered(self, status: int, answer: Content | None) -> None:
        if self._is_past:
            return
        if status >= 300 or answer is None:
            self._reoffer(self._y, None, self._y_offered)
            return
        self._call.connect(self._x, self._y)
        self._reoffer(self._x, with_direction(answer), self._x_answered)

    def _x_answered(self, status: int, _answer: Content | None) -> None:
        if self._is_past:
            return
        if status >= 300:
            self._translate(status)
        else:
            self._call.connect(self._x, self._y)

    def _y_offered(self, status: int, offer: Content | None) -> None:
        if self._is_past:
            return
        if status >= 300 or offer is None:
            self._translate(status)
            return
        if self._x.pending is not None:  # it waits for `y`, and `y` for what `x` says to its offer
            self._call.leg_withdrew(self._x)
            self._x.refuse(491, "Request Pending")
        self._reoffer(self._x, with_direction(offer), self._x_answered_y)

    def _x_answered_y(self, status: int, answer: Content | None) -> None:
        if self._is_past:
            return
        if status >= 300 or answer is None:
            self._y.keep()
            self._translate(status)
            return
        self._y.acknowledge(answer)
        self._call.connect(self._x, self._y)

    def _translate(self, status: int) -> None:
        """They have no codec in common, or one takes no offer of the other's."""

        def done(again: int, answer: Content | None) -> None:
            if self._is_past:
                return
            if again >= 300 or answer is None or self._x.media.sound_endpoint is None:
                self._call.end(f"renegotiation after a transfer was answered {status}")
                return
            self._call.connect(self._x, self._y)
            if self._x.media.is_held:  # by who has left
                self._x.reoffer(own_offer(), self._x_spoke, persistent=True)

        self._reoffer(self._y, own_offer(), done)

    def _x_spoke(self, _status: int, _answer: Content | None) -> None:
        if not self._is_past:
            self._call.join(self._x, self._y)


def hear(call: BridgedCall, origin: Leg, leg: Leg) -> None:
    """Let a leg that is up hear the early media of who rings for it, in place of our ringing tone.

    It is not renegotiated with: the PBX translates, where that is needed, until somebody answers.
    """
    call.leave_booth()
    call.playing.stop(origin)
    origin.media.part()
    call.join(origin, leg)
