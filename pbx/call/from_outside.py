"""A request from a carrier: which trunk or gateway sends it, which number is called, and who calls.

The rules are in docs/decisions/trunks.md.
"""

from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

from pbx.call.identity import ANONYMOUS_HOST, wants_privacy
from pbx.call.outside import format_number
from pbx.call.party import Kind
from pbx.errors import PeerError
from pbx.immutable import immutable
from pbx.office.gateway import Gateway
from pbx.office.snapshot import Office
from pbx.office.trunk import Trunk
from pbx.sip.fields import NameAddr, parse_name_addrs
from pbx.sip.flow import Flow
from pbx.sip.message import Request
from pbx.sip.uri import OpaqueUri, SipUri, host_of, user_of

NOBODY: Final = frozenset({"anonymous", "restricted", "unavailable", "unknown", "private", ""})
LONGEST: Final = 64  # a number or a name that somebody outside gives himself

Peer = tuple[str, int]  # address literal and port


@immutable
class TrunkSender:
    """The trunk or gateway that a request comes from."""

    to: Trunk | Gateway

    @property
    def name(self) -> str:
        return self.to.name

    @property
    def is_gateway(self) -> bool:
        return isinstance(self.to, Gateway)

    @property
    def kind(self) -> Kind:
        return "gateway" if self.is_gateway else "trunk"


@immutable
class Calling:
    """Who calls from outside.

    Attributes:
        number: as the carrier writes it, "" when it does not say.
        is_private: it is not to be shown.
    """

    number: str
    name: str = ""
    is_private: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """Where a trunk or gateway may send from: the places of its server, and the addresses it lists."""

    to: Trunk | Gateway
    servers: Set[Peer]
    networks: Sequence[IPv4Network | IPv6Network] = ()

    def has(self, peer: Peer) -> bool:
        """Whether this place is its server's, or one that it lists; on loopback ports tell programs apart."""
        address = peer[0]
        if peer in self.servers:
            return True
        return not _parsed(address).is_loopback and (self._is_server(address) or self._is_listed(address))

    def rank(self, flow: Flow, *, is_device: bool, is_shared: bool) -> int:
        """How surely a request that came by `flow` is from here: 0 = it is not, 3 = without a doubt.

        Args:
            is_device: it claims to come from a device of ours.
            is_shared: a phone is registered from the same address.
        """
        address = flow.peer[0]
        # All is looked at, whoever it claims to be: how long that takes tells nobody which devices there are.
        is_listed, is_server = self._is_listed(address), self._is_server(address)
        if flow.peer in self.servers:
            return 3
        if is_device:
            return 0
        if is_listed:
            return 2
        return 1 if is_server and not is_shared else 0

    def _is_listed(self, address: str) -> bool:
        return bool(self.networks) and any(_parsed(address) in network for network in self.networks)

    def _is_server(self, address: str) -> bool:
        return any(address == server for server, _ in self.servers)


_parsed: Final = lru_cache(1024)(ip_address)


def networks_of(to: Trunk | Gateway) -> Sequence[IPv4Network | IPv6Network]:
    """What a trunk lists: addresses and networks."""
    return () if isinstance(to, Gateway) else [ip_network(each) for each in to.addresses]


def recognise(
    request: Request,
    flow: Flow,
    sources: Iterable[Source],
    office: Office,
    is_ours: Callable[[str], bool],
    is_shared: Callable[[str], bool],
) -> TrunkSender | None:
    """The trunk or gateway that sends a request outside of dialogs; None: whoever it is has to prove it.

    Args:
        is_ours: whether a host is the office's domain or an address of this server.
        is_shared: whether a phone is registered from an address.
    """
    is_device = _claims_device(request, office, is_ours)
    shared = is_shared(flow.peer[0])
    ranked = [(each.rank(flow, is_device=is_device, is_shared=shared), each.to) for each in sources]
    if is_device and not request.headers.first.keys().isdisjoint({"Authorization", "Proxy-Authorization"}):
        return None
    best = max((rank for rank, _ in ranked), default=0)
    found = [to for rank, to in ranked if rank == best]
    if not best:
        return None
    called = {user for value in (request.parsed_uri, request.to.uri) if (user := _number_in(value))}
    named = [to for to in found if to.username and to.username in called]
    fitting = [to for to in found if any(format_number(n.number, to) in called for n in office.numbers)]
    return TrunkSender((named or fitting or found)[0])


def called_number(request: Request, to: Trunk | Gateway) -> list[str]:
    """What may be the number that is called, as the carrier writes it, the likeliest first.

    In the Request-URI many carriers put the account that registered; the number is in To then, or in
    P-Called-Party-ID (RFC 7315 §4.2). A number of digits alone is also tried as one that lacks its "+".
    """
    uris = [request.parsed_uri, request.to.uri]
    uris += [each.uri for each in _name_addrs(request, "P-Called-Party-ID")]
    texts = [text for uri in uris for text in (_number_in(uri), _in_full(uri))]
    found = [text for text in texts if 0 < len(text) <= LONGEST and text != to.username]
    return list(dict.fromkeys([*found, *(f"+{text}" for text in found if text.isascii() and text.isdigit())]))


def calling_number(request: Request) -> Calling:
    """Who calls, of a request from a trunk: by P-Asserted-Identity (RFC 3325 §9.1), else by From."""
    # Of a sip: and a tel: URI (RFC 3325 §9.1) the one that is a number.
    identities = _name_addrs(request, "P-Asserted-Identity")
    asserted = min(identities, key=lambda each: not _in_full(each.uri).lstrip("+").isdigit(), default=None)
    shown = request.from_
    from_ = _in_full(shown.uri)
    is_anonymous = from_.lower() in NOBODY
    number = _in_full(asserted.uri) if asserted is not None else from_
    if number.lower() in NOBODY or len(number) > LONGEST or not number.isprintable():
        return Calling("", "", True)
    name = (asserted.display if asserted is not None else "") or ("" if is_anonymous else shown.display)
    name = "".join(each for each in name if each.isprintable())[:LONGEST]
    return Calling(
        number, "" if name.strip(" +") == number.strip("+") else name, is_anonymous or wants_privacy(request)
    )


# --- inside ------------------------------------------------------------------------------------------------


def _claims_device(request: Request, office: Office, is_ours: Callable[[str], bool]) -> bool:
    """From names a device or an extension of ours, at our domain."""
    uri = request.from_.uri
    if not isinstance(uri, SipUri) or not uri.user or not is_ours(uri.host):
        return False
    return office.device(uri.user) is not None or office.extension(uri.user) is not None


def _number_in(uri: SipUri | OpaqueUri) -> str:
    """The user of a SIP URI, the number of a tel URI, without parameters (RFC 3966 §3); "" for none."""
    return "" if host_of(uri).lower() == ANONYMOUS_HOST else user_of(uri).partition(";")[0]


def _in_full(uri: SipUri | OpaqueUri) -> str:
    """The same, with the first digits of the numbers among which a local one belongs (RFC 3966 §5.1.5)."""
    number, context = _number_in(uri), host_of(uri)
    return context + number if number and context.startswith("+") and number[0] != "+" else number


def _name_addrs(request: Request, name: str) -> list[NameAddr]:
    """The addresses in a header; a carrier that writes it wrong says nothing."""
    lines = request.headers.get_all(name)
    try:
        return parse_name_addrs(lines, name) if lines else []
    except PeerError:
        return []
