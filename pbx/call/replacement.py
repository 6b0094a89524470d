"""A phone takes the place of another in a call: INVITE with Replaces (RFC 3891 §3), and picking up."""

from typing import Final, Protocol

from pbx.call.call import Call
from pbx.call.dialling import offer_for
from pbx.call.hunt import ELSEWHERE, Hunt
from pbx.call.leg import CALLING, UP, Leg
from pbx.call.own_media import translated
from pbx.call.party import Party
from pbx.call.routing import Router
from pbx.errors import MediaError, PeerError
from pbx.office.snapshot import Office
from pbx.rules.decision import DialDecision, Serve
from pbx.rules.features import decide_feature
from pbx.sdp.content import Content, with_direction
from pbx.sip.fields import Replaces, parse_replaces

NO_MEDIA_IN_COMMON: Final = 488


class ReplacingHost(Protocol):
    """The exchange."""

    office: Office
    calls: dict[str, Call]

    @property
    def router(self) -> Router: ...
    def leg_with(self, replaces: Replaces, party: Party | None) -> Leg | None: ...


def replaced(host: ReplacingHost, value: str) -> tuple[Call, Leg]:
    """The leg that a Replaces header names.

    Raises:
        PeerError: there is none, or it may not be replaced now.
    """
    replaces = parse_replaces(value)
    leg = host.leg_with(replaces, None)
    if leg is None or not isinstance(leg.user, Call):
        raise PeerError(481, "Call/Transaction Does Not Exist")
    if replaces.is_early_only and leg.state != CALLING:
        raise PeerError(486, "Busy Here")
    return leg.user, leg


def picked_up(host: ReplacingHost, party: Party, dialled: str) -> tuple[Call, Leg] | None:
    """The leg that rings with the extension whose call somebody wants, by `**` and its key or by `*8`."""
    if not dialled.startswith(("*", "#")):
        return None
    decision: DialDecision | None = decide_feature(host.office, dialled)
    if not isinstance(decision, Serve) or not decision.service.startswith("pick up"):
        return None
    decision = host.router.dialled(party, dialled)
    if not isinstance(decision, Serve):  # nobody is logged in at this phone, say
        return None
    keys = {decision.argument}
    if decision.service == "pick up in group":
        groups = [group.members for group in host.office.groups if party.key in group.members]
        keys = {key for members in groups for key in members} - {party.key}
    for call in host.calls.values():
        hunt = call.hunt
        if hunt is not None and hunt.origin.state == CALLING:
            for leg in hunt.legs:
                if leg.party.key in keys and not leg.party.trunk:
                    return call, leg
    return None


def replace(call: Call, old: Leg, new: Leg, content: Content | None) -> None:
    """Let `new`, which offers `content`, take the place of `old`."""
    call.add(new)
    peer = call.peer_of(old)
    if old.state == UP and peer is not None and call.is_asking:
        _refuse(call, new, 491)
    elif old.state == UP and peer is not None:
        _take_over(call, old, new, peer, content)
    elif call.hunt is not None and old in call.hunt.legs:
        _pick_up(call, call.hunt, new, content)
    else:
        _refuse(call, new, 481)


def _pick_up(call: Call, hunt: Hunt, new: Leg, content: Content | None) -> None:
    """`new` takes the call that rings at others."""
    origin = hunt.origin
    offered = offer_for(origin)
    if content is None or offered is None or origin.state != CALLING:
        _refuse(call, new, NO_MEDIA_IN_COMMON)
        return
    try:
        new.answer(translated(offered, content), call.identity(origin, new))
    except (PeerError, MediaError):
        _refuse(call, new, NO_MEDIA_IN_COMMON)  # it rings on
        return
    call.hunt = None
    hunt.stop(ELSEWHERE)
    call.drop_all_but(origin, new)
    try:
        origin.answer(translated(content, offered), call.identity(new, origin))
    except (PeerError, MediaError) as error:
        call.end(str(error), NO_MEDIA_IN_COMMON)
        return
    call.tell(f"{new.party.where} picks the call up")
    call.connect(origin, new)
    call.answered()


def _take_over(call: Call, old: Leg, new: Leg, peer: Leg, content: Content | None) -> None:
    """`new` goes on with the talk of `old`, if the other side takes its media."""

    def done(status: int, answer: Content | None) -> None:
        if new not in call.legs:
            peer.keep()
            return
        if status >= 300 or answer is None or peer not in call.legs:
            _refuse(call, new, NO_MEDIA_IN_COMMON)
            return
        if call.is_asking:  # since a moment ago
            _refuse(call, new, 491)
            peer.keep()
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


def _refuse(call: Call, new: Leg, status: int) -> None:
    new.reject(status)
    call.drop(new, status)
