"""Parser, transactions and dialogs as one machine (RFC 3261 §5).

Everything it wants done in the world is appended to `out`, in order, for whoever steps it.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2s
from math import inf
from typing import Any, Final, NamedTuple, Protocol

from pbx.deadlines import Deadlines
from pbx.entropy import Entropy
from pbx.errors import MediaError, PbxError, PeerError, UsageError
from pbx.sip.credentials import HEADERS, Answered, Credentials
from pbx.sip.dialog import Dialog, DialogId
from pbx.sip.flow import Flow
from pbx.sip.glance import glance
from pbx.sip.headers import Headers
from pbx.sip.message import Request, Response, is_answerable, make_response
from pbx.sip.parser import MalformedMessageError, parse_datagram, validate
from pbx.sip.transaction.key import MAGIC_COOKIE, TransactionKey, server_key
from pbx.sip.transaction.layer import TransactionLayer
from pbx.sip.transaction.reply_path import trace_reply_path
from pbx.sip.transaction.timers import Timers
from pbx.sip.transaction.types import Ended, RequestIn, ResponseIn, Send, TimedOut, TransportFailed
from pbx.sip.uri import SipUri, escape_user, parse_uri

ALLOW: Final = (
    "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, PRACK, UPDATE, REFER, SUBSCRIBE, NOTIFY, INFO, MESSAGE"
)
METHODS: Final = frozenset(ALLOW.split(", "))
RECOGNISED: Final = METHODS | {"PUBLISH"}
SUPPORTED: Final = "100rel, replaces, timer, norefersub, outbound, path"
OPTION_TAGS: Final = frozenset((*SUPPORTED.split(", "), "histinfo", "from-change"))
CHALLENGED: Final = frozenset({"INVITE", "REGISTER", "MESSAGE", "SUBSCRIBE"})  # outside of dialogs
# Headers whose requests are looked at more closely before anybody asks for a password (§8.2.2.3, §8.2.3).
UNCHALLENGED: Final = frozenset({"Authorization", "Proxy-Authorization", "Require", "Content-Encoding"})
UNREACHABLE: Final = "Unreachable"  # reason of the 503 that stands for a lost transport (§8.1.3.1)
UDP_LIMIT: Final = 1300  # octets; a larger request goes by TCP where the peer has it (§18.1.1)

Extra = Sequence[tuple[str, str]]


class Beginning(NamedTuple):
    """A request outside of dialogs, as far as it is known before it is looked at in earnest."""

    method: str
    user: str  # of the Request-URI
    has_credentials: bool
    call_id: str


class StepOwner(Protocol):
    """Whoever is hurt when a step fails on its behalf."""

    def broke(self, error: PbxError) -> None:
        """A step failed half way: what hangs on it has to be ended and freed."""
        ...


class TimerOwner(StepOwner, Protocol):
    """Whoever set a timer of the stack."""

    def expire(self, timer: str) -> None: ...


class DialogUser(StepOwner, Protocol):
    """Whoever owns a dialog: gets every request inside it."""

    def receive_request(self, request: Request, key: TransactionKey, flow: Flow) -> None: ...
    def receive_ack(self, request: Request) -> None: ...


class StackUser(StepOwner, Protocol):
    """Whoever owns what is outside of dialogs."""

    def screen(self, beginning: "Beginning", flow: Flow) -> "Refusal | None":
        """What to answer to a request outside of dialogs before anything is spent on it; None to go on."""
        ...

    def challenge(self, request: Request, flow: Flow) -> "Refusal | None":
        """What to answer to a request of CHALLENGED without credentials; None to look at it further."""
        ...

    def receive_request(self, request: Request, key: TransactionKey, flow: Flow) -> None: ...


class InviteOwner(StepOwner, Protocol):
    """Whoever answers an INVITE and may be told to stop."""

    def receive_cancel(self, request: Request) -> None: ...


class ClientRequest:
    """A request on its way: its transaction changes when it is tried at the next address (RFC 3263 §4.3),
    and when it is sent again with credentials (RFC 3261 §22): then it is another `request` too."""

    __slots__ = (
        *("alternatives", "answered", "credentials", "dialog", "flow", "give_up_s", "handler"),
        *("has_provisional", "key", "owner", "request"),
    )

    def __init__(
        self,
        request: Request,
        flow: Flow,
        handler: Callable[[Response], None],
        alternatives: Sequence[Flow] = (),
        owner: StepOwner | None = None,
        credentials: Credentials | None = None,
        dialog: Dialog | None = None,
        give_up_s: float = inf,
    ) -> None:
        self.request = request
        self.owner = owner
        self.credentials = credentials
        self.answered: Answered = set()
        self.dialog = dialog
        self.give_up_s = give_up_s
        self.flow = flow
        self.handler = handler
        self.alternatives = list(alternatives)
        self.key: TransactionKey | None = None
        self.has_provisional = False  # of the transaction in progress

    def stop_trying(self) -> None:
        """Nobody wants it any more: it is tried nowhere else and answers no challenge."""
        self.alternatives.clear()
        self.credentials = None

    def release(self) -> None:
        """Nothing comes any more. Who sent it may still hold it: it holds its sender no longer."""
        self.handler, self.owner = _ignore, None


class SipStack:
    """RFC 3261's layers below the transaction user. `now` is the time of the step in progress."""

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
        self._clients: dict[TransactionKey, ClientRequest] = {}
        self._invites: dict[TransactionKey, InviteOwner] = {}
        self._no_tcp: dict[tuple[str, int], float] = {}
        self._tag_key = entropy.secret(16)
        self.is_screening = False  # the user wants to see requests before anything is spent on them

    # --- steps ---------------------------------------------------------------------------------------------

    def receive(self, data: bytes, flow: Flow, now: float) -> None:
        """Take one datagram."""
        self.now = now
        if self.is_screening and self._is_dealt_with(data, flow):
            return
        try:
            message = parse_datagram(data)
        except MalformedMessageError as error:
            self.receive_malformed(error, flow, now)
            return
        self.receive_message(message, flow, now)

    def receive_message(self, message: Request | Response, flow: Flow, now: float) -> None:
        """Take one message, whole."""
        self.now = now
        if self.is_screening and isinstance(message, Request) and self._is_turned_away(message, flow):
            return
        try:
            validate(message)
        except MalformedMessageError as error:
            self.receive_malformed(error, flow, now)
            return
        if isinstance(message, Request) and self._is_challenged(message, flow):
            return
        self._dispatch(self.layer.receive(message, flow, now))

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
        return f"sip:{user and escape_user(user) + '@'}{self.own_address_of(flow)}"

    def own_address_of(self, flow: Flow) -> str:
        """The same after the user: address, port, and the transport where it is not UDP."""
        transport = "" if flow.transport == "UDP" else f";transport={flow.transport.lower()}"
        return f"{self.own_host(flow)}{transport}"

    def own_host(self, flow: Flow) -> str:
        """Our address and port as seen over `flow`, IPv6 in brackets."""
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

    def cancel(self, client: ClientRequest, extra: Extra = ()) -> None:
        """Send the CANCEL of an INVITE that has had a provisional response (§9.1)."""
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
        self._clients[key] = ClientRequest(cancel, client.flow, _ignore)
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
    ) -> Response:
        """Answer `request`; `extra` headers follow the copied ones."""
        if to_tag is None and request.to.tag is None:
            to_tag = self.entropy.token()
        response = make_response(request, status, reason, to_tag=to_tag)
        if extra:
            response.headers.extend(extra)
        response.body = body
        self.send_response(key, response)
        return response

    def respond_once(
        self, request: Request, key: TransactionKey, status: int, reason: str = "", extra: Extra = ()
    ) -> None:
        """Answer and forget: a repeated request is answered anew (§8.2.7)."""
        response = make_response(request, status, reason, to_tag=self._stateless_tag(request))
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

    def _is_turned_away(self, request: Request, flow: Flow) -> bool:
        """Let the user refuse a request at the least cost: neither validated nor with a transaction (§8.2.7).

        Copies of a request that is being served are no new request.
        """
        headers = request.headers
        if request.method == "ACK" or not is_answerable(headers):
            return False
        to = headers.get("To") or ""
        try:
            if (";" in to and request.to.tag is not None) or self.layer.is_serving(server_key(request)):
                return False
            uri = request.parsed_uri
            user = (uri.user or "") if isinstance(uri, SipUri) else ""
            has_credentials = "Authorization" in headers or "Proxy-Authorization" in headers
            beginning = Beginning(request.method, user, has_credentials, request.call_id)
            refusal = self._user.screen(beginning, flow)
            if refusal is None:
                return False
            tag = self._stateless_tag(request)
            reply_path = trace_reply_path(request, flow)
        except MalformedMessageError:
            return False  # `validate` will say what is wrong with it
        self._refuse_once(request, refusal, tag, reply_path)
        return True

    def _is_challenged(self, request: Request, flow: Flow) -> bool:
        """Answer a request without credentials by a challenge, keeping nothing (§8.2.7, §26.3.2.4).

        Every call and registration begins so. The ACK to the challenge, known by its tag, ends here too.
        """
        first = request.headers.first
        if request.method == "ACK":
            return first["To"].endswith(self._stateless_tag(request))
        if (
            request.method not in CHALLENGED
            or not first.keys().isdisjoint(UNCHALLENGED)
            or request.to.tag is not None
        ):
            return False
        refusal = self._user.challenge(request, flow)
        if refusal is None:
            return False
        reply_path = trace_reply_path(request, flow)
        self._refuse_once(request, refusal, self._stateless_tag(request), reply_path)
        return True

    def _refuse_once(self, request: Request, refusal: "Refusal", tag: str, reply_path: Flow) -> None:
        headers = request.headers
        values = (*(headers.get(name) or "" for name in ("From", "To", "Call-ID", "CSeq")), tag)
        self.out.append(Send(render_refusal(refusal, headers.get_all("Via"), *values), reply_path))

    def _is_dealt_with(self, data: bytes, flow: Flow) -> bool:
        """The same for a datagram that nobody has read yet; the ACK to such an answer ends here too."""
        seen = glance(data)
        if seen is None:
            return False
        if seen.method == "ACK":
            return seen.to.endswith(";tag=" + self._tag_of(seen.branch, seen.call_id, seen.cseq))
        if self.layer.is_serving(seen.key):
            return False
        beginning = Beginning(seen.method, seen.user, seen.has_credentials, seen.call_id)
        refusal = self._user.screen(beginning, flow)
        if refusal is None:
            return False
        tag = self._tag_of(seen.branch, seen.call_id, seen.cseq)
        via = seen.reply_via(*flow.peer)
        values = (seen.from_, seen.to, seen.call_id, seen.cseq, tag)
        self.out.append(Send(render_refusal(refusal, [via], *values), flow))
        return True

    def _stateless_tag(self, request: Request) -> str:
        return self._tag_of(request.via.branch or "", request.call_id, request.headers.get("CSeq") or "")

    def _tag_of(self, branch: str, call_id: str, cseq: str) -> str:
        """A To tag that is the same for every copy of a request, with nothing kept of it (§8.2.7).

        From an ACK it is that of the response to its INVITE, which has the same branch (§17.1.1.3).
        """
        named = f"{branch} {call_id} {cseq.partition(' ')[0]}"
        return blake2s(named.encode("utf-8", "surrogateescape"), key=self._tag_key, digest_size=8).hexdigest()

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

    def _guard(self, owner: StepOwner | None, step: Callable[[Any], None], argument: Any) -> None:
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
        if response.status < 200:
            client.has_provisional = True
        self._guard(client.owner, client.handler, response)

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
                self._no_tcp[client.flow.peer] = self.now + 3600.0
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
                self._check(request)
                self._route(request, key, flow)
        except PeerError as error:
            extra = getattr(error, "headers", ())
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

    def _check(self, request: Request) -> None:
        """What every request must meet before anybody looks at it (§8.2.1 to §8.2.3)."""
        if request.method not in METHODS:
            status, reason = (
                (405, "Method Not Allowed") if request.method in RECOGNISED else (501, "Not Implemented")
            )
            raise Refusal(status, reason, (("Allow", ALLOW),))
        if not isinstance(parse_uri(request.uri), SipUri):
            raise PeerError(416, "Unsupported URI Scheme")
        if "Require" in request.headers:
            unknown = [tag for tag in request.headers.values("Require") if tag not in OPTION_TAGS]
            if unknown:
                raise Refusal(420, "Bad Extension", (("Unsupported", ", ".join(unknown)),))
        encoding = request.headers.get("Content-Encoding")
        if encoding and encoding.lower() != "identity":
            raise Refusal(415, "Unsupported Media Type", (("Accept-Encoding", "identity"),))


class Refusal(PeerError):
    """A PeerError whose answer carries headers of its own."""

    def __init__(self, status: int, reason: str, headers: Extra = ()) -> None:
        super().__init__(status, reason)
        self.headers = headers


def render_refusal(
    refusal: Refusal, vias: Iterable[str], from_: str, to: str, call_id: str, cseq: str, tag: str
) -> bytes:
    """A refusal as octets, without a Response in between, at which nobody would look (§8.2.6.2)."""
    lines = [f"SIP/2.0 {refusal.status} {refusal.reason}"]
    lines += [f"Via: {via}" for via in vias]
    lines.append(f"From: {from_}\r\nTo: {to};tag={tag}\r\nCall-ID: {call_id}\r\nCSeq: {cseq}")
    lines += [f"{name}: {value}" for name, value in refusal.headers]
    lines.append("Content-Length: 0\r\n\r\n")
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")


def _dialog_id(request: Request) -> DialogId:
    return DialogId(request.call_id, request.to.tag or "", request.from_.tag or "")


def _ignore(_response: Response) -> None:
    """The response to a CANCEL says nothing that its INVITE's will not say."""
