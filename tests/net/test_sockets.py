"""Where to listen, as the administrator writes it, and what he is told when it cannot be."""

import errno
import os

import pytest

from pbx.errors import ConfigError
from pbx.net.sockets import Endpoint, _explain, parse_endpoint

GOOD = {
    "0.0.0.0:5060": Endpoint("0.0.0.0", 5060, "sip.udp"),
    "[::]:5060": Endpoint("::", 5060, "sip.udp"),
    " 192.0.2.5:0 ": Endpoint("192.0.2.5", 0, "sip.udp"),
    "[2001:db8::5]:65535": Endpoint("2001:db8::5", 65535, "sip.udp"),
}


@pytest.mark.parametrize(("text", "endpoint"), GOOD.items())
def test_endpoints(text, endpoint):
    assert parse_endpoint(text, "sip.udp") == endpoint
    assert str(endpoint) == text.strip()


BAD = [
    "",
    "5060",
    "0.0.0.0",
    "localhost:5060",
    "0.0.0.0:",
    "0.0.0.0:65536",
    "0.0.0.0:-1",
    "0.0.0.0:x",
    "::1:5060",
]
BAD += ["[0.0.0.0]:5060", "[::1]", "[::1]5060", "0.0.0.0:٥"]


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_endpoint_is_refused_with_its_key(text):
    with pytest.raises(ConfigError) as caught:
        parse_endpoint(text, "sip.tcp")
    assert (caught.value.key, caught.value.value) == ("sip.tcp", text)


WORDS = {
    errno.EADDRINUSE: 'port 5060 is taken by another program; stop that, or set udp = ["0.0.0.0:5062"] under',
    errno.EADDRNOTAVAIL: "0.0.0.0 is no address of this machine",
    errno.EACCES: "this user may not open port 5060",
    errno.EAFNOSUPPORT: "this machine has no IPv4",
    errno.EIO: f"{os.strerror(errno.EIO)}; change udp under [sip]",
}


@pytest.mark.parametrize(("number", "words"), WORDS.items())
def test_a_refusal_says_what_is_wrong_and_what_to_change(number, words):
    told = _explain(Endpoint("0.0.0.0", 5060, "sip.udp"), OSError(number, "x"))
    assert (told.key, told.value) == ("sip.udp", "0.0.0.0:5060")
    assert words in told.why
