"""Phones that retransmit (RFC 3261 §17), on a network that loses the one message that it is told to lose."""

import heapq
from collections.abc import Callable
from itertools import count
from typing import Any

from pbx.sip.digest import answer, make_ha1, read_challenges
from pbx.sip.headers import Headers
from pbx.sip.message import Request, Response, make_response
from pbx.sip.parser import parse_datagram
from tests.call.world import DOMAIN, Phone, World

T1 = 0.5
T2 = 4.0
TRANSIT = 0.01
GIVE_UP_S = 64 * T1

Key = tuple[str | None, str]  # of a transaction: branch and method


class Network:
    """Carries datagrams, but the one of number `lost`."""

    def __init__(self, world: World, lost: int = -1) -> None:
        self.world = world
        self.carried: list[str] = []
        self._lost = lost
        self._numbers = count()
        self._due: list[tuple[float, int, Callable[[], None]]] = []

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._due, (self.world.now + seconds, next(self._numbers), action))

    def carry(self, what: str, deliver: Callable[[], None]) -> None:
        self.carried.append(what)
        if len(self.carried) - 1 != self._lost:
            self.later(TRANSIT, deliver)

    def run(self, seconds: float) -> None:
        """Let time pass, here and in the exchange, whoever's timer is due first."""
        until = self.world.now + seconds
        while self.world.now < until:
            dues = (until, self.world.exchange.deadline or until, self._due[0][0] if self._due else until)
            self.world.wait(max(0.0, min(dues) - self.world.now))
            while self._due and self._due[0][0] <= self.world.now:
                heapq.heappop(self._due)[2]()


class LossyPhone(Phone):
    """A phone with transactions, and at most one call; `story` is what its user would tell."""

    net: Network | None = None  # None: nothing is lost

    def plug(self, net: Network, on_invite: "Callable[[LossyPhone, Request], None]") -> None:
        """Be on that network from now on."""
        self.net, self._on_invite = net, on_invite
        self.received.clear()
        self.story: list[str] = []
        self._open: dict[Key, Callable[[Response], None]] = {}  # requests without a final answer
        self._repeated: set[Any] = set()  # what goes out until something comes
        self._answers: dict[Key, Response | None] = {}  # to requests of the PBX
        self._acks: dict[tuple[str, int], Request] = {}
        self._pracked: set[str | None] = set()

    # --- the wire ------------------------------------------------------------------------------------------

    def take(self, data: bytes, flow: Any) -> None:
        if self.net is None:
            super().take(data, flow)
        else:
            self.net.carry(f"{_brief(data)} to {self.username}", lambda: self._arrive(parse_datagram(data)))

    def send(self, message: Request | Response) -> None:
        if self.net is None:
            super().send(message)
        else:
            data = message.render()
            deliver = lambda: self.world.receive(parse_datagram(data), self.flow)  # noqa: E731
            self.net.carry(f"{_brief(data)} of {self.username}", deliver)

    def ask(self, request: Request, done: Callable[[Response], None]) -> None:
        """Send a request until it is answered (§17.1); `done` gets the final answer."""
        key = (request.via.branch, request.method)
        self._open[key] = done
        self._send_until(key, request, GIVE_UP_S if request.method == "INVITE" else T2)

    def tell(self, request: Request, status: int, body: str = "", **headers: str) -> None:
        """Answer a request; a final answer to an INVITE is repeated (§13.3.1.4), and a reliable one."""
        response = make_response(request, status, to_tag=self.tag)
        response.headers.set("Contact", self.contact)
        if body:
            response.headers.set("Content-Type", "application/sdp")
            response.body = body.encode()
        for name, value in headers.items():
            response.headers.set(name, value)
        self._answers[request.via.branch, request.method] = response
        if request.method == "INVITE" and status >= 200:
            self._send_until((request.call_id, request.cseq.number), response, T2)
        elif "RSeq" in headers:
            self._send_until("PRACK", response, GIVE_UP_S)
        else:
            self.send(response)

    def _send_until(self, what: Any, message: Request | Response, most: float) -> None:
        """Send it after 0, T1, 3*T1 ..., the pause being `most` seconds at last, until `what` is heard of."""
        net = self.net
        assert net is not None
        give_up_at = net.world.now + GIVE_UP_S
        self._repeated.add(what)

        def again(pause: float) -> None:
            if what in self._repeated and net.world.now >= give_up_at:
                self.story.append(f"nobody heeds {_brief(message.render())}")
            elif what in self._repeated:
                self.send(message)
                net.later(pause, lambda: again(min(2 * pause, most)))

        again(T1)

    def _arrive(self, message: Request | Response) -> None:
        self.received.append(message)
        key = (message.via.branch, message.cseq.method)
        if isinstance(message, Response):
            self._arrive_response(message, key)
        elif message.method == "ACK":
            self._repeated.discard((message.call_id, message.cseq.number))
        elif key not in self._answers:
            self._answers[key] = None
            self._serve(message)
        elif (said := self._answers[key]) is not None:
            self.send(said)

    def _arrive_response(self, response: Response, key: Key) -> None:
        if response.status >= 200 or key[1] == "INVITE":
            self._repeated.discard(key)
        if (known := self._acks.get((response.call_id, response.cseq.number))) is not None and key[
            1
        ] == "INVITE":
            self.send(known)
        elif response.status >= 200 and key in self._open:
            done = self._open.pop(key)
            if key[1] == "INVITE":
                self._acknowledge(response)
            done(response)
        elif "RSeq" in response.headers and response.headers.get("RSeq") not in self._pracked:
            self._pracked.add(response.headers.get("RSeq"))
            self._enter(response)
            rack = f"{response.headers.get('RSeq')} {response.cseq.number} INVITE"
            self.ask(self.in_dialog("PRACK", RAck=rack), self._tell_of)

    # --- what the phone does by itself ---------------------------------------------------------------------

    def _serve(self, request: Request) -> None:
        if request.method == "INVITE" and request.to.tag is None:
            self.dialog = {
                "call_id": request.call_id,
                "remote": request.headers.get("From") or "",
                "local": f"{request.headers.get('To')};tag={self.tag}",
                "target": request.contacts[0].uri.render(),
            }
            self._on_invite(self, request)
            return
        said = request.body.decode() if request.method == "NOTIFY" else ""
        self.story.append(f"{request.method} came {said}".strip())
        if request.method == "INVITE":
            held = b"a=sendonly" in request.body
            self.tell(request, 200, self.sdp(self.count, "recvonly" if held else "sendrecv"))
            return
        self.tell(request, 200)
        if request.method == "CANCEL":
            self.tell(self.last("INVITE"), 487)
        elif request.method == "PRACK":
            self._repeated.discard("PRACK")

    def _acknowledge(self, response: Response) -> None:
        number = response.cseq.number
        if response.status < 300:
            self._enter(response)
            ack = self.in_dialog("ACK", "" if self._has_offered else self.sdp())
        else:
            invite = self.sent_invite
            ack = Request("ACK", invite.uri, invite.headers.copy(), b"")
            ack.headers.set("To", response.headers.get("To") or "")
        ack.headers.set("CSeq", f"{number} ACK")
        self._acks[response.call_id, number] = ack
        self.send(ack)

    def _enter(self, response: Response) -> None:
        self.dialog = {
            "call_id": response.call_id,
            "remote": response.headers.get("To") or "",
            "local": response.headers.get("From") or "",
            "target": response.contacts[0].uri.render(),
        }

    def _tell_of(self, response: Response) -> None:
        self.story.append(f"{response.cseq.method} {response.status}")

    # --- what its user does --------------------------------------------------------------------------------

    def call(self, key: str, body: str, **headers: str) -> None:
        """Call somebody."""
        self._has_offered = bool(body)
        call_id = f"call-{self.tag}"
        make = lambda: self.request("INVITE", f"sip:{key}@{DOMAIN}", body, call_id=call_id, **headers)  # noqa: E731

        def challenged(response: Response) -> None:
            chosen = read_challenges(response.headers.get_all("WWW-Authenticate"))[0]
            ha1 = make_ha1(self.username, DOMAIN, f"secret-{self.username}")
            self.sent_invite = make()
            credentials = answer(
                chosen, self.username, ha1, "INVITE", self.sent_invite.uri, nc=1, cnonce="cnonce"
            )
            self.sent_invite.headers.set("Authorization", credentials)
            self.ask(self.sent_invite, self._tell_of)

        self.sent_invite = make()
        self.ask(self.sent_invite, challenged)

    def give_up(self) -> None:
        """Cancel the call that was made."""
        kept = ("Via", "Max-Forwards", "From", "To", "Call-ID")
        headers = Headers([each for each in self.sent_invite.headers if each[0] in kept])
        headers.set("CSeq", f"{self.sent_invite.cseq.number} CANCEL")
        self.ask(Request("CANCEL", self.sent_invite.uri, headers, b""), self._tell_of)

    def do(self, method: str, body: str = "", **headers: str) -> None:
        """Send something in the call."""
        request = self.in_dialog(method, body, **headers)
        self._has_offered = bool(body)
        self.ask(request, self._tell_of)


def _brief(data: bytes) -> str:
    message = parse_datagram(data)
    return message.method if isinstance(message, Request) else f"{message.status} {message.cseq.method}"
