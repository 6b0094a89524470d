"""An exchange and phones that are only messages: whole call flows without sockets, time under control."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pbx.call.carrier import Resolve
from pbx.call.effects import (
    EmergencyDialled,
    Missed,
    Note,
    SaveBindings,
    SaveLogins,
    Traced,
    TracedMessage,
    WriteRecord,
)
from pbx.call.exchange import EPOCH, Exchange, Settings
from pbx.call.logins import Login
from pbx.call.sound import Begin, Question, Render
from pbx.entropy import SeededEntropy
from pbx.media.orders import (
    CloseEndpoint,
    Digit,
    EndpointClosed,
    EndpointStats,
    Play,
    Played,
    Record,
    Recorded,
    StopRecord,
)
from pbx.office.device import Device
from pbx.office.extension import Extension
from pbx.office.no_answer import NoAnswer
from pbx.office.snapshot import Office
from pbx.rtp.port_pool import PortPool
from pbx.sip.digest import answer, make_ha1, read_challenges
from pbx.sip.flow import Flow
from pbx.sip.headers import Headers
from pbx.sip.message import Request, Response, make_response
from pbx.sip.parser import parse_datagram
from pbx.sip.transaction.types import Ignored, Send
from pbx.sip.uri import SipUri, parse_uri

DOMAIN = "pbx.local"
SERVER = ("192.0.2.1", 5060)
SDP = (
    "v=0\r\no=- {id} {version} IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
    "m=audio {port} RTP/AVP {formats}\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
    "a=rtpmap:101 telephone-event/8000\r\na={direction}\r\n"
)


def make_office(*keys: str, timeout: int = 20, **changes: Any) -> Office:
    """Extensions, each with one ip_phone of its key; `secret-KEY` is its password."""
    return Office(
        extensions=tuple(make_extension(key, (key,), timeout, **changes) for key in keys), realm=DOMAIN
    )


def make_extension(key: str, usernames: tuple[str, ...], timeout: int = 20, **changes: Any) -> Extension:
    """One extension with a device for each user name."""
    kinds = ("ip_phone", "mobile", "desktop")
    devices = tuple(
        Device(kind, name, *make_ha1(name, DOMAIN, f"secret-{name}"), **changes)  # type: ignore[arg-type]
        for kind, name in zip(kinds, usernames, strict=False)
    )
    return Extension(key, f"Phone {key}", devices=devices, no_answer=NoAnswer("hangup", timeout=timeout))


def literal_flow(uri: str) -> Flow:
    """The way to a server that is written as an address."""
    parsed = parse_uri(uri)
    assert isinstance(parsed, SipUri)
    return Flow(parsed.transport or "UDP", (parsed.host, parsed.port or 5060), SERVER)


@dataclass
class World:
    """The exchange between phones; `step` and `wait` move time."""

    office: Office
    settings: Settings = field(default_factory=lambda: Settings(DOMAIN))
    now: float = 1000.0
    notes: list[str] = field(default_factory=list)
    bugs: list[str] = field(default_factory=list)  # notes of failures on our side
    records: list[Any] = field(default_factory=list)
    orders: list[Any] = field(default_factory=list)
    missed: list[Any] = field(default_factory=list)
    traces: list[TracedMessage] = field(default_factory=list)
    logins: tuple[Login, ...] = ()  # as they were saved last
    emergencies: list[Any] = field(default_factory=list)
    sounds: list[Any] = field(default_factory=list)  # prompts that were rendered; their place is their stem
    questions: list[Any] = field(default_factory=list)
    answer: Callable[[Any], Any] = lambda about: "/file.wav" if isinstance(about, Begin) else True
    media_answers: bool = True
    find: Callable[[str], Any] = lambda uri: [literal_flow(uri)]  # ways to a carrier, or why there are none
    own_address: tuple[str, int] = SERVER  # as carriers and phones see it
    at: datetime = EPOCH  # on the calendar, which stands still
    lost: set[Flow] = field(default_factory=set)  # connections that are gone
    user_agent: str = "test phone"  # SIPp's phones are not asked by OPTIONS

    def __post_init__(self) -> None:
        entropy = SeededEntropy(7)
        self.exchange = Exchange(
            self.settings,
            self.office,
            entropy,
            PortPool(20000, 20400, entropy, rest_s=5.0),
            lambda host: host in (SERVER[0], "127.0.0.1", "localhost"),
            lambda flow: self.own_address,
            calendar=lambda: self.at,
        )
        self.phones: dict[tuple[str, int], Phone] = {}
        self.recordings: list[Record] = []

    def move_server(self, address: tuple[str, int]) -> None:
        """It has another address, which carriers and phones see."""
        self.own_address = address
        self.exchange.stack.own_host.cache_clear()

    def phone(
        self, username: str, port: int | None = None, kind: "type[Phone] | None" = None, **options: Any
    ) -> Any:
        """A phone that has registered."""
        phone = (kind or Phone)(self, username, port or 5100 + len(self.phones), **options)
        phone.user_agent = self.user_agent
        self.phones[phone.address] = phone
        phone.register()
        return phone

    def receive(self, message: Request | Response, flow: Flow) -> None:
        """A phone's message reaches the exchange."""
        data = message.render()
        if not self.exchange.stack.is_screening:
            self.perform(self.exchange.receive(data, flow, self.now))
            return
        wait_s = self.exchange.admission.overload.wait_s
        answers, passed = self.exchange.screen_batch([(data, flow)], wait_s, self.now)
        self.perform(answers)
        for step, *seen in passed:
            self.perform(step(*seen, self.now))

    def wait(self, seconds: float) -> None:
        """Let time pass, deadline by deadline."""
        until = self.now + seconds
        for _ in range(100_000):
            deadline = self.exchange.deadline
            if deadline is None or deadline > until:
                self.now = until
                return
            self.now = max(self.now, deadline)
            self.perform(self.exchange.expire(self.now))
        raise AssertionError("the exchange never comes to rest")

    def perform(self, effects: list[Any]) -> None:
        """Carry effects out: messages go to the phones, closed endpoints are reported."""
        for effect in effects:
            if isinstance(effect, Send):
                phone = self.phones.get(effect.flow.peer)
                if effect.flow in self.lost or (
                    phone is not None and effect.flow.transport == "TCP" and not phone.takes_tcp
                ):
                    self.perform(self.exchange.flow_lost(effect.flow, "refused", self.now))
                elif phone is not None:
                    phone.take(effect.data, effect.flow)
            elif isinstance(effect, Note):
                self.notes.append(effect.text.format(**effect.fields))
                if effect.level == "critical":
                    self.bugs.append(self.notes[-1])
            elif isinstance(effect, WriteRecord):
                self.records.append(effect.record)
            elif isinstance(effect, Traced):
                self.traces += effect.messages
            elif isinstance(effect, Missed):
                self.missed.append(effect)
            elif isinstance(effect, SaveLogins):
                self.logins = effect.logins
            elif isinstance(effect, EmergencyDialled):
                self.emergencies.append(effect)
            elif isinstance(effect, (SaveBindings, Ignored)):
                pass
            elif isinstance(effect, Render):
                self.sounds.append(effect.prompt)
                stem = str(len(self.sounds) - 1)
                self.perform(self.exchange.rendered(effect.number, stem, self.now))
            elif isinstance(effect, Resolve):
                found = self.find(effect.uri)
                answer = ((), found) if isinstance(found, str) else (found, "")
                self.perform(self.exchange.resolved(effect.number, *answer, self.now))
            elif isinstance(effect, Question):
                self.questions.append(effect.about)
                answer = self.answer(effect.about)
                self.perform(self.exchange.answered(effect.number, answer, self.now))
            else:
                self.orders.append(effect)
                if isinstance(effect, CloseEndpoint) and self.media_answers:
                    for order in [each for each in self.recordings if each.endpoint == effect.endpoint]:
                        self.recordings.remove(order)
                        self.media(Recorded(order.endpoint, order.recording, 2.0, "closed"))
                    self.media(EndpointClosed(effect.endpoint, EndpointStats()))
                elif isinstance(effect, Record):
                    self.recordings.append(effect)
                elif isinstance(effect, StopRecord):
                    for order in [each for each in self.recordings if each.recording == effect.recording]:
                        self.recordings.remove(order)
                        self.media(Recorded(order.endpoint, order.recording, 2.0, "stopped"))

    def media(self, event: Any) -> None:
        """A media worker reports."""
        self.perform(self.exchange.media_event(event, self.now))

    @property
    def playing(self) -> Any:
        """The sound that was ordered last."""
        return next(each for each in reversed(self.orders) if isinstance(each, Play))

    def heard(self, place: int = -1) -> list[Any]:
        """What the parts of a rendered prompt are, in short."""
        return [getattr(part, "name", part) for part in self.sounds[place].parts]

    def finish(self, why: str = "ended") -> None:
        """The sound that was ordered last is over."""
        self.media(Played(self.playing.endpoint, self.playing.play, why))

    def press(self, keys: str, endpoint: str | None = None) -> None:
        """The media worker hears keys, of the phone that a sound was played to last."""
        for key in keys:
            self.media(Digit(endpoint or self.playing.endpoint, key))

    def assert_nothing_left(self) -> None:
        """Every call has ended and every port, transaction, dialog and timer is free."""
        exchange = self.exchange
        for username in exchange.location.usernames():
            exchange.location.clear(username)  # a phone that is asked by OPTIONS is a transaction at times
        exchange.trunks.stop()
        self.perform(exchange.expire(self.now))
        self.wait(200.0)
        left = {
            "calls": len(exchange.calls),
            "dialogs": len(exchange.stack.dialogs),
            "transactions": len(exchange.stack.layer),
            "timers": len(exchange.stack.timers),
            "ports": len(exchange.endpoints.ports),
            **exchange.endpoints.waiting,
            "asked": len(exchange.sound),
        }
        assert not any(left.values()), left
        assert not self.bugs, self.bugs


class Phone:
    """One phone as a list of messages received and methods to send others."""

    def __init__(
        self,
        world: World,
        username: str,
        port: int,
        host: str = "192.0.2.9",
        transport: str = "UDP",
        via: str = "",
    ) -> None:
        self.world = world
        self.username = username
        self.password = ""  # that of the test office
        self.address = (host, port)
        self.flow = Flow(transport, self.address, SERVER, accepted=transport != "UDP")
        self.takes_tcp = transport == "TCP"
        self.came_by: dict[int, str] = {}  # id of a message received -> transport
        self.received: list[Request | Response] = []
        self.cseq = 0
        self.tag = f"tag-{username}-{port}"
        self.count = 0
        self.dialog: dict[str, str] = {}
        self.drops = False
        self.user_agent = "test phone"
        self.contact = f"<sip:{username}@{host}:{port}>"
        self.via = via or f"SIP/2.0/{transport} {host}:{port}"

    def take(self, data: bytes, flow: Flow) -> None:
        """The exchange sent this."""
        message = parse_datagram(data)
        self.came_by[id(message)] = flow.transport
        self.received.append(message)
        if isinstance(message, Request) and message.method == "OPTIONS" and not self.drops:
            self.send(make_response(message, 200, to_tag=self.tag))

    def send(self, message: Request | Response) -> None:
        self.world.receive(message, self.flow)

    # --- what came -----------------------------------------------------------------------------------------

    def statuses(self, method: str = "INVITE") -> list[int]:
        """Of the responses to `method`, in order."""
        return [m.status for m in self.received if isinstance(m, Response) and m.cseq.method == method]

    def last(self, kind: str | int) -> Any:
        """The last request of a method, or response of a status."""
        for message in reversed(self.received):
            if isinstance(message, Request) and message.method == kind:
                return message
            if isinstance(message, Response) and message.status == kind:
                return message
        raise AssertionError(f"{self.username} got no {kind}: {self.summary()}")

    def all(self, kind: str | int) -> list[Any]:
        """Every request of a method, or response of a status."""
        return [m for m in self.received if (m.method if isinstance(m, Request) else m.status) == kind]

    def summary(self) -> list[str]:
        """What came, in short."""
        return [m.method if isinstance(m, Request) else f"{m.status} {m.cseq.method}" for m in self.received]

    # --- what is sent --------------------------------------------------------------------------------------

    def request(
        self, method: str, uri: str, body: str = "", *, to: str = "", call_id: str = "", **headers: str
    ) -> Request:
        """A request, not sent yet."""
        self.cseq += 1
        self.count += 1
        made = Request(
            method,
            uri,
            Headers(
                [
                    ("Via", f"{self.via};branch=z9hG4bK{self.tag}{self.count};rport"),
                    ("Max-Forwards", "70"),
                    ("From", f"<sip:{self.username}@{DOMAIN}>;tag={self.tag}"),
                    ("To", to or f"<{uri}>"),
                    ("Call-ID", call_id or f"call-{self.username}-{self.address[1]}"),
                    ("CSeq", f"{self.cseq} {method}"),
                    ("Contact", self.contact),
                ]
            ),
            body.encode(),
        )
        if body:
            made.headers.set("Content-Type", "application/sdp")
        for name, value in headers.items():
            made.headers.set(name.replace("_", "-"), value)
        return made

    def send_authenticated(self, make: Any) -> Request:
        """Send what `make()` builds, and once more with credentials when challenged."""
        first = make()
        self.send(first)
        challenge = self.last(401)
        if first.method == "INVITE":
            ack = Request("ACK", first.uri, first.headers.copy(), b"")
            ack.headers.set("CSeq", f"{first.cseq.number} ACK")
            ack.headers.set("To", challenge.headers.get("To"))
            self.send(ack)
        self.received.remove(challenge)
        again = make()
        chosen = read_challenges(challenge.headers.get_all("WWW-Authenticate"))[0]
        ha1 = make_ha1(self.username, DOMAIN, self.password or f"secret-{self.username}")
        value = answer(chosen, self.username, ha1, again.method, again.uri, nc=1, cnonce="cnonce")
        again.headers.set("Authorization", value)
        self.send(again)
        return again

    def register(self, expires: int = 3600, **headers: str) -> None:
        self.send_authenticated(
            lambda: self.request(
                "REGISTER",
                f"sip:{DOMAIN}",
                to=f"<sip:{self.username}@{DOMAIN}>",
                call_id=f"reg-{self.tag}",
                Expires=str(expires),
                User_Agent=self.user_agent,
                **headers,
            )
        )
        assert self.statuses("REGISTER")[-1] == 200, self.summary()

    def sdp(
        self, version: int = 1, direction: str = "sendrecv", formats: str = "8 0 101", port: int = 40000
    ) -> str:
        return SDP.format(
            id=abs(hash(self.tag)) % 10**6,
            version=version,
            host=self.address[0],
            port=port,
            direction=direction,
            formats=formats,
        )

    def invite(self, key: str, body: str | None = None, **headers: str) -> Request:
        """Call an extension; the dialog is filled in by its 200."""
        call_id = f"inv-{self.tag}-{self.count}"
        body = self.sdp() if body is None else body
        sent = self.send_authenticated(
            lambda: self.request("INVITE", f"sip:{key}@{DOMAIN}", body, call_id=call_id, **headers)
        )
        self.dialog = {"call_id": call_id, "invite_seq": str(sent.cseq.number)}
        self.sent_invite = sent
        return sent

    def ring(self, status: int = 180, body: str = "", tag: str = "", **headers: str) -> None:
        """Answer the last INVITE provisionally."""
        self.respond(self.last("INVITE"), status, body, tag, **headers)

    def respond(
        self, request: Request, status: int, body: str = "", tag: str = "", **headers: str
    ) -> Response:
        """Answer a request."""
        response = make_response(request, status, to_tag=tag or self.tag)
        if status < 300 or body:
            response.headers.set("Contact", self.contact)
        if body:
            response.headers.set("Content-Type", "application/sdp")
            response.body = body.encode()
        for name, value in headers.items():
            response.headers.set(name.replace("_", "-"), value)
        self.send(response)
        return response

    def answer(self, body: str | None = None, **headers: str) -> None:
        """Take the call."""
        invite = self.last("INVITE")
        self.respond(invite, 200, self.sdp() if body is None else body, **headers)
        self.dialog = {
            "call_id": invite.call_id,
            "remote": invite.headers.get("From") or "",
            "local": f"{invite.headers.get('To')};tag={self.tag}"
            if ";tag=" not in (invite.headers.get("To") or "")
            else invite.headers.get("To") or "",
            "target": invite.contacts[0].uri.render(),
        }

    def ack(self, body: str = "") -> None:
        """Acknowledge the 200 to our INVITE."""
        ok = next(
            m
            for m in reversed(self.received)
            if isinstance(m, Response) and m.status == 200 and m.cseq.method == "INVITE"
        )
        self.dialog.update(
            remote=ok.headers.get("To") or "",
            local=ok.headers.get("From") or "",
            target=ok.contacts[0].uri.render(),
        )
        ack = self.in_dialog("ACK", body)
        ack.headers.set("CSeq", f"{ok.cseq.number} ACK")
        self.send(ack)

    def in_dialog(self, method: str, body: str = "", **headers: str) -> Request:
        """A request inside the dialog, not sent yet."""
        made = self.request(method, self.dialog["target"], body, call_id=self.dialog["call_id"], **headers)
        made.headers.set("From", self.dialog["local"])
        made.headers.set("To", self.dialog["remote"])
        if method == "ACK":
            self.cseq -= 1
        return made

    def early(self, status: int) -> None:
        """Take the dialog from a provisional response to our INVITE."""
        response = self.last(status)
        self.dialog.update(
            remote=response.headers.get("To"),
            local=response.headers.get("From"),
            target=response.contacts[0].uri.render(),
        )

    def prack(self, status: int, body: str = "") -> None:
        """Acknowledge the last reliable provisional response of that status."""
        self.early(status)
        rack = f"{self.last(status).headers.get('RSeq')} {self.sent_invite.cseq.number} INVITE"
        self.send(self.in_dialog("PRACK", body, RAck=rack))

    def cancel(self, **headers: str) -> None:
        """Give up the INVITE sent last."""
        cancel = Request("CANCEL", self.sent_invite.uri, self.sent_invite.headers.copy(), b"")
        for name in ("Authorization", "Contact", "Content-Type", "Supported", "Require"):
            cancel.headers.remove(name)
        cancel.headers.set("CSeq", f"{self.sent_invite.cseq.number} CANCEL")
        for name, value in headers.items():
            cancel.headers.set(name, value)
        self.send(cancel)

    def bye(self) -> None:
        self.send(self.in_dialog("BYE"))

    def ok(self, kind: str, body: str = "", **headers: str) -> None:
        """Answer the last request of a method with 200."""
        self.respond(self.last(kind), 200, body, **headers)


def hang_up(world: World, first: Phone, second: Phone) -> None:
    """End the call; afterwards nothing may be left of it."""
    first.bye()
    second.ok("BYE")
    world.assert_nothing_left()


def talk(world: World, caller: Phone, callee: Phone) -> None:
    """An established call."""
    caller.invite(callee.username)
    callee.ring()
    callee.answer()
    caller.ack()
