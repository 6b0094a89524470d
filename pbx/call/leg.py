"""A leg: one dialog of a call seen as call events. All SIP stays on its far side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from pbx.call.leg_media import LegMedia
from pbx.errors import MediaError, PbxError, PeerError
from pbx.sdp.errors import SdpError
from pbx.sdp.offer_answer import Content
from pbx.sip.dialog import Dialog, contact_of
from pbx.sip.flow import Flow
from pbx.sip.message import Request, Response, make_response
from pbx.sip.session_timer import SessionTimer
from pbx.sip.stack import ALLOW, SUPPORTED, Extra, Refusal, SipStack
from pbx.sip.transaction.key import TransactionKey
from pbx.sip.uac import InviteUac
from pbx.sip.uas import InviteUas

CALLING: Final = "calling"  # the INVITE that opens the dialog is not finally answered
UP: Final = "up"
ENDING: Final = "ending"  # we want it over, the dialog is not
OVER: Final = "over"

REINVITE_S: Final = 60.0  # how long the peer may think about a re-INVITE before it is cancelled

Done = Callable[[int, Content | None], None]  # status and content of the answer (or offer) to a re-INVITE


@dataclass(frozen=True, slots=True)
class Party:
    """Who is behind a leg: extension key, name shown, SIP user of the device, and whether it hides itself."""

    key: str
    label: str = ""
    device: str = ""
    is_private: bool = False


class LegUser(Protocol):
    """The call: what a leg reports. A content is None where the message carried no SDP."""

    def leg_cancelled(self, leg: "Leg", why: str) -> None: ...
    def leg_progressed(self, leg: "Leg", response: Response, content: Content | None) -> None: ...
    def leg_answered(self, leg: "Leg", content: Content | None) -> None: ...
    def leg_refused(self, leg: "Leg", response: Response) -> None: ...
    def leg_reoffered(self, leg: "Leg", content: Content | None) -> None: ...
    def leg_withdrew(self, leg: "Leg") -> None:
        """The peer cancelled its re-INVITE."""
        ...

    def leg_late_answer(self, leg: "Leg", content: Content) -> None:
        """The answer to an offer that we made in a 2xx came with the ACK."""
        ...

    def leg_hung_up(self, leg: "Leg", why: str, extra: Extra) -> None: ...
    def leg_broke(self, leg: "Leg", error: PbxError) -> None:
        """A step failed, and the leg ended for it."""
        ...

    def leg_passed(self, leg: "Leg", request: Request, key: TransactionKey) -> None:
        """INFO or MESSAGE for the other side."""
        ...

    def leg_referred(self, leg: "Leg", request: Request, key: TransactionKey) -> None: ...
    def leg_moved(self, leg: "Leg", request: Request, key: TransactionKey, flow: Flow) -> bool:
        """The peer speaks from another address than before: may it? False: it has been challenged."""
        ...


class Leg:
    """One dialog: an A-leg answers the INVITE that opens it, a B-leg sends it."""

    def __init__(self, stack: SipStack, user: LegUser, name: str, party: Party, media: LegMedia) -> None:
        self.name = name
        self.party = party
        self.media = media
        self.state = CALLING
        self.dialog: Dialog | None = None
        self.answered_at: float | None = None
        self.opening: Request | None = None  # the INVITE that opens the dialog
        self.user: LegUser | None = user
        self._stack = stack
        self._uas: InviteUas | None = None  # the peer's INVITE in progress
        self._uac: InviteUac | None = None  # ours
        self._dialogs: list[Dialog] = []  # every one that is registered with the stack
        self._early: dict[str, Dialog] = {}  # a B-leg's early dialogs by remote tag
        self._their_update: tuple[Request, TransactionKey] | None = None
        self._our_update = False
        self._done: Done | None = None  # waits for the answer to our offer
        self._queue: list[tuple[Callable[[], None], Done]] = []  # what waits until no offer is on its way
        self._timer = SessionTimer()
        self._allows: frozenset[str] = frozenset()
        self._bye_extra: Extra = ()
        self._answer_headers: Extra = ()
        self._srtp = False
        self._attempt: tuple[Content | None, Request, Flow, bool, Sequence[Flow]] | None = None
        self._is_offer_in_2xx = False
        self._early_answer = b""
        self._expires_at = 0.0  # when the session counts as dead
        self._again: Callable[[], None] | None = None
        self._waiting: Done | None = None  # waits for the second try after a glare
        self._has_toggled_srtp = False

    @property
    def is_caller(self) -> bool:
        """True for an A-leg."""
        return self._attempt is None

    @property
    def flow(self) -> Flow:
        """The way to the phone."""
        assert self.dialog is not None  # a leg without a dialog is asked nothing
        return self.dialog.flow

    def __repr__(self) -> str:
        return f"<Leg {self.name} {self.party.key} {self.state}>"

    # --- an A-leg ------------------------------------------------------------------------------------------

    def accept(self, request: Request, key: TransactionKey, flow: Flow) -> Content | None:
        """Open the dialog for the caller's INVITE; returns its offer.

        Raises:
            PeerError: 415, 422 or 488: it cannot be served.
        """
        if contact_of(request) is None:  # §8.1.1.8: not even a BYE could be sent to it
            raise PeerError(400, "Contact Is Missing")
        tag = self._stack.entropy.token()
        self._answer_headers = self._timer.take_request(request)
        content = self._offer_of(request, flow)
        self.opening = request
        self.dialog = Dialog.of_uas(request, tag, flow)
        self._uas = InviteUas(self._stack, self, request, key, flow, tag)
        self._note_peer(request)
        self._register(self.dialog)
        return content

    def progress(self, status: int, reason: str, content: Content | None, extra: Extra = ()) -> None:
        """Tell the caller what happens: 180, 183; with early media when `content` is given."""
        uas = self._uas
        if self.state != CALLING or uas is None:
            return
        if uas.wants_reliable and self.media.is_idle and content is None:
            return  # RFC 3262 §5: the first reliable response to an offerless INVITE has to carry the offer
        body = b""
        if content is not None and self.media.is_answer_due and self._their_update is None:
            try:
                body = self.media.make_answer(content)
            except (SdpError, MediaError):  # no early media then; the 2xx will show whether anything fits
                body = b""
            # RFC 3261 §13.2.1: after an unreliable response the 2xx says the same again.
            self._early_answer = b"" if uas.takes_reliable else body
        uas.provisional(status, reason, (*self.own_contact, *extra), body)

    def answer(self, content: Content | None, extra: Extra = ()) -> None:
        """Answer the caller: with the answer to its offer, or with an offer when it made none.

        Raises:
            SdpError, MediaError: nothing fits, or no port is free; the caller still waits.
        """
        uas = self._uas
        assert uas is not None  # only a calling A-leg is answered
        body = self._sdp_of_2xx(content)
        self.state = UP
        self.answered_at = self._stack.now
        uas.final(200, "OK", (*self.own_contact, *self._answer_headers, *extra), body)
        self._start_session_timer()

    def reject(self, status: int, reason: str = "", extra: Extra = ()) -> None:
        """Refuse the caller's INVITE."""
        if self._uas is not None:
            self._uas.final(status, reason, extra)
        self._close()

    # --- a B-leg -------------------------------------------------------------------------------------------

    def invite(
        self,
        request: Request,
        flow: Flow,
        behind_nat: bool,
        content: Content | None,
        srtp: bool = False,
        alternatives: Sequence[Flow] = (),
    ) -> None:
        """Call the callee: `request` has everything but Contact, session timer and SDP."""
        self.opening = request
        self._srtp = srtp
        self._attempt = (content, request, flow, behind_nat, alternatives)
        supported = SUPPORTED if content is not None else SUPPORTED.replace("100rel, ", "")
        for name, value in (*self._contact_of(flow), *self._timer.first_headers()):
            request.headers.set(name, value)
        request.headers.set("Supported", supported)
        if content is not None:
            request.headers.set("Content-Type", "application/sdp")
            request.body = self.media.make_offer(content, srtp=srtp)
        self._uac = InviteUac(self._stack, self, request, flow, alternatives)

    def acknowledge(self, content: Content) -> None:
        """Answer the offer that came in the 2xx to our offerless INVITE."""
        uac = self._uac
        if uac is not None and uac.is_waiting_for_ack and self.dialog is not None:
            uac.acknowledge(self.dialog, self.media.make_answer(content))
            self._uac = None
            self._idle()

    def cancel(self, extra: Extra = ()) -> None:
        """Stop ringing."""
        if self.state != CALLING:
            return
        if self._uac is None:  # not even called yet
            self._close()
            return
        self.state = ENDING
        self._uac.cancel(extra)

    def keep(self) -> None:
        """Nobody wants the offer in the 2xx to our offerless re-INVITE: answer it as the last time."""
        uac, dialog, content = self._uac, self.dialog, self.media.content
        if uac is None or dialog is None or content is None or not uac.is_waiting_for_ack:
            return
        try:
            body = self.media.repeat_answer(content)
        except SdpError:
            self.media.rollback()
            body = b""
        uac.acknowledge(dialog, body)
        self._uac = None
        if not body:  # an offer in a 2xx cannot be refused (RFC 3261 §13.2.2.4) but by ending the call
            self._lose("an offer could not be answered")
        self._idle()

    # --- both ----------------------------------------------------------------------------------------------

    def broke(self, error: PbxError) -> None:
        """A step of this leg failed: it ends, in whatever state it is, and so does what hangs on it."""
        user, state = self.user, self.state
        if state == OVER:
            return
        self._bye_extra = (("Reason", f'SIP;cause={_cause(error)};text="Internal error"'),)
        if state == CALLING and self.is_caller:
            self.reject(_cause(error))
        elif self.dialog is not None and (self._uac is None or self._uac.is_final):
            self._send_bye()
        else:
            self._close()
        if user is not None:
            user.leg_broke(self, error)

    def end(self, status: int = 480, reason: str = "", extra: Extra = ()) -> None:
        """Be over, whatever the state: refuse, cancel or hang up."""
        if self.state == CALLING:
            if self.is_caller:
                self.reject(status, reason, extra)
            else:
                self.cancel(extra)
        elif self.state == UP:
            self._bye_extra = extra
            uas, uac = self._uas, self._uac
            self.state = ENDING
            if uas is not None and not uas.is_final:  # a re-INVITE of theirs that nobody will answer now
                uas.final(487, "Request Terminated", ())
                self._uas = None
            if self._their_update is not None:
                request, key = self._their_update
                self._their_update = None
                self._stack.respond(request, key, 487)
            if self._uas is not None and self._uas.is_final and not self._uas.is_acked:
                return  # §15: the callee waits with its BYE for the ACK
            if uac is not None and uac.is_waiting_for_ack and self.dialog is not None:
                uac.acknowledge(self.dialog)
            self._send_bye()

    def reoffer(
        self, content: Content | None, done: Done, extra: Extra = (), *, persistent: bool = False
    ) -> None:
        """Renegotiate by re-INVITE (by UPDATE before the dialog is confirmed); offerless for None.

        `done` gets the status and the answer, or, after an offerless one, the peer's offer, which waits for
        `acknowledge`. Waits its turn while another offer is on its way; `persistent` tries again after a
        491 (§14.1), which otherwise is passed on to who wanted the change.
        """
        again = partial(self.reoffer, content, done, extra, persistent=persistent)
        if self.state not in (UP, CALLING) or self.dialog is None:
            done(481, None)
        elif self._is_busy:
            self._queue.append((again, done))
        elif self.state == CALLING:
            self._reoffer_early(content, done, extra)
        else:
            body = b""
            if content is not None:
                body = self.media.make_offer(content, srtp=self._srtp or self.media.is_secure)
            self._done = done
            self._again = again if persistent else None
            self._reinvite(body, extra)

    def withdraw(self, done: Done) -> None:
        """Who wanted `done` wants it no more: cancel it, or forget it while it waits."""
        if self._done is done and self._uac is not None:
            self._uac.cancel()
        self._queue = [(again, waiting) for again, waiting in self._queue if waiting is not done]

    @property
    def pending(self) -> Request | None:
        """The peer's re-INVITE or UPDATE that waits for `reanswer` or `refuse`."""
        if self._their_update is not None:
            return self._their_update[0]
        return self._uas.request if self._uas is not None and not self._uas.is_final else None

    def reanswer(self, content: Content | None) -> None:
        """Answer the peer's re-INVITE or UPDATE; to an offerless one, with an offer.

        Raises:
            SdpError, MediaError: nothing fits, or no port is free; it still waits.
        """
        if self._their_update is not None:
            request, key = self._their_update
            body = self.media.make_answer(content) if content is not None else b""
            self._their_update = None
            self._respond_update(request, key, body)
        elif self._uas is not None and not self._uas.is_final:
            body = self._sdp_of_2xx(content)
            self._uas.final(200, "OK", (*self.own_contact, *self._answer_headers), body)
            self._start_session_timer()

    def refuse(self, status: int, reason: str = "", extra: Extra = ()) -> None:
        """Refuse the peer's re-INVITE or UPDATE: all stays as it was (§14.2)."""
        self.media.rollback()
        if self._their_update is not None:
            request, key = self._their_update
            self._their_update = None
            self._stack.respond(request, key, status, reason, extra=extra)
        elif self._uas is not None and not self._uas.is_final:
            self._uas.final(status, reason, extra)
            self._uas = None
        self._idle()

    def send(self, request: Request, handler: Callable[[Response], None]) -> None:
        """Send a request built by `make_request`."""
        assert self.dialog is not None
        self._stack.send(request, self.dialog.hop(), handler, owner=self)

    def make_request(self, method: str, extra: Extra = (), body: bytes = b"") -> Request:
        """A request inside the dialog, with our Contact."""
        request = self._in_dialog(method, extra)
        request.body = body
        return request

    # --- what the INVITEs report ---------------------------------------------------------------------------

    def invite_progressed(self, response: Response) -> None:
        """A provisional response of the callee."""
        uac, user = self._uac, self.user
        if uac is None or user is None or self.state == UP:
            return
        dialog = self._early_dialog(response, uac)
        if dialog is not None and not uac.take_reliable(response, dialog):
            return
        content = None
        if response.body and self.media.is_offer_pending:
            try:
                content = self.media.receive_answer(response)
            except SdpError:  # early media only: the 2xx may say it better
                content = None
        user.leg_progressed(self, response, content)

    def invite_answered(self, response: Response) -> None:
        """The callee's 2xx, to the first INVITE or to a re-INVITE."""
        uac, user = self._uac, self.user
        assert uac is not None
        if self.state == UP and self.dialog is not None:
            self._reinvite_answered(uac, response)
            return
        self.dialog = self._confirm(response, uac)
        self._early.clear()
        self._note_peer(response)
        self._timer.take_response(response)
        if self.state != CALLING or user is None:  # a 2xx that crossed our CANCEL (§9.1)
            uac.acknowledge(self.dialog)
            self._send_bye()
            return
        try:
            content = self._sdp_in_2xx(uac, response)
        except SdpError as error:
            uac.acknowledge(self.dialog)
            self._bye_extra = (("Reason", f'SIP;cause=488;text="{error.reason}"'),)
            self._send_bye()
            refusal = make_response(uac.request, 488)
            refusal.headers.add("Warning", error.warning(self._stack.own_host(self.dialog.flow)))
            user.leg_refused(self, refusal)
            return
        self.state = UP
        self.answered_at = self._stack.now
        self._start_session_timer()
        user.leg_answered(self, content)

    def invite_forked(self, uac: InviteUac, response: Response) -> None:
        """Another phone behind the callee's proxy answered too: one call is enough (§13.2.2.4)."""
        assert self._attempt is not None  # only our own INVITE can fork
        dialog = Dialog.of_uac(uac.request, response, uac.flow, self._attempt[3])
        if self.dialog is not None:  # PRACKs may have been counted before
            dialog.local_seq = max(dialog.local_seq, self.dialog.local_seq)
        uac.acknowledge_fork(dialog)
        self._stack.send(dialog.make_request("BYE"), dialog.hop(), _ignore)

    def invite_refused(self, response: Response) -> None:
        """The callee's final refusal, of the first INVITE or of a re-INVITE."""
        if self.state == UP:
            self._forget_reinvite()
            self.media.rollback()
            if response.status in (408, 481):  # §14.1: the dialog is gone
                self._lose(f"re-INVITE answered {response.status}")
                return
            if response.status == 422:
                self._timer.take_too_small(response)
            if response.status == 491 and self._again is not None:
                self._try_later()
                return
            self._finish(response.status, None)
            return
        user, state = self.user, self.state
        has_rung = self._uac is not None and self._uac.has_rung
        if state == CALLING and response.status == 422 and self._timer.take_too_small(response):
            self._call_again(self._srtp)
        elif (
            state == CALLING
            and response.status == 488
            and self.media.may_toggle_srtp
            and not self._has_toggled_srtp
            and not has_rung  # a person who has been asked once is not asked again
        ):
            self._has_toggled_srtp = True
            self._call_again(not self._srtp)
        else:
            self._close()
            if user is not None and state == CALLING:
                user.leg_refused(self, response)

    def invite_acked(self, ack: Request) -> None:
        """The ACK of our 2xx."""
        self._uas = None
        user = self.user
        if self._is_offer_in_2xx:
            self._is_offer_in_2xx = False
            try:
                content = self.media.receive_answer(ack)
            except PeerError as error:
                was, self._bye_extra = self.state, (("Reason", 'SIP;cause=488;text="No answer in ACK"'),)
                self._send_bye()
                if user is not None and was == UP:
                    user.leg_hung_up(self, f"no usable answer in the ACK: {error}", ())
                return
            if user is not None and self.state == UP:
                user.leg_late_answer(self, content)
        if self.state == ENDING:
            self._send_bye()
        else:
            self._idle()

    def invite_cancelled(self, cancel: Request) -> None:
        """The peer withdrew its INVITE."""
        if self.state == CALLING:
            self.reject(487, "Request Terminated")
            if self.user is not None:
                self.user.leg_cancelled(self, cancel.headers.get("Reason") or "the caller gave up")
        elif self._uas is not None:
            self.refuse(487, "Request Terminated")
            if self.user is not None:
                self.user.leg_withdrew(self)

    def invite_abandoned(self, why: str, is_answered: bool) -> None:
        """The peer never acknowledged: the call ends (§13.3.1.4)."""
        self._uas = None
        user, was = self.user, self.state
        if is_answered:
            self._lose(why)
            return
        self._close()
        if user is not None:
            if was == CALLING:
                user.leg_cancelled(self, why)
            else:
                user.leg_hung_up(self, why, ())

    # --- requests of the peer ------------------------------------------------------------------------------

    def receive_ack(self, request: Request) -> None:
        """An ACK inside the dialog."""
        if self._uas is not None:
            self._uas.receive_ack(request)

    def receive_request(self, request: Request, key: TransactionKey, flow: Flow) -> None:
        """Any other request inside the dialog."""
        dialog, user = self.dialog, self.user
        if user is None or dialog is None:
            raise PeerError(481, "Call/Transaction Does Not Exist")
        if flow.peer[0] != dialog.flow.peer[0] and not user.leg_moved(self, request, key, flow):
            return
        dialog.check_order(request)
        if flow.is_reliable:  # the connection may be a new one; it is the way to the phone (RFC 5626 §5.3)
            dialog.flow = flow
        method = request.method
        if method == "BYE":
            self._receive_bye(request, key)
        elif method == "INVITE":
            self._receive_reinvite(request, key, flow)
        elif method == "UPDATE":
            self._receive_update(request, key, flow)
        elif method == "PRACK":
            self._receive_prack(request, key)
        elif method in ("INFO", "MESSAGE"):
            user.leg_passed(self, request, key)
        elif method == "REFER":
            user.leg_referred(self, request, key)
        elif method == "OPTIONS":
            self._stack.respond(request, key, 200, extra=(("Allow", ALLOW), ("Accept", "application/sdp")))
        elif method == "NOTIFY":
            raise PeerError(481, "Subscription Does Not Exist")
        else:
            raise Refusal(405, "Method Not Allowed", (("Allow", ALLOW),))

    def _receive_bye(self, request: Request, key: TransactionKey) -> None:
        self._stack.respond(request, key, 200)
        user, was = self.user, self.state
        if self._uas is not None and not self._uas.is_final:
            self._uas.final(487, "Request Terminated", ())
        self._close()
        if user is None or was in (ENDING, OVER):
            return
        reasons = tuple(("Reason", value) for value in request.headers.get_all("Reason"))
        user.leg_hung_up(self, "hung up", reasons)

    def _receive_reinvite(self, request: Request, key: TransactionKey, flow: Flow) -> None:
        if self._uas is not None:  # §14.2: theirs is still in progress
            wait = str(self._stack.entropy.below(11))
            raise Refusal(500, "Server Internal Error", (("Retry-After", wait),))
        if self._uac is not None or self._our_update or self._their_update is not None:
            raise PeerError(491, "Request Pending")
        assert self.dialog is not None
        headers = self._timer.take_request(request)
        content = self._offer_of(request, flow)
        self._answer_headers = headers
        self.dialog.refresh_target(request, flow)
        self._note_peer(request)
        self._uas = InviteUas(self._stack, self, request, key, flow, self.dialog.id.local_tag)
        self._pass_on(content)

    def _receive_update(self, request: Request, key: TransactionKey, flow: Flow) -> None:
        if request.body:
            if self._their_update is not None:
                wait = str(self._stack.entropy.below(11))
                raise Refusal(500, "Server Internal Error", (("Retry-After", wait),))
            # RFC 3311 §5.2: an offer of ours, or their offer that is not answered yet, is in the way.
            in_progress = self.state == UP and (self._uac is not None or self.pending is not None)
            if self._our_update or in_progress or not self.media.is_stable:
                raise PeerError(491, "Request Pending")
        assert self.dialog is not None
        headers = self._timer.take_request(request)
        content = self._offer_of(request, flow)
        self._answer_headers = headers
        self.dialog.refresh_target(request, flow)
        if content is None:
            self._respond_update(request, key, b"")
            return
        self._their_update = (request, key)
        self._pass_on(content)

    def _pass_on(self, content: Content | None) -> None:
        """Answer a refresh ourselves; whatever changes the media is for the other side to decide."""
        try:
            if content is not None and self.media.is_refresh:
                body = self.media.repeat_answer(content)
                if self._their_update is not None:
                    request, key = self._their_update
                    self._their_update = None
                    self._respond_update(request, key, body)
                elif self._uas is not None:
                    self._uas.final(200, "OK", (*self.own_contact, *self._answer_headers), body)
                    self._start_session_timer()
            elif self.user is not None:
                self.user.leg_reoffered(self, content)
        except SdpError:
            self.refuse(488)
        except MediaError:
            self.refuse(503)

    def _respond_update(self, request: Request, key: TransactionKey, body: bytes) -> None:
        extra = [*self.own_contact, *self._answer_headers]
        if body:
            extra.append(("Content-Type", "application/sdp"))
        self._stack.respond(request, key, 200, extra=extra, body=body)
        if self.state == UP:
            self._start_session_timer()
        self._idle()

    def _receive_prack(self, request: Request, key: TransactionKey) -> None:
        uas = self._uas
        if uas is None:
            raise PeerError(481, "Call/Transaction Does Not Exist")
        uas.receive_prack(request)
        body = b""
        extra: Extra = ()
        if (
            request.body
        ):  # a new offer in the PRACK (RFC 3262 §5): the same media again is all that is taken here
            body = self._repeat_to_prack(request)
            if not body:
                self._stack.respond(request, key, 488)
                uas.resume()
                return
            extra = (("Content-Type", "application/sdp"),)
        self._stack.respond(request, key, 200, extra=extra, body=body)
        uas.resume()

    def _repeat_to_prack(self, prack: Request) -> bytes:
        """The answer to an offer in a PRACK; empty when it cannot be taken, ours being on its way, say."""
        if not self.media.is_stable:
            return b""
        try:
            content = self.media.receive_offer(prack)
            if self.media.is_refresh:
                return self.media.repeat_answer(content)
        except PeerError:
            pass  # it is refused, and what was agreed before stands
        self.media.rollback()
        return b""

    # --- time ----------------------------------------------------------------------------------------------

    def expire(self, timer: str) -> None:
        """The session timer, a re-INVITE's second try, or a phone that keeps its call."""
        if self.state != UP or self.dialog is None:
            return
        if timer == "session":
            if self._timer.we_refresh and self._stack.now < self._expires_at:
                self._refresh()
            else:  # RFC 4028 §10
                self._lose("Session timer expired")
        elif timer == "re-INVITE":
            if self._uac is not None:
                self._uac.cancel()
        elif timer == "glare" and self._again is not None and self._waiting is not None:
            self._queue.insert(0, (self._again, self._waiting))
            self._again = self._waiting = None
            self._idle()

    def _refresh(self) -> None:
        if self._is_busy:
            self._refresh_later(5.0)
            return
        self._stack.timers.set((self, "session"), self._expires_at)
        assert self.dialog is not None
        if "UPDATE" in self._allows:
            self._our_update = True
            request = self._in_dialog("UPDATE", self._timer.request_headers())
            self._stack.send(request, self.dialog.hop(), self._refreshed, owner=self)
            return
        body = self.media.repeat_offer()
        self._done = self._refreshed_by_invite
        self._again = None
        self._reinvite(body, ())

    def _reinvite(self, body: bytes, extra: Extra) -> None:
        assert self.dialog is not None
        request = self._in_dialog("INVITE", (*self._timer.request_headers(), *extra))
        if body:
            self._attach(request, body)
        self._stack.timers.set((self, "re-INVITE"), self._stack.now + REINVITE_S)
        self._uac = InviteUac(self._stack, self, request, self.dialog.hop())

    def _forget_reinvite(self) -> None:
        self._uac = None
        self._stack.timers.set((self, "re-INVITE"), None)

    def _refresh_later(self, seconds: float) -> None:
        due = min(self._stack.now + seconds, self._expires_at)
        self._stack.timers.set((self, "session"), due)

    def _refreshed(self, response: Response) -> None:
        if response.status < 200:
            return
        self._our_update = False
        if self.state != UP:
            return
        if response.status < 300:
            self._timer.take_response(response)
            self._start_session_timer()
        elif response.status in (408, 481):
            self._lose(f"session refresh answered {response.status}")
            return
        elif response.status in (405, 501):
            self._allows -= {"UPDATE"}
            self._refresh()
            return
        else:
            if response.status == 422:
                self._timer.take_too_small(response)
            self._refresh_later(5.0)
        self._idle()

    def _refreshed_by_invite(self, status: int, _content: Content | None) -> None:
        if status >= 300:
            self._refresh_later(10.0)

    # --- inside --------------------------------------------------------------------------------------------

    @property
    def _is_busy(self) -> bool:
        return (
            (self._uas is not None and self.state == UP)
            or (self._uac is not None and self.state == UP)
            or self._our_update
            or self._their_update is not None
        )

    def _idle(self) -> None:
        if self._queue and not self._is_busy and self.state == UP:
            again, _ = self._queue.pop(0)
            again()

    def _offer_of(self, message: Request, flow: Flow) -> Content | None:
        if not message.body:
            return None
        if not self.media.is_stable:
            raise PeerError(491, "Request Pending")
        try:
            return self.media.receive_offer(message)
        except SdpError as error:
            host = self._stack.own_host(flow)
            raise Refusal(error.status, error.reason, (("Warning", error.warning(host)),)) from error

    def _sdp_of_2xx(self, content: Content | None) -> bytes:
        if self.media.is_answer_due and self._their_update is None:
            if content is None:
                raise SdpError("no answer has come")
            return self.media.make_answer(content)
        if (
            self.media.is_stable
            and self._uas is not None
            and not self._uas.request.body
            and content is not None
        ):
            body = self.media.make_offer(content, srtp=self._srtp or self.media.is_secure)
            self._is_offer_in_2xx = True
            return body
        body, self._early_answer = self._early_answer, b""
        return body

    def _sdp_in_2xx(self, uac: InviteUac, response: Response) -> Content | None:
        """The content of a 2xx; acknowledges at once unless the 2xx carries the offer."""
        assert self.dialog is not None
        if not (uac.request.body or response.body) and self.media.is_idle:
            raise SdpError("the offer is missing in the answer to an INVITE without one")
        if uac.request.body or not response.body:
            content = None
            if self.media.is_offer_pending:
                content = self.media.receive_answer(response)
            elif response.body:
                content = self.media.revise_answer(response)
            uac.acknowledge(self.dialog)
            self._forget_reinvite()
            return content
        return self.media.receive_offer(response)

    def _reinvite_answered(self, uac: InviteUac, response: Response) -> None:
        assert self.dialog is not None
        self.dialog.refresh_target(response)
        self._timer.take_response(response)
        self._start_session_timer()
        self._stack.timers.set((self, "re-INVITE"), None)
        try:
            content = self._sdp_in_2xx(uac, response)
        except SdpError as error:
            if uac.is_waiting_for_ack:
                uac.acknowledge(self.dialog)
            self._uac = None
            self.media.rollback()
            self._finish(error.status, None)
            return
        self._finish(200, content)

    def _try_later(self) -> None:
        """Glare: the owner of the Call-ID waits 2.1 to 4 s, the other one up to 2 s (§14.1)."""
        self._waiting, self._done = self._done, None
        tens_ms = self._stack.entropy.below(200)
        wait = tens_ms / 100 if self.is_caller else 2.1 + tens_ms / 200 * 1.9
        self._stack.timers.set((self, "glare"), self._stack.now + wait)
        self._idle()

    def _finish(self, status: int, content: Content | None) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(status, content)
        self._idle()

    def _reoffer_early(self, content: Content | None, done: Done, extra: Extra) -> None:
        if content is None or "UPDATE" not in self._allows or not self.media.is_stable:
            done(488, None)
            return
        assert self.dialog is not None
        self._our_update = True
        request = self._in_dialog("UPDATE", extra)
        self._attach(request, self.media.make_offer(content, srtp=self._srtp))

        def answered(response: Response) -> None:
            if response.status < 200:
                return
            self._our_update = False
            if self.state == OVER:
                return
            status, answer = response.status, None
            if status < 300:
                try:
                    answer = self.media.receive_answer(response)
                except SdpError as error:
                    status = error.status
            if answer is None:
                self.media.rollback()
            self._done = None
            done(status, answer)
            self._idle()

        self._done = done
        self._stack.send(request, self.dialog.hop(), answered, owner=self)

    def _call_again(self, srtp: bool) -> None:
        assert self._attempt is not None
        content, request, flow, behind_nat, alternatives = self._attempt
        self._stack.timers.set((self, "session"), None)
        for dialog in self._early.values():
            self._forget(dialog)
        self._early.clear()
        self.media.rollback()
        headers = request.headers.copy()
        headers.set("CSeq", f"{request.cseq.number + 1} INVITE")
        again = Request("INVITE", request.uri, headers, b"")
        self.invite(again, flow, behind_nat, content, srtp, alternatives)

    def _early_dialog(self, response: Response, uac: InviteUac) -> Dialog | None:
        tag = response.to.tag
        if not tag or self._attempt is None:
            return None
        dialog = self._early.get(tag)
        if dialog is None:
            dialog = Dialog.of_uac(uac.request, response, uac.flow, self._attempt[3])
            if self._early:  # a CSeq of its own for each would do; one counter for all is simpler and legal
                dialog.local_seq = max(d.local_seq for d in self._early.values())
            self._early[tag] = dialog
            self._register(dialog)
            self.dialog = dialog
            self._note_peer(response)
        elif response.contacts:
            dialog.refresh_target(response)
        return dialog

    def _confirm(self, response: Response, uac: InviteUac) -> Dialog:
        assert self._attempt is not None
        tag = response.to.tag or ""
        confirmed = Dialog.of_uac(uac.request, response, uac.flow, self._attempt[3])
        early = self._early.pop(tag, None)
        for other in self._early.values():
            self._forget(other)
        if early is not None:
            # §13.2.2.4: the route set is computed anew from the 2xx; the rest of the early dialog stands.
            early.route_set, early.target = confirmed.route_set, confirmed.target
            return early
        self._register(confirmed)
        return confirmed

    def _register(self, dialog: Dialog) -> None:
        self._dialogs.append(dialog)
        self._stack.dialogs[dialog.id] = self

    def _forget(self, dialog: Dialog) -> None:
        self._stack.dialogs.pop(dialog.id, None)
        if dialog in self._dialogs:
            self._dialogs.remove(dialog)

    def _note_peer(self, message: Request | Response) -> None:
        if "Allow" in message.headers:
            self._allows = frozenset(word.upper() for word in message.headers.values("Allow"))

    @property
    def own_contact(self) -> tuple[tuple[str, str], ...]:
        """Contact, Allow and Supported of ours towards the phone."""
        assert self.dialog is not None
        return self._contact_of(self.dialog.flow)

    def _contact_of(self, flow: Flow) -> tuple[tuple[str, str], ...]:
        return (("Contact", f"<{self._stack.own_uri(flow)}>"), ("Allow", ALLOW), ("Supported", SUPPORTED))

    def _in_dialog(self, method: str, extra: Extra) -> Request:
        assert self.dialog is not None
        request = self.dialog.make_request(method)
        if method != "BYE":
            for name, value in self.own_contact:
                request.headers.add(name, value)
        for name, value in extra:
            request.headers.add(name, value)
        return request

    @staticmethod
    def _attach(request: Request, body: bytes) -> None:
        request.headers.set("Content-Type", "application/sdp")
        request.body = body

    def _start_session_timer(self) -> None:
        now = self._stack.now
        self._expires_at = now + self._timer.interval
        self._stack.timers.set((self, "session"), now + self._timer.wait)

    def _send_bye(self) -> None:
        dialog = self.dialog
        assert dialog is not None
        if self.state == OVER:
            return
        self._stack.send(self._in_dialog("BYE", self._bye_extra), dialog.hop(), _ignore)
        self._close()

    def _lose(self, why: str) -> None:
        user = self.user
        self._bye_extra = (("Reason", f'SIP;cause=408;text="{why}"'),)
        self._send_bye()
        if user is not None:
            user.leg_hung_up(self, why, ())

    def _close(self) -> None:
        if self.state == OVER:
            return
        self.state = OVER
        for timer in ("session", "glare", "re-INVITE"):
            self._stack.timers.set((self, timer), None)
        for dialog in self._dialogs:
            self._stack.dialogs.pop(dialog.id, None)
        self._dialogs.clear()
        self._early.clear()
        waiting = [done for done in (self._done, self._waiting, *(done for _, done in self._queue)) if done]
        self._queue.clear()
        if self._uas is not None:
            self._uas.stop()
        if self._uac is not None:
            self._uac.stop()
        self._uas = self._uac = None
        self._done = self._waiting = self._again = None
        if self._their_update is not None:
            request, key = self._their_update
            self._their_update = None
            self._stack.respond(request, key, 487)
        self.media.close()
        for done in waiting:
            done(481, None)


def _cause(error: PbxError) -> int:
    if isinstance(error, PeerError):
        return error.status
    return 503 if isinstance(error, MediaError) else 500


def _ignore(_response: Response) -> None:
    """How the peer answers changes nothing any more."""
