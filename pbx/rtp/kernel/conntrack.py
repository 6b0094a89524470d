"""Requests to connection tracking, and what it answers (linux/netfilter/nfnetlink_conntrack.h). Pure.

A joined call is one entry: what X sends to our port A goes on to Y as from our port B, and back.
"""

import socket
from dataclasses import dataclass
from struct import Struct
from struct import error as StructError  # noqa: N812
from typing import Final, TypeAlias

from pbx.errors import MediaError
from pbx.rtp.kernel.netlink import ACK, CREATE, DUMP, EXCLUSIVE, NESTED, attributes, number, pack

Address: TypeAlias = tuple[str, int]

_SUBSYSTEM: Final = 1 << 8
NEW, GET, DELETE = _SUBSYSTEM | 0, _SUBSYSTEM | 1, _SUBSYSTEM | 2

_ORIGINAL, _REPLY, _STATUS, _NAT_SOURCE, _TIMEOUT, _MARK = 1, 2, 3, 6, 7, 8
_COUNTERS_ORIGINAL, _COUNTERS_REPLY = 9, 10
_ID, _NAT_TARGET, _MARK_MASK = 12, 13, 21
_IP, _PROTO = 1, 2  # of a tuple
_PROTOCOL, _SOURCE_PORT, _TARGET_PORT = 1, 2, 3
_NAT_PORTS: Final = 3

UDP: Final = 17
# SEEN_REPLY and ASSURED: refreshed as a stream by each packet, and not the one to go when the table is full.
_ESTABLISHED: Final = 0x2 | 0x4 | 0x8
_NUMBER, _LONG, _SHORT = Struct("!I"), Struct("!Q"), Struct("!H")


@dataclass(frozen=True, slots=True)
class Flow:
    """Where a packet comes from and goes to."""

    source: Address
    target: Address

    @property
    def back(self) -> "Flow":
        """The answer's way."""
        return Flow(self.target, self.source)


@dataclass(frozen=True, slots=True)
class Traffic:
    """What went one way; octets of whole IP packets."""

    packets: int
    octets: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry, as far as it says something to us.

    Attributes:
        original, reply: what it takes, each as it comes in; None: no UDP.
        sent, answered: the traffic of the two; None: the kernel does not count.
    """

    id: int
    mark: int
    original: Flow | None
    reply: Flow | None
    sent: Traffic | None
    answered: Traffic | None


def pack_join(sequence: int, flow: Flow, onward: Flow, mark: int, timeout_s: int) -> bytes:
    """A new entry: what comes as `flow` goes out as `onward`, and answers to that the opposite way."""
    layout = _layout(flow)
    body = b"".join(
        (
            layout.tuple(_ORIGINAL, flow),
            layout.tuple(_REPLY, flow.back),  # of the plain flow: the kernel rewrites it by the next two
            layout.translation(_NAT_SOURCE, onward.source),
            layout.translation(_NAT_TARGET, onward.target),
            number(_TIMEOUT, timeout_s),
            number(_STATUS, _ESTABLISHED),
            number(_MARK, mark),
        )
    )
    return pack(NEW, ACK | CREATE | EXCLUSIVE, sequence, body, family=layout.family)


def pack_delete(sequence: int, flow: Flow, entry_id: int | None = None) -> bytes:
    """Remove the entry that takes `flow`, in either direction; only the one with `entry_id`, if given.

    Only failure is answered.
    """
    layout = _layout(flow)
    body = layout.tuple(_ORIGINAL, flow)
    if entry_id is not None:
        body += number(_ID, entry_id)
    return pack(DELETE, 0, sequence, body, family=layout.family)


def pack_get(sequence: int, flow: Flow) -> bytes:
    """Ask for the entry that takes `flow`; the answer is the entry, or failure."""
    layout = _layout(flow)
    return pack(GET, 0, sequence, layout.tuple(_ORIGINAL, flow), family=layout.family)


def pack_dump(sequence: int, mark: int, mask: int) -> bytes:
    """Ask for all entries whose mark is `mark` in the bits of `mask`."""
    return pack(GET, DUMP, sequence, number(_MARK, mark) + number(_MARK_MASK, mask))


def unpack_entry(body: bytes) -> Entry:
    """An entry from the body of a message.

    Raises:
        MediaError: it is none.
    """
    found = attributes(body)
    try:
        return Entry(
            id=_NUMBER.unpack(found[_ID])[0],
            mark=_NUMBER.unpack(found[_MARK])[0] if _MARK in found else 0,
            original=_flow(found[_ORIGINAL]),
            reply=_flow(found[_REPLY]),
            sent=_traffic(found.get(_COUNTERS_ORIGINAL)),
            answered=_traffic(found.get(_COUNTERS_REPLY)),
        )
    except (StructError, KeyError, ValueError) as error:
        raise MediaError(f"not a conntrack entry: {error!r}") from error


def unpack_traffic(body: bytes) -> tuple[int, Traffic | None, Traffic | None]:
    """The mark and what went each way; the rest of an entry takes longer to read.

    Raises:
        MediaError: it is no entry.
    """
    found = attributes(body)
    try:
        mark = _NUMBER.unpack(found[_MARK])[0] if _MARK in found else 0
        return mark, _traffic(found.get(_COUNTERS_ORIGINAL)), _traffic(found.get(_COUNTERS_REPLY))
    except (StructError, KeyError) as error:
        raise MediaError(f"not a conntrack entry: {error!r}") from error


class _Layout:
    """How addresses of one family lie in a message: always alike, so each part is packed at one stroke."""

    def __init__(self, family: int, size: int, hosts: tuple[int, int], nat_hosts: tuple[int, int]) -> None:
        host = f"HH{size}s"
        self.family, self.hosts = family, hosts
        self._tuple = Struct(f"=HHHH{host}{host}HHHHB3xHH2s2xHH2s2x")
        self._translation = Struct(f"=HH{host}{host}HHHH2s2xHH2s2x")
        self._host = 4 + size
        self._nat_hosts = nat_hosts

    def tuple(self, kind: int, flow: Flow) -> bytes:
        """{IP {source, target}, PROTO {UDP, source port, target port}}"""
        (source, source_port), (target, target_port) = flow.source, flow.target
        pton, family, host = socket.inet_pton, self.family, self._host
        from_kind, to_kind = self.hosts
        # fmt: off
        return self._tuple.pack(
            self._tuple.size, kind | NESTED,
            4 + 2 * host, _IP | NESTED,
            host, from_kind, pton(family, source),
            host, to_kind, pton(family, target),
            28, _PROTO | NESTED,
            5, _PROTOCOL, UDP,
            6, _SOURCE_PORT, source_port.to_bytes(2, "big"),
            6, _TARGET_PORT, target_port.to_bytes(2, "big"),
        )
        # fmt: on

    def translation(self, kind: int, address: Address) -> bytes:
        """{least host, greatest host, PROTO {least port, greatest port}}, both the same"""
        packed, port, host = (
            socket.inet_pton(self.family, address[0]),
            address[1].to_bytes(2, "big"),
            self._host,
        )
        least, greatest = self._nat_hosts
        # fmt: off
        return self._translation.pack(
            self._translation.size, kind | NESTED,
            host, least, packed,
            host, greatest, packed,
            20, _NAT_PORTS | NESTED,
            6, 1, port,
            6, 2, port,
        )
        # fmt: on


_IPV4: Final = _Layout(socket.AF_INET, 4, hosts=(1, 2), nat_hosts=(1, 2))
_IPV6: Final = _Layout(socket.AF_INET6, 16, hosts=(3, 4), nat_hosts=(4, 5))


def _layout(flow: Flow) -> _Layout:
    return _IPV6 if ":" in flow.source[0] else _IPV4


def _flow(data: bytes) -> Flow | None:
    found = attributes(data)
    hosts, proto = attributes(found[_IP]), attributes(found[_PROTO])
    if proto[_PROTOCOL] != bytes([UDP]):
        return None
    layout = _IPV4 if _IPV4.hosts[0] in hosts else _IPV6
    source, target = (socket.inet_ntop(layout.family, hosts[kind]) for kind in layout.hosts)
    source_port, target_port = (_SHORT.unpack(proto[kind])[0] for kind in (_SOURCE_PORT, _TARGET_PORT))
    return Flow((source, source_port), (target, target_port))


def _traffic(data: bytes | None) -> Traffic | None:
    if data is None:
        return None
    found = attributes(data)
    return Traffic(_LONG.unpack(found[1])[0], _LONG.unpack(found[2])[0])
