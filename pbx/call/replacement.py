"""A phone takes the place of another in a call: INVITE with Replaces (RFC 3891 §3), and picking up."""

from typing import Final, Protocol

from pbx.call.dialling import offer_for
from pbx.call.effects import CallRecord
from pbx.call.hunt import ELSEWHERE, Hunt
from pbx.call.leg import CALLING, UP, Leg
from pbx.call.own_media import translated
from pbx.errors import MediaError, PeerError
from pbx.sdp.content import Content, with_direction
from pbx.sip.stack import Extra

NO_MEDIA_IN_COMMON: Final = 488


class ReplacedCall(Protocol):
    """The call."""

    hunt: Hunt | None
    talk: tuple[Leg, Leg] | None
    record: CallRecord

    @property
    def legs(self) -> list[Leg]: ...
    def add(self, leg: Leg) -> None: ...
    def drop(self, leg: Leg, status: int = 0, why: str = "") -> None: ...
    def drop_all_but(self, *kept: Leg) -> None: ...
    def peer_of(self, leg: Leg) -> Leg | None: ...
    def connect(self, a: Leg, b: Leg) -> None: ...
    def identity(self, leg: Leg, to: Leg) -> Extra: ...
    def tell(self, sentence: str) -> None: ...
    def answered(self) -> None: ...
    def end(self, why: str, status: int = 480) -> None: ...


def replace(call: ReplacedCall, old: Leg, new: Leg, content: Content | None) -> None:
    """Let `new`, which offers `content`, take the place of `old`."""
    call.add(new)
    peer = call.peer_of(old)
    if old.state == UP and peer is not None:
        _take_over(call, old, new, peer, content)
    elif call.hunt is not None and old in call.hunt.legs:
        _pick_up(call, call.hunt, new, content)
    else:
        _refuse(call, new, 481)


def _pick_up(call: ReplacedCall, hunt: Hunt, new: Leg, content: Content | None) -> None:
    """`new` takes the call that rings at others."""
    origin = hunt.origin
    offered = offer_for(origin)
    if content is None or offered is None or origin.state != CALLING:
        _refuse(call, new, NO_MEDIA_IN_COMMON)
        return
    call.hunt = None
    hunt.stop(ELSEWHERE)
    call.drop_all_but(origin, new)
    try:
        new.answer(translated(offered, content), call.identity(origin, new))
        origin.answer(translated(content, offered), call.identity(new, origin))
    except (PeerError, MediaError) as error:
        call.end(str(error), NO_MEDIA_IN_COMMON)
        return
    call.tell(f"{new.party.where} picks the call up")
    call.connect(origin, new)
    call.answered()


def _take_over(call: ReplacedCall, old: Leg, new: Leg, peer: Leg, content: Content | None) -> None:
    """`new` goes on with the talk of `old`, if the other side takes its media."""

    def done(status: int, answer: Content | None) -> None:
        if new not in call.legs:
            peer.keep()
            return
        if status >= 300 or answer is None or peer not in call.legs:
            _refuse(call, new, NO_MEDIA_IN_COMMON)
            return
        try:
            new.answer(answer, call.identity(peer, new))
        except (PeerError, MediaError):
            _refuse(call, new, NO_MEDIA_IN_COMMON)
            peer.keep()
            return
        call.talk = None
        call.tell(f"{new.party.where} takes the place of {old.party.key}")
        call.connect(peer, new)
        old.end()
        call.drop(old, 200, "replaced")

    offer = with_direction(content) if content is not None else None
    peer.reoffer(offer, done, call.identity(new, peer))


def _refuse(call: ReplacedCall, new: Leg, status: int) -> None:
    new.reject(status)
    call.drop(new, status)
