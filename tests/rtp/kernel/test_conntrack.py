"""Requests and answers of connection tracking, byte by byte and there and back."""

import socket
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.errors import MediaError
from pbx.rtp.kernel.conntrack import (
    DELETE,
    GET,
    NEW,
    Entry,
    Flow,
    Traffic,
    pack_delete,
    pack_dump,
    pack_get,
    pack_join,
    unpack_entry,
    unpack_traffic,
)
from pbx.rtp.kernel.netlink import attribute, attributes, nest, number, unpack

PORTS = st.integers(0, 0xFFFF)
V4 = st.integers(0, 2**32 - 1).map(lambda n: str(IPv4Address(n)))
V6 = st.binary(min_size=16, max_size=16).map(lambda packed: socket.inet_ntop(socket.AF_INET6, packed))


def flows(hosts):
    addresses = st.tuples(hosts, PORTS)
    return st.builds(Flow, addresses, addresses)


PAIRS = flows(V4).flatmap(lambda one: st.tuples(st.just(one), flows(V4))) | flows(V6).flatmap(
    lambda one: st.tuples(st.just(one), flows(V6))
)
FLOW = Flow(("192.0.2.1", 4000), ("192.0.2.9", 10_000))
ONWARD = Flow(("192.0.2.9", 10_002), ("192.0.2.2", 5000))


def body_of(packed):
    (message,) = unpack(packed)
    return message.kind, message.body


def entry(flow, reply, *more):
    """An entry as the kernel shows it: the tuples as it packs them are ours, too."""
    tuples = attributes(body_of(pack_join(0, flow, reply, 0, 0))[1])
    other = attributes(body_of(pack_get(0, reply))[1])[1]
    return nest(1, tuples[1]) + nest(2, other) + b"".join(more)


def counters(kind, packets, octets):
    return nest(kind, attribute(1, packets.to_bytes(8, "big")), attribute(2, octets.to_bytes(8, "big")))


def test_a_join_says_where_to_and_as_whom():
    kind, body = body_of(pack_join(7, FLOW, ONWARD, 0x50123404, 120))
    found = attributes(body)
    assert kind == NEW
    assert set(found) == {1, 2, 3, 6, 7, 8, 13}
    assert found[7] == (120).to_bytes(4, "big")
    assert found[8] == bytes.fromhex("50123404")
    source, target = attributes(found[6]), attributes(found[13])
    assert source[1] == source[2] == bytes([192, 0, 2, 9])
    assert target[1] == target[2] == bytes([192, 0, 2, 2])
    assert attributes(source[3]) == {1: (10_002).to_bytes(2, "big"), 2: (10_002).to_bytes(2, "big")}
    assert attributes(target[3]) == {1: (5000).to_bytes(2, "big"), 2: (5000).to_bytes(2, "big")}


def test_its_reply_is_the_plain_one_which_the_kernel_rewrites():
    found = attributes(body_of(pack_join(7, FLOW, ONWARD, 1, 1))[1])
    read = unpack_entry(nest(1, found[1]) + nest(2, found[2]) + number(12, 9))
    assert (read.original, read.reply) == (FLOW, FLOW.back)


@given(PAIRS)
def test_flows_come_back(pair):
    flow, reply = pair
    read = unpack_entry(entry(flow, reply, number(12, 77), number(8, 5)))
    assert read == Entry(77, 5, flow, reply, None, None)


def test_traffic_is_read_each_way():
    data = entry(FLOW, ONWARD, number(12, 1), number(8, 9), counters(9, 3, 600), counters(10, 2**40, 5))
    read = unpack_entry(data)
    assert (read.sent, read.answered) == (Traffic(3, 600), Traffic(2**40, 5))
    assert unpack_traffic(data) == (9, Traffic(3, 600), Traffic(2**40, 5))


def test_what_is_no_udp_is_no_flow_of_ours():
    tcp = entry(FLOW, ONWARD, number(12, 1)).replace(b"\x05\x00\x01\x00\x11", b"\x05\x00\x01\x00\x06")
    read = unpack_entry(tcp)
    assert (read.original, read.reply) == (None, None)


def test_deleting_names_the_one_entry_when_it_is_known():
    kind, body = body_of(pack_delete(1, FLOW, 0xABCD))
    assert (kind, attributes(body)[12]) == (DELETE, bytes.fromhex("0000abcd"))
    assert 12 not in attributes(body_of(pack_delete(1, FLOW))[1])


def test_a_dump_asks_for_a_mark():
    kind, body = body_of(pack_dump(1, 0x50000000, 0xFF000000))
    assert (kind, attributes(body)) == (GET, {8: bytes.fromhex("50000000"), 21: bytes.fromhex("ff000000")})


@pytest.mark.parametrize("data", [b"", number(12, 1), nest(1), entry(FLOW, ONWARD)], ids=range(4))
def test_what_is_no_entry(data):
    with pytest.raises(MediaError):
        unpack_entry(data)


@given(st.binary(max_size=120))
def test_whatever_comes_raises_nothing_else(data):
    for read in (unpack_entry, unpack_traffic):
        try:
            read(data)
        except MediaError:
            continue
