"""The addresses of this machine: which are ours, which one a peer is reached from, which one it is told."""

import socket
import struct
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from pbx.sip.flow import Flow

IpAddress = IPv4Address | IPv6Address
IpNetwork = IPv4Network | IPv6Network

ANY: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104
REFRESH_S: Final = 5.0
ANY_PORT: Final = 5060  # to ask for a route with
SOURCES: Final = 1024

# rtnetlink(7): a dump of all addresses, as `ip addr` asks for it.
_RTM_NEWADDR, _RTM_GETADDR, _NLMSG_ERROR, _NLMSG_DONE = 20, 22, 2, 3
_NLM_F_REQUEST_DUMP: Final = 0x301
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_NLMSGHDR: Final = struct.Struct("=IHHII")
_IFADDRMSG: Final = struct.Struct("=BBBBI")
_RTATTR: Final = struct.Struct("=HH")


def parse_ip(host: str) -> IpAddress | None:
    """The address that `host` spells, or None for a name.

    Brackets and a scope are dropped, and an IPv4 address in an IPv6 dress (::ffff:192.0.2.1) is undressed.
    """
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def read_addresses() -> frozenset[IpAddress]:
    """Every address that an interface of this machine has now, asked of the kernel (rtnetlink)."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
            netlink.settimeout(1.0)
            body = _IFADDRMSG.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
            size = _NLMSGHDR.size + len(body)
            netlink.send(_NLMSGHDR.pack(size, _RTM_GETADDR, _NLM_F_REQUEST_DUMP, 1, 0) + body)
            return frozenset(_read_dump(netlink.recv))
    except (OSError, AttributeError):  # no netlink on this system
        return frozenset(_guess_addresses())


def _read_dump(receive: Callable[[int], bytes]) -> Iterable[IpAddress]:
    while True:
        data = receive(65536)
        if not data:
            return
        while len(data) >= _NLMSGHDR.size:
            size, kind, _, _, _ = _NLMSGHDR.unpack_from(data)
            if kind in (_NLMSG_DONE, _NLMSG_ERROR) or size < _NLMSGHDR.size:
                return
            if kind == _RTM_NEWADDR:
                yield from _unpack_address(data[_NLMSGHDR.size : size])
            data = data[(size + 3) & ~3 :]


def _unpack_address(body: bytes) -> Iterable[IpAddress]:
    """Our own end of one ifaddrmsg; on a point-to-point link IFA_ADDRESS is the far end."""
    found: dict[int, IpAddress] = {}
    body = body[_IFADDRMSG.size :]
    while len(body) >= _RTATTR.size:
        size, kind = _RTATTR.unpack_from(body)
        if size < _RTATTR.size:
            break
        value = body[_RTATTR.size : size]
        if kind in (_IFA_ADDRESS, _IFA_LOCAL) and len(value) in (4, 16):
            found[kind] = ip_address(value)
        body = body[(size + 3) & ~3 :]
    address = found.get(_IFA_LOCAL, found.get(_IFA_ADDRESS))
    return () if address is None else (address,)


def _guess_addresses() -> Iterable[IpAddress]:
    probes: Sequence[str] = ("192.0.2.1", "2001:db8::1")
    guesses = [source for probe in probes if (source := route_source(probe))]
    with suppress(OSError):  # the host's own name may be in no table
        guesses += [str(info[4][0]) for info in socket.getaddrinfo(socket.gethostname(), None)]
    return [address for guess in guesses if (address := parse_ip(guess))]


def route_source(peer: str) -> str | None:
    """The local address that the kernel would send from to `peer`; connecting a UDP socket sends nothing."""
    family = socket.AF_INET6 if ":" in peer else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((peer, ANY_PORT))
            return str(probe.getsockname()[0])
    except OSError:
        return None


def is_for_phones(address: str) -> bool:
    """Whether phones on other machines can be told it: no name, not loopback, not of one link alone."""
    ip = parse_ip(address)
    return ip is not None and not ip.is_loopback and not ip.is_link_local


def reached_by(listening: Sequence[str], addresses: Sequence[str]) -> list[str]:
    """The hosts that lead to sockets bound to `listening`, on a machine with `addresses`."""
    wild = {":" in host for host in listening if host in ANY}
    found = [host for host in dict.fromkeys(listening) if host not in ANY]
    return found + [host for host in addresses if (":" in host) in wild and host not in found]


def why_unreached(listening: Sequence[str], addresses: Sequence[str], port: int) -> str:
    """Why no phone elsewhere reaches sockets bound to the wildcards of `listening`, in words."""
    if {":" in host for host in listening if host in ANY} == {False, True}:
        return "this machine has no address"
    family, other = (6, "0.0.0.0") if any(":" in host for host in listening) else (4, "[::]")  # noqa: S104
    why = f"this machine has no IPv{family} address"
    if any(is_for_phones(address) for address in addresses):
        why += f"; listen on {other}:{port} too (udp under [sip] in pbx.toml)"
    return why


class LocalAddresses:
    """What this machine's addresses are; looked up again every few seconds, since interfaces come and go.

    Args:
        clock: monotonic seconds.
        known_as: further addresses or names that are this server's (the advertised one, say).
        read, route: how the system is asked; tests hand in their own.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        known_as: Iterable[str] = (),
        read: Callable[[], frozenset[IpAddress]] = read_addresses,
        route: Callable[[str], str | None] = route_source,
    ) -> None:
        self._clock, self._read, self._route = clock, read, route
        self._known_as = frozenset(_plain(name) for name in known_as if name)
        self._addresses: frozenset[IpAddress] = frozenset()
        self._answers: dict[str, bool] = {}
        self._sources: dict[str, str | None] = {}
        self._fresh_until = float("-inf")

    def all(self) -> tuple[str, ...]:
        """Every address of this machine, loopback last, IPv4 before IPv6."""
        self._refresh()
        order = sorted(self._addresses, key=lambda a: (a.is_loopback, a.is_link_local, a.version, int(a)))
        return tuple(str(address) for address in order)

    def is_local_host(self, host: str) -> bool:
        """Whether `host`, a name or an address with or without brackets, is this machine."""
        self._refresh()
        if (answer := self._answers.get(host)) is None:
            answer = self._decide(host)
            if len(self._answers) < SOURCES:
                self._answers[host] = answer
        return answer

    def source_for(self, peer: str) -> str | None:
        """The address that this machine sends from towards `peer`, or None when there is no route."""
        self._refresh()
        if peer in self._sources:
            return self._sources[peer]
        source = self._route(peer)
        if len(self._sources) < SOURCES:
            self._sources[peer] = source
        return source

    def _decide(self, host: str) -> bool:
        if (address := parse_ip(host)) is None:
            name = _plain(host)
            return name == "localhost" or name in self._known_as
        return address.is_loopback or address in self._addresses or str(address) in self._known_as

    def _refresh(self) -> None:
        now = self._clock()
        if now >= self._fresh_until:
            self._fresh_until = now + REFRESH_S
            self._addresses = self._read()
            self._answers.clear()
            self._sources.clear()


def _plain(host: str) -> str:
    address = parse_ip(host)
    return host.lower().rstrip(".") if address is None else str(address)


class Advertiser:
    """Which address of ours a peer is told in Contact, Via and SDP.

    The one the flow uses, unless the peer is outside the local networks and another address is configured
    for those outside (a server behind NAT).
    """

    def __init__(self, advertise: str, local_networks: Iterable[str], addresses: LocalAddresses) -> None:
        self._outside = None if advertise == "auto" else parse_ip(advertise)
        self.is_plain = self._outside is None  # each flow's own address is told
        self._networks: tuple[IpNetwork, ...] = tuple(
            ip_network(text, strict=False) for text in local_networks
        )
        self._addresses = addresses

    def advertised(self, flow: Flow) -> str:
        """The literal address (IPv6 without brackets) for the peer of `flow`."""
        outside = self._outside
        if outside is None or self.is_inside(flow.peer[0]):
            return flow.local[0]
        # An address of the other family would be no use to the peer.
        return str(outside) if (":" in flow.peer[0]) == (outside.version == 6) else flow.local[0]

    def is_inside(self, host: str) -> bool:
        """Whether `host` is in the local networks, or this machine itself, or on the same link."""
        if (address := parse_ip(host)) is None:
            return False
        if address.is_link_local or self._addresses.is_local_host(host):
            return True
        return any(address in network for network in self._networks)
