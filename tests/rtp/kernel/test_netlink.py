"""Netlink's framing: what is packed is read back, and nothing else is believed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.errors import MediaError
from pbx.rtp.kernel.netlink import (
    ACK,
    DONE,
    ERROR,
    Message,
    attribute,
    attributes,
    nest,
    number,
    pack,
    unpack,
)

KINDS = st.integers(1, 0x3FFF)
VALUES = st.binary(max_size=40)


@given(st.dictionaries(KINDS, VALUES, max_size=6))
def test_attributes_come_back(values):
    packed = b"".join(attribute(kind, value) for kind, value in values.items())
    assert len(packed) % 4 == 0
    assert attributes(packed) == values


@given(KINDS, st.dictionaries(KINDS, VALUES, max_size=4))
def test_nested_attributes_come_back(kind, values):
    packed = nest(kind, *(attribute(inner, value) for inner, value in values.items()))
    assert attributes(attributes(packed)[kind]) == values


@given(st.lists(st.tuples(st.integers(0x10, 0xFFFF), st.integers(0, 0xFFFFFFFF), VALUES), max_size=5))
def test_messages_come_back(messages):
    packed = b"".join(
        pack(kind, ACK, sequence, body + bytes(-len(body) % 4)) for kind, sequence, body in messages
    )
    expected = [Message(kind, sequence, body + bytes(-len(body) % 4)) for kind, sequence, body in messages]
    assert list(unpack(packed)) == expected


def test_a_number_is_in_network_order():
    assert number(7, 1) == b"\x08\x00\x07\x00\x00\x00\x00\x01"


@pytest.mark.parametrize(("kind", "code"), [(ERROR, -17), (DONE, 0)])
def test_a_code_is_an_errno(kind, code):
    body = code.to_bytes(4, "little", signed=True)
    data = (16 + len(body)).to_bytes(4, "little") + kind.to_bytes(2, "little") + bytes(10) + body
    (message,) = unpack(data)
    assert (message.kind, message.code) == (kind, -code)


HOSTILE = {
    "half a header": b"\x10\x00\x00",
    "a message longer than what came": b"\xff\x00\x00\x00\x10\x00" + bytes(10),
    "a message shorter than its header": b"\x08\x00\x00\x00\x10\x00" + bytes(10),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_message(data):
    with pytest.raises(MediaError):
        list(unpack(data))


@given(st.binary(max_size=80))
def test_whatever_comes_raises_nothing_else(data):
    for read in (attributes, lambda some: list(unpack(some))):
        try:
            read(data)
        except MediaError:
            continue
