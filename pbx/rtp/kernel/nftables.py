"""The table of ours in nf_tables (linux/netfilter/nf_tables.h). Pure.

    table inet NAME {
        flags owner
        chain prerouting  { type nat hook prerouting priority -100 }
        chain output      { type nat hook output priority -100 }
        chain input       { type nat hook input priority 100 }
        chain postrouting { type nat hook postrouting priority 100 }
        chain leaving     { type filter hook postrouting priority 300; (rules below) }
        chain arriving    { type filter hook input priority 300; (rules below) }
        chain keys-far    { type filter hook prerouting priority -150; (the last rule below) }
        chain keys-near   { type filter hook output priority -150; (the last rule below) }
    }

    ct mark & (MASK | 1) == MARK ct direction original ct mark set ct mark | 1
    ct mark & (MASK | 2) == MARK ct direction reply    ct mark set ct mark | 2
    ct mark & MASK == MARK meta l4proto udp udp length 24 limit rate 500/second log group GROUP snaplen 96

The NAT chains are empty: that they exist makes the kernel rewrite the packets of our entries. The rules do
two things: a `ct` expression makes the kernel track connections at all; and the bits they set say that
packets of an entry of ours, each way, got through all other rules of this machine and out, or to a socket.
The last one shows us the keys that are pressed in calls that pass through the kernel: no other RTP packet has
a payload of four bytes.

The kernel removes a table with an owner when the owner's socket closes, whatever the owner died of, and lets
nobody else change it.
"""

import sys
from typing import Final

from pbx.rtp.kernel.netlink import ACK, CREATE, DUMP, EXCLUSIVE, attribute, attributes, nest, number, pack

_SUBSYSTEM: Final = 10
_BEGIN, _END = 0x10, 0x11
NEW_TABLE, GET_TABLE, DELETE_TABLE, NEW_CHAIN, NEW_RULE = (_SUBSYSTEM << 8 | kind for kind in (0, 1, 2, 3, 6))
_INET: Final = 1
_OWNER: Final = 2
_ACCEPT: Final = 1
_PREROUTING, _INPUT, _OUTPUT, _POSTROUTING = 0, 1, 3, 4
_CHAINS: Final = (
    ("prerouting", "nat", _PREROUTING, -100),
    ("output", "nat", _OUTPUT, -100),
    ("input", "nat", _INPUT, 100),
    ("postrouting", "nat", _POSTROUTING, 100),
    ("leaving", "filter", _POSTROUTING, 300),
    ("arriving", "filter", _INPUT, 300),
)
_KEYS: Final = (("keys-far", "filter", _PREROUTING, -150), ("keys-near", "filter", _OUTPUT, -150))
_WATCHING: Final = ("leaving", "arriving")
_REGISTER: Final = 1
_DIRECTION, _CT_MARK = 1, 3  # what a ct expression reads
_L4PROTO, _UDP, _TRANSPORT = 16, 17, 2
EVENT_BYTES: Final = 8 + 12 + 4  # UDP header, RTP header, an event (RFC 4733 §2.3)
KEYS_A_SECOND: Final = 500  # packets; a key pressed is some ten
SNAP_BYTES: Final = 96  # IPv6 header and EVENT_BYTES, and some
_ALL: Final = 0xFFFF_FFFF
PASSED: Final = (1, 2)  # the bits of a mark that say: a packet came through, original and reply


def pack_table(name: str, mark: int, mask: int, group: int | None = None) -> bytes:
    """Make the table, in one transaction.

    Args:
        mark, mask: of our entries; both without the bits of PASSED.
        group: which keys are logged to; None: they are not.
    """
    keys = _KEYS if group is not None else ()
    requests = [
        (NEW_TABLE, EXCLUSIVE, _text(1, name) + number(2, _OWNER)),
        *((NEW_CHAIN, 0, _chain(name, *chain)) for chain in (*_CHAINS, *keys)),
        *(
            (NEW_RULE, 0x800, _rule(name, chain, mark, mask, direction, bit))  # appended
            for chain in _WATCHING
            for direction, bit in enumerate(PASSED)
        ),
        *((NEW_RULE, 0x800, _keys(name, chain[0], mark, mask, group or 0)) for chain in keys),
    ]
    return _batch(requests)


def pack_delete_table(name: str) -> bytes:
    """Remove the table and all that is in it."""
    return _batch([(DELETE_TABLE, 0, _text(1, name))])


def pack_list_tables() -> bytes:
    """Ask for all tables."""
    return pack(GET_TABLE, DUMP, 1, family=0)


def unpack_table_name(body: bytes) -> str:
    """The name of a table that was asked for."""
    return attributes(body).get(1, b"").rstrip(b"\0").decode("utf-8", "replace")


def _batch(requests: list[tuple[int, int, bytes]]) -> bytes:
    """Requests that are carried out all or none, numbered from 1; each is acknowledged."""
    packed = [pack(_BEGIN, 0, 0, resource=_SUBSYSTEM)]
    for sequence, (kind, flags, body) in enumerate(requests, 1):
        create = 0 if kind == DELETE_TABLE else CREATE
        packed.append(pack(kind, flags | create | ACK, sequence, body, family=_INET))
    packed.append(pack(_END, 0, len(requests) + 1, resource=_SUBSYSTEM))
    return b"".join(packed)


def _chain(table: str, name: str, kind: str, hook: int, priority: int) -> bytes:
    return b"".join(
        (
            _text(1, table),
            _text(3, name),
            nest(4, number(1, hook), number(2, priority & _ALL)),
            number(5, _ACCEPT),
            _text(7, kind),
        )
    )


def _rule(table: str, chain: str, mark: int, mask: int, direction: int, bit: int) -> bytes:
    expressions = (
        _read(_CT_MARK),
        _bitwise(mask | bit, 0),
        _is_equal(_native(mark)),
        _read(_DIRECTION),
        _is_equal(bytes([direction])),
        _read(_CT_MARK),
        _bitwise(_ALL & ~bit, bit),
        _expression("ct", number(2, _CT_MARK), number(4, _REGISTER)),
    )
    return _text(1, table) + _text(2, chain) + nest(4, *expressions)


def _keys(table: str, chain: str, mark: int, mask: int, group: int) -> bytes:
    expressions = (
        _read(_CT_MARK),
        _bitwise(mask, 0),
        _is_equal(_native(mark)),
        _expression("meta", number(1, _REGISTER), number(2, _L4PROTO)),
        _is_equal(bytes([_UDP])),
        _expression("payload", number(1, _REGISTER), number(2, _TRANSPORT), number(3, 4), number(4, 2)),
        _is_equal(EVENT_BYTES.to_bytes(2, "big")),
        _expression("limit", _long(1, KEYS_A_SECOND), _long(2, 1), number(3, KEYS_A_SECOND), number(4, 0)),
        _expression("log", attribute(1, group.to_bytes(2, "big")), number(3, SNAP_BYTES)),
    )
    return _text(1, table) + _text(2, chain) + nest(4, *expressions)


def _long(kind: int, value: int) -> bytes:
    return attribute(kind, value.to_bytes(8, "big"))


def _read(what: int) -> bytes:
    return _expression("ct", number(1, _REGISTER), number(2, what))


def _bitwise(mask: int, toggle: int) -> bytes:
    """The register: those of its bits that `mask` has, with `toggle` over them."""
    return _expression(
        "bitwise",
        number(1, _REGISTER),
        number(2, _REGISTER),
        number(3, 4),
        nest(4, attribute(1, _native(mask))),
        nest(5, attribute(1, _native(toggle))),
    )


def _is_equal(value: bytes) -> bytes:
    return _expression("cmp", number(1, _REGISTER), number(2, 0), nest(3, attribute(1, value)))


def _expression(name: str, *data: bytes) -> bytes:
    return nest(1, _text(1, name), nest(2, *data))


def _text(kind: int, text: str) -> bytes:
    return attribute(kind, text.encode() + b"\0")


def _native(value: int) -> bytes:
    """As marks lie in registers."""
    return value.to_bytes(4, sys.byteorder)
