"""Traced SIP messages as a capture file that Wireshark reads (libpcap 2.4), each in a UDP packet of its own.

Whatever they came by: the text of a message is what matters, and UDP needs no stream put together.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final
from urllib.parse import urlsplit

MAGIC: Final = 0xA1B2C3D4  # timestamps in microseconds
LINKTYPE_RAW: Final = 101  # begins with an IPv4 or IPv6 header
LONGEST: Final = 65_535
UDP: Final = 17
HOPS: Final = 64


def make_pcap(messages: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """The parts of the file: its header, then each message, a row of store.Traces."""
    yield struct.pack("<IHHiIII", MAGIC, 2, 4, 0, 0, LONGEST, LINKTYPE_RAW)
    for message in messages:
        local, peer = _address(message["local"]), _address(message["peer"])
        source, target = (local, peer) if message["is_sent"] else (peer, local)
        packet = make_packet(source, target, message["text"].encode())
        seconds, micros = divmod(round(message["at"] * 1_000_000), 1_000_000)
        yield struct.pack("<IIII", seconds, micros, len(packet), len(packet)) + packet


Address = tuple[IPv4Address | IPv6Address, int]


def make_packet(source: Address, target: Address, payload: bytes) -> bytes:
    """An IP packet with a UDP datagram (RFC 768) in it; a payload that is too long for one is cut."""
    (from_ip, from_port), (to_ip, to_port) = source, target
    payload = payload[: LONGEST - 48]
    length = 8 + len(payload)
    head = struct.pack("!HHHH", from_port, to_port, length, 0)
    # RFC 768, RFC 8200 §8.1: the pseudo header; 0 would mean that there is no checksum.
    pseudo = from_ip.packed + to_ip.packed + struct.pack("!IHBB", length, 0, 0, UDP)
    summed = checksum(pseudo + head + payload) or 0xFFFF
    datagram = head[:6] + struct.pack("!H", summed) + payload
    if isinstance(from_ip, IPv4Address):
        return _ipv4_header(from_ip.packed, to_ip.packed, length) + datagram
    return struct.pack("!IHBB", 6 << 28, length, UDP, HOPS) + from_ip.packed + to_ip.packed + datagram


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return int(~total & 0xFFFF)


def _ipv4_header(source: bytes, target: bytes, length: int) -> bytes:
    """RFC 791 §3.1, without options."""
    fields = [0x45, 0, 20 + length, 0, 0, HOPS, UDP, 0, source, target]
    header = struct.pack("!BBHHHBBH4s4s", *fields)
    fields[7] = checksum(header)
    return struct.pack("!BBHHHBBH4s4s", *fields)


def _address(text: str) -> Address:
    parts = urlsplit(f"//{text}")
    return ip_address(parts.hostname or ""), parts.port or 0
