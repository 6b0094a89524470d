"""One trunk or gateway as it is at the moment: where it is, whether it answers, whether it knows us."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final, Protocol

from pbx.address import hostport
from pbx.call.from_outside import Peer, Source, networks_of
from pbx.call.outside import account_of, server_of
from pbx.errors import PbxError
from pbx.immutable import immutable
from pbx.office.gateway import Gateway
from pbx.office.trunk import Trunk
from pbx.sip.capabilities import ALLOW
from pbx.sip.credentials import Credentials
from pbx.sip.flow import Flow
from pbx.sip.headers import Headers
from pbx.sip.message import Request, Response
from pbx.sip.registration import Effect, Registration, SendRegister, State
from pbx.sip.stack import UNREACHABLE, SipStack

LOOK_S: Final = 60.0  # from one look-up of the server to the next; the DNS says how long its answers hold
FIRST_ASK_S: Final = 15.0  # a server that has just been entered may have a call as its first visitor
ASK_S: Final = 60.0  # from one OPTIONS to the next
ASK_DOWN_S: Final = 30.0  # the same while nothing answers
GIVE_UP_S: Final = 10.0  # for one of its targets to answer OPTIONS or REGISTER
QUIET_S: Final = 300.0  # a server that answers no OPTIONS is down when nothing else was heard for so long
DEFAULT_PORT: Final = {"UDP": 5060, "TCP": 5060, "TLS": 5061}


@immutable
class Resolve:
    """Find where `uri` leads (RFC 3263); answered by `Exchange.resolved` with `number`."""

    number: int
    uri: str


class CarrierUser(Protocol):
    """Who has the carriers."""

    def look_up(self, carrier: "Carrier") -> None:
        """Find where its server is: `resolved` gets the answer."""
        ...

    def changed(self, carrier: "Carrier") -> None:
        """Its state is another."""
        ...

    def gone(self, carrier: "Carrier") -> None:
        """It was stopped, and its registration has ended."""
        ...

    def hurt(self, what: str, error: PbxError) -> None: ...


class Carrier:
    """Looks its server up, asks it by OPTIONS, and keeps our registration there.

    Attributes:
        state: one of "unknown", "registering", "registered", "unregistered", "refused", "reachable", "down".
        since: when that began.
        error: the last failure in words; "" once all is well again.
    """

    def __init__(self, stack: SipStack, user: CarrierUser, to: Trunk | Gateway) -> None:
        self.to = to
        self.state = "unknown"
        self.since = stack.now
        self.error = ""
        self.registration: Registration | None = None
        self._stack, self._user = stack, user
        self._flows: Sequence[Flow] = ()
        self._is_up: bool | None = None  # None: nothing is known yet
        self._heard_at: float | None = None
        self._answers_options = False
        self._answered_by: Flow | None = None
        self._lost_why = ""
        self._is_stopping = False
        self._credentials = Credentials(to.username, to.password)
        self._contact = ""
        self._bound = ""  # the Contact that the carrier has of us
        self._call_id = stack.entropy.token()
        self._tag = stack.entropy.token()
        self._cseq = stack.entropy.below(2**15)
        self.source = self._make_source()

    @property
    def kind(self) -> str:
        return "gateway" if isinstance(self.to, Gateway) else "trunk"

    @property
    def is_up(self) -> bool:
        """It can be expected to take calls."""
        return bool(self._flows) and self.state not in ("down", "refused")

    @property
    def flows(self) -> Sequence[Flow]:
        """The ways to it, the one that works first."""
        registration = self.registration
        best = self._answered_by
        if registration is not None and registration.expires_at > self._stack.now:
            best = registration.flow
        return _with_first(best, self._flows)

    def status(self, calls: int) -> dict[str, Any]:
        """What `pbx status` shows of it; times in seconds."""
        now, registration, flows = self._stack.now, self.registration, self.flows
        expires_at = registration.expires_at if registration is not None else 0.0
        return {
            "kind": self.kind,
            "name": self.to.name,
            "server": self.to.server,
            "address": f"{flows[0].transport} {hostport(*flows[0].peer)}" if flows else "",
            "state": self.state,
            "since_s": round(now - self.since),
            "expires_s": round(expires_at - now) if expires_at > now else None,
            "error": self.error,
            "calls": calls,
        }

    # --- life ----------------------------------------------------------------------------------------------

    def start(self, *, may_register: bool = True) -> None:
        """Begin: look the server up, register where that is wanted, ask it a little later."""
        self._stack.timers.set((self, "look"), self._stack.now)
        self._stack.timers.set((self, "ask"), self._stack.now + FIRST_ASK_S)
        if may_register:
            self.register()

    def register(self) -> None:
        """Register, if this is a trunk with an account."""
        wants = isinstance(self.to, Trunk) and self.to.registers and not self._is_stopping
        if wants and self.registration is None:
            self.registration = Registration(self._stack.entropy)
            self.registration.targets = self._flows
            if self._flows:
                self._perform(self.registration.go(self._stack.now))
        self._settle()

    def change(self, to: Trunk | Gateway) -> None:
        """Other settings, with the same server and account."""
        self.to = to
        self.source = self._make_source()

    def stop(self) -> None:
        """End the registration and ask nothing any more."""
        self._is_stopping = True
        for timer in ("look", "ask"):
            self._stack.timers.set((self, timer), None)
        if self.registration is not None:
            self._perform(self.registration.stop(self._stack.now))
        self._settle()

    # --- what comes ----------------------------------------------------------------------------------------

    def resolved(self, flows: Sequence[Flow], why: str) -> None:
        """The server was looked up; without any way there, what was known before still holds."""
        if self._is_stopping:
            return
        if not flows:
            self.error = why
            if not self._flows:
                self._is_up = False
        elif list(flows) != list(self._flows):
            self._flows = tuple(flows)
            self.source = self._make_source()
        registration = self.registration
        if registration is not None:
            registration.targets = self._flows
            if self._is_registration_due(registration):
                self._perform(registration.go(self._stack.now))
        self._settle()

    def lost(self, flow: Flow, why: str) -> None:
        """A connection closed or could not be opened, or a datagram came back."""
        if all(flow[:2] != each[:2] for each in self._flows):
            return
        self._lost_why = why
        registration = self.registration
        if flow.is_reliable and registration is not None and registration.is_by(flow):
            self._perform(registration.lose(self._stack.now))
            self._settle()

    def heard(self) -> None:
        """It has sent or answered something: it is there."""
        self._heard_at = self._stack.now
        self._is_up, self._lost_why = True, ""
        self._settle()

    def refused(self, response: Response) -> None:
        """It could not take a call: that is its last error, but it is there."""
        self.heard()
        self.error = self._words(response, "INVITE")

    def failed(self, response: Response) -> None:
        """It did not answer a call (408), or could not be reached (503)."""
        self._is_up = False
        self.error = self._words(response, "INVITE")
        self._stack.timers.set((self, "ask"), self._stack.now + ASK_DOWN_S)
        self._settle()

    # --- time ----------------------------------------------------------------------------------------------

    def expire(self, timer: str) -> None:
        """It is time to look the server up, to ask it, or to register."""
        now = self._stack.now
        if timer == "look":
            self._stack.timers.set((self, timer), now + LOOK_S)
            self._user.look_up(self)
        elif timer == "ask":
            self._stack.timers.set((self, timer), now + self._spread(ASK_S))
            self._ask()
        elif self.registration is not None:
            self._perform(self.registration.expire(now))
            self._settle()

    def broke(self, error: PbxError) -> None:
        """A step of it failed."""
        self._user.hurt(f"{self.kind} {self.to.name}", error)

    # --- inside --------------------------------------------------------------------------------------------

    def _is_registration_due(self, registration: Registration) -> bool:
        """It has waited for a way to the server, or our own address on the way is another one now."""
        if not self._flows or registration.state in (State.LEAVING, State.GONE):
            return False
        if registration.state is State.IDLE or (
            registration.state is State.WAITING and not registration.status
        ):
            return True
        way = next((each for each in self._flows if each[:2] == (registration.flow or each)[:2]), None)
        if way is None or registration.state is not State.REGISTERED:
            return False
        return self._stack.own_uri(way, self._user_part) != self._contact

    @property
    def _user_part(self) -> str:
        return account_of(self.to).user or ""

    def _perform(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, SendRegister):
                self._send_register(effect)

    def _send_register(self, order: SendRegister) -> None:
        """§10.2: the Request-URI names the registrar, To the account."""
        stack, flow = self._stack, order.flow
        self._contact = stack.own_uri(flow, self._user_part)
        self._cseq += 1
        account = account_of(self.to)
        headers = Headers(
            [
                ("Max-Forwards", "70"),
                ("From", f"<{account}>;tag={self._tag}"),
                ("To", f"<{account}>"),
                ("Call-ID", self._call_id),
                ("CSeq", f"{self._cseq} REGISTER"),
                ("Contact", f"<{self._contact}>;expires={order.expires_s}"),
                *(
                    [("Contact", f"<{self._bound}>;expires=0")]
                    if self._bound not in ("", self._contact)
                    else ()
                ),
                ("Expires", str(order.expires_s)),
                ("Allow", ALLOW),
            ]
        )
        request = Request("REGISTER", server_of(self.to).render(), headers, b"")
        handler = partial(self._registered, order.attempt, self._contact)
        stack.send(request, flow, handler, owner=self, credentials=self._credentials, give_up_s=GIVE_UP_S)

    def _registered(self, attempt: int, contact: str, response: Response) -> None:
        registration = self.registration
        if registration is None or response.status < 200:
            return
        self._cseq = max(self._cseq, response.cseq.number)
        was = registration.state
        self._perform(registration.receive_response(response, attempt, contact, self._stack.now))
        if response.is_success:
            self._bound = contact
        if response.status not in (408, 503):
            self._heard_at = self._stack.now
            self._is_up = True
        elif was is not State.LEAVING:
            self.error = self._words(response, "REGISTER")
        if registration.why and response.status not in (408, 423, 503):
            self.error = f"REGISTER was answered by {registration.why}"
        self._settle()

    def _ask(self) -> None:
        """OPTIONS to its targets, one after the other (RFC 3261 §11)."""
        stack, registration = self._stack, self.registration
        # First where we are registered, else what the DNS lists first: it may have come back.
        flows = _with_first(registration.flow if registration is not None else None, self._flows)
        if not flows:
            return
        server = server_of(self.to)
        headers = Headers(
            [
                ("Max-Forwards", "70"),
                ("From", f"<{account_of(self.to)}>;tag={stack.entropy.token()}"),
                ("To", f"<sip:{server.host}>" if ":" not in server.host else f"<sip:[{server.host}]>"),
                ("Call-ID", stack.entropy.token()),
                ("CSeq", "1 OPTIONS"),
                ("Contact", f"<{stack.own_uri(flows[0], self._user_part)}>"),
                ("Accept", "application/sdp"),
            ]
        )
        request = Request("OPTIONS", server.render(), headers, b"")

        def answered(response: Response) -> None:
            if response.status >= 200 and not self._is_stopping:
                self._take_options(response, sent.flow)

        sent = stack.send(request, flows[0], answered, flows[1:], self, give_up_s=GIVE_UP_S)

    def _take_options(self, response: Response, flow: Flow) -> None:
        now, registration = self._stack.now, self.registration
        if response.status not in (408, 503):
            self._answers_options = True
            self._answered_by = flow
            self.heard()
            if registration is not None:
                self._perform(registration.move(flow, now))
            return
        is_known = self._heard_at is not None and now - self._heard_at < QUIET_S
        if self._answers_options or not is_known or response.status == 503:
            self._is_up = False
            self.error = self._words(response, "OPTIONS")
            self._stack.timers.set((self, "ask"), now + self._spread(ASK_DOWN_S))
        self._settle()

    def _words(self, response: Response, what: str) -> str:
        if response.status == 408:
            return f"no answer to {what}"
        if response.reason != UNREACHABLE:
            return f"{what} was answered by {response.status} {response.reason}"
        return f"it cannot be reached: {self._lost_why or 'the connection was lost'}"

    def _spread(self, seconds: float) -> float:
        return seconds * (0.9 + self._stack.entropy.below(200) / 1000)

    def _settle(self) -> None:
        """After each step: the timer of the registration, and what all this amounts to."""
        registration = self.registration
        if registration is not None:
            self._stack.timers.set((self, "registration"), registration.deadline)
        state = self._judge()
        if self._is_up and (registration is None or not registration.why):
            self.error = ""
        if state != self.state:
            self.state, self.since = state, self._stack.now
            if not self._is_stopping:
                self._user.changed(self)
        if self._is_stopping and (registration is None or registration.state is State.GONE):
            self._user.gone(self)

    def _judge(self) -> str:
        registration = self.registration
        if registration is None:
            if self._is_up is None:
                return "unknown"
            return "reachable" if self._is_up else "down"
        if registration.state is State.REFUSED:
            return "refused"
        if self._is_up is False:
            return "down"
        if registration.expires_at > self._stack.now:
            return "registered"
        return "unregistered" if registration.state is State.WAITING else "registering"

    def _make_source(self) -> Source:
        """Where its requests may come from: what its server's name says, and what was found for it."""
        server = server_of(self.to)
        transport = server.transport or ("TLS" if server.is_secure else "UDP")
        peers: set[Peer] = {each.peer for each in self._flows}
        peers.add((server.host, server.port or DEFAULT_PORT.get(transport, 5060)))
        return Source(self.to, frozenset(peers), networks_of(self.to))


def _with_first(best: Flow | None, flows: Sequence[Flow]) -> Sequence[Flow]:
    """The ways in their order, but the one to the place of `best` before all others."""
    return flows if best is None else sorted(flows, key=lambda each: each[:2] != best[:2])
