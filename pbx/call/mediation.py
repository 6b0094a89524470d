"""One side of a call renegotiates: the other is asked, and its answer goes back (RFC 3264 §8, RFC 3725)."""

from typing import Final, Protocol

from pbx.call.leg import Leg
from pbx.call.own_media import extended, modest, own_answer, own_offer, translated
from pbx.call.playing import Playing
from pbx.call.renegotiation import Done
from pbx.errors import MediaError, PeerError
from pbx.sdp.content import SENDONLY, Content, with_direction
from pbx.sdp.errors import SdpError

# How the other side's refusal is told; whoever is gone is about to be hung up.
REFUSED: Final = {408: 487, 415: 415, 481: 487, 487: 487, 488: 488, 491: 491, 606: 606}


class MediatedCall(Protocol):
    """The call."""

    id: str
    playing: Playing

    @property
    def talk(self) -> tuple[Leg, Leg] | None: ...
    def join(self, a: Leg, b: Leg) -> None: ...
    def complain(self, error: Exception) -> None: ...


class Mediation:
    """Whose renegotiation waits for whose answer. The call is handed in each time."""

    def __init__(self) -> None:
        self._asking: dict[Leg, tuple[Leg, Done]] = {}

    def pass_on(self, call: MediatedCall, leg: Leg, target: Leg, content: Content | None) -> None:
        """Ask `target` what it says to what `leg` wants; None: `leg` wants an offer.

        Where they share no codec, the target is offered what the PBX translates.
        """
        request = leg.pending
        if content is not None and content.is_held and call.talk is not None:
            content = with_direction(content, SENDONLY)  # even when it sends nothing: the music does
        if content is not None and leg.media.is_translated:
            content = modest(content)

        def done(status: int, answer: Content | None) -> None:
            if leg.pending is not request or request is None:  # cancelled, or the leg is over
                target.keep()
                return
            if status >= 300 or answer is None:
                leg.refuse(REFUSED.get(status, 488))
                return
            try:
                leg.reanswer(_told(leg, answer))
            except (PeerError, MediaError) as error:
                call.complain(error)
                leg.refuse(488)
                target.keep()
                return
            call.join(leg, target)
            call.playing.hold(leg, target)

        self._asking[leg] = (target, done)
        target.reoffer(content, done)

    def withdrew(self, leg: Leg) -> None:
        """What was passed on is cancelled there too."""
        target, done = self._asking.pop(leg, (None, None))
        if target is not None and done is not None:
            target.withdraw(done)

    def drop(self, leg: Leg) -> None:
        """A leg is gone."""
        self._asking.pop(leg, None)


def _told(leg: Leg, said: Content) -> Content:
    """What `leg` gets of what the other side has said: an answer to its offer, or an offer."""
    if not leg.media.is_translated:
        return said
    offered = leg.media.content if leg.media.is_answer_due else None
    return extended(said) if offered is None else translated(said, offered)


def answer_by_pbx(call: MediatedCall, leg: Leg, content: Content | None) -> None:
    """Answer the renegotiation of a leg that talks with the PBX."""
    own = own_offer() if content is None else own_answer(content)
    try:
        if own is None:
            raise SdpError("no codec that the PBX knows is offered")
        leg.reanswer(own)
    except (PeerError, MediaError) as error:
        call.complain(error)
        leg.refuse(488)
