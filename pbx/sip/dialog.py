"""Dialogs (RFC 3261 §12): who talks to whom, in which order, along which way."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple

from pbx.errors import PeerError
from pbx.sip.fields import MAX_REMEMBERED, NameAddr
from pbx.sip.flow import Flow
from pbx.sip.headers import Headers
from pbx.sip.message import Request, Response
from pbx.sip.uri import SipUri, parse_uri


class DialogId(NamedTuple):
    """Call-ID and the two tags, as this side sees them (§12)."""

    call_id: str
    local_tag: str
    remote_tag: str


def is_behind_nat(request: Request, flow: Flow) -> bool:
    """True when the sender's Via names another address than it sent from (RFC 3581).

    Another port alone says so only of UDP, and of who asks where he was seen: some phones (Cisco) send from
    another port than they listen at, and do not ask.
    """
    via = request.via
    if via.host != flow.peer[0] or flow.is_reliable or "rport" not in via.params:
        return via.host != flow.peer[0]
    return (via.port or 5060) != flow.peer[1]


def hop_to(uri: str, flow: Flow, behind_nat: bool) -> Flow:
    """Where a request for `uri` goes, when its owner last spoke to us over `flow`.

    A connection is reused (RFC 5626 §5.3) and a phone behind NAT is reached where it came from; another
    phone is believed when its Contact gives an address other than its source.
    """
    return (_hop_to if len(uri) > MAX_REMEMBERED else _remembered_hop)(uri, flow, behind_nat)


def _hop_to(uri: str, flow: Flow, behind_nat: bool) -> Flow:
    if behind_nat or flow.is_reliable:
        return flow
    parsed = parse_uri(uri)
    if not isinstance(parsed, SipUri):
        return flow
    try:
        version = ip_address(parsed.host).version
    except ValueError:
        return flow
    if (version == 6) != (":" in flow.local[0]):
        return flow
    transport = (parsed.params.get("transport") or "udp").upper()
    port = parsed.port or 5060
    if transport == "UDP":
        return Flow("UDP", (parsed.host, port), flow.local)
    if transport in ("TCP", "TLS"):
        port = parsed.port or (5061 if transport == "TLS" else 5060)
        return Flow(transport, (parsed.host, port), (flow.local[0], 0))
    return flow


_remembered_hop = lru_cache(maxsize=2048)(_hop_to)  # the same few phones, time and again


def reopened(uri: str, flow: Flow) -> Flow:
    """The way to `uri`, whose owner had opened a connection that is gone: a new one, where it can be."""
    parsed = parse_uri(uri)
    if not isinstance(parsed, SipUri):
        return flow
    try:
        ip_address(parsed.host)
    except ValueError:
        return flow
    port = parsed.port or (5061 if flow.is_secure else 5060)
    return Flow(flow.transport, (parsed.host, port), (flow.local[0], 0))


def next_hop(route_set: Sequence[str], target: str) -> str:
    """The URI that a request is sent to: the first Route's, else its target (RFC 3261 §8.1.2)."""
    return _uri_of(route_set[0]) if route_set else target


@dataclass(slots=True, eq=False)
class Dialog:
    """One side's state of a dialog; the early dialog of a fork counts as one too (§12.1).

    `local` and `remote` are the From/To values with their tags as text; `route_set` are Route values as text.
    """

    id: DialogId
    local: str
    remote: str
    target: str
    route_set: tuple[str, ...]
    flow: Flow
    behind_nat: bool
    local_seq: int
    remote_seq: int | None = None
    is_cut: bool = False  # the connection of `flow` is gone

    @classmethod
    def of_uas(cls, request: Request, local_tag: str, flow: Flow) -> "Dialog":
        """The dialog that `request` opens, seen from the side that answers it (§12.1.1)."""
        return cls(
            id=DialogId(request.call_id, local_tag, request.from_.tag or ""),
            local=_tagged(request.headers.first.get("To") or "", local_tag),
            remote=request.headers.first.get("From") or "",
            target=contact_of(request) or "",
            route_set=_route_set(request),
            flow=flow,
            behind_nat=is_behind_nat(request, flow),
            local_seq=0,
            remote_seq=request.cseq.number,
        )

    @classmethod
    def of_uac(cls, request: Request, response: Response, flow: Flow, behind_nat: bool) -> "Dialog":
        """The dialog that `response` opens, seen from the side that sent `request` (§12.1.2)."""
        target, route_set = _way_of(response, request)
        return cls(
            id=DialogId(request.call_id, request.from_.tag or "", response.to.tag or ""),
            local=request.headers.first.get("From") or "",
            remote=response.headers.first.get("To") or "",
            target=target,
            route_set=route_set,
            flow=flow,
            behind_nat=behind_nat,
            local_seq=request.cseq.number,
        )

    def confirm(self, response: Response, request: Request) -> None:
        """The 2xx to our `request` confirms an early dialog: only its way is another (§13.2.2.4)."""
        self.target, self.route_set = _way_of(response, request)

    def make_request(self, method: str, seq: int | None = None) -> Request:
        """A request inside the dialog (§12.2.1.1), without Via and Contact; an ACK gives its `seq`."""
        if seq is None:
            self.local_seq += 1
            seq = self.local_seq
        uri, routes = self._way()
        items = [
            ("Max-Forwards", "70"),
            *[("Route", route) for route in routes],
            ("From", self.local),
            ("To", self.remote),
            ("Call-ID", self.id.call_id),
            ("CSeq", f"{seq} {method}"),
        ]
        # All of it was in messages before: it needs no second look.
        return Request(method, uri, Headers.of_parsed(items, dict(reversed(items))), b"")

    def check_order(self, request: Request) -> None:
        """Refuse a request that is older than the last one (§12.2.2), else remember its number."""
        number = request.cseq.number
        if self.remote_seq is not None and number < self.remote_seq:
            raise PeerError(500, "CSeq Out Of Order")
        self.remote_seq = number

    def refresh_target(self, message: Request | Response, flow: Flow | None = None) -> None:
        """Take over the Contact of a target refresh (§12.2.1.2, §12.2.2); a request also shows the way."""
        self.target = contact_of(message) or self.target
        if flow is not None and isinstance(message, Request):
            self.move(flow, is_behind_nat(message, flow))

    def move(self, flow: Flow, behind_nat: bool) -> None:
        """The peer is reached by another way from now on."""
        self.flow, self.behind_nat, self.is_cut = flow, behind_nat, False

    @property
    def hosts(self) -> frozenset[str]:
        """Those that the peer names in its Contact and on its route."""
        uris = [parse_uri(uri) for uri in (self.target, *map(_uri_of, self.route_set))]
        return frozenset(uri.host.strip("[]") for uri in uris if isinstance(uri, SipUri))

    def hop(self) -> Flow:
        """Where the next request of this dialog goes."""
        uri = next_hop(self.route_set, self.target)
        if self.is_cut and self.flow.accepted and not self.behind_nat:
            return reopened(uri, self.flow)
        return hop_to(uri, self.flow, self.behind_nat)

    def _way(self) -> tuple[str, tuple[str, ...]]:
        if not self.route_set:
            return self.target, ()
        first = _uri_of(self.route_set[0])
        parsed = parse_uri(first)
        if isinstance(parsed, SipUri) and "lr" in parsed.params:
            return self.target, self.route_set
        # A strict router: its URI becomes the Request-URI, the target the last Route (§12.2.1.1).
        return first, (*self.route_set[1:], f"<{self.target}>")


def contact_of(message: Request | Response) -> str | None:
    """The first Contact's URI as text, None when there is none."""
    contacts: list[NameAddr] = message.contacts
    return contacts[0].uri.render() if contacts else None


def _way_of(response: Response, request: Request) -> tuple[str, tuple[str, ...]]:
    """The remote target and the route set of the dialog that a response to our request opens (§12.1.2)."""
    return contact_of(response) or request.uri, _route_set(response)[::-1]


def _uri_of(route: str) -> str:
    start = route.find("<")
    return route[start + 1 : route.find(">", start)] if start >= 0 else route.partition(";")[0].strip()


def _route_set(message: Request | Response) -> tuple[str, ...]:
    """The Record-Route values as text, each of them read once, so that no later step fails on one.

    Raises:
        MalformedMessageError: one is no address.
    """
    if "Record-Route" not in message.headers.first:
        return ()
    _ = message.record_routes
    return tuple(message.headers.values("Record-Route"))


def _tagged(value: str, tag: str) -> str:
    return value if ";tag=" in value else f"{value};tag={tag}"
