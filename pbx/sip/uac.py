"""One INVITE that we sent (RFC 3261 §13.2, RFC 3262 §4): initial or inside a dialog."""

from collections.abc import Sequence
from math import inf
from typing import Final, Protocol

from pbx.errors import PbxError
from pbx.sip.client_request import ClientRequest, ignore
from pbx.sip.credentials import HEADERS, Credentials
from pbx.sip.dialog import Dialog
from pbx.sip.fields import parse_number
from pbx.sip.flow import Flow
from pbx.sip.grammar import MalformedMessageError
from pbx.sip.headers import Extra
from pbx.sip.message import Request, Response, make_response
from pbx.sip.stack import SipStack
from pbx.sip.stack_user import StepOwner

CREDENTIALS: Final = tuple(name for _, name in HEADERS.values())
OF_FORKS: Final = ("From", "Call-ID", "CSeq", *CREDENTIALS)
MOST_FORKS: Final = 32  # of one INVITE that are followed: early dialogs, and answers that came too late


class InviteUacOwner(StepOwner, Protocol):
    """The leg behind it."""

    def invite_progressed(self, response: Response) -> None: ...
    def invite_answered(self, response: Response) -> None:
        """The first 2xx; the owner calls `acknowledge` now, or when it has the answer to the offer in it."""
        ...

    def invite_refused(self, response: Response) -> None: ...


class InviteUac:
    """The UAC core of one INVITE.

    Its transaction lives on for 64*T1 after the 2xx (RFC 6026 §8.4). Copies of the 2xx and those of other
    phones are dealt with here: once the ACK is sent, the owner is held no longer and may be gone.
    """

    def __init__(
        self,
        stack: SipStack,
        owner: InviteUacOwner,
        request: Request,
        flow: Flow,
        alternatives: Sequence[Flow] = (),
        *,
        by_this_flow: bool = False,
        credentials: Credentials | None = None,
        dialog: Dialog | None = None,
        give_up_s: float = inf,
    ) -> None:
        """Send it; `credentials`, `dialog` and `give_up_s` as for `SipStack.send`."""
        self.is_final = False
        self.is_cancelled = False
        self.has_rung = False  # the callee has said more than 100: a person may know of the call
        self._stack = stack
        self._owner: InviteUacOwner | None = owner
        self._is_cancel_sent = self._is_cancel_lost = False
        self._cancel_extra: Extra = ()
        self._winner: str | None = None  # To tag of the first 2xx
        self._ack: tuple[bytes, Dialog] | None = None
        self._reliable: dict[str, tuple[int, Dialog]] = {}  # the last RSeq of each early dialog
        self._forked: dict[str, tuple[bytes, Flow]] = {}  # ACKs of the 2xxs that lost
        self._credentials = credentials
        self._dialog = dialog  # that it is sent in
        self._behind_nat = by_this_flow
        self._client: ClientRequest = stack.send(
            request,
            flow,
            self._receive,
            alternatives,
            owner,
            by_this_flow=by_this_flow,
            credentials=credentials,
            dialog=dialog,
            give_up_s=give_up_s,
        )

    @property
    def request(self) -> Request:
        """The INVITE as it was sent last: with credentials, once it was challenged."""
        return self._client.request

    @property
    def flow(self) -> Flow:
        """The way the request went in the end."""
        return self._client.flow

    def move(self, flow: Flow, behind_nat: bool) -> None:
        """The callee is reached by another way from now on; a CANCEL by no other transport (§9.1)."""
        if flow.transport != self.flow.transport:
            return
        self._client.flow, self._behind_nat = flow, behind_nat
        if self._is_cancel_lost:
            self._send_cancel()

    @property
    def is_waiting_for_ack(self) -> bool:
        """The 2xx has come and the ACK has not gone."""
        return self._winner is not None and self._ack is None

    def make_dialog(self, response: Response) -> Dialog:
        """The dialog that a response opens."""
        return Dialog.of_uac(self.request, response, self.flow, self._behind_nat)

    def acknowledge(self, dialog: Dialog, body: bytes = b"") -> None:
        """Send the ACK of the 2xx (§13.2.2.4), with the answer when the 2xx carried the offer."""
        ack = self._make_ack(dialog)
        if body:
            ack.headers.add("Content-Type", "application/sdp")
            ack.body = body
        self._ack = (self._stack.send_ack(ack, dialog.hop()), dialog)
        self._owner = self._client.owner = None
        self._client.request = _what_forks_need(self.request)

    def cancel(self, extra: Extra = ()) -> None:
        """Give the call up: CANCEL now, or as soon as a provisional response allows it (§9.1)."""
        if self.is_final or self.is_cancelled:
            return
        self.is_cancelled = True
        self._cancel_extra = extra
        self._client.stop_trying()
        self._stack.timers.set((self, "cancel"), self._stack.now + 64 * self._stack.t.t1)
        if self._client.has_provisional:
            self._send_cancel()

    def _send_cancel(self) -> None:
        self._is_cancel_sent, self._is_cancel_lost = True, False
        self._stack.cancel(self._client, self._cancel_answered, self._cancel_extra)

    def _cancel_answered(self, response: Response) -> None:
        """503: the connection is gone, and it was never sent."""
        self._is_cancel_lost = response.status == 503

    def take_reliable(self, response: Response, dialog: Dialog) -> bool:
        """Acknowledge a reliable provisional response by PRACK; False for a copy or one out of order."""
        rseq = response.headers.first.get("RSeq")
        if rseq is None or "100rel" not in (tag.lower() for tag in response.headers.values("Require")):
            return True
        try:
            tag, number = dialog.id.remote_tag, parse_number(rseq, "RSeq")
        except MalformedMessageError:
            return False
        last = self._reliable.get(tag)
        if last is not None and number != last[0] + 1:
            return False
        self._reliable[tag] = (number, dialog)
        prack = dialog.make_request("PRACK")
        prack.headers.add("RAck", f"{number} {self.request.cseq.number} INVITE")
        self._stack.send(prack, dialog.hop(), ignore, credentials=self._credentials, dialog=dialog)
        return True

    def stop(self, dialog: Dialog | None) -> None:
        """Tell nobody any more; an INVITE without final response must not stay open for ever.

        A 2xx is acknowledged all the same (§13.2.2.4): one that waits for it, in `dialog`, or one to come.
        """
        if self.is_waiting_for_ack and dialog is not None:
            self.acknowledge(dialog)
        self._owner = None
        self.cancel()
        self._stack.timers.set((self, "cancel"), None)

    def broke(self, error: PbxError) -> None:
        """A step of its timer failed."""
        if self._owner is not None:
            self._owner.broke(error)

    def expire(self, _timer: str) -> None:
        """A cancelled INVITE whose final response never came counts as ended (§9.1)."""
        if not self.is_final and self._owner is not None:
            self.is_final = True
            owner, self._owner = self._owner, None
            owner.invite_refused(_terminated(self.request))

    def _make_ack(self, dialog: Dialog) -> Request:
        """An ACK carries the credentials of its INVITE (§22.1)."""
        ack = dialog.make_request("ACK", self.request.cseq.number)
        headers = self.request.headers
        if not headers.first.keys().isdisjoint(CREDENTIALS):
            ack.headers.extend(headers.select(CREDENTIALS))
        return ack

    def _receive(self, response: Response) -> None:
        owner = self._owner
        if response.status < 200:
            if self.is_cancelled and not self._is_cancel_sent:
                self._send_cancel()
            self.has_rung = self.has_rung or response.status > 100
            if owner is not None and not self.is_cancelled and response.status > 100:
                owner.invite_progressed(response)
            return
        if response.status < 300:
            self._receive_2xx(response)
            return
        self._end_wait()
        self._owner = None
        if owner is not None:
            owner.invite_refused(response)

    def _end_wait(self) -> None:
        """The final response is there."""
        self.is_final = True
        if self.is_cancelled:
            self._stack.timers.set((self, "cancel"), None)

    def _receive_2xx(self, response: Response) -> None:
        tag = response.to.tag or ""
        if tag in self._forked:
            self._stack.send_again(*self._forked[tag])
        elif self._winner is None:
            self._winner = tag
            self._end_wait()
            if self._owner is not None:
                self._owner.invite_answered(response)
            elif self._dialog is not None:  # its BYE has crossed the 2xx
                self.acknowledge(self._dialog)
            else:
                self._end_fork(response)
        elif tag == self._winner:
            if self._ack is not None:  # a repeated 2xx: our ACK was lost
                data, dialog = self._ack
                self._stack.send_again(data, dialog.hop())
        elif self._dialog is None and len(self._forked) < MOST_FORKS:
            self._end_fork(response)

    def _end_fork(self, response: Response) -> None:
        """Another phone behind the callee's proxy answered too: one call is enough (§13.2.2.4)."""
        dialog = self.make_dialog(response)
        for _, early in self._reliable.values():  # PRACKs may have been counted before
            dialog.local_seq = max(dialog.local_seq, early.local_seq)
        ack, hop = self._make_ack(dialog), dialog.hop()
        self._forked[dialog.id.remote_tag] = (self._stack.send_ack(ack, hop), hop)
        bye = dialog.make_request("BYE")
        self._stack.send(bye, hop, ignore, credentials=self._credentials, dialog=dialog)


def _what_forks_need(invite: Request) -> Request:
    """The part of an INVITE that dialogs and ACKs of later 2xxs are made of: it is kept for half a minute."""
    return Request("INVITE", invite.uri, invite.headers.select(OF_FORKS), b"")


def _terminated(request: Request) -> Response:
    return make_response(request, 487)
