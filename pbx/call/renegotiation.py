"""Offers in a dialog that is there, one at a time: re-INVITE and UPDATE (RFC 3261 §14, RFC 3311)."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Final, Protocol

from pbx.call.leg_media import LegMedia, UnsupportedBodyError
from pbx.call.session_refresh import SessionRefresh
from pbx.errors import MediaError, PbxError, PeerError, UsageError
from pbx.sdp.body import is_optional
from pbx.sdp.content import Content
from pbx.sdp.errors import SdpError
from pbx.sip.capabilities import WITHOUT_100REL
from pbx.sip.credentials import Credentials
from pbx.sip.dialog import Dialog
from pbx.sip.flow import Flow
from pbx.sip.grammar import split_commas
from pbx.sip.headers import Extra
from pbx.sip.message import Request, Response
from pbx.sip.refusal import Refusal
from pbx.sip.stack import SipStack
from pbx.sip.transaction.key import TransactionKey
from pbx.sip.uac import InviteUac
from pbx.sip.uas import InviteUas

REINVITE_S: Final = 60.0  # how long the peer may think about a re-INVITE before it is cancelled

Done = Callable[[int, Content | None], None]  # status and content of the answer (or offer) to our offer


class RenegotiationLeg(Protocol):
    """The leg, as its renegotiation sees it."""

    @property
    def dialog(self) -> Dialog | None: ...

    @property
    def credentials(self) -> Credentials | None: ...

    @property
    def is_caller(self) -> bool: ...
    @property
    def is_calling(self) -> bool: ...
    @property
    def is_up(self) -> bool: ...
    @property
    def is_opening(self) -> bool:
        """The INVITE that opened the dialog is not acknowledged yet."""
        ...

    @property
    def own_contact(self) -> Extra: ...
    def make_request(self, method: str, extra: Extra = (), body: bytes = b"") -> Request: ...
    def reoffered(self, content: Content | None) -> None: ...
    def withdrawn(self) -> None: ...
    def answered_late(self, ack: Request) -> None: ...
    def lose(self, why: str) -> None: ...
    def broke(self, error: PbxError) -> None: ...
    def hang_up(self) -> None: ...


class Gone:
    """What stands for the leg once its dialog is over: neither keeps the other alive, no garbage collector
    is needed to free them."""

    is_caller = is_calling = is_up = is_opening = False
    dialog = credentials = None
    own_contact: Extra = ()

    def make_request(self, method: str, extra: Extra = (), body: bytes = b"") -> Request:  # noqa: ARG002
        raise UsageError(f"{method} in a dialog that is over")

    def reoffered(self, content: Content | None) -> None: ...
    def withdrawn(self) -> None: ...
    def answered_late(self, ack: Request) -> None: ...
    def lose(self, why: str) -> None: ...
    def broke(self, error: PbxError) -> None: ...
    def hang_up(self) -> None: ...


GONE: Final = Gone()


class Renegotiation:
    """Who may offer now, who waits for his turn, and how an offer comes to its answer."""

    def __init__(self, stack: SipStack, leg: RenegotiationLeg, media: LegMedia) -> None:
        self.refresh = SessionRefresh(stack, self)
        self.allows: frozenset[str] = frozenset()  # methods that the peer takes
        self.is_updating = False  # an UPDATE of ours is on its way
        self.srtp = False  # the leg began with SRTP
        self._stack = stack
        self._leg: RenegotiationLeg = leg
        self._media = media
        self._uas: InviteUas | None = None  # the peer's re-INVITE, until its ACK
        self._uac: InviteUac | None = None  # ours, until its ACK
        self._update: tuple[Request, TransactionKey] | None = None  # the peer's UPDATE with an offer
        self._headers: Extra = ()  # session timer of the 2xx
        self._is_offer_in_2xx = False
        self._done: Done | None = None  # waits for the answer to our offer
        self._queue: list[tuple[Callable[[], None], Done]] = []  # what waits until no offer is on its way
        self._again: Callable[[], None] | None = None  # the second try after a glare, and who waits for it
        self._waiting: Done | None = None

    @property
    def is_up(self) -> bool:
        """The dialog is confirmed, and not about to end."""
        return self._leg.is_up

    @property
    def is_busy(self) -> bool:
        """An offer is on its way, or an INVITE that is not acknowledged."""
        if self.is_updating or self._update is not None:
            return True
        return self._leg.is_up and (self._uas is not None or self._uac is not None or self._leg.is_opening)

    @property
    def is_update_pending(self) -> bool:
        """The offer that waits for our answer came in an UPDATE."""
        return self._update is not None

    @property
    def pending(self) -> Request | None:
        """The peer's re-INVITE or UPDATE that waits for `reanswer` or `refuse`."""
        if self._update is not None:
            return self._update[0]
        return self._uas.request if self._uas is not None and not self._uas.is_final else None

    @property
    def is_ack_due(self) -> bool:
        """The peer owes us the ACK of its re-INVITE."""
        return self._uas is not None and self._uas.is_final

    # --- our offers ----------------------------------------------------------------------------------------

    def reoffer(
        self, content: Content | None, done: Done, extra: Extra = (), *, persistent: bool = False
    ) -> None:
        """Offer by re-INVITE (by UPDATE before the dialog is confirmed); offerless for None.

        `done` gets the status and the answer, or, after an offerless one, the peer's offer, which waits for
        `acknowledge`. Waits its turn while another offer is on its way; `persistent` tries again after a
        491 (§14.1), which otherwise is passed on to who wanted the change.
        """
        leg = self._leg
        again = partial(self.reoffer, content, done, extra, persistent=persistent)
        if not (leg.is_up or leg.is_calling) or leg.dialog is None:
            done(481, None)
        elif self.is_busy:
            self._queue.append((again, done))
        elif leg.is_calling:
            self._reoffer_early(content, done, extra)
        else:
            body = b""
            if content is not None:
                body = self._media.make_offer(content, srtp=self.srtp or self._media.is_secure)
            self._done = done
            self._again = again if persistent else None
            self._reinvite(body, extra)

    def refresh_by_invite(self, done: Callable[[int], None]) -> None:
        """Offer what was said last once more."""
        body = self._media.repeat_offer()
        self._done = lambda status, _content: done(status)
        self._again = None
        self._reinvite(body, ())

    def withdraw(self, done: Done) -> None:
        """Who wanted `done` wants it no more: cancel it, or forget it while it waits."""
        if self._done is done and self._uac is not None:
            self._uac.cancel()
        self._queue = [(again, waiting) for again, waiting in self._queue if waiting is not done]

    def acknowledge(self, content: Content) -> bool:
        """Answer the offer that came in the 2xx to our offerless re-INVITE; False when there is none."""
        uac, dialog = self._uac, self._leg.dialog
        if uac is None or dialog is None or not uac.is_waiting_for_ack:
            return False
        uac.acknowledge(dialog, self._media.make_answer(content))
        self._uac = None
        self.idle()
        return True

    def keep(self) -> None:
        """Nobody wants the offer in the 2xx to our offerless re-INVITE: answer it as the last time."""
        uac, dialog, content = self._uac, self._leg.dialog, self._media.content
        if uac is None or dialog is None or content is None or not uac.is_waiting_for_ack:
            return
        try:
            body = self._media.repeat_answer(content)
        except SdpError:
            self._media.rollback()
            body = b""
        uac.acknowledge(dialog, body)
        self._uac = None
        if not body:  # an offer in a 2xx cannot be refused (RFC 3261 §13.2.2.4) but by ending the call
            self._leg.lose("An offer could not be answered")
        self.idle()

    # --- the peer's offers ---------------------------------------------------------------------------------

    def receive_reinvite(self, request: Request, key: TransactionKey, flow: Flow) -> None:
        """Take a re-INVITE.

        Raises:
            PeerError: it comes at a bad moment (§14.2), or cannot be read.
        """
        leg, dialog = self._leg, self._leg.dialog
        if self._uas is not None or (leg.is_opening and leg.is_caller):
            raise self._too_early()
        if self._uac is not None or leg.is_opening or self.is_updating or self._update is not None:
            raise PeerError(491, "Request Pending")
        assert dialog is not None
        headers = self.refresh.take_request(request)
        content = self.offer_of(request, flow)
        self._headers = headers
        dialog.refresh_target(request, flow)
        self.note_peer(request)
        self._uas = InviteUas(self._stack, self, request, key, flow, dialog.id.local_tag)
        self._pass_on(content)

    def receive_update(self, request: Request, key: TransactionKey, flow: Flow) -> None:
        """Take an UPDATE: a refresh of session or target, or an offer.

        Raises:
            PeerError: it comes at a bad moment (RFC 3311 §5.2), or cannot be read.
        """
        leg, dialog = self._leg, self._leg.dialog
        if self._update is not None or (request.body and self._media.is_answer_due):
            raise self._too_early()
        if request.body:
            in_progress = leg.is_up and (self._uac is not None or self.pending is not None)
            if self.is_updating or in_progress or not self._media.is_stable:
                raise PeerError(491, "Request Pending")
        assert dialog is not None
        headers = self.refresh.take_request(request)
        content = self.offer_of(request, flow)
        self._headers = headers
        dialog.refresh_target(request, flow)
        if content is None:
            self._respond_update(request, key, b"")
            return
        self._update = (request, key)
        self._pass_on(content)

    def receive_ack(self, ack: Request) -> bool:
        """Take the ACK of a re-INVITE; False when it belongs to none."""
        return self._uas is not None and self._uas.receive_ack(ack)

    def reanswer(self, content: Content | None) -> None:
        """Answer the peer's re-INVITE or UPDATE; to an offerless one, with an offer.

        Raises:
            SdpError, MediaError: nothing fits, or no port is free; it still waits.
        """
        if self._update is not None:
            request, key = self._update
            body = self._media.make_answer(content) if content is not None else b""
            self._update = None
            self._respond_update(request, key, body)
        elif self._uas is not None and not self._uas.is_final:
            self._respond_reinvite(self._uas, self._body_of_2xx(self._uas, content))

    def refuse(self, status: int, reason: str = "", extra: Extra = ()) -> None:
        """Refuse the peer's re-INVITE or UPDATE: all stays as it was (§14.2)."""
        self._media.rollback()
        if self._update is not None:
            request, key = self._update
            self._update = None
            self._stack.respond(request, key, status, reason, extra=extra)
        elif self._uas is not None and not self._uas.is_final:
            self._uas.final(status, reason, extra)
            self._uas = None
        self.idle()

    def offer_of(self, message: Request, flow: Flow) -> Content | None:
        """The offer in a request; None when it has no body, or none that has to be understood.

        Raises:
            PeerError: 415, 488 with a Warning, or 491 while another offer is pending.
        """
        if not message.body:
            return None
        if not self._media.is_stable:
            raise PeerError(491, "Request Pending")
        try:
            return self._media.receive_offer(message)
        except UnsupportedBodyError:
            kind, wish = message.headers.get("Content-Type"), message.headers.get("Content-Disposition")
            if not is_optional(kind, wish, message.body):
                raise
            message.body = b""  # RFC 3261 §8.2.3: as if it were not there
            return None
        except SdpError as error:
            host = self._stack.own_host(flow)
            raise Refusal(error.status, error.reason, (("Warning", error.warning(host)),)) from error

    def note_peer(self, message: Request | Response) -> None:
        """Remember what the peer says that it takes."""
        allow = message.headers.get_all("Allow")
        if allow:
            self.allows = _methods(tuple(allow))

    # --- the end -------------------------------------------------------------------------------------------

    def yield_to_bye(self) -> None:
        """We are about to hang up: what the peer wants is refused, what it answered is acknowledged."""
        uas, uac, dialog = self._uas, self._uac, self._leg.dialog
        if uas is not None and not uas.is_final:
            uas.final(487, "Request Terminated", ())
            self._uas = None
        self._drop_update()
        if uac is not None and uac.is_waiting_for_ack and dialog is not None:
            uac.acknowledge(dialog)

    def close(self) -> list[Done]:
        """The dialog is over; returns who still waits and has to be told."""
        self.refresh.stop()
        self._again = None
        if not (self._done or self._waiting or self._queue or self._uas or self._uac or self._update):
            self._leg = GONE  # nothing goes on, as nearly always
            return []
        waiting = [done for done in (self._done, self._waiting) if done is not None]
        if self._waiting is not None:
            self._stack.timers.set((self, "glare"), None)
        if self._queue:
            waiting += [done for _, done in self._queue]
            self._queue.clear()
        if self._uas is not None:
            self._uas.stop()
        if self._uac is not None:
            self._stack.timers.set((self, "re-INVITE"), None)
            self._uac.stop(self._leg.dialog)
        self._uas = self._uac = None
        self._done = self._waiting = None
        self._drop_update()
        self._leg = GONE
        return waiting

    # --- what the re-INVITEs report ------------------------------------------------------------------------

    def invite_progressed(self, response: Response) -> None:
        """A provisional response means nothing here, but a reliable one waits for its PRACK."""
        uac, dialog = self._uac, self._leg.dialog
        if uac is not None and dialog is not None:
            uac.take_reliable(response, dialog)

    def invite_answered(self, response: Response) -> None:
        """The 2xx to our re-INVITE."""
        uac, dialog = self._uac, self._leg.dialog
        if uac is None or dialog is None:
            return
        dialog.refresh_target(response)
        self.refresh.take_answer(response)
        self._stack.timers.set((self, "re-INVITE"), None)
        content = None
        try:
            if uac.request.body or not response.body:
                if self._media.is_offer_pending:
                    content = self._media.receive_answer(response)
                uac.acknowledge(dialog)
                self._uac = None
            else:
                content = self._media.receive_offer(response)
        except PeerError as error:
            if uac.is_waiting_for_ack:
                uac.acknowledge(dialog)
            self._uac = None
            self._media.rollback()
            self._finish(error.status, None)
            return
        self._finish(200, content)

    def invite_refused(self, response: Response) -> None:
        """The final refusal of our re-INVITE."""
        self._uac = None
        self._stack.timers.set((self, "re-INVITE"), None)
        self._media.rollback()
        if response.status in (408, 481):  # §14.1: the dialog is gone
            self._leg.lose(f"re-INVITE answered {response.status}")
        elif response.status == 491 and self._again is not None:
            self._try_later()
        else:
            if response.status == 422:
                self.refresh.timer.take_too_small(response)
            self._finish(response.status, None)

    def invite_acked(self, ack: Request) -> None:
        """The ACK of our 2xx to a re-INVITE."""
        self._uas = None
        if self._is_offer_in_2xx:
            self._is_offer_in_2xx = False
            self._leg.answered_late(ack)
        if self._leg.is_up:
            self.idle()
        else:
            self._leg.hang_up()

    def invite_cancelled(self, _cancel: Request) -> None:
        """The peer withdrew its re-INVITE."""
        self.refuse(487, "Request Terminated")
        self._leg.withdrawn()

    def invite_abandoned(self, why: str, _is_answered: bool) -> None:
        """No ACK came: the call ends (§13.3.1.4)."""
        self._uas = None
        self._leg.lose(why)

    # --- time ----------------------------------------------------------------------------------------------

    def expire(self, timer: str) -> None:
        """A re-INVITE takes too long, or the pause after a glare is over."""
        if timer == "re-INVITE":
            if self._uac is not None:
                self._uac.cancel()
        elif self._again is not None and self._waiting is not None:
            self._queue.insert(0, (self._again, self._waiting))
            self._again = self._waiting = None
            self.idle()

    def idle(self) -> None:
        """Whose turn is it now?"""
        if self._queue and not self.is_busy and self._leg.is_up:
            again, _ = self._queue.pop(0)
            again()

    def lose(self, why: str) -> None:
        """The peer is gone."""
        self._leg.lose(why)

    def broke(self, error: PbxError) -> None:
        """A step failed half way."""
        self._leg.broke(error)

    def send_in_dialog(self, method: str, extra: Extra, handler: Callable[[Response], None]) -> None:
        """Send a request without body."""
        dialog = self._leg.dialog
        assert dialog is not None  # a leg that is up has one
        request = self._leg.make_request(method, extra)
        credentials = self._leg.credentials
        self._stack.send(request, dialog.hop(), handler, owner=self, credentials=credentials, dialog=dialog)

    # --- inside --------------------------------------------------------------------------------------------

    def _too_early(self) -> Refusal:
        """§14.2, RFC 3311 §5.2: theirs is still in progress."""
        wait = str(self._stack.entropy.below(11))
        return Refusal(500, "Server Internal Error", (("Retry-After", wait),))

    def _pass_on(self, content: Content | None) -> None:
        """Answer a refresh ourselves; whatever changes the media is for the other side to decide."""
        try:
            if content is None or not self._media.is_refresh:
                self._leg.reoffered(content)
                return
            body = self._media.repeat_answer(content)
            if self._update is not None:
                request, key = self._update
                self._update = None
                self._respond_update(request, key, body)
            elif self._uas is not None:
                self._respond_reinvite(self._uas, body)
        except SdpError:
            self.refuse(488)
        except MediaError:
            self.refuse(503)

    def _reinvite(self, body: bytes, extra: Extra) -> None:
        dialog = self._leg.dialog
        assert dialog is not None  # a leg that is up has one
        request = self._leg.make_request("INVITE", (*self.refresh.timer.request_headers(), *extra), body)
        request.headers.set("Supported", WITHOUT_100REL)  # what is said early is of no use here
        if body:
            request.headers.set("Content-Type", "application/sdp")
        self._stack.timers.set((self, "re-INVITE"), self._stack.now + REINVITE_S)
        self._uac = InviteUac(
            self._stack,
            self,
            request,
            dialog.hop(),
            by_this_flow=dialog.behind_nat,
            credentials=self._leg.credentials,
            dialog=dialog,
        )

    def _reoffer_early(self, content: Content | None, done: Done, extra: Extra) -> None:
        dialog = self._leg.dialog
        if content is None or dialog is None or "UPDATE" not in self.allows or not self._media.is_stable:
            done(488, None)
            return
        body = self._media.make_offer(content, srtp=self.srtp)
        request = self._leg.make_request("UPDATE", extra, body)
        request.headers.set("Content-Type", "application/sdp")

        def answered(response: Response) -> None:
            if response.status < 200:
                return
            self.is_updating = False
            if self._done is not done:  # closed meanwhile
                return
            status, answer = response.status, None
            if status < 300:
                try:
                    answer = self._media.receive_answer(response)
                except SdpError as error:
                    status = error.status
            if answer is None:
                self._media.rollback()
            self._finish(status, answer)

        self.is_updating = True
        self._done = done
        credentials = self._leg.credentials
        self._stack.send(request, dialog.hop(), answered, owner=self, credentials=credentials, dialog=dialog)

    def _respond_reinvite(self, uas: InviteUas, body: bytes) -> None:
        uas.final(200, "OK", (*self._leg.own_contact, *self._headers), body)
        self.refresh.start()

    def _respond_update(self, request: Request, key: TransactionKey, body: bytes) -> None:
        extra = [*self._leg.own_contact, *self._headers]
        if body:
            extra.append(("Content-Type", "application/sdp"))
        self._stack.respond(request, key, 200, extra=extra, body=body)
        if self._leg.is_up:
            self.refresh.start()
        self.idle()

    def _body_of_2xx(self, uas: InviteUas, content: Content | None) -> bytes:
        if self._media.is_answer_due:
            if content is None:
                raise SdpError("no answer has come")
            return self._media.make_answer(content)
        if uas.request.body or content is None:
            return b""
        body = self._media.make_offer(content, srtp=self.srtp or self._media.is_secure)
        self._is_offer_in_2xx = True
        return body

    def _drop_update(self) -> None:
        if self._update is not None:
            request, key = self._update
            self._update = None
            self._stack.respond(request, key, 487)

    def _try_later(self) -> None:
        """Glare: the owner of the Call-ID waits 2.1 to 4 s, the other one up to 2 s (§14.1)."""
        self._waiting, self._done = self._done, None
        tens_ms = self._stack.entropy.below(200)
        wait = tens_ms / 100 if self._leg.is_caller else 2.1 + tens_ms / 200 * 1.9
        self._stack.timers.set((self, "glare"), self._stack.now + wait)
        self.idle()

    def _finish(self, status: int, content: Content | None) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(status, content)
        self.idle()


@lru_cache(64)  # phones of a kind say the same in three messages of each call: 10 microseconds each
def _methods(lines: tuple[str, ...]) -> frozenset[str]:
    return frozenset([word.upper() for line in lines for word in split_commas("Allow", line)])
