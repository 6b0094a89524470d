"""What strangers and hostile phones send: no step may fail, and nothing may be left behind."""

import pytest

from pbx.sip.flow import Flow
from pbx.sip.parser import parse_datagram
from pbx.sip.transaction.types import Send
from tests.call.world import SERVER, World, make_office

STRANGER = Flow("UDP", ("192.0.2.66", 5066), SERVER)


@pytest.fixture
def world():
    return World(make_office("100", "101", "102"))


@pytest.mark.parametrize(
    "via", ["nonsense", "SIP/2.0/UDP host;;", "SIP/2.0/UDP [::1", "SIP/2.0/UDP host:99999;branch=z9hG4bK1"]
)
def test_a_via_that_cannot_be_read_is_answered_where_it_came_from(world, via):
    data = (
        f"OPTIONS sip:pbx.local SIP/2.0\r\nVia: {via}\r\nMax-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\n"
        "To: <sip:pbx.local>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
    effects = world.exchange.receive(data.encode(), STRANGER, world.now)
    (sent,) = [effect for effect in effects if isinstance(effect, Send)]
    assert sent.flow == STRANGER
    assert parse_datagram(sent.data).status == 400
