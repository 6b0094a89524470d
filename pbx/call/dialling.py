"""Carries out what the rules decide for a leg of a call, and what they decide next when nobody answers.

Somebody rings for it, the PBX serves it, or it is refused: one that still calls by a response, one that is up
by hearing that it cannot be connected.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final, Protocol

from pbx.call.call_host import CallHost
from pbx.call.effects import CallRecord
from pbx.call.hunt import Hunt
from pbx.call.leg import CALLING, Leg
from pbx.call.own_media import own_offer
from pbx.call.party import Party
from pbx.call.playing import Playing
from pbx.call.ringing import RingingCall
from pbx.call.routing import Router
from pbx.errors import MediaError, NoPortError
from pbx.rules.decision import (
    AskPasscode,
    AskPin,
    Decision,
    DialDecision,
    Reject,
    Ring,
    Serve,
    TakeMessage,
)
from pbx.rules.no_answer import LOOPS
from pbx.sdp.content import Content, with_direction
from pbx.sip.headers import Extra
from pbx.sip.message import Response

TIMER_C_S: Final = 185.0  # RFC 3261 §16.6: more than three minutes; nothing rings longer
FORBIDDEN: Final = (("Reason", 'SIP;cause=403;text="Forbidden"'),)
UNANSWERED: Final = frozenset({408, 480, 487, 603})  # nobody took it; of other refusals something went wrong
PASSED: Final = ("Reason", "Retry-After", "Warning")  # of a refusal, to the caller


class DialledCall(RingingCall, Protocol):
    """The call."""

    caller: Party  # who is missed when nobody answers
    record: CallRecord
    hunt: Hunt | None
    talk: tuple[Leg, Leg] | None
    playing: Playing

    @property
    def host(self) -> CallHost: ...
    @property
    def legs(self) -> list[Leg]: ...
    @property
    def transfer(self) -> object | None: ...
    @property
    def age_s(self) -> float: ...
    @property
    def router(self) -> Router: ...
    def begin_hunt(self, origin: Leg, decision: Ring) -> Hunt: ...
    def become(self, leg: Leg, party: Party) -> None: ...
    def drop_all_but(self, *kept: Leg) -> None: ...
    def drop_cancelled(self, why: str) -> None: ...
    def wait(self, seconds: float | None) -> None: ...
    def missed(self) -> None: ...
    def explain(self, decision: DialDecision) -> None: ...
    def complain(self, error: Exception) -> None: ...
    def finish(self, state: str, leg: Leg, status: int, why: str) -> None: ...
    def end(self, why: str, status: int = 480, extra: Extra = ()) -> None: ...


# --- a caller ----------------------------------------------------------------------------------------------


def start(call: DialledCall, leg: Leg, content: Content | None, decision: DialDecision, extra: Extra) -> None:
    """Carry out the decision about the caller's INVITE."""
    call.explain(decision)
    if isinstance(decision, Reject) and decision.key:
        call.record.callee_key = decision.key
        decision = _decide_no_answer(call, leg, decision.status, decision.why) or decision
    if isinstance(decision, Reject):
        _refuse(call, leg, decision)
    elif isinstance(decision, Ring):
        _ring_for_caller(call, leg, decision, content, extra)
    else:
        _serve(call, leg, decision)


def _ring_for_caller(
    call: DialledCall, leg: Leg, decision: Ring, content: Content | None, extra: Extra
) -> None:
    record = call.record
    record.callee_key = decision.key
    if decision.outside and not decision.key:
        _goes_out(call)
    call.host.world.took_turn(decision.group)
    hunt = call.begin_hunt(leg, decision)
    hunt.content, hunt.extra = content, extra  # whoever rings after these is offered the same
    try:
        leg.media.prepare()
    except NoPortError as error:
        call.complain(error)
        hunt.fail(503, str(error))
        return
    ring(call, hunt, decision, content, extra)


def _refuse(call: DialledCall, leg: Leg, decision: Reject) -> None:
    """Refuse the caller; he hears why, where that is wanted."""
    call.record.why = decision.why
    if decision.is_outbound:
        _goes_out(call)

    def refuse() -> None:
        leg.reject(decision.status, decision.reason)
        call.finish(decision.state or _state_of(decision.status), leg, decision.status, decision.why)

    if decision.announcement:
        call.host.services.announce(call, leg, decision.status, decision.announcement, refuse)
    else:
        refuse()


def caller_unanswered(call: DialledCall, hunt: Hunt, status: int, response: Response | None) -> None:
    """Nobody answered who rang for the caller: what the extension wants then, or a refusal."""
    origin, why = hunt.origin, hunt.why_not
    call.drop_all_but(origin)
    decision = _decide_no_answer(call, origin, 480 if hunt.is_outside and status >= 500 else status, why)
    if isinstance(decision, Ring):  # what it rings is not this extension's call any more
        call.record.callee_key = ""
        further = call.begin_hunt(origin, decision)
        ring(call, further, decision, hunt.content, hunt.extra)
        return
    if decision is not None and not isinstance(decision, Reject):
        _serve(call, origin, decision)
        return
    reason = response.reason if response is not None else ""
    if decision is not None and decision.is_noted:
        status, reason, response = decision.status, decision.reason, None
    extra: Extra = ()
    if response is not None:
        extra = tuple((name, value) for name in PASSED for value in response.headers.get_all(name))
    elif status == 503:
        extra = (("Retry-After", "10"),)
    origin.reject(status, reason, extra)
    call.finish(_state_of(status), origin, status, why)


def _decide_no_answer(call: DialledCall, origin: Leg, status: int, why: str) -> Decision | None:
    """What the extension wants that was called; None: the caller is told what its phones said."""
    key = call.record.callee_key
    if not key or status in LOOPS:
        return None
    decision = call.router.no_answer(origin.party, key, status, why)
    call.explain(decision)
    if isinstance(decision, Reject) and decision.is_noted:
        call.missed()
    return decision


# --- a leg that is up --------------------------------------------------------------------------------------


def dial(call: DialledCall, leg: Leg, dialled: str) -> None:
    """A leg that is up wants to talk with somebody."""
    decision = call.router.dialled(leg.party, dialled)
    call.explain(decision)
    carry_out(call, leg, decision)


def carry_out(call: DialledCall, leg: Leg, decision: DialDecision) -> None:
    """Do what was decided for a leg that is up; when it rings somewhere, it hears that."""
    if isinstance(decision, Ring):
        if decision.outside:
            _goes_out(call)
        _ring_up(call, leg, decision)
    elif not isinstance(decision, Reject):
        _serve(call, leg, decision)
    elif not goes_on(call, leg, decision.key, decision.status, decision.why):
        fail(call, leg, decision.status, decision.why, decision.announcement)


def recall(call: DialledCall, leg: Leg, key: str) -> None:
    """Ring `key` for a leg that waits with its music, and waits on when nobody answers."""
    decision = call.router.called(leg.party, key)
    if isinstance(decision, Ring) and call.hunt is None:
        call.explain(decision)
        hunt = call.begin_hunt(leg, decision)
        hunt.is_recall = True
        ring(call, hunt, decision, offer_of(leg))


def goes_on(
    call: DialledCall, leg: Leg, key: str, status: int, why: str, done: Callable[[], None] | None = None
) -> bool:
    """A leg that is up has what the extension `key` wants that did not answer, if there is anything.

    `done` is called when the PBX has taken over.
    """
    decision: Decision | None = None
    if key and status not in LOOPS:
        decision = call.router.no_answer(leg.party, key, status, why)
    if not isinstance(decision, (Ring, TakeMessage)):
        return False
    call.explain(decision)
    if isinstance(decision, Ring):
        _ring_up(call, leg, decision)
        return True
    call.record.callee_key, call.caller = key, leg.party  # who misses whom, if no message is left
    hand_over(call, leg, decision, None, done)
    return True


def hand_over(
    call: DialledCall,
    leg: Leg,
    decision: Serve | TakeMessage,
    by: Leg | None,
    done: Callable[[], None] | None,
) -> None:
    """A leg talks with the PBX from now on, no more with its peer `by`, who is told when that is done."""
    take_away(call, leg, lambda: call.host.services.begin(call, leg, decision, by, done))


def take_away(call: DialledCall, leg: Leg, then: Callable[[], None]) -> None:
    """A leg talks no more with its peer; `then`, when one that was on hold has been asked to speak again."""
    call.talk = None
    call.playing.stop(leg)
    leg.media.part()

    def asked(_status: int = 200, _answer: Content | None = None) -> None:
        if leg in call.legs:
            then()

    if leg.media.is_held:
        leg.reoffer(own_offer(), asked, persistent=True)
    else:
        asked()


def fail(call: DialledCall, leg: Leg, status: int, why: str, announcement: str = "") -> None:
    """A leg that is up cannot be connected: it hears that, and then the call ends."""
    call.host.services.fail(call, leg, status, announcement, lambda: call.end(why, status))


def _ring_up(call: DialledCall, leg: Leg, decision: Ring) -> None:
    call.host.world.took_turn(decision.group)
    hunt = call.begin_hunt(leg, decision)
    ring(call, hunt, decision, offer_of(leg))
    if call.hunt is hunt and call.transfer is None:
        call.host.services.ring_back(call, leg)


# --- both --------------------------------------------------------------------------------------------------


def ring(call: DialledCall, hunt: Hunt, decision: Ring, content: Content | None, extra: Extra = ()) -> None:
    """Ring whom the decision names for a hunt."""
    try:
        call.host.ringing.ring(call, hunt, decision, content, extra)
    except MediaError as error:
        call.complain(error)
        hunt.fail(503, str(error))
        return
    if decision.no_answer_s is None:
        call.wait(TIMER_C_S)
    else:
        call.wait(max(0.0, hunt.began_at + decision.no_answer_s - call.host.stack.now))
    if not hunt.legs:
        hunt.fail()


def ring_next(call: DialledCall, hunt: Hunt) -> None:
    """The next of a group that rings one after the other."""
    following = replace(hunt.after[0], after=(*hunt.after[0].after, *hunt.after[1:]))
    call.explain(following)
    further = call.begin_hunt(hunt.origin, following)
    further.tried, further.key = hunt.tried, hunt.key
    ring(call, further, following, hunt.content, hunt.extra)


def offer_of(leg: Leg) -> Content | None:
    """What a leg that is up can be offered as to somebody new; None when its media is off altogether."""
    content = leg.media.content
    if content is None or all(line.rejected for line in content.lines):
        return None
    return with_direction(content)


def offer_for(origin: Leg) -> Content | None:
    """What somebody new is offered on behalf of a leg: what it offers itself while it calls."""
    return origin.media.content if origin.state == CALLING else offer_of(origin)


def _serve(call: DialledCall, leg: Leg, decision: AskPasscode | AskPin | Serve | TakeMessage) -> None:
    if isinstance(decision, AskPasscode):
        _open_with_passcode(call, leg, decision)
    elif isinstance(decision, AskPin):
        _open_with_pin(call, leg, decision)
    else:
        if isinstance(decision, Serve):
            call.record.state, call.record.answered_s = "answered", call.age_s
        call.host.services.begin(call, leg, decision)


def _open_with_passcode(call: DialledCall, leg: Leg, decision: AskPasscode) -> None:
    """The passcode opens the way; from then on the leg is up, and hears what rings."""
    _goes_out(call)

    def refused() -> None:
        call.end("the passcode was not given", 403, FORBIDDEN)

    ask_passcode(call, leg, decision, partial(carry_out, call, leg), refused)


def ask_passcode(
    call: DialledCall,
    leg: Leg,
    decision: AskPasscode,
    then: Callable[[Ring | Reject], None],
    refused: Callable[[], None],
) -> None:
    """Ask a leg for the passcode; go on with what it opens, or with `refused`."""

    def done(is_right: bool) -> None:
        if is_right:
            call.tell(f"the passcode of {decision.key} was given")
            then(call.router.opened(decision))
            return
        call.tell(f"the passcode of {decision.key} was not given")
        refused()

    call.host.services.ask_passcode(call, leg, decision.key, decision.hash, done)


def _open_with_pin(call: DialledCall, leg: Leg, decision: AskPin) -> None:
    """Whose PIN is given makes this one call."""
    _goes_out(call)

    def done(member: str) -> None:
        if not member:
            call.tell("no member's PIN was given")
            call.end("no PIN was given", 403, FORBIDDEN)
            return
        call.become(leg, call.router.visitor(leg.party, member))
        call.record.member = member
        call.tell(f"{member} gave his PIN: the call is that of {leg.party.key}")
        dial(call, leg, decision.dialled)

    call.host.services.ask_pin(call, leg, done)


def _goes_out(call: DialledCall) -> None:
    """Somebody inside dials a number outside, whether he may or not."""
    if call.record.kind == "internal":
        call.record.kind = "outbound"


def _state_of(status: int) -> str:
    """What a call's record says of one that was refused with a status."""
    if status in (486, 600):
        return "busy"
    return "unanswered" if status in UNANSWERED else "failed"
