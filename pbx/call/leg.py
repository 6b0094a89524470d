"""A leg: one dialog of a call seen as call events. All SIP stays on its far side."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, Protocol

from pbx.call.attempt import Attempt
from pbx.call.invite_sdp import InviteSdp
from pbx.call.leg_dialogs import LegDialogs
from pbx.call.leg_media import LegMedia
from pbx.call.party import OutsideLeg, Party
from pbx.call.renegotiation import Done, Renegotiation
from pbx.errors import MediaError, PbxError, PeerError
from pbx.sdp.content import Content
from pbx.sdp.errors import SdpError
from pbx.sip.capabilities import ALLOW, SUPPORTED, WITHOUT_100REL
from pbx.sip.client_request import ignore
from pbx.sip.credentials import Credentials
from pbx.sip.dialog import Dialog
from pbx.sip.flow import Flow
from pbx.sip.headers import Extra
from pbx.sip.message import Request, Response, make_response
from pbx.sip.refusal import Refusal
from pbx.sip.stack import SipStack
from pbx.sip.transaction.key import TransactionKey
from pbx.sip.uac import InviteUac
from pbx.sip.uas import InviteUas

CALLING: Final = "calling"  # the INVITE that opens the dialog is not finally answered
UP: Final = "up"
ENDING: Final = "ending"  # we want it over, the dialog is not
OVER: Final = "over"


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
    """One dialog: an A-leg answers the INVITE that opens it, a B-leg sends it.

    Towards outside, before it begins: `credentials` answer the challenges of the far end, `contact_user` is
    our user there.
    """

    def __init__(self, stack: SipStack, user: LegUser, name: str, party: Party, media: LegMedia) -> None:
        self.name = name
        self.party = party
        self.media = media
        self.state = CALLING
        self.dialog: Dialog | None = None
        self.answered_at: float | None = None
        self.outside: OutsideLeg | None = None  # of a B-leg to a number outside
        self.because = ""  # the decision by which it rings
        self.account = ""  # the name by which its usage is counted, "" = it is not
        self.opening: Request | None = None  # the INVITE that opens the dialog
        self.user: LegUser | None = user
        self.credentials: Credentials | None = None
        self.contact_user = ""
        self.is_cut = False  # the connection to the phone is gone
        self._stack = stack
        self._renegotiation = Renegotiation(stack, self, media)
        self._uas: InviteUas | None = None  # the caller's INVITE, until its ACK
        self._uac: InviteUac | None = None  # ours to the callee, until our ACK
        self._attempt: Attempt | None = None  # None for an A-leg
        self._sdp = InviteSdp(media, self._renegotiation)
        self._dialogs = LegDialogs(stack)
        self._bye_extra: Extra = ()
        self._answer_headers: Extra = ()  # session timer of the 2xx to the caller
        self._owes_bye = False  # its BYE went where nobody was

    @property
    def is_caller(self) -> bool:
        """True for an A-leg."""
        return self._attempt is None

    @property
    def is_calling(self) -> bool:
        """The INVITE that opens the dialog is not finally answered."""
        return self.state == CALLING

    @property
    def is_up(self) -> bool:
        """The dialog is confirmed, and nobody has ended it."""
        return self.state == UP

    @property
    def is_opening(self) -> bool:
        """The INVITE that opens the dialog is not acknowledged yet."""
        return self._uas is not None or self._uac is not None

    @property
    def has_settled(self) -> bool:
        """The offer of the INVITE that opened the dialog has been answered."""
        return self.media.is_stable or not self.is_opening

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
        try:
            if not request.contacts:  # §8.1.1.8: not even a BYE could be sent to it
                raise PeerError(400, "Contact Is Missing")
            self._answer_headers = self._renegotiation.refresh.take_request(request)
            content = self._renegotiation.offer_of(request, flow)
        except PeerError:
            self._close()
            raise
        tag = self._stack.entropy.token()
        self.opening = request
        self.dialog = Dialog.of_uas(request, tag, flow)
        self._uas = InviteUas(self._stack, self, request, key, flow, tag)
        self._renegotiation.note_peer(request)
        self._dialogs.register(self.dialog, self)
        return content

    def progress(self, status: int, reason: str, content: Content | None, extra: Extra = ()) -> None:
        """Tell the caller what happens: 180, 183; with early media when `content` is given."""
        uas = self._uas
        if self.state != CALLING or uas is None:
            return
        if uas.wants_reliable and self.media.is_idle and content is None:
            return  # RFC 3262 §5: the first reliable response to an offerless INVITE has to carry the offer
        body = b""
        if content is not None:
            body = self._sdp.make_early(content, is_reliable=uas.takes_reliable)
        uas.provisional(status, reason, (*self.own_contact, *extra), body)

    def answer(self, content: Content | None, extra: Extra = ()) -> None:
        """Answer the caller: with the answer to its offer, or with an offer when it made none.

        Raises:
            SdpError, MediaError: nothing fits, or no port is free; the caller still waits.
        """
        uas = self._uas
        assert uas is not None  # only a calling A-leg is answered
        body = self._sdp.make_final(content, uas.request)
        self.state = UP
        self.answered_at = self._stack.now
        uas.final(200, "OK", (*self.own_contact, *self._answer_headers, *extra), body)
        self._renegotiation.refresh.start()

    def reject(self, status: int, reason: str = "", extra: Extra = ()) -> None:
        """Refuse the caller's INVITE."""
        if self._uas is not None:
            self._uas.final(status, reason, extra)
        self._close()

    # --- a B-leg -------------------------------------------------------------------------------------------

    def invite(self, attempt: Attempt) -> None:
        """Call the callee.

        Raises:
            MediaError: no port is free.
        """
        self._attempt = attempt
        request, content = attempt.request, attempt.content
        self.opening = request
        self._renegotiation.srtp = attempt.srtp
        timer = self._renegotiation.refresh.timer
        lines = {**dict(self._contact_of(attempt.flow)), **dict(timer.first_headers())}
        if content is not None:
            lines["Content-Type"] = "application/sdp"
        else:
            lines["Supported"] = WITHOUT_100REL
        if request.headers.first.keys().isdisjoint(lines):
            request.headers.extend(lines.items())
        else:  # it calls once more
            for name, value in lines.items():
                request.headers.set(name, value)
        if content is not None:
            request.body = self.media.make_offer(content, srtp=attempt.srtp)
        self._uac = InviteUac(
            self._stack,
            self,
            request,
            attempt.flow,
            attempt.alternatives,
            by_this_flow=attempt.behind_nat,
            credentials=self.credentials,
            give_up_s=attempt.give_up_s,
        )

    def acknowledge(self, content: Content) -> None:
        """Answer the offer that came in the 2xx to our offerless INVITE, the first or a later one."""
        uac = self._uac
        if uac is None:
            self._renegotiation.acknowledge(content)
        elif uac.is_waiting_for_ack and self.dialog is not None:
            uac.acknowledge(self.dialog, self.media.make_answer(content))
            self._uac = None
            self._renegotiation.idle()

    def cancel(self, extra: Extra = ()) -> None:
        """Stop ringing."""
        if self.state != CALLING:
            return
        if self._uac is None:  # not even called yet
            self._close()
            return
        self.state = ENDING
        self._uac.cancel(extra)
        self.media.close()  # a silent phone cannot be cancelled yet (§9.1), but need not be waited for

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
            self.state = ENDING
            self._renegotiation.yield_to_bye()
            if self._uas is not None or self._renegotiation.is_ack_due:
                return  # §15: the callee waits with its BYE for the ACK
            self._send_bye()

    def move(self, flow: Flow, behind_nat: bool) -> None:
        """The phone is reached by another way from now on."""
        if self._uac is not None and not self._uac.is_final:
            self._uac.move(flow, behind_nat)
        if self._uas is not None:
            self._uas.move(flow)
        self._dialogs.move(flow, behind_nat)
        self.is_cut = False
        if self._owes_bye and self.dialog is not None:
            self._owes_bye = False
            self.dialog.move(flow, behind_nat)
            self.send(self._in_dialog("BYE", self._bye_extra), ignore)

    def cut(self, flow: Flow) -> None:
        """A connection is gone: if it was the way to the phone, that may come back by another one."""
        if self.way == flow:
            self.is_cut = True
            self._dialogs.cut()

    @property
    def is_adrift(self) -> bool:
        """It ends, and its phone, whose connection is gone, may come back and be told."""
        return self.is_cut and (self.state == ENDING or self._owes_bye)

    @property
    def way(self) -> Flow | None:
        """By which it is reached, before it has a dialog, too; None: it is not called yet."""
        if self._uac is not None and not self._uac.is_final:
            return self._uac.flow
        return self.dialog.flow if self.dialog is not None else None

    def reoffer(
        self, content: Content | None, done: Done, extra: Extra = (), *, persistent: bool = False
    ) -> None:
        """Offer something to the peer; see `Renegotiation.reoffer`."""
        self._renegotiation.reoffer(content, done, extra, persistent=persistent)

    def withdraw(self, done: Done) -> None:
        """Who wanted `done` wants it no more."""
        self._renegotiation.withdraw(done)

    def keep(self) -> None:
        """Nobody wants the offer in the 2xx to our offerless re-INVITE: answer it as the last time."""
        self._renegotiation.keep()

    @property
    def pending(self) -> Request | None:
        """The peer's re-INVITE or UPDATE that waits for `reanswer` or `refuse`."""
        return self._renegotiation.pending

    def reanswer(self, content: Content | None) -> None:
        """Answer the peer's re-INVITE or UPDATE; see `Renegotiation.reanswer`."""
        self._renegotiation.reanswer(content)

    def refuse(self, status: int, reason: str = "", extra: Extra = ()) -> None:
        """Refuse the peer's re-INVITE or UPDATE: all stays as it was (§14.2)."""
        self._renegotiation.refuse(status, reason, extra)

    def send(self, request: Request, handler: Callable[[Response], None]) -> None:
        """Send a request built by `make_request`."""
        dialog = self.dialog
        assert dialog is not None
        self._stack.send(
            request, dialog.hop(), handler, owner=self, credentials=self.credentials, dialog=dialog
        )

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
        dialog, is_new = self._dialogs.early(response, uac, self)
        if dialog is not None and is_new:
            self.dialog = dialog
            self._renegotiation.note_peer(response)
        if dialog is not None and not uac.take_reliable(response, dialog):
            return
        content = self._sdp.take_early(response) if self.state == CALLING else None
        user.leg_progressed(self, response, content)

    def invite_answered(self, response: Response) -> None:
        """The callee's 2xx."""
        uac, user = self._uac, self.user
        assert uac is not None  # it is forgotten only after its 2xx
        self.dialog = self._dialogs.confirm(response, uac, self)
        self._renegotiation.note_peer(response)
        self._renegotiation.refresh.timer.take_response(response)
        if self.state != CALLING or user is None:  # a 2xx that crossed our CANCEL (§9.1)
            uac.acknowledge(self.dialog)
            self._send_bye()
            return
        try:
            content = self._sdp.take_final(uac.request, response)
        except SdpError as error:
            uac.acknowledge(self.dialog)
            self._bye_extra = (("Reason", f'SIP;cause=488;text="{error.reason}"'),)
            self._send_bye()
            refusal = make_response(uac.request, 488)
            refusal.headers.add("Warning", error.warning(self._stack.own_host(self.dialog.flow)))
            user.leg_refused(self, refusal)
            return
        if uac.request.body or not response.body:  # else the answer to its offer goes with the ACK
            uac.acknowledge(self.dialog)
            self._uac = None
        self.state = UP
        self.answered_at = self._stack.now
        self._renegotiation.refresh.start()
        user.leg_answered(self, content)

    def invite_refused(self, response: Response) -> None:
        """The callee's final refusal."""
        user, state = self.user, self.state
        again = self._another_attempt(response) if state == CALLING else None
        if again is not None:
            self._call_again(again)
            return
        self._close()
        if user is not None and state == CALLING:
            user.leg_refused(self, response)

    def invite_acked(self, ack: Request) -> None:
        """The ACK of our 2xx."""
        self._uas = None
        if self._sdp.is_offer_in_2xx:
            self._sdp.is_offer_in_2xx = False
            self.answered_late(ack)
        if self.state == ENDING:
            self._send_bye()
        else:
            self._renegotiation.idle()

    def invite_cancelled(self, cancel: Request) -> None:
        """The caller gave up."""
        user = self.user
        self.reject(487, "Request Terminated")
        if user is not None:
            user.leg_cancelled(self, cancel.headers.get("Reason") or "the caller gave up")

    def invite_abandoned(self, why: str, is_answered: bool) -> None:
        """The peer never acknowledged: the call ends (§13.3.1.4)."""
        self._uas = None
        user, was = self.user, self.state
        if is_answered:
            self.lose(why)
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
        if not self._renegotiation.receive_ack(request) and self._uas is not None:
            self._uas.receive_ack(request)

    def receive_request(self, request: Request, key: TransactionKey, flow: Flow) -> None:
        """Any other request inside the dialog."""
        dialog, user = self._dialogs.of(request), self.user
        if user is None or dialog is None:
            raise PeerError(481, "Call/Transaction Does Not Exist")
        self.dialog = dialog  # of several forks, that of who has spoken up last
        if flow.peer[0] != dialog.flow.peer[0] and not user.leg_moved(self, request, key, flow):
            return
        dialog.check_order(request)
        if flow.is_reliable:  # the connection may be a new one; it is the way to the phone (RFC 5626 §5.3)
            dialog.move(flow, dialog.behind_nat)
            self.is_cut = False
        method = request.method
        if method == "BYE":
            self._receive_bye(request, key)
        elif method == "INVITE":
            self._renegotiation.receive_reinvite(request, key, flow)
        elif method == "UPDATE":
            self._renegotiation.receive_update(request, key, flow)
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
        self._close()
        if user is None or was in (ENDING, OVER):
            return
        reasons = [("Reason", value) for value in request.headers.get_all("Reason")]
        user.leg_hung_up(self, "hung up", reasons)

    def _receive_prack(self, request: Request, key: TransactionKey) -> None:
        uas = self._uas
        if uas is None:
            raise PeerError(481, "Call/Transaction Does Not Exist")
        uas.receive_prack(request)
        body = b""
        extra: Extra = ()
        if request.body:  # a new offer in the PRACK (RFC 3262 §5)
            body = self._sdp.repeat_to_prack(request)
            if not body:
                self._stack.respond(request, key, 488)
                uas.resume()
                return
            extra = (("Content-Type", "application/sdp"),)
        self._stack.respond(request, key, 200, extra=extra, body=body)
        uas.resume()

    # --- what the renegotiation reports --------------------------------------------------------------------

    def reoffered(self, content: Content | None) -> None:
        """The peer wants something else: its `pending` request waits."""
        if self.user is not None:
            self.user.leg_reoffered(self, content)

    def withdrawn(self) -> None:
        """The peer cancelled its re-INVITE."""
        if self.user is not None:
            self.user.leg_withdrew(self)

    def answered_late(self, ack: Request) -> None:
        """The ACK of a 2xx in which we offered has to bring the answer."""
        user, was = self.user, self.state
        try:
            content = self.media.receive_answer(ack)
        except PeerError as error:
            self._bye_extra = (("Reason", 'SIP;cause=488;text="No answer in ACK"'),)
            self._send_bye()
            if user is not None and was == UP:
                user.leg_hung_up(self, f"no usable answer in the ACK: {error}", ())
            return
        if user is not None and was == UP:
            user.leg_late_answer(self, content)

    def probe(self) -> None:
        """Ask the peer, of whom nothing is heard, whether the call is there still."""
        self._renegotiation.refresh.probe()

    def lose(self, why: str) -> None:
        """The peer is gone: hang up, in case it can hear, and tell the call."""
        user = self.user
        self._bye_extra = (("Reason", f'SIP;cause=408;text="{why}"'),)
        self._send_bye()
        if user is not None:
            user.leg_hung_up(self, why, ())

    def hang_up(self) -> None:
        """What the BYE waited for is done."""
        if self.state == ENDING:
            self._send_bye()

    # --- inside --------------------------------------------------------------------------------------------

    def _another_attempt(self, response: Response) -> Attempt | None:
        assert self._attempt is not None  # only a B-leg is refused
        if response.status == 422:
            is_mended = self._renegotiation.refresh.timer.take_too_small(response)
            return self._attempt if is_mended else None
        if self._uac is not None and self._uac.has_rung:
            return None  # a person who has been asked once is not asked again
        return self._attempt.after_refusal(response.status, may_toggle_srtp=self.media.may_toggle_srtp)

    def _call_again(self, attempt: Attempt) -> None:
        self._dialogs.forget_early()
        self._sdp = InviteSdp(self.media, self._renegotiation)
        self.media.rollback()
        headers = attempt.request.headers.copy()
        sent = self._uac.request if self._uac is not None else attempt.request
        headers.set("CSeq", f"{sent.cseq.number + 1} INVITE")
        self.invite(replace(attempt, request=Request("INVITE", attempt.request.uri, headers, b"")))

    @property
    def own_contact(self) -> tuple[tuple[str, str], ...]:
        """Contact, Allow and Supported of ours towards the phone."""
        assert self.dialog is not None
        return self._contact_of(self.dialog.flow)

    def _contact_of(self, flow: Flow) -> tuple[tuple[str, str], ...]:
        contact = self._stack.own_uri(flow, self.contact_user)
        return (("Contact", f"<{contact}>"), ("Allow", ALLOW), ("Supported", SUPPORTED))

    def _in_dialog(self, method: str, extra: Extra) -> Request:
        assert self.dialog is not None
        request = self.dialog.make_request(method)
        if method != "BYE":
            request.headers.extend(self.own_contact)
        if extra:
            request.headers.extend(extra)
        return request

    def _send_bye(self) -> None:
        dialog = self.dialog
        assert dialog is not None
        if self.state == OVER:
            return
        if self._uac is not None and self._uac.is_waiting_for_ack:
            self._uac.acknowledge(dialog)
        bye = self._in_dialog("BYE", self._bye_extra)
        self._owes_bye = self.is_cut
        told = self._bye_answered if self.is_cut else ignore
        self._stack.send(bye, dialog.hop(), told, credentials=self.credentials, dialog=dialog)
        self._close()

    def _bye_answered(self, response: Response) -> None:
        """The peer had closed its connection, but has been reached by another one after all, or not."""
        self._owes_bye = self._owes_bye and response.status in (408, 503)

    def _close(self) -> None:
        if self.state == OVER:
            return
        self.state = OVER
        self._dialogs.clear()
        if self._uas is not None:
            self._uas.stop()
        if self._uac is not None:
            self._uac.stop(self.dialog)
        self._uas = self._uac = None
        waiting = self._renegotiation.close()
        self.media.close()
        for done in waiting:
            done(481, None)


def _cause(error: PbxError) -> int:
    if isinstance(error, PeerError):
        return error.status
    return 503 if isinstance(error, MediaError) else 500
