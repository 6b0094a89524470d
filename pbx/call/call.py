"""A call: the caller's leg, the legs that ring or talk, and who hears whom."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, Final

from pbx.call.booth import TIMER as BOOTH_TIMER
from pbx.call.booth import Booth
from pbx.call.call_host import CallHost
from pbx.call.consult import Consultation
from pbx.call.dialogue import Dialogue
from pbx.call.effects import LONGEST_SAID, MOST_KEPT, CallRecord, LegRecord, Missed
from pbx.call.hunt import Hunt
from pbx.call.identity import introduce
from pbx.call.info import digit_of, pass_on, refuse
from pbx.call.keys import Keys
from pbx.call.leg import CALLING, UP, Leg
from pbx.call.mediation import Mediation, answer_by_pbx
from pbx.call.outcome import Outcome
from pbx.call.own_media import own_answer, own_offer, translated
from pbx.call.party import Party
from pbx.call.playing import Playing
from pbx.call.questions import NewMessage
from pbx.call.recording import CallRecording
from pbx.call.routing import Router
from pbx.call.transfer import Transfer
from pbx.errors import MediaError, PbxError, PeerError
from pbx.media.orders import Digit, Played, Record, SendDigit
from pbx.media.prompt import Prompt
from pbx.rtp.statistics import EndpointStats
from pbx.rules.decision import DialDecision, Ring
from pbx.rules.explain import decided
from pbx.rules.no_answer import IN_TIME
from pbx.sdp.content import Content
from pbx.sdp.errors import SdpError
from pbx.sip.flow import Flow
from pbx.sip.headers import Extra
from pbx.sip.message import Request, Response
from pbx.sip.transaction.key import TransactionKey

GAVE_UP: Final = "the caller gave up"
LINGER_S: Final = 4.0  # for a transferor to hang up by itself
UNHELD_S: Final = 30.0  # after a hold, before silence that began in it counts
DUMB: Final = (("Reason", 'SIP;cause=408;text="Media timeout"'),)
LATER: Final = (("Retry-After", "32"),)
SPENT: Final = (("Reason", 'SIP;cause=403;text="Usage limit reached"'),)


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
        self.caller = caller  # who is missed when nobody answers
        self.refers = 0
        self.consult: Consultation | None = None  # a transfer by keys
        self.playing = Playing(host)
        self.recording = CallRecording()
        self.booth: Booth | None = None  # where the PBX talks with a leg
        self.steps: Iterator[int] = count(1)  # of all its dialogues
        self.has_taken = False  # a recording by the booth was begun
        self.is_over = False
        self._is_ending = False
        self._count = 0
        self._rows: dict[str, LegRecord] = {}
        self._keys: dict[Leg, Keys] = {}
        self._silent: set[Leg] = set()
        self._timers: set[str] = set()
        self._alarm: Callable[[], None] | None = None
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
        party, name = leg.party, leg.name
        if name not in self._rows:
            role = "caller" if leg.is_caller and leg.opening is not None else "callee"
            trunk = party.trunk or party.gateway
            row = LegRecord(
                name, party.key, party.device, role, number=party.number, trunk=trunk, because=leg.because
            )
            if leg.outside is not None:
                row.payer, row.rule = leg.outside.number.payer, leg.outside.number.rule
            self._rows[name] = row
            self.record.legs.append(row)
        if party.device:
            self.host.occupancy.began(party.key, self.id)

    def drop(self, leg: Leg, status: int = 0, why: str = "") -> None:
        """A leg takes no part any more."""
        if leg not in self.legs:
            return
        self.legs.remove(leg)
        party, row, now = leg.party, self._rows[leg.name], self.host.stack.now
        row.status, row.why = status or row.status, (why or row.why)[:LONGEST_SAID]
        row.ended_s = now - self.started_at
        if party.device:
            self.host.occupancy.ended(party.key, self.id, now)
            if leg.is_adrift:
                self.host.adrift.take(leg)
        if leg.outside is not None and not leg.is_up:
            row.cost = self.host.metering.ended(leg)
        row.codec = leg.media.codec
        row.call_id = leg.opening.call_id if leg.opening is not None else ""
        if len(self.record.legs) > MOST_KEPT and not row.cost and row is not self.record.legs[0]:
            self.record.legs.remove(self._rows.pop(leg.name))
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
            self.playing.stop(leg)
        self.join(a, b)
        self.recording.begin(self, a, b)

    def join(self, a: Leg, b: Leg) -> None:
        """Relay between two legs as they have agreed now; nobody else hears them where the PBX translates."""
        for leg in self.legs:
            if leg is not a and leg is not b:
                leg.media.part()
        a.media.join(b.media)
        if self._silent:
            self.set_timer("silence", UNHELD_S)

    def identity(self, leg: Leg, origin: Leg) -> Extra:
        """Who answers, for a caller in the office."""
        return introduce(leg.party, origin.party, self.host.domain)

    def begin_hunt(self, origin: Leg, decision: Ring) -> Hunt:
        """Somebody is about to be rung for a leg."""
        hunt = self.hunt = Hunt(Outcome(self), origin, decision, self.host.stack.now)
        return hunt

    def adopt_hunt(self, hunt: Hunt, origin: Leg) -> None:
        """Who rings for another call rings for a leg of this one from now on."""
        self.hunt = hunt
        hunt.user, hunt.origin, hunt.early = Outcome(self), origin, None

    def keep_statistics(self, endpoint: str, stats: EndpointStats) -> None:
        """The last word about one media line of a leg; the endpoint is named `call.leg.count`."""
        parts = endpoint.split(".")
        row = self._rows.get(parts[1])
        if row is not None:
            row.media[parts[2]] = stats

    def become(self, leg: Leg, party: Party) -> None:
        """Somebody else is behind a leg."""
        occupancy = self.host.occupancy
        occupancy.ended(leg.party.key, self.id, self.host.stack.now)
        leg.party = party
        occupancy.began(party.key, self.id)
        self._rows[leg.name].party = self.record.caller = party.key
        self.record.caller_name = party.label

    def adopt(self, leg: Leg) -> None:
        """A leg comes from another call."""
        leg.name = self.next_name()
        leg.media.move(self.id, f"{self.id}.{leg.name}")
        self.add(leg)

    def release(self, leg: Leg) -> None:
        """A leg goes over to another call; this one is over."""
        self.talk = None
        self.leave_booth()
        self.drop(leg, 200, "transferred")
        self.end("transferred")

    def drop_all_but(self, *kept: Leg) -> None:
        """Losers of a fork have been cancelled; who wanted to take somebody's place came too late."""
        transferor = self.transfer.transferor if self.transfer is not None else None
        for leg in tuple(self.legs):
            if leg not in kept and leg is not transferor and (self.talk is None or leg not in self.talk):
                leg.end(487)
                self.drop(leg, 487, "somebody else answered")

    def drop_cancelled(self, why: str) -> None:
        """Who was rung and is not any more takes no part, though the call goes on."""
        for leg in tuple(self.legs):
            if leg.state not in (CALLING, UP):
                self.drop(leg, 487, why)

    # --- life ----------------------------------------------------------------------------------------------

    def explain(self, decision: DialDecision) -> None:
        """Keep the reasons of a decision for the call's record."""
        said = self.record.decisions
        self.record.tell(*decided(decision, said[-1] if said else ""))

    def tell(self, sentence: str) -> None:
        """Keep for the call's record what has happened, unless that was said just before."""
        if self.record.decisions[-1:] != [sentence]:
            self.record.tell(sentence)

    def complain(self, error: Exception) -> None:
        """What somebody wants does not go: for the log."""
        self.host.note("call {call}: {why}", call=self.id, why=str(error))

    def missed(self) -> None:
        """Nobody has taken the call: whoever wants to know is told, once."""
        key, self.record.callee_key = self.record.callee_key, ""
        if key:
            caller = self.caller
            shown = ("", "") if caller.is_private else (caller.key, caller.label)
            self.host.order(Missed(key, *shown, self.age_s))

    def answered(self) -> None:
        """Somebody talks with the caller."""
        self.wait(None)
        if self.record.answered_s is None and not self.is_over:
            self.record.state, self.record.answered_s = "answered", self.age_s

    @property
    def is_asking(self) -> bool:
        """Somebody is asked for who is to take part: nobody else changes places until that is over."""
        return self.hunt is not None or self.transfer is not None or self.consult is not None

    @property
    def router(self) -> Router:
        """The rules' answers for this call, and for what it causes later on."""
        return self.host.router.since(self.age_s)

    @property
    def age_s(self) -> float:
        """Seconds since its start."""
        return self.host.stack.now - self.started_at

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
        self.leave_booth()
        state = "answered" if self.record.answered_s is not None else "failed"
        for leg in tuple(self.legs):
            said = 200 if leg.is_up else status if leg.is_caller else 487  # who rings is cancelled
            leg.end(status, "", extra)
            self.drop(leg, said, why)
        self._over(self.record.state if self.record.state != "failed" else state, why)

    def finish(self, state: str, leg: Leg, status: int, why: str) -> None:
        """End it for what became of its last leg."""
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
        self.record.why = (self.record.why or why)[:LONGEST_SAID]
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
        self.set_timer("alarm", seconds)

    def linger(self) -> None:
        """Give a transferor time to hang up by itself."""
        self.set_timer("linger", LINGER_S)

    def wait(self, seconds: float | None) -> None:
        """The ringing phones have this long from now on; None: none rings any more."""
        self.set_timer("no answer", seconds)

    def set_timer(self, timer: str, seconds: float | None) -> None:
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
        if leg in (self.talk or ()) and leg.state == UP and not leg.media.is_held:
            leg.probe()

    def _check_silence(self) -> None:
        served = (self.booth.leg,) if self.booth is not None else ()
        for legs, why in ((served, "no audio"), (self.talk or (), "no audio from either side")):
            if legs and all(leg in self._silent and not leg.media.is_held for leg in legs):
                self.host.note("call {call}: {why}, ending it", call=self.id, why=why)
                self.end(why, extra=DUMB)
                return

    # --- the PBX as a party --------------------------------------------------------------------------------

    def serve(self, leg: Leg, dialogue: Dialogue, then: Callable[[Any], None] | None = None) -> None:
        """Let the PBX talk with a leg, which is answered if it is not yet; `then` gets what came of it.

        Without `then` the call ends with the dialogue.
        """
        opens = leg.state == CALLING
        if opens and not self.answer_by_pbx(leg):
            dialogue.close()
            return
        self.leave_booth()
        self.booth = Booth(self, leg, dialogue, then, opens=opens)
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
        self.booth = Booth(self, leg, dialogue, lambda _result: then(), opens=True)
        self.booth.start()

    def at_end(self, action: Callable[[], None]) -> None:
        """Do something when the PBX's talk with the leg is over, in whatever way."""
        if self.booth is None:
            action()
        else:
            self.booth.at_end = action

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
            self.fail_to_answer(leg, error)
            return False
        if was_early:  # what was told for early media suited the phone that rang: now it is our turn
            leg.reoffer(own, lambda _status, _answer: None, persistent=True)
        self._rows[leg.name].answered_s = self.age_s
        return True

    def fail_to_answer(self, leg: Leg, error: PeerError | MediaError) -> None:
        """A caller cannot be answered: nothing fits, or there is no port."""
        status = error.status if isinstance(error, PeerError) else 503
        self.complain(error)
        leg.reject(status)
        self.finish("failed", leg, status, str(error))

    def leave_booth(self) -> None:
        """What the PBX says to a leg is over."""
        booth, self.booth = self.booth, None
        if booth is not None:
            booth.stop()

    def key(self, leg: Leg, event: Digit) -> None:
        """A key came with the audio; where the PBX translates, no event passes by itself, but tones do."""
        peer = self.peer_of(leg)
        endpoint = peer.media.sound_endpoint if peer is not None else None
        if endpoint is not None and leg.media.is_translated and event.at_ticks is not None:
            self.host.order(SendDigit(endpoint, event.digit))
        self.digit(leg, event.digit)

    def digit(self, leg: Leg, digit: str) -> None:
        """A key was pressed, told in whatever way."""
        booth = self.booth if self.booth is not None and self.booth.leg is leg else None
        consult = self.consult if self.consult is not None and self.consult.transferor is leg else None
        rings = consult is not None and self.hunt is not None  # it hears whom it asks for
        if booth is not None and not rings:
            booth.digit(digit)
        elif leg.party.device and leg in (self.talk or ()):  # one of our phones
            keys = self._keys.setdefault(leg, Keys(self.host.services.codes))
            action = keys.press(digit, self.host.stack.now)
            if action == "back" and consult is not None:
                consult.back()
            elif action == "transfer" and not rings:
                Consultation.start(self, leg)
            elif action == "record" and not rings:
                self.recording.toggle(self, leg)

    def play(self, leg: Leg, prompt: Prompt, then: Callable[[], None] | None = None) -> None:
        """Let a leg hear something, whoever it talks with; `then` comes when that is over."""
        self.playing.play(leg, prompt, lambda: leg in self.legs, then)

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
        payer = leg.outside.number.payer if leg.outside is not None else ""
        self.tell(f"the usage limit of {payer} is reached: the call ends")
        self.end("the usage limit is reached", extra=SPENT)

    def measured(self, leg: Leg, stats: EndpointStats) -> None:
        """From the media worker, which was asked."""
        if self.booth is not None and self.booth.leg is leg:
            self.booth.measured(stats)

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

    def booth_finished(self, booth: Booth, result: Any) -> None:
        """The dialogue is over."""
        if self.booth is not booth:
            return
        self.booth = None
        if booth.at_end is not None:
            booth.at_end()
        if booth.then is not None:
            booth.then(result)
        else:
            self.end(str(result or "the PBX hung up"))

    # --- what a leg reports --------------------------------------------------------------------------------

    def leg_cancelled(self, leg: Leg, why: str) -> None:
        """The caller gave up before anybody answered."""
        extra = (("Reason", why),) if "cause=" in why else ()
        if self.booth is not None and self.booth.leg is leg:
            self.leave_booth()
            self.tell(GAVE_UP)
            self.finish("cancelled", leg, 487, GAVE_UP)
            return
        if self.hunt is None or self.hunt.origin is not leg:
            self.drop(leg, 487, why)  # it wanted to take the place of somebody else
            return
        self.hunt.stop(extra)
        self.hunt = None
        self.missed()
        self.tell(GAVE_UP)
        self.finish("cancelled", leg, 487, why if "cause=" not in why else GAVE_UP)

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
        if other is None and hunt is not None and hunt.origin.is_up and leg in (hunt.origin, hunt.early):
            answer_by_pbx(self, leg, content)
            if hunt.early is not None:
                self.join(hunt.origin, hunt.early)
            return
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

    def leg_late_answer(self, leg: Leg, content: Content) -> None:
        """The answer to an offer that was passed on came with the ACK."""
        other = self.peer_of(leg)
        if self.booth is not None and self.booth.leg is leg:
            self.booth.start()
            return
        if other is not None:
            try:
                offered = other.media.content
                other.acknowledge(content if offered is None else translated(content, offered))
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
                self.leave_booth()
            self.drop(leg, 200, why)
            consult.gone(leg)
            return
        was_talking = self.talk is not None and leg in self.talk
        if self.booth is not None and self.booth.leg is leg:
            self.leave_booth()
            was_talking = True
        if hunt is not None and leg in hunt.legs:
            self.drop(leg, 0, why)
            hunt.lost(leg)
            return
        self.drop(leg, 200, why)
        if transfer is not None and transfer.transferor is leg:
            return  # it is told how that ends all the same: a BYE ends no subscription (RFC 5359 §2.4)
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
            refuse(stack, request, key)
            return
        passing, octets = self.host.passing, len(request.body)
        sender = leg.party.device or " ".join(leg.party.carrier)
        if passing.begin(sender, octets):
            pass_on(stack, other, request, key, lambda: passing.end(sender, octets))
        else:
            stack.respond(request, key, 500, extra=LATER)

    def leg_referred(self, leg: Leg, request: Request, key: TransactionKey) -> None:
        """A transfer (RFC 5589)."""
        Transfer.start(self, leg, request, key)

    def leg_moved(self, leg: Leg, request: Request, key: TransactionKey, flow: Flow) -> bool:
        return self.host.may_move(leg, request, key, flow)
