"""One INVITE that we answer (RFC 3261 §13.3, RFC 3262 §3): initial or inside a dialog.

Reliable provisional responses wait for their PRACK, a 2xx is repeated until its ACK.
"""

from typing import Final, Protocol

from pbx.errors import PbxError, PeerError
from pbx.sip.capabilities import option_tags
from pbx.sip.dialog import DialogId
from pbx.sip.fields import parse_rack
from pbx.sip.flow import Flow
from pbx.sip.headers import Extra
from pbx.sip.message import Request, Response, make_response
from pbx.sip.stack import SipStack
from pbx.sip.stack_user import StepOwner
from pbx.sip.transaction.key import TransactionKey

FIRST_RSEQ: Final = 2**31 - 2**16  # RFC 3262 §3: the first one is chosen below 2**31


class InviteUasOwner(StepOwner, Protocol):
    """The leg behind it."""

    def invite_acked(self, ack: Request) -> None: ...
    def invite_cancelled(self, cancel: Request) -> None: ...
    def invite_abandoned(self, why: str, is_answered: bool) -> None:
        """Neither ACK nor PRACK came in 64*T1; `is_answered` tells whether a 2xx has been sent."""
        ...


class InviteUas:
    """The UAS core of one INVITE."""

    def __init__(
        self,
        stack: SipStack,
        owner: InviteUasOwner,
        request: Request,
        key: TransactionKey,
        flow: Flow,
        local_tag: str,
    ) -> None:
        self.request = request
        self.local_tag = local_tag
        self.is_final = False
        self._is_answered = False  # a final response has gone out
        headers = request.headers
        self.wants_reliable = "100rel" in option_tags(headers, "Require")
        self.takes_reliable = self.wants_reliable or "100rel" in option_tags(headers, "Supported")
        self._stack: SipStack = stack
        self._owner: InviteUasOwner | None = owner
        self._key = key
        self._flow = flow
        self._rseq = 0  # of the last reliable response
        self._unacknowledged: Response | None = None  # the reliable provisional that waits for its PRACK
        self._waiting: list[tuple[Response, bool]] = []  # responses behind it
        self._last_2xx: Response | None = None
        self._interval = 0.0
        self._give_up_at = 0.0
        stack.watch_cancel(key, self)

    # --- responses -----------------------------------------------------------------------------------------

    def provisional(self, status: int, reason: str, extra: Extra, body: bytes = b"") -> None:
        """Send a 1xx: reliably when the caller demands it, or when it carries SDP and the caller can."""
        if self.is_final:
            return
        reliable = self.wants_reliable or (bool(body) and self.takes_reliable)
        response = self._make(status, reason, extra, body)
        if reliable:
            self._rseq = self._rseq + 1 if self._rseq else 1 + self._stack.entropy.below(FIRST_RSEQ)
            response.headers.add("Require", "100rel")
            response.headers.add("RSeq", str(self._rseq))
        self._queue(response, reliable)

    def final(self, status: int, reason: str, extra: Extra, body: bytes = b"") -> None:
        """Send the final response; a 2xx waits for the PRACK of a reliable answer (RFC 3262 §3)."""
        if self.is_final:
            return
        self.is_final = True
        response = self._make(status, reason, extra, body)
        if status >= 300:
            self._forget_provisional()
            self._send(response)
            self._owner = None
            return
        self._queue(response, False)

    def stop(self) -> None:
        """Repeat nothing any more: the dialog is over, and so is an INVITE whose answer has not gone out."""
        if not self._is_answered:
            self._refuse(487, "Request Terminated")
        stack = self._stack
        stack.timers.set((self, "2xx"), None)
        self._owner = None
        self._last_2xx = None
        if self._unacknowledged is not None:  # RFC 3262 §3: its PRACK may cross the refusal
            stack.dialogs[self._dialog_id] = self
            stack.timers.set((self, "late"), stack.now + 64 * stack.t.t1)

    def move(self, flow: Flow) -> None:
        """The caller is reached by another way from now on; not by another transport (§18.2.2)."""
        if flow.transport == self._flow.transport:
            self._flow = flow
            self._stack.layer.move(self._key, flow)

    # --- from the caller -----------------------------------------------------------------------------------

    def receive_ack(self, ack: Request) -> bool:
        """Take the ACK of our 2xx; False for one that is not the first of this INVITE."""
        if self._last_2xx is None or ack.cseq.number != self.request.cseq.number:
            return False
        self._stack.timers.set((self, "2xx"), None)
        self._last_2xx = None
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.invite_acked(ack)
        return True

    def receive_prack(self, prack: Request) -> None:
        """Match a PRACK by its RAck (RFC 3262 §3).

        Raises:
            PeerError: 481, it acknowledges nothing that we sent.
        """
        rack = parse_rack(prack.headers.get("RAck") or "")
        waiting = self._unacknowledged
        if (
            waiting is None
            or str(rack.rseq) != waiting.headers.get("RSeq")
            or rack.cseq != self.request.cseq.number
            or rack.method != "INVITE"
        ):
            raise PeerError(481, "Call/Transaction Does Not Exist")
        self._unacknowledged = None
        self._stack.timers.set((self, "1xx"), None)

    def receive_request(self, request: Request, key: TransactionKey, _flow: Flow) -> None:
        """A request in the dialog of an INVITE that is refused: only a late PRACK is taken."""
        if request.method != "PRACK":
            raise PeerError(481, "Call/Transaction Does Not Exist")
        self.receive_prack(request)
        self._stack.respond(request, key, 200)
        self._stack.timers.set((self, "late"), None)
        self._leave_dialog()

    def resume(self) -> None:
        """Send what waited for the PRACK, once that is answered."""
        while self._waiting and self._unacknowledged is None:
            response, reliable = self._waiting.pop(0)
            self._queue(response, reliable)

    def receive_cancel(self, cancel: Request) -> None:
        """A CANCEL before the final response (§9.2)."""
        owner = self._owner
        if owner is None or self._last_2xx is not None:
            return
        if not self.is_final:
            owner.invite_cancelled(cancel)
        else:  # the 2xx still waits for the PRACK of a reliable answer
            self._refuse(487, "Request Terminated")
            owner.invite_abandoned("the caller gave up", False)
            self.stop()

    def broke(self, error: PbxError) -> None:
        """A step of its timers failed."""
        if self._owner is not None:
            self._owner.broke(error)

    # --- time ----------------------------------------------------------------------------------------------

    def expire(self, timer: str) -> None:
        """Repeat a 2xx (§13.3.1.4) or a reliable provisional (RFC 3262 §3), or give up."""
        if timer == "late":
            self._leave_dialog()
            return
        stack = self._stack
        response = self._last_2xx if timer == "2xx" else self._unacknowledged
        if response is None:
            return
        if stack.now >= self._give_up_at:
            owner, self._owner = self._owner, None
            self._last_2xx = None
            if timer == "1xx":
                self._refuse(504, "Server Time-out")
            if owner is not None:
                owner.invite_abandoned(f"no {'ACK' if timer == '2xx' else 'PRACK'} came", timer == "2xx")
            return
        self._send(response)
        self._interval = min(2 * self._interval, stack.t.t2) if timer == "2xx" else 2 * self._interval
        stack.timers.set((self, timer), min(stack.now + self._interval, self._give_up_at))

    # --- inside --------------------------------------------------------------------------------------------

    @property
    def _dialog_id(self) -> DialogId:
        return DialogId(self.request.call_id, self.local_tag, self.request.from_.tag or "")

    def _leave_dialog(self) -> None:
        self._stack.dialogs.pop(self._dialog_id, None)

    def _make(self, status: int, reason: str, extra: Extra, body: bytes) -> Response:
        response = make_response(self.request, status, reason, to_tag=self.local_tag)
        lines = list(extra)
        if status < 300 and "Record-Route" in self.request.headers.first:
            lines[:0] = [("Record-Route", route) for route in self.request.headers.get_all("Record-Route")]
        if body:
            lines.append(("Content-Type", "application/sdp"))
            response.body = body
        response.headers.extend(lines)
        return response

    def _queue(self, response: Response, reliable: bool) -> None:
        if self._unacknowledged is not None and (reliable or response.status >= 200):
            self._waiting.append((response, reliable))
            return
        if response.status >= 200:
            self._last_2xx = response
            self._repeat("2xx")
        elif reliable:
            self._unacknowledged = response
            self._repeat("1xx")
        self._send(response)

    def _repeat(self, timer: str) -> None:
        stack = self._stack
        self._interval = stack.t.t1
        self._give_up_at = stack.now + 64 * stack.t.t1
        stack.timers.set((self, timer), stack.now + self._interval)

    def _refuse(self, status: int, reason: str) -> None:
        """End it before any 2xx has gone out, whether one is waiting or not."""
        self._forget_provisional()
        self.is_final = True
        self._owner = None
        self._send(self._make(status, reason, (), b""))

    def _forget_provisional(self) -> None:
        """Nothing waits for a PRACK any more; it may come all the same."""
        self._waiting.clear()
        self._stack.timers.set((self, "1xx"), None)

    def _send(self, response: Response) -> None:
        self._is_answered = self._is_answered or response.status >= 200
        self._stack.send_response(self._key, response)
