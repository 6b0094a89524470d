"""What comes of ringing for a leg of a call: somebody rings, answers, sends us on, or nobody answers."""

from typing import Protocol

from pbx.call.bridge import bridge, hear
from pbx.call.dialling import caller_unanswered, fail, goes_on, offer_for, ring_next
from pbx.call.hunt import Hunt
from pbx.call.leg import CALLING, UP, Leg
from pbx.call.own_media import translated
from pbx.call.transfer import TransferCall
from pbx.errors import MediaError, PeerError
from pbx.rules.decision import Reject
from pbx.sdp.content import Content, with_direction
from pbx.sip.headers import Extra
from pbx.sip.message import Response


class HuntingCall(TransferCall, Protocol):
    """The call."""

    def answered(self) -> None: ...
    def fail_to_answer(self, leg: Leg, error: PeerError | MediaError) -> None: ...


class Outcome:
    """Who a hunt reports to, on behalf of its call."""

    def __init__(self, call: HuntingCall) -> None:
        self._call = call

    def hears(self, hunt: Hunt) -> bool:
        """Whether early media is passed on: not to who waits with music, or is served by another worker."""
        transfer = self._call.transfer
        return not hunt.is_recall and (transfer is None or not transfer.is_adopted)

    def progressed(self, hunt: Hunt, leg: Leg, response: Response, content: Content | None) -> None:
        """A phone rings."""
        call, origin = self._call, hunt.origin
        if origin.state == CALLING:
            identity = call.identity(leg, origin)
            status, reason = (183, "Session Progress") if content is not None else (180, "Ringing")
            if content is None and response.status in (181, 182, 199):
                return
            origin.progress(status, reason, content, identity)
            if content is not None:
                call.join(origin, leg)
            return
        if call.transfer is not None:
            call.transfer.progressed(response.status, response.reason)
        if content is not None:
            hear(call, origin, leg)
        elif hunt.early is None and call.transfer is not None:
            call.playing.ringing(origin)

    def fell_silent(self, hunt: Hunt) -> None:
        """Who hears the early media of a phone that is gone hears ours again, and whom he talks with."""
        call, origin = self._call, hunt.origin
        if origin.state != UP:
            return
        origin.media.part()
        if call.transfer is None:
            call.host.services.ring_back(call, origin)
            return
        if call.talk is not None:
            call.join(*call.talk)
        call.playing.ringing(origin)

    def answered(self, hunt: Hunt, leg: Leg, content: Content | None) -> None:
        """A phone answered."""
        call, origin = self._call, hunt.origin
        call.hunt = None
        call.tell(f"{leg.party.where} answers")
        if content is None:
            content = leg.media.content  # it came with a provisional response
        call.drop_all_but(origin, leg)
        identity = call.identity(leg, origin)
        if leg.outside is not None:
            call.host.metering.answered(call.id, leg, call.age_s)
        if origin.state == CALLING:
            self._answer_caller(hunt, leg, content, identity)
        elif call.consult is not None and call.consult.transferor is origin:
            call.consult.answered(leg)
        else:
            _connect(call, hunt, leg, content)
        call.answered()
        call.host.note("call {call} answered by {callee}", call=call.id, callee=leg.party.key)

    def _answer_caller(self, hunt: Hunt, leg: Leg, content: Content | None, identity: Extra) -> None:
        call, origin = self._call, hunt.origin
        settled = leg.media.content
        was_early = origin.media.is_stable and not origin.media.is_idle
        offered = origin.media.content
        if content is not None and offered is not None and not was_early:
            content = translated(content, offered)
        try:
            origin.answer(content, identity)
        except (PeerError, MediaError) as error:
            call.fail_to_answer(origin, error)
            return
        call.connect(origin, leg)
        if was_early and settled is not None and (hunt.early is not leg or hunt.early_content != settled):
            # The caller has been told of other media before: renegotiate with this phone's.
            def rejoined(status: int, _answer: Content | None) -> None:
                if status < 300 and call.peer_of(origin) is leg:
                    call.join(origin, leg)

            origin.reoffer(settled, rejoined, persistent=True)

    def failed(self, hunt: Hunt, status: int, response: Response | None) -> None:
        """Nobody answered."""
        call, origin, why = self._call, hunt.origin, hunt.why_not
        call.hunt = None
        call.wait(None)
        call.tell(why)
        call.drop_cancelled(why)
        if hunt.is_recall:
            return
        if hunt.after:
            ring_next(call, hunt)
            return
        if origin.state == CALLING:
            caller_unanswered(call, hunt, status, response)
            return
        if call.consult is not None and call.consult.transferor is origin:
            call.consult.failed(status)
            return
        transfer = call.transfer
        if goes_on(call, origin, hunt.key, status, why, None if transfer is None else transfer.handed_over):
            return
        call.transfer = None
        call.playing.stop(origin)
        if transfer is not None:
            transfer.failed(status, response.reason if response is not None else "")
            if transfer.transferor in call.legs:
                call.playing.hold(transfer.transferor, origin)
                return
        fail(call, origin, status, why if transfer is None else f"transfer failed: {why}")

    def redirected(self, hunt: Hunt, leg: Leg, response: Response) -> bool:
        """A phone sent a 3xx: its extension forwards (product §2)."""
        call = self._call
        decision = call.host.redirect(call.router, hunt, leg, response)
        if decision is None:
            return False
        call.explain(decision)
        if isinstance(decision, Reject):
            return False
        before = set(hunt.legs)
        try:
            call.host.ringing.ring(call, hunt, decision, offer_for(hunt.origin), ())
        except MediaError as error:
            call.complain(error)
            return False
        found = set(hunt.legs) - before
        hunt.sent_on |= found
        return bool(found)

    def passed(self, hunt: Hunt, leg: Leg, response: Response) -> bool:
        """A trunk could not take the call: is the next one trying?"""
        call = self._call
        return call.host.ringing.dial_next(call, hunt, leg, response)


def _connect(call: HuntingCall, hunt: Hunt, leg: Leg, content: Content | None) -> None:
    """Who was rung for a leg that is up has answered: the two talk. There may have been no REFER."""
    origin, transfer = hunt.origin, call.transfer
    call.transfer = None
    call.talk = (origin, leg)
    origin.media.part()
    call.leave_booth()
    call.playing.stop(origin)
    if transfer is not None:
        transfer.succeeded()
        call.linger()
    if content is None or hunt.is_adopted or (transfer is not None and transfer.is_adopted):
        leg.media.move(call.id, f"{call.id}.{leg.name}")
        bridge(call, origin, leg)
        return

    def answered(status: int, answer: Content | None) -> None:
        if call.peer_of(origin) is not leg or origin.state != UP or leg.state != UP:
            return
        if status < 300 and answer is not None:
            leg.acknowledge(answer)  # where the target was called without an offer
            call.connect(origin, leg)
        elif leg.is_opening:
            call.end(f"the offer of a transfer's target was answered {status}", 488)
        else:  # it takes not what the target chose: let both find something else
            bridge(call, leg, origin)

    call.join(origin, leg)
    origin.reoffer(with_direction(content), answered, call.identity(leg, origin), persistent=True)
