"""Capture files, read again by the layouts of the RFCs."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.app.pcap import checksum, make_pcap

V4 = {"local": "192.0.2.1:5060", "peer": "192.0.2.9:5062"}
V6 = {"local": "[2001:db8::1]:5060", "peer": "[2001:db8::9]:5062"}


def message(
    text: str, *, is_sent: bool = False, at: float = 1_700_000_000.25, where=None
) -> dict[str, object]:
    return {"text": text, "is_sent": is_sent, "at": at, "transport": "UDP", "leg": "A", **(where or V4)}


def packets(data: bytes) -> list[tuple[float, bytes]]:
    """Time and octets of each (draft-ietf-opsawg-pcap §4, §5)."""
    assert struct.unpack_from("<IHHiIII", data) == (0xA1B2C3D4, 2, 4, 0, 0, 65_535, 101)
    at, found = 24, []
    while at < len(data):
        seconds, micros, kept, length = struct.unpack_from("<IIII", data, at)
        assert kept == length
        found.append((seconds + micros / 1e6, data[at + 16 : at + 16 + kept]))
        at += 16 + kept
    assert at == len(data)
    return found


def unpack(packet: bytes) -> tuple[bytes, int, bytes, int, bytes]:
    """Source, its port, target, its port, payload; every length and checksum is right."""
    if packet[0] >> 4 == 4:
        assert packet[0] == 0x45  # RFC 791: no options
        assert struct.unpack_from("!H", packet, 2) == (len(packet),)
        assert checksum(packet[:20]) == 0
        assert packet[9] == 17
        source, target, rest = packet[12:16], packet[16:20], packet[20:]
    else:
        assert packet[0] >> 4 == 6  # RFC 8200 §3
        assert struct.unpack_from("!HB", packet, 4) == (len(packet) - 40, 17)
        source, target, rest = packet[8:24], packet[24:40], packet[40:]
    from_port, to_port, length, summed = struct.unpack_from("!HHHH", rest)
    assert length == len(rest)
    assert summed != 0
    assert checksum(source + target + struct.pack("!IHBB", length, 0, 0, 17) + rest) == 0
    return source, from_port, target, to_port, rest[8:]


def test_a_message_that_came_and_one_that_went():
    made = b"".join(
        make_pcap([message("INVITE"), message("SIP/2.0 200 OK", is_sent=True, at=1_700_000_001.0)])
    )
    (first_at, first), (second_at, second) = packets(made)
    assert (first_at, second_at) == (1_700_000_000.25, 1_700_000_001.0)
    peer, local = bytes([192, 0, 2, 9]), bytes([192, 0, 2, 1])
    assert unpack(first) == (peer, 5062, local, 5060, b"INVITE")
    assert unpack(second) == (local, 5060, peer, 5062, b"SIP/2.0 200 OK")


def test_ipv6():
    [(_, packet)] = packets(b"".join(make_pcap([message("BYE", where=V6)])))
    source, port, _, _, payload = unpack(packet)
    assert (source[-1], port, payload) == (9, 5062, b"BYE")


@pytest.mark.parametrize("where", [V4, V6])
def test_what_is_too_long_for_a_datagram_is_cut(where):
    [(_, packet)] = packets(b"".join(make_pcap([message("x" * 70_000, where=where)])))
    assert len(unpack(packet)[4]) == 65_535 - 48


@given(st.text(max_size=300), st.booleans(), st.sampled_from([V4, V6]))
def test_any_text(text, is_sent, where):
    made = b"".join(make_pcap([message(text, is_sent=is_sent, where=where)]))
    [(_, packet)] = packets(made)
    assert unpack(packet)[4] == text.encode()


def test_the_checksum_of_rfc_1071():
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2
