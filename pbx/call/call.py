"""A call: the caller's leg, the legs that ring or talk, and what is decided about them."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final, Protocol

from pbx.call.booth import TIMER as BOOTH_TIMER
from pbx.call.booth import Booth
from pbx.call.consult import Consultation
from pbx.call.dialogue import Dialogue
from pbx.call.effects import CallRecord, LegRecord, Missed
from pbx.call.hunt import Hunt
from pbx.call.identity import introduce
from pbx.call.info import digit_of
from pbx.call.keys import Keys
from pbx.call.leg import CALLING, UP, Leg, Party
from pbx.call.mediation import Mediation, answer_by_pbx
from pbx.call.metering import Metering
from pbx.call.occupancy import Occupancy
from pbx.call.own_media import own_answer, own_offer, translated
from pbx.call.phrases import Phrases
from pbx.call.playing import Playing
from pbx.call.questions import NewMessage
from pbx.call.recording import CallRecording
from pbx.call.ringing import Ringing
from pbx.call.sound import Sound
from pbx.call.transfer import Transfer, TransferHost, bridge, offer_for, offer_of
from pbx.call.world import CurrentWorld
from pbx.errors import MediaError, NoPortError, PbxError, PeerError
from pbx.media.orders import Played, Record, SendDigit
from pbx.media.prompt import Prompt
from pbx.rtp.statistics import EndpointStats
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
from pbx.rules.explain import decided
from pbx.rules.no_answer import IN_TIME, LOOPS
from pbx.sdp.content import Content, with_direction
from pbx.sdp.errors import SdpError
from pbx.sip.flow import Flow
from pbx.sip.message import Request, Response
from pbx.sip.stack import Extra
from pbx.sip.transaction.key import TransactionKey

GAVE_UP: Final = "the caller gave up"
TIMER_C_S: Final = 185.0  # RFC 3261 §16.6: more than three minutes; nothing rings longer
LINGER_S: Final = 4.0  # for a transferor to hang up by itself
UNHELD_S: Final = 30.0  # after a hold, before silence that began in it counts
FORBIDDEN: Final = (("Reason", 'SIP;cause=403;text="Forbidden"'),)
PASSED: Final = ("Reason", "Retry-After", "Warning")  # of a refusal, to the caller


class CallHost(TransferHost, Protocol):
    """The exchange, as a call sees it."""

    sound: Sound
    ringing: Ringing
    metering: Metering
    occupancy: Occupancy
    world: CurrentWorld

    @property
    def services(self) -> "CallServices": ...
    def order(self, order: Any) -> None: ...
    def redirect(self, hunt: Hunt, leg: Leg, response: Response) -> Ring | Reject | None: ...
    def may_move(self, leg: Leg, request: Request, key: TransactionKey, flow: Flow) -> bool: ...
    def call_ended(self, call: "Call") -> None: ...


class CallServices(Protocol):
    """What the PBX does itself, as a call sees it."""

    @property
    def phrases(self) -> Phrases: ...
    @property
    def codes(self) -> Mapping[str, str]: ...
    def begin(
        self,
        call: "Call",
        leg: Leg,
        decision: Serve | TakeMessage,
        by: Leg | None = None,
        done: Callable[[], None] | None = None,
    ) -> None: ...
    def announce(
        self, call: "Call", leg: Leg, status: int, prompt: str, then: Callable[[], None]
    ) -> None: ...
    def fail(self, call: "Call", leg: Leg, status: int, prompt: str, then: Callable[[], None]) -> None: ...
    def ring_back(self, call: "Call", leg: Leg) -> None: ...
    def take_place(self, call: "Call", leg: Leg, other: "Call") -> bool: ...
    def ask_passcode(
        self, call: "Call", leg: Leg, key: str, stored: str, done: Callable[[bool], None]
    ) -> None: ...
    def ask_pin(self, call: "Call", leg: Leg, done: Callable[[str], None]) -> None: ...


class Call:
    """One conversation with everybody who takes part in it."""

    def __init__(self, host: CallHost, identifier: str, caller: Party, dialled: str) -> None:
        self.id = identifier
        self.host = host
        self.started_at = host.stack.now
        self.legs: list[Leg] = []
        self.talk: tuple[Leg, Leg] | None = None
        self.hunt: Hunt | None = None
        self.transfer: Transfer | None = None
        self.record = CallRecord(
            identifier,
            caller.key,
            dialled,
            kind="inbound" if caller.trunk else "internal",
            caller_name=caller.label,
            caller_device=caller.device,
            member=caller.member,
        )
        self.has_taken = False  # a recording by the booth was begun
        self._caller = caller
        self.is_over = False
        self.refers = 0
        self._rows: dict[str, LegRecord] = {}
        self._silent: set[Leg] = set()
        self._timers: set[str] = set()
        self._is_ending = False
        self._count = 0
        self.booth: Booth | None = None  # where the PBX talks with a leg
        self._steps = 0  # of all its dialogues
        self._after: Callable[[Any], None] | None = None  # gets what comes of its dialogue
        self._at_end: Callable[[], None] | None = None
        self._alarm: Callable[[], None] | None = None
        self.consult: Consultation | None = None  # a transfer by keys
        self._keys: dict[Leg, Keys] = {}
        self.playing = Playing(host)
        self.recording = CallRecording()
        self._mediation = Mediation()

    def __repr__(self) -> str:
        return f"<Call {self.id} {self.record.caller} -> {self.record.callee}>"

    # --- legs ----------------------------------------------------------------------------------------------

    def next_name(self) -> str:
        """A name for one more leg: A, then B1, B2 ..."""
        self._count += 1
        return "A" if self._count == 1 else f"B{self._count - 1}"

    def add(self, leg: Leg) -> None:
        """One more leg takes part."""
        leg.user = self
        self.legs.append(leg)
        if leg.name not in self._rows:
            row = LegRecord(
                leg.name,
                leg.party.key,
                leg.party.device,
                "caller" if leg.is_caller and leg.opening is not None else "callee",
                number=leg.party.number,
                trunk=leg.party.trunk or leg.party.gateway,
                payer=leg.outside.number.payer if leg.outside is not None else "",
            )
            self._rows[leg.name] = row
            self.record.legs.append(row)
        if leg.party.device:
            self.host.occupancy.began(leg.party.key, self.id)

    def drop(self, leg: Leg, status: int = 0, why: str = "") -> None:
        """A leg takes no part any more."""
        if leg not in self.legs:
            return
        self.legs.remove(leg)
        row = self._rows[leg.name]
        row.status, row.why = status or row.status, why or row.why
        row.ended_s = self.host.stack.now - self.started_at
        if leg.party.device:
            self.host.occupancy.ended(leg.party.key, self.id, self.host.stack.now)
        if leg.outside is not None and not leg.is_up:
            row.cost = self.host.metering.ended(leg)
        row.codec = leg.media.codec
        row.call_id = leg.opening.call_id if leg.opening is not None else ""
        self._silent.discard(leg)
        self.playing.drop(leg)
        self._keys.pop(leg, None)
        self._mediation.drop(leg)
        if self.talk is not None and leg in self.talk:
            self.talk = None

    def peer_of(self, leg: Leg) -> Leg | None:
        """The leg that `leg` talks with."""
        if self.talk is None or leg not in self.talk:
            return None
        return self.talk[1] if self.talk[0] is leg else self.talk[0]

    def connect(self, a: Leg, b: Leg) -> None:
        """Let two legs talk."""
        self.talk = (a, b)
        for leg in (a, b):
            self.stop_music(leg)
        self.join(a, b)
        self.recording.begin(self, a, b)

    def join(self, a: Leg, b: Leg) -> None:
        """Relay between two legs as they have agreed now."""
        a.media.join(b.media)
        if self._silent:
            self._set_timer("silence", UNHELD_S)

    def keep_statistics(self, endpoint: str, stats: EndpointStats) -> None:
        """The last word about one media line of a leg; the endpoint is named `call.leg.count`."""
        parts = endpoint.split(".")
        row = self._rows.get(parts[1])
        if row is not None:
            row.media[parts[2]] = stats

    # --- life ----------------------------------------------------------------------------------------------

    def start(self, leg: Leg, content: Content | None, decision: DialDecision, extra: Extra) -> None:
        """Carry out the decision about the caller's INVITE."""
        self.explain(decision)
        if isinstance(decision, Reject) and decision.key:
            self.record.callee_key = decision.key
            decision = self._decide_no_answer(leg, decision.status, decision.why) or decision
        if isinstance(decision, Reject):
            self._refuse(leg, decision)
        elif isinstance(decision, Ring):
            self._ring_for_caller(leg, decision, content, extra)
        else:
            self._serve_caller(leg, decision)

    def explain(self, decision: DialDecision) -> None:
        """Keep the reasons of a decision for the call's record."""
        said = self.record.decisions
        said.extend(decided(decision, said[-1] if said else ""))

    def tell(self, sentence: str) -> None:
        """Keep for the call's record what has happened, unless that was said just before."""
        if self.record.decisions[-1:] != [sentence]:
            self.record.decisions.append(sentence)

    def _ring_for_caller(self, leg: Leg, decision: Ring, content: Content | None, extra: Extra) -> None:
        self.record.callee_key = decision.key
        if decision.outside and not decision.key:
            self.record.kind = "outbound" if self.record.kind == "internal" else self.record.kind
        self.host.world.took_turn(decision.group)
        self.hunt = Hunt(self, leg, decision, self.host.stack.now)
        try:
            leg.media.prepare()
        except NoPortError as error:
            self.complain(error)
            self.hunt.fail(503, str(error))
            return
        self.ring(self.hunt, decision, content, extra)

    def _refuse(self, leg: Leg, decision: Reject) -> None:
        """Refuse the caller; he hears why, where that is wanted."""
        self.record.why = decision.why

        def refuse() -> None:
            leg.reject(decision.status, decision.reason)
            self._finish(decision.state or _state_of(decision.status), leg, decision.status, decision.why)

        if decision.announcement:
            self.host.services.announce(self, leg, decision.status, decision.announcement, refuse)
        else:
            refuse()

    def _serve_caller(self, leg: Leg, decision: AskPasscode | AskPin | Serve | TakeMessage) -> None:
        if isinstance(decision, AskPasscode):
            self._ask_passcode(leg, decision)
            return
        if isinstance(decision, AskPin):
            self._ask_pin(leg, decision)
            return
        if isinstance(decision, Serve):
            self.record.state, self.record.answered_s = "answered", self.host.stack.now - self.started_at
        self.host.services.begin(self, leg, decision)

    def _ask_passcode(self, leg: Leg, decision: AskPasscode) -> None:
        """The passcode opens the way; from then on the caller is up, and hears what rings."""
        self.record.kind = "outbound"

        def refused() -> None:
            self.end("the passcode was not given", 403, FORBIDDEN)

        self.ask_passcode(leg, decision, partial(self.carry_out, leg), refused)

    def ask_passcode(
        self, leg: Leg, decision: AskPasscode, then: Callable[[Ring], None], refused: Callable[[], None]
    ) -> None:
        """Ask a leg for the passcode; go on with what it opens, or with `refused`."""

        def done(is_right: bool) -> None:
            if is_right:
                self.tell(f"the passcode of {decision.key} was given")
                then(decision.then)
                return
            self.tell(f"the passcode of {decision.key} was not given")
            refused()

        self.host.services.ask_passcode(self, leg, decision.key, decision.hash, done)

    def _ask_pin(self, leg: Leg, decision: AskPin) -> None:
        """Whose PIN is given makes this one call."""

        def done(member: str) -> None:
            if not member:
                self.tell("no member's PIN was given")
                self.end("no PIN was given", 403, FORBIDDEN)
                return
            self._become(leg, self.host.router.visitor(leg.party, member))
            self.record.member = member
            self.tell(f"{member} gave his PIN: the call is that of {leg.party.key}")
            self.dial(leg, decision.dialled)

        self.host.services.ask_pin(self, leg, done)

    def _become(self, leg: Leg, party: Party) -> None:
        """Somebody else is behind a leg."""
        occupancy = self.host.occupancy
        occupancy.ended(leg.party.key, self.id, self.host.stack.now)
        leg.party = party
        occupancy.began(party.key, self.id)
        self._rows[leg.name].party = self.record.caller = party.key
        self.record.caller_name = party.label

    @property
    def now(self) -> float:
        """The time of the step in progress."""
        return self.host.stack.now

    def ring(self, hunt: Hunt, decision: Ring, content: Content | None, extra: Extra = ()) -> None:
        """Ring whom the decision names for a hunt."""
        try:
            self.host.ringing.ring(self, hunt, decision, content, extra)
        except MediaError as error:
            self.complain(error)
            hunt.fail(503, str(error))
            return
        self.wait(TIMER_C_S if decision.no_answer_s is None else self._left_s(hunt, decision.no_answer_s))
        if not hunt.legs:
            hunt.fail()

    def _left_s(self, hunt: Hunt, no_answer_s: float) -> float:
        return max(0.0, hunt.began_at + no_answer_s - self.host.stack.now)

    def end(self, why: str, status: int = 480, extra: Extra = ()) -> None:
        """End everything."""
        if self.is_over or self._is_ending:
            return
        self._is_ending = True
        if self.hunt is not None:
            self.hunt.stop(extra)
            self.hunt = None
        if self.transfer is not None:
            self.transfer.stop()
            self.transfer = None
        self.consult = None
        self._stop_booth()
        state = "answered" if self.record.answered_s is not None else "failed"
        for leg in tuple(self.legs):
            said = 200 if leg.is_up else status
            leg.end(status, "", extra)
            self.drop(leg, said, why)
        self._over(self.record.state if self.record.state != "failed" else state, why)

    def _finish(self, state: str, leg: Leg, status: int, why: str) -> None:
        self.drop(leg, status, why)
        self.record.state = state
        self.end(why)

    def _over(self, state: str, why: str) -> None:
        if self.is_over:
            return
        self.is_over = True
        self.playing.clear()
        self._alarm = None
        for timer in self._timers:
            self.host.stack.timers.set((self, timer), None)
        self.record.state = state
        self.record.why = self.record.why or why
        self.record.duration_s = self.host.stack.now - self.started_at
        self.host.call_ended(self)

    def expire(self, timer: str) -> None:
        """Nobody answered in time, or a transferor did not hang up."""
        if timer == "no answer" and self.hunt is not None:
            self.hunt.fail(480, IN_TIME)
        elif timer == "linger":
            staying = self.talk or ((self.booth.leg,) if self.booth is not None else self.legs)
            for leg in tuple(self.legs):
                if leg not in staying:
                    leg.end()
                    self.drop(leg, 200, "transferred the call")
        elif timer == "silence":
            self._check_silence()
        elif timer == "alarm" and self._alarm is not None:
            action, self._alarm = self._alarm, None
            action()
        elif timer == BOOTH_TIMER and self.booth is not None:
            self.booth.expire()

    def set_alarm(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something later, in place of what was to be done before, if the call is not over by then."""
        self._alarm = action
        self._set_timer("alarm", seconds)

    def _set_timer(self, timer: str, seconds: float | None) -> None:
        """Let it expire after so many seconds, or never."""
        stack = self.host.stack
        if seconds is None:
            self._timers.discard(timer)
            stack.timers.set((self, timer), None)
        else:
            self._timers.add(timer)
            stack.timers.set((self, timer), stack.now + seconds)

    def silent(self, leg: Leg, is_silent: bool) -> None:
        """Nothing is heard of a leg, or it is heard again; both dumb and nobody holding: the call is dead."""
        if not is_silent:
            self._silent.discard(leg)
            return
        self._silent.add(leg)
        self._check_silence()

    def _check_silence(self) -> None:
        booth = self.booth
        if booth is not None and booth.leg in self._silent and not booth.leg.media.is_held:
            self.host.note("call {call}: no audio, ending it", call=self.id)
            self.end("no audio", extra=(("Reason", 'SIP;cause=408;text="Media timeout"'),))
            return
        if self.talk is not None and all(
            each in self._silent and not each.media.is_held for each in self.talk
        ):
            self.host.note("call {call}: no audio from either side, ending it", call=self.id)
            self.end("no audio from either side", extra=(("Reason", 'SIP;cause=408;text="Media timeout"'),))

    # --- the PBX as a party --------------------------------------------------------------------------------

    def serve(self, leg: Leg, dialogue: Dialogue, then: Callable[[Any], None] | None = None) -> None:
        """Let the PBX talk with a leg, which is answered if it is not yet; `then` gets what came of it.

        Without `then` the call ends with the dialogue.
        """
        if leg.state == CALLING and not self.answer_by_pbx(leg):
            dialogue.close()
            return
        self._stop_booth()
        self.booth = Booth(self, leg, dialogue)
        self._after = then
        if leg.media.is_stable:
            self.booth.start()

    def announce(self, leg: Leg, dialogue: Dialogue, then: Callable[[], None]) -> None:
        """Let a caller hear something before the answer, if that can be; then do what is to be done."""
        offered = leg.media.content
        own = own_answer(offered) if offered is not None and leg.media.is_answer_due else None
        if leg.state == CALLING and own is not None:
            leg.progress(183, "Session Progress", own)
        if leg.media.sound_endpoint is None or not leg.media.is_stable:
            dialogue.close()
            then()
            return
        self.booth = Booth(self, leg, dialogue)
        self._after = lambda _result: then()
        self.booth.start()

    def at_end(self, action: Callable[[], None]) -> None:
        """Do something when the PBX's talk with the leg is over, in whatever way."""
        if self.booth is None:
            action()
        else:
            self._at_end = action

    def dial(self, leg: Leg, dialled: str) -> None:
        """A leg that is up wants to talk with somebody."""
        decision = self.host.router.dialled(leg.party, dialled)
        self.explain(decision)
        self.carry_out(leg, decision)

    def carry_out(self, leg: Leg, decision: DialDecision) -> None:
        """Do what was decided for a leg that is up; when it rings somewhere, it hears that."""
        if isinstance(decision, Ring):
            if decision.outside and self.record.kind == "internal":
                self.record.kind = "outbound"
            self._ring_up(leg, decision)
        elif not isinstance(decision, Reject):
            self._serve_caller(leg, decision)
        elif not self.goes_on(leg, decision.key, decision.status, decision.why):
            self.fail(leg, decision.status, decision.why, decision.announcement)

    def _ring_up(self, leg: Leg, decision: Ring) -> None:
        """Ring somebody for a leg that is up."""
        self.host.world.took_turn(decision.group)
        hunt = self.hunt = Hunt(self, leg, decision, self.host.stack.now)
        self.ring(hunt, decision, offer_of(leg))
        if self.hunt is hunt and self.transfer is None:
            self.host.services.ring_back(self, leg)

    def fail(self, leg: Leg, status: int, why: str, announcement: str = "") -> None:
        """A leg that is up cannot be connected: it hears that, and then the call ends."""
        self.host.services.fail(self, leg, status, announcement, lambda: self.end(why, status))

    def recall(self, leg: Leg, key: str) -> None:
        """Ring `key` for a leg that waits with its music, and waits on when nobody answers."""
        decision = self.host.router.called(leg.party, key)
        if isinstance(decision, Ring) and self.hunt is None:
            self.explain(decision)
            hunt = self.hunt = Hunt(self, leg, decision, self.host.stack.now)
            hunt.is_recall = True
            self.ring(hunt, decision, offer_of(leg))

    def hand_over(self, leg: Leg, decision: Serve | TakeMessage, by: Leg, done: Callable[[], None]) -> None:
        """A leg talks with the PBX from now on, no more with its peer `by`, who is told when that is done."""
        self._turn_to(leg, lambda: self.host.services.begin(self, leg, decision, by, done))

    def _turn_to(self, leg: Leg, begin: Callable[[], None]) -> None:
        """Let the PBX be who a leg talks with; one that was on hold is asked to speak again first."""
        self.talk = None
        self.stop_music(leg)
        leg.media.part()

        def asked(_status: int, _answer: Content | None) -> None:
            if leg in self.legs:
                begin()

        if leg.media.is_held:
            leg.reoffer(own_offer(), asked, persistent=True)
        else:
            begin()

    def release(self, leg: Leg) -> None:
        """A leg goes over to another call; this one is over."""
        self.talk = None
        self._stop_booth()
        self.drop(leg, 200, "transferred")
        self.end("transferred")

    def adopt(self, leg: Leg) -> None:
        """A leg comes from another call."""
        leg.name = self.next_name()
        leg.media.move(self.id, f"{self.id}.{leg.name}")
        self.add(leg)

    def answer_by_pbx(self, leg: Leg) -> bool:
        """Answer a caller with what the PBX speaks; False: nothing suits, and the call is over."""
        offered = leg.media.content
        own = own_offer() if offered is None else own_answer(offered)
        was_early = leg.media.is_stable and not leg.media.is_idle
        try:
            if own is None:
                raise SdpError("no codec that the PBX knows is offered")
            leg.media.part()
            leg.answer(own)
        except (PeerError, MediaError) as error:
            status = error.status if isinstance(error, PeerError) else 503
            self.complain(error)
            leg.reject(status)
            self._finish("failed", leg, status, str(error))
            return False
        if was_early:  # what was told for early media suited the phone that rang: now it is our turn
            leg.reoffer(own, lambda _status, _answer: None, persistent=True)
        row = self._rows[leg.name]
        row.answered_s = self.host.stack.now - self.started_at
        return True

    def _stop_booth(self) -> None:
        booth, self.booth, self._after = self.booth, None, None
        if booth is not None:
            booth.stop()
        self._run_at_end()

    def _run_at_end(self) -> None:
        action, self._at_end = self._at_end, None
        if action is not None:
            action()

    def digit(self, leg: Leg, digit: str) -> None:
        """A key was pressed, told in whatever way."""
        if self.booth is not None and self.booth.leg is leg:
            self.booth.digit(digit)
        elif leg.party.device and leg in (self.talk or ()):  # one of our phones
            action = self._keys.setdefault(leg, Keys(self.host.services.codes)).press(
                digit, self.host.stack.now
            )
            if action is not None:
                IN_CALL[action](self, leg)

    def _transfer_by_keys(self, leg: Leg) -> None:
        peer = self.peer_of(leg)
        if peer is None or self.consult is not None or self.hunt is not None or self.transfer is not None:
            return
        self.consult = Consultation(self, leg, peer, self.host.services.phrases)
        self.consult.start()

    def _back_by_keys(self, leg: Leg) -> None:
        if self.consult is not None and self.consult.transferor is leg:
            self.consult.back()

    def _record_by_keys(self, leg: Leg) -> None:
        self.recording.toggle(self, leg)

    def leave_booth(self) -> None:
        """What the PBX says to a leg is over."""
        self._stop_booth()

    def ring_for(self, hunt: Hunt, decision: Ring, content: Content | None) -> None:
        """Ring somebody for a leg that is up."""
        self.ring(hunt, decision, content)

    def ring_back(self, leg: Leg) -> None:
        """Let a leg that is up hear that somebody is being rung."""
        self.host.services.ring_back(self, leg)

    def route(self, leg: Leg, dialled: str) -> DialDecision:
        """What becomes of what a leg dials in the call."""
        decision = self.host.router.dialled(leg.party, dialled)
        self.explain(decision)
        return decision

    def play(self, leg: Leg, prompt: Prompt, then: Callable[[], None] | None = None) -> None:
        """Let a leg hear something, whoever it talks with; `then` comes when that is over."""
        self.playing.play(leg, prompt, lambda: leg in self.legs, then)

    def play_music(self, leg: Leg) -> None:
        """Let a leg that waits hear music."""
        self.playing.loop(leg, self.host.services.phrases.music())

    def play_ringing(self, leg: Leg) -> None:
        """Let a leg that is transferred hear that the target rings, whoever it still talks with."""
        self.playing.loop(leg, self.host.services.phrases.ring_back())

    def stop_music(self, leg: Leg) -> None:
        """It waits no more."""
        self.playing.stop(leg)

    def played(self, leg: Leg, event: Played) -> None:
        """A sound is over."""
        if not self.playing.played(event.play) and self.booth is not None and self.booth.leg is leg:
            self.booth.played(event.play, event.why)

    def warn_of_end(self, leg: Leg) -> None:
        """The usage limit will be reached soon: whoever talks with a leg outside hears a tone."""
        peer = self.peer_of(leg)
        if peer is not None:
            self.play(peer, self.host.services.phrases.limit_warning())

    def cut(self, leg: Leg) -> None:
        """The usage limit is reached."""
        self.tell(f"the usage limit of {self._payer(leg)} is reached: the call ends")
        self.end(
            "the usage limit is reached", extra=(("Reason", 'SIP;cause=403;text="Usage limit reached"'),)
        )

    def _payer(self, leg: Leg) -> str:
        return leg.outside.number.payer if leg.outside is not None else ""

    def measured(self, leg: Leg, stats: EndpointStats) -> None:
        """From the media worker, which was asked."""
        if self.booth is not None and self.booth.leg is leg:
            self.booth.measured(stats)

    def order(self, order: Any) -> None:
        """From the booth."""
        self.host.order(order)

    def number_step(self) -> int:
        """From the booth."""
        self._steps += 1
        return self._steps

    def render(self, prompt: Prompt, done: Callable[[str | None], None]) -> None:
        """From the booth."""
        self.host.sound.render(prompt, done)

    def ask(self, question: Any, done: Callable[[Any], None]) -> None:
        """From the booth."""
        self.host.sound.ask(question, done)

    def take(self, order: Record, what: Any, done: Callable[[float, str, Any], None]) -> None:
        """From the booth. A message that is not kept is a missed call, be the caller gone by then or not."""
        self.has_taken = True

        def finished(seconds: float, why: str, kept: Any) -> None:
            if isinstance(what, NewMessage):
                self.tell(f"a message of {round(seconds)} s is left" if kept else "no message is left")
                if kept is None:
                    self.missed()
            done(seconds, why, kept)

        self.host.sound.record(order, what, finished)

    def set_booth_timer(self, seconds: float | None) -> None:
        """From the booth."""
        self._set_timer(BOOTH_TIMER, seconds)

    def booth_finished(self, booth: Booth, result: Any) -> None:
        """The dialogue is over."""
        if self.booth is not booth:
            return
        after, self.booth, self._after = self._after, None, None
        self._run_at_end()
        if after is not None:
            after(result)
        else:
            self.end(str(result or "the PBX hung up"))

    # --- what a hunt reports -------------------------------------------------------------------------------

    def hunt_progressed(self, hunt: Hunt, leg: Leg, response: Response, content: Content | None) -> None:
        """A phone rings."""
        origin = hunt.origin
        if origin.state == CALLING:
            identity = self.identity(leg, origin)
            status, reason = (183, "Session Progress") if content is not None else (180, "Ringing")
            if content is None and response.status in (181, 182, 199):
                return
            origin.progress(status, reason, content, identity)
            if content is not None:
                self.join(origin, leg)
        elif self.transfer is not None:
            self.transfer.progressed(response.status, response.reason)
            self.play_ringing(origin)

    def hunt_answered(self, hunt: Hunt, leg: Leg, content: Content | None) -> None:
        """A phone answered."""
        self.hunt = None
        self._set_timer("no answer", None)
        origin = hunt.origin
        self.tell(f"{leg.party.where} answers")
        if content is None:
            content = leg.media.content  # it came with a provisional response
        self.drop_all_but(origin, leg)
        identity = self.identity(leg, origin)
        if leg.outside is not None:
            self.host.metering.answered(self.id, leg, self.host.stack.now - self.started_at)
        if origin.state == CALLING:
            self._answer_caller(hunt, leg, content, identity)
        elif self.consult is not None and self.consult.transferor is origin:
            self.consult.answered(leg)
        else:
            self._complete_transfer(leg, content, hunt)
        self.answered()
        self.host.note("call {call} answered by {callee}", call=self.id, callee=leg.party.key)

    def _answer_caller(self, hunt: Hunt, leg: Leg, content: Content | None, identity: Extra) -> None:
        origin = hunt.origin
        settled = leg.media.content
        was_early = origin.media.is_stable and not origin.media.is_idle
        offered = origin.media.content
        if content is not None and offered is not None and not was_early:
            content = translated(content, offered)
        try:
            origin.answer(content, identity)
        except (PeerError, MediaError) as error:
            status = error.status if isinstance(error, PeerError) else 503
            self.complain(error)
            origin.reject(status)
            self._finish("failed", origin, status, str(error))
            return
        self.connect(origin, leg)
        if was_early and settled is not None and (hunt.early is not leg or hunt.early_content != settled):
            # The caller has been told of other media before: renegotiate with this phone's.
            origin.reoffer(settled, partial(self._rejoined, origin, leg), persistent=True)

    def _rejoined(self, a: Leg, b: Leg, status: int, _answer: Content | None) -> None:
        if status < 300 and self.peer_of(a) is b:
            self.join(a, b)

    def hunt_failed(self, hunt: Hunt, status: int, response: Response | None) -> None:
        """Nobody answered."""
        self.hunt = None
        self._set_timer("no answer", None)
        origin = hunt.origin
        why = hunt.why_not
        self.tell(why)
        if hunt.is_recall:
            return
        if hunt.after:
            self._ring_next(hunt)
            return
        reason = response.reason if response is not None else ""
        if origin.state == CALLING:
            self.drop_all_but(origin)
            decision = self._decide_no_answer(
                origin, 480 if hunt.is_outside and status >= 500 else status, why
            )
            if isinstance(decision, Ring):  # what it rings is not this extension's call any more
                self.record.callee_key = ""
                self.hunt = Hunt(self, origin, decision, self.host.stack.now)
                self.ring(self.hunt, decision, hunt.content, hunt.extra)
                return
            if decision is not None and not isinstance(decision, Reject):
                self._serve_caller(origin, decision)
                return
            if decision is not None and decision.is_noted:
                status, reason, response = decision.status, decision.reason, None
            extra: Extra = ()
            if response is None and status == 503:
                extra = (("Retry-After", "10"),)
            if response is not None:
                extra = tuple((name, value) for name in PASSED for value in response.headers.get_all(name))
            origin.reject(status, reason, extra)
            self._finish(_state_of(status), origin, status, why)
            return
        if self.consult is not None and self.consult.transferor is origin:
            self.consult.failed(status)
            return
        transfer = self.transfer
        handed_over = transfer.handed_over if transfer is not None else None
        if self.goes_on(origin, hunt.key, status, why, handed_over):
            return
        self.transfer = None
        self.stop_music(origin)
        if transfer is not None:
            transfer.failed(status, reason)
            if transfer.transferor in self.legs:
                self.playing.hold(transfer.transferor, origin)
                return
        self.fail(origin, status, why if transfer is None else f"transfer failed: {why}")

    def _ring_next(self, hunt: Hunt) -> None:
        """The next of a group that rings one after the other."""
        following = replace(hunt.after[0], after=(*hunt.after[0].after, *hunt.after[1:]))
        self.explain(following)
        further = self.hunt = Hunt(self, hunt.origin, following, self.host.stack.now)
        further.tried, further.key = hunt.tried, hunt.key
        self.ring(further, following, hunt.content, hunt.extra)

    def identity(self, leg: Leg, origin: Leg) -> Extra:
        """Who answers, for a caller in the office."""
        return introduce(leg.party, origin.party, self.host.domain)

    def goes_on(
        self, origin: Leg, key: str, status: int, why: str, done: Callable[[], None] | None = None
    ) -> bool:
        """A leg that is up has what the extension `key` wants that did not answer, if there is anything.

        `done` is called when the PBX has taken over.
        """
        decision: Decision | None = None
        if key and status not in LOOPS:
            decision = self.host.router.no_answer(origin.party, key, status, why)
        if not isinstance(decision, (Ring, TakeMessage)):
            return False
        self.explain(decision)
        if isinstance(decision, Ring):
            self._ring_up(origin, decision)
            return True
        taken = decision
        self.record.callee_key, self._caller = key, origin.party  # who misses whom, if no message is left
        self._turn_to(origin, lambda: self.host.services.begin(self, origin, taken, done=done))
        return True

    def missed(self) -> None:
        """Nobody has taken the call: whoever wants to know is told, once."""
        key, self.record.callee_key = self.record.callee_key, ""
        if key:
            caller = self._caller
            shown = ("", "") if caller.is_private else (caller.key, caller.label)
            self.host.order(Missed(key, *shown, self.host.stack.now - self.started_at))

    def _decide_no_answer(self, origin: Leg, status: int, why: str) -> Decision | None:
        """What the extension wants that was called; None: the caller is told what its phones said."""
        if not self.record.callee_key or status in LOOPS:
            return None
        decision = self.host.router.no_answer(origin.party, self.record.callee_key, status, why)
        self.explain(decision)
        if isinstance(decision, Reject) and decision.is_noted:
            self.missed()
        return decision

    def hunt_redirected(self, hunt: Hunt, leg: Leg, response: Response) -> bool:
        """A phone sent a 3xx: its extension forwards (product §2)."""
        decision = self.host.redirect(hunt, leg, response)
        if decision is None:
            return False
        self.explain(decision)
        if isinstance(decision, Reject):
            return False
        before = set(hunt.legs)
        try:
            self.host.ringing.ring(self, hunt, decision, offer_for(hunt.origin), ())
        except MediaError as error:
            self.complain(error)
            return False
        found = set(hunt.legs) - before
        hunt.sent_on |= found
        return bool(found)

    def hunt_passed(self, hunt: Hunt, leg: Leg, response: Response) -> bool:
        """A trunk could not take the call: is the next one trying?"""
        return self.host.ringing.dial_next(self, hunt, leg, response)

    # --- what a leg reports --------------------------------------------------------------------------------

    def leg_cancelled(self, leg: Leg, why: str) -> None:
        """The caller gave up before anybody answered."""
        extra = (("Reason", why),) if "cause=" in why else ()
        if self.booth is not None and self.booth.leg is leg:
            self._stop_booth()
            self.tell(GAVE_UP)
            self._finish("cancelled", leg, 487, GAVE_UP)
            return
        if self.hunt is None or self.hunt.origin is not leg:
            self.drop(leg, 487, why)  # it wanted to take the place of somebody else
            return
        self.hunt.stop(extra)
        self.hunt = None
        self.missed()
        self.tell(GAVE_UP)
        self._finish("cancelled", leg, 487, why if "cause=" not in why else GAVE_UP)

    def leg_progressed(self, leg: Leg, response: Response, content: Content | None) -> None:
        self._note_carrier(leg, response)
        if self.hunt is not None:
            self.hunt.progressed(leg, response, content)

    def leg_answered(self, leg: Leg, content: Content | None) -> None:
        self._rows[leg.name].answered_s = self.host.stack.now - self.started_at
        if self.hunt is not None:
            self.hunt.answered(leg, content)
        else:
            leg.end()
            self.drop(leg, 487, "nobody waits for it any more")

    def leg_refused(self, leg: Leg, response: Response) -> None:
        self._note_carrier(leg, response)
        self.drop(leg, response.status, response.reason)
        if self.hunt is not None:
            self.hunt.refused(leg, response)

    def _note_carrier(self, leg: Leg, response: Response) -> None:
        """Whether a trunk answers is remembered for the next call."""
        if leg.outside is not None:
            self.host.ringing.heard(leg, response)

    def leg_reoffered(self, leg: Leg, content: Content | None) -> None:
        """One side renegotiates."""
        other, hunt = self.peer_of(leg), self.hunt
        if self.booth is not None and self.booth.leg is leg:
            answer_by_pbx(self, leg, content)
            return
        if other is None and hunt is not None and hunt.origin is leg and len(hunt.legs) == 1:
            other = hunt.legs[0]
        elif other is None and hunt is not None and hunt.early is leg:
            other = hunt.origin
        if other is None:
            leg.refuse(488 if self.transfer is None else 491)
        else:
            self._mediation.pass_on(self, leg, other, content)

    def leg_withdrew(self, leg: Leg) -> None:
        self._mediation.withdrew(leg)

    def complain(self, error: Exception) -> None:
        """What somebody wants does not go: for the log."""
        self.host.note("call {call}: {why}", call=self.id, why=str(error))

    def leg_late_answer(self, leg: Leg, content: Content) -> None:
        """The answer to an offer that was passed on came with the ACK."""
        other = self.peer_of(leg)
        if self.booth is not None and self.booth.leg is leg:
            self.booth.start()
            return
        if other is not None:
            try:
                other.acknowledge(content)
            except (PeerError, MediaError) as error:
                other.broke(error)
                return
            self.join(leg, other)

    def leg_hung_up(self, leg: Leg, why: str, extra: Extra) -> None:
        """A phone hung up, or died."""
        hunt, transfer = self.hunt, self.transfer
        if leg not in self.legs:
            return
        if hunt is not None and hunt.origin is leg and self.record.answered_s is None:
            self.record.state = "cancelled"  # a BYE in the early dialog (§15)
        consult = self.consult
        if consult is not None and leg in (consult.transferor, consult.waiting, consult.target):
            if self.booth is not None and self.booth.leg is leg:
                self._stop_booth()
            self.drop(leg, 200, why)
            consult.gone(leg)
            return
        was_talking = self.talk is not None and leg in self.talk
        if self.booth is not None and self.booth.leg is leg:
            self._stop_booth()
            was_talking = True
        if hunt is not None and leg in hunt.legs:
            self.drop(leg, 0, why)
            hunt.lost(leg)
            return
        self.drop(leg, 200, why)
        if transfer is not None and transfer.transferor is leg:
            transfer.transferor_left()
            return
        if not was_talking and hunt is None and (self.talk is not None or self.booth is not None):
            return  # a transferor left after its transfer
        if transfer is not None:
            transfer.failed(487, "Request Terminated")
            self.transfer = None
        self.record.why = self.record.why or f"{leg.party.key}: {why}"
        self.end(why, extra=extra)

    def leg_broke(self, leg: Leg, error: PbxError) -> None:
        """A step of a leg failed, and the leg ended for it."""
        self.host.hurt(f"{leg.party.key} of call {self.id}", error)
        self.leg_hung_up(leg, f"failed: {error}", ())

    def broke(self, error: PbxError) -> None:
        """A step of a timer failed."""
        self.host.hurt(f"call {self.id}", error)
        self._is_ending = False
        self.end(f"failed: {error}", 500)

    def leg_passed(self, leg: Leg, request: Request, key: TransactionKey) -> None:
        """INFO or MESSAGE for the other side; how that answers goes back."""
        stack, other = self.host.stack, self.peer_of(leg)
        digit = digit_of(request) if request.method == "INFO" else None
        if digit is not None:
            self.digit(leg, digit)
            if self.booth is not None and self.booth.leg is leg:
                stack.respond(request, key, 200)
                return
            endpoint = other.media.sound_endpoint if other is not None else None
            if other is not None and other.media.takes_events and endpoint is not None:
                self.host.order(SendDigit(endpoint, digit))
                stack.respond(request, key, 200)
                return
        if other is None:
            stack.respond(request, key, 481)
            return
        extra = tuple(
            (name, value)
            for name in ("Content-Type", "Content-Disposition", "Info-Package")
            for value in request.headers.get_all(name)
        )

        def answered(response: Response) -> None:
            if response.status >= 200:
                stack.respond(request, key, response.status, response.reason)

        other.send(other.make_request(request.method, extra, request.body), answered)

    def leg_referred(self, leg: Leg, request: Request, key: TransactionKey) -> None:
        """A transfer (RFC 5589)."""
        Transfer.start(self, leg, request, key)

    def leg_moved(self, leg: Leg, request: Request, key: TransactionKey, flow: Flow) -> bool:
        return self.host.may_move(leg, request, key, flow)

    # --- transfer and replacement --------------------------------------------------------------------------

    def _complete_transfer(self, leg: Leg, content: Content | None, hunt: Hunt) -> None:
        """The transfer target answered: it and the transferee talk."""
        origin, transfer = hunt.origin, self.transfer
        self.transfer = None
        self.talk = (origin, leg)
        origin.media.part()
        self._stop_booth()
        self.stop_music(origin)
        if transfer is not None:
            transfer.succeeded()
            self.linger()
        if content is None or hunt.is_adopted or (transfer is not None and transfer.is_adopted):
            leg.media.move(self.id, f"{self.id}.{leg.name}")
            bridge(self, origin, leg)
            return
        identity = self.identity(leg, origin)
        self.join(origin, leg)
        origin.reoffer(with_direction(content), partial(self._moved, origin, leg), identity, persistent=True)

    def _moved(self, origin: Leg, leg: Leg, status: int, answer: Content | None) -> None:
        if self.peer_of(origin) is not leg or origin.state != UP or leg.state != UP:
            return
        if status < 300 and answer is not None:
            leg.acknowledge(answer)  # where the target was called without an offer
            self.connect(origin, leg)
        elif leg.is_opening:
            self.end(f"the offer of a transfer's target was answered {status}", 488)
        else:  # it takes not what the target chose: let both find something else
            bridge(self, leg, origin)

    def linger(self) -> None:
        """Give a transferor time to hang up by itself."""
        self._set_timer("linger", LINGER_S)

    def wait(self, seconds: float) -> None:
        """The ringing phones have this long from now on."""
        self._set_timer("no answer", seconds)

    def answered(self) -> None:
        """Somebody talks with the caller."""
        self._set_timer("no answer", None)
        if self.record.answered_s is None and not self.is_over:
            self.record.state, self.record.answered_s = "answered", self.host.stack.now - self.started_at

    def drop_all_but(self, *kept: Leg) -> None:
        """Losers of a fork have been cancelled; who wanted to take somebody's place came too late."""
        transferor = self.transfer.transferor if self.transfer is not None else None
        for leg in tuple(self.legs):
            if leg not in kept and leg is not transferor and (self.talk is None or leg not in self.talk):
                leg.end(487)
                self.drop(leg, 487, "somebody else answered")


IN_CALL: Final[dict[str, Callable[[Call, Leg], None]]] = {
    "transfer": Call._transfer_by_keys,
    "back": Call._back_by_keys,
    "record": Call._record_by_keys,
}


def _state_of(status: int) -> str:
    """What a call's record says of one that was refused with a status."""
    if status in (486, 600):
        return "busy"
    return "failed" if 500 <= status < 600 else "unanswered"
