"""Parser, transactions and dialogs as one machine (RFC 3261 §5).

Everything it wants done in the world is appended to `out`, in order, for whoever steps it.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from math import inf
from typing import Any, Final

from pbx.deadlines import Deadlines
from pbx.entropy import Entropy
from pbx.errors import MediaError, PbxError, PeerError, UsageError
from pbx.sip.capabilities import check_understood
from pbx.sip.client_request import ClientRequest
from pbx.sip.credentials import HEADERS, Credentials
from pbx.sip.dialog import Dialog, DialogId
from pbx.sip.flow import Flow
from pbx.sip.glance import glance
from pbx.sip.headers import Extra, Headers
from pbx.sip.message import Request, Response, make_response, render_response
from pbx.sip.parser import MalformedMessageError, parse_datagram, validate
from pbx.sip.refusal import Refusal
from pbx.sip.stack_user import DialogUser, InviteOwner, StackUser, StepOwner, TimerOwner
from pbx.sip.stateless import Stateless
from pbx.sip.transaction.key import MAGIC_COOKIE, TransactionKey
from pbx.sip.transaction.layer import TransactionLayer
from pbx.sip.transaction.reply_path import trace_reply_path
from pbx.sip.transaction.timers import Timers
from pbx.sip.transaction.types import Ended, RequestIn, ResponseIn, Send, TimedOut, TransportFailed
from pbx.sip.uri import escape_user

UNREACHABLE: Final = "Unreachable"  # reason of the 503 that stands for a lost transport (§8.1.3.1)
UDP_LIMIT: Final = 1300  # octets; a larger request goes by TCP where the peer has it (§18.1.1)
WITHOUT_TCP_S: Final = 3600.0  # so long is a peer that takes no TCP not asked again
FLOWS: Final = 4096  # whose own side is remembered
MOST_WITHOUT_TCP: Final = 4096  # such peers that are remembered


class SipStack:
    """RFC 3261's layers below the transaction user.

    Attributes:
        now: the time of the step in progress.
        own_host: our address and port as seen over a flow, IPv6 in brackets; always the same for a flow.
    """

    def __init__(
        self,
        user: StackUser,
        entropy: Entropy,
        own_address: Callable[[Flow], tuple[str, int]],
        timers: Timers,
    ) -> None:
        self.now = 0.0
        self.out: list[Any] = []
        self.entropy = entropy
        self.timers: Deadlines[tuple[TimerOwner, str]] = Deadlines()
        self.dialogs: dict[DialogId, DialogUser] = {}
        self.layer = TransactionLayer(timers)
        self.t = timers
        self._user = user
        self._own_address = own_address
        self.own_host: Callable[[Flow], str] = lru_cache(FLOWS)(
            self._host_over
        )  # in each message that we send
        self._clients: dict[TransactionKey, ClientRequest] = {}
        self._invites: dict[TransactionKey, InviteOwner] = {}
        self._no_tcp: dict[tuple[str, int], float] = {}
        self._stateless = Stateless(user, self.layer, entropy.secret(16))
        self.is_screening = False  # the user wants to see requests before anything is spent on them

    # --- steps ---------------------------------------------------------------------------------------------

    def receive(self, data: bytes, flow: Flow, now: float, *, is_screened: bool = False) -> None:
        """Take one datagram; `screen_batch` may have let it pass."""
        self.now = now
        if self._stateless.is_ack(data):
            return
        try:
            message = parse_datagram(data)
        except MalformedMessageError as error:
            self.receive_malformed(error, flow, now)
            return
        if is_screened:
            self._receive_screened(message, flow)
        else:
            self.receive_message(message, flow, now)

    def screen_batch(
        self, batch: Iterable[tuple[bytes, Flow]], now: float
    ) -> tuple[list[Send], list[tuple[bytes, Flow, bool]]]:
        """In overload, turn away at a glance.

        Returns:
            The answers, and the datagrams that are to be received, each with whether it was judged here.
        """
        self.now = now
        answers: list[Send] = []
        passed: list[tuple[bytes, Flow, bool]] = []
        for data, flow in batch:
            if self._stateless.is_ack(data):
                continue
            seen = glance(data)
            answer = None if seen is None else self._stateless.screen_glance(seen, flow)
            if answer is None:
                passed.append((data, flow, seen is not None))
            else:
                answers.append(answer)
        return answers, passed

    def receive_message(self, message: Request | Response, flow: Flow, now: float) -> None:
        """Take one message, whole."""
        self.now = now
        if self.is_screening and isinstance(message, Request):
            answers = self._stateless.screen(message, flow)
            if answers is not None:
                self.out += answers
                return
        self._receive_screened(message, flow)

    def receive_malformed(self, error: MalformedMessageError, flow: Flow, now: float) -> None:
        """Answer what could be read of a broken request, statelessly (§8.2.6.2); drop the rest."""
        self.now = now
        request = error.request
        if request is None or request.method == "ACK":
            return
        try:
            reply_path = trace_reply_path(request, flow)
        except MalformedMessageError:  # the Via is what is broken
            reply_path = flow
        response = make_response(request, error.status, error.reason, to_tag=self.entropy.token())
        self.out.append(Send(response.render(), reply_path))

    def expire(self, now: float) -> None:
        """Run every timer that is due."""
        self.now = now
        self._dispatch(self.layer.expire(now))
        # One by one: a timer may stop one that is due at the same moment, and one that fails hurts no other.
        while (due := self.timers.pop_first(now)) is not None:
            owner, timer = due
            self._guard(owner, owner.expire, timer)

    def flow_lost(self, flow: Flow, why: str, now: float) -> None:
        """A connection closed, or could not be opened."""
        self.now = now
        self._dispatch(self.layer.transport_failed(flow, why, now))

    # --- requests out --------------------------------------------------------------------------------------

    def own_uri(self, flow: Flow, user: str = "") -> str:
        """Our Contact as seen over `flow`."""
        where = self.own_address_of(flow)
        return f"sip:{escape_user(user)}@{where}" if user else f"sip:{where}"

    def own_address_of(self, flow: Flow) -> str:
        """The same after the user: address, port, and the transport where it is not UDP."""
        host, transport = self.own_host(flow), flow.transport
        return host if transport == "UDP" else f"{host};transport={transport.lower()}"

    def _host_over(self, flow: Flow) -> str:
        host, port = self._own_address(flow)
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def send(
        self,
        request: Request,
        flow: Flow,
        handler: Callable[[Response], None],
        alternatives: Sequence[Flow] = (),
        owner: StepOwner | None = None,
        *,
        by_this_flow: bool = False,
        credentials: Credentials | None = None,
        dialog: Dialog | None = None,
        give_up_s: float = inf,
    ) -> ClientRequest:
        """Send `request` in a client transaction of its own.

        Args:
            handler: gets each response; 408 and 503 stand for a time-out and a lost transport (§8.1.3.1).
            alternatives: ways to be tried when `flow` fails.
            owner: is told when the handler fails.
            by_this_flow: the peer is behind NAT: a large request has no other way to it than UDP.
            credentials: answer a 401 or 407, once for each nonce; the handler gets only one that they cannot.
            dialog: the request is inside it: what is sent with credentials takes its next number (§22.2).
            give_up_s: how long each of `flow` and `alternatives` may be silent, if timer B or F is not less.
        """
        if credentials is not None and not credentials.is_server(flow):
            credentials = None
        client = ClientRequest(request, flow, handler, alternatives, owner, credentials, dialog, give_up_s)
        if credentials is not None:
            credentials.authorize(request, self.entropy.token())
        is_udp = flow.transport == "UDP" and not by_this_flow
        if is_udp and len(request.body) > 300 and self._wants_tcp(request, flow):
            client.alternatives.insert(0, flow)
            client.flow = Flow("TCP", flow.peer, (flow.local[0], 0))
        self._try(client)
        return client

    def send_ack(self, ack: Request, flow: Flow) -> bytes:
        """Send the ACK of a 2xx, which is a transaction of its own (§13.2.2.4); returns it for repetition."""
        self._add_via(ack, flow)
        data = ack.render()
        self.out.append(Send(data, flow))
        return data

    def send_again(self, data: bytes, flow: Flow) -> None:
        """Repeat an ACK."""
        self.out.append(Send(data, flow))

    def cancel(self, client: ClientRequest, handler: Callable[[Response], None], extra: Extra = ()) -> None:
        """Send the CANCEL of an INVITE that has had a provisional response (§9.1); `handler` as in `send`."""
        invite = client.request
        headers = Headers([("Via", invite.headers.get("Via") or ""), ("Max-Forwards", "70")])
        for name in ("Route", "From", "To", "Call-ID"):
            for value in invite.headers.get_all(name):
                headers.add(name, value)
        headers.add("CSeq", f"{invite.cseq.number} CANCEL")
        for name, value in extra:
            headers.add(name, value)
        cancel = Request("CANCEL", invite.uri, headers, b"")
        key, effects = self.layer.send_request(cancel, client.flow, self.now)
        self._clients[key] = ClientRequest(cancel, client.flow, handler)
        self._dispatch(effects)

    # --- responses out -------------------------------------------------------------------------------------

    def respond(
        self,
        request: Request,
        key: TransactionKey,
        status: int,
        reason: str = "",
        *,
        to_tag: str | None = None,
        extra: Extra = (),
        body: bytes = b"",
    ) -> None:
        """Answer `request` for good; `extra` headers follow the copied ones."""
        if request.to.tag is not None:
            to_tag = None
        elif to_tag is None:
            to_tag = self.entropy.token()
        if request.method == "INVITE":
            response = make_response(request, status, reason, to_tag=to_tag)
            response.headers.extend(extra)
            response.body = body
            self.send_response(key, response)
        else:
            data = render_response(request, status, reason, to_tag, extra, body)
            self.out += self.layer.answer(key, data, self.now)

    def respond_once(
        self, request: Request, key: TransactionKey, status: int, reason: str = "", extra: Extra = ()
    ) -> None:
        """Answer and forget: a repeated request is answered anew (§8.2.7)."""
        response = make_response(request, status, reason, to_tag=self._stateless.tag(request))
        for name, value in extra:
            response.headers.add(name, value)
        self._dispatch(self.layer.respond_once(key, response))

    def send_response(self, key: TransactionKey, response: Response) -> None:
        """Send a response, or a 2xx once more."""
        if response.status >= 200:
            self._invites.pop(key, None)
        self._dispatch(self.layer.respond(key, response, self.now))

    def watch_cancel(self, key: TransactionKey, owner: InviteOwner) -> None:
        """Tell `owner` when the INVITE of `key` is cancelled before its final response."""
        self._invites[key] = owner

    # --- inside --------------------------------------------------------------------------------------------

    def _receive_screened(self, message: Request | Response, flow: Flow) -> None:
        try:
            validate(message)
        except MalformedMessageError as error:
            self.receive_malformed(error, flow, self.now)
            return
        if isinstance(message, Request) and (answers := self._stateless.challenge(message, flow)) is not None:
            self.out += answers
            return
        self._dispatch(self.layer.receive(message, flow, self.now))

    def _try(self, client: ClientRequest) -> None:
        branch = self._add_via(client.request, client.flow)
        key, effects = self.layer.send_request(
            client.request, client.flow, self.now, branch, give_up_s=client.give_up_s
        )
        client.key = key
        client.has_provisional = False
        self._clients[key] = client
        self._dispatch(effects)

    def _add_via(self, request: Request, flow: Flow) -> str:
        """Put our Via on top of a request; returns its branch."""
        branch = MAGIC_COOKIE + self.entropy.token()
        via = f"SIP/2.0/{flow.transport} {self.own_host(flow)};branch={branch};rport"
        if "Via" in request.headers.first:
            request.headers.set("Via", via)
        else:
            request.headers.prepend("Via", via)
        return branch

    def _wants_tcp(self, request: Request, flow: Flow) -> bool:
        if self._no_tcp.get(flow.peer, 0.0) > self.now:
            return False
        size = len(request.body) + sum([len(name) + len(value) + 4 for name, value in request.headers])
        return size + len(request.uri) + 160 > UDP_LIMIT  # with the Via and Content-Length that are added

    def _guard(self, owner: StepOwner | None, step: Callable[[Any], object], argument: Any) -> None:
        """Take a step on behalf of `owner`: when it fails, the owner ends, and nobody else is hurt."""
        try:
            step(argument)
        except PbxError as error:
            if owner is None:
                raise
            owner.broke(error)

    def _dispatch(self, effects: Iterable[Any]) -> None:
        for effect in effects:
            kind = type(effect)
            if kind is Send:
                self.out.append(effect)
            elif kind is RequestIn:
                self._receive_request(effect)
            elif kind is ResponseIn:
                client = self._clients.get(effect.key)
                if client is not None:
                    self._receive_response(client, effect.response)
            elif kind is TimedOut or kind is TransportFailed:
                client = self._clients.get(effect.key)
                if client is not None:
                    self._fail(client, 408 if kind is TimedOut else 503)
            elif kind is Ended:
                client = self._clients.pop(effect.key, None)
                if client is not None:
                    client.release()
                self._invites.pop(effect.key, None)
            else:
                self.out.append(effect)

    def _receive_response(self, client: ClientRequest, response: Response) -> None:
        if response.status == 503 and client.alternatives:
            self._fail(client, 503)
            return
        if response.status in HEADERS and self._is_authorized(client, response):
            return
        owner, handler = client.owner, client.handler
        if response.status < 200:
            client.has_provisional = True
        elif client.key is not None and client.request.method != "INVITE":  # nothing more comes
            del self._clients[client.key]
            client.release()
        self._guard(owner, handler, response)

    def _is_authorized(self, client: ClientRequest, response: Response) -> bool:
        """Answer a challenge: the same request with credentials and the next number (§22.2, §8.1.3.5)."""
        credentials, dialog = client.credentials, client.dialog
        if credentials is None or not credentials.take(response, client.answered):
            return False
        again = client.request.copy()
        number = again.cseq.number + 1
        if dialog is not None:
            dialog.local_seq = number = max(number, dialog.local_seq + 1)
        again.headers.set("CSeq", f"{number} {again.method}")
        credentials.authorize(again, self.entropy.token())
        client.request = again
        if client.key is not None:
            self._clients.pop(client.key, None)
        self._try(client)
        return True

    def _fail(self, client: ClientRequest, status: int) -> None:
        if client.key is not None:
            self._clients.pop(client.key, None)
        if client.alternatives:
            was, instead = client.flow, client.alternatives[0]
            if was.transport == "TCP" and instead.transport == "UDP" and was.peer == instead.peer:
                if len(self._no_tcp) >= MOST_WITHOUT_TCP:
                    self._no_tcp.clear()
                self._no_tcp[was.peer] = self.now + WITHOUT_TCP_S
            client.flow = client.alternatives.pop(0)
            contact = client.request.headers.get("Contact")
            if contact is not None:  # it says where we are on the new way
                here = self.own_address_of(client.flow)
                client.request.headers.set("Contact", contact.replace(self.own_address_of(was), here))
            self._try(client)
            return
        reason = UNREACHABLE if status == 503 else ""
        owner, handler = client.owner, client.handler
        client.release()
        self._guard(owner, handler, make_response(client.request, status, reason))

    def _receive_request(self, event: RequestIn) -> None:
        request, key, flow = event.request, event.key, event.flow
        if request.method == "ACK":
            owner = self.dialogs.get(_dialog_id(request))
            if owner is not None:
                self._guard(owner, owner.receive_ack, request)
            return
        if key is None:
            return
        before = len(self.out)
        try:
            if request.method == "CANCEL":
                self._receive_cancel(event)
            elif event.merged:
                raise PeerError(482, "Loop Detected")
            else:
                check_understood(request)
                self._route(request, key, flow)
        except PeerError as error:
            extra = error.headers if isinstance(error, Refusal) else ()
            if key in self._invites or _dialog_id(request) in self.dialogs:
                self.respond(request, key, error.status, error.reason, extra=extra)
            else:
                self._turn_away(request, key, error, extra, before)
        except MediaError:
            self.respond(request, key, 503, extra=(("Retry-After", "10"),))
        except UsageError as error:
            self.respond(request, key, 500)
            self._user.broke(error)

    def _turn_away(
        self, request: Request, key: TransactionKey, error: PeerError, extra: Extra, before: int
    ) -> None:
        """Refuse what made nothing begin: once, and without keeping anything (RFC 3261 §26.3.2.4).

        So a flood finds no memory to fill, and with a false source address it repeats nothing at a victim. An
        INVITE's 100, the last word `before`, must then not go out: the sender has to repeat itself (§8.2.7).
        """
        trying = self.out[before - 1] if before else None
        if isinstance(trying, Send) and trying.data.startswith(b"SIP/2.0 100 "):
            del self.out[before - 1]
        self.respond_once(request, key, error.status, error.reason, extra)

    def _route(self, request: Request, key: TransactionKey, flow: Flow) -> None:
        if request.to.tag is None:
            self._user.receive_request(request, key, flow)
            return
        owner = self.dialogs.get(_dialog_id(request))
        if owner is None:
            raise PeerError(481, "Call/Transaction Does Not Exist")
        try:
            owner.receive_request(request, key, flow)
        except (MediaError, UsageError) as error:
            self.respond(request, key, 503 if isinstance(error, MediaError) else 500)
            owner.broke(error)

    def _receive_cancel(self, event: RequestIn) -> None:
        assert event.key is not None  # only an ACK comes without one
        owner = self._invites.get(event.cancels) if event.cancels is not None else None
        if event.cancels is None:
            raise PeerError(481, "Call/Transaction Does Not Exist")
        self.respond(event.request, event.key, 200)
        if owner is not None:
            self._guard(owner, owner.receive_cancel, event.request)


def _dialog_id(request: Request) -> DialogId:
    return DialogId(request.call_id, request.to.tag or "", request.from_.tag or "")
