"""Netlink messages and their attributes (linux/netlink.h, linux/netfilter/nfnetlink.h). Pure.

Headers are in the byte order of the machine; what netfilter puts into attributes is in network order.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from struct import error as StructError  # noqa: N812
from typing import Final

from pbx.errors import MediaError

ERROR: Final = 2  # NLMSG_ERROR: an acknowledgement when its code is 0
DONE: Final = 3  # NLMSG_DONE: the end of a dump
REQUEST, ACK, DUMP, EXCLUSIVE, CREATE = 0x1, 0x4, 0x300, 0x200, 0x400

_HEADER: Final = Struct("=IHHII")  # length, type, flags, sequence number, port
_FAMILY: Final = Struct("!BBH")  # address family, version, resource
_ATTRIBUTE: Final = Struct("=HH")  # length, type
_CODE: Final = Struct("=i")
NESTED: Final = 0x8000
_KIND: Final = 0x3FFF


@dataclass(frozen=True, slots=True)
class Message:
    """One message; `body` begins after the netfilter header, but for ERROR and DONE, which have none."""

    kind: int
    sequence: int
    body: bytes

    @property
    def code(self) -> int:
        """Of ERROR and DONE: the errno, 0 = all is well."""
        return -int(_CODE.unpack_from(self.body)[0]) if len(self.body) >= _CODE.size else 0


def pack(
    kind: int, flags: int, sequence: int, body: bytes = b"", *, family: int = 0, resource: int = 0
) -> bytes:
    """One request to netfilter."""
    size = _HEADER.size + _FAMILY.size + len(body)
    return _HEADER.pack(size, kind, flags | REQUEST, sequence, 0) + _FAMILY.pack(family, 0, resource) + body


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, filled up to a multiple of four bytes."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def nest(kind: int, *attributes: bytes) -> bytes:
    """An attribute that is made of attributes."""
    return attribute(kind | NESTED, b"".join(attributes))


def number(kind: int, value: int) -> bytes:
    """An attribute of 32 bits."""
    return attribute(kind, value.to_bytes(4, "big"))


def unpack(data: bytes) -> Iterator[Message]:
    """The messages of one read.

    Raises:
        MediaError: it is not netlink.
    """
    at = 0
    while at < len(data):
        try:
            size, kind, _, sequence, _ = _HEADER.unpack_from(data, at)
        except StructError:
            raise MediaError(f"a netlink header of {len(data) - at} bytes") from None
        if not _HEADER.size <= size <= len(data) - at:
            raise MediaError(f"a netlink message of {size} bytes in {len(data) - at}")
        begin = _HEADER.size if kind in {ERROR, DONE} else _HEADER.size + _FAMILY.size
        yield Message(kind, sequence, data[at + begin : at + size])
        at += size + -size % 4


def attributes(data: bytes) -> dict[int, bytes]:
    """The attributes by type; of one that comes twice the last.

    Raises:
        MediaError: they do not fill `data`.
    """
    found: dict[int, bytes] = {}
    at, end, unpack_from = 0, len(data), _ATTRIBUTE.unpack_from
    while end - at >= 4:
        size, kind = unpack_from(data, at)
        if not 4 <= size <= end - at:
            raise MediaError(f"a netlink attribute of {size} bytes in {end - at}")
        found[kind & _KIND] = data[at + 4 : at + size]
        at += (size + 3) & ~3
    return found
