import pytest

from pbx.address import hostport

WRITTEN = {
    "IPv4": ("192.0.2.1", 5060, "192.0.2.1:5060"),
    "IPv6": ("2001:db8::1", 5060, "[2001:db8::1]:5060"),
    "a name": ("sip.example", 5061, "sip.example:5061"),
}


@pytest.mark.parametrize(("host", "port", "text"), WRITTEN.values(), ids=WRITTEN)
def test_hostport(host, port, text):
    assert hostport(host, port) == text
