"""Where responses go: RFC 3261 §18.2.1 and §18.2.2, RFC 3581."""

import pytest

from pbx.sip.flow import Flow
from pbx.sip.transaction.reply_path import second_path, trace_reply_path
from tests.sip.transaction.support import make_request

LOCAL = ("192.0.2.1", 5060)
LOCAL6 = ("2001:db8::1", 5060)
FROM_NAT = Flow("UDP", ("198.51.100.7", 40000), LOCAL)

CASES = {
    "udp: the address the Via names, and its port": (
        Flow("UDP", ("10.0.0.5", 5060), LOCAL),
        "SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bKa",
        "SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bKa",
        Flow("UDP", ("10.0.0.5", 5060), LOCAL),
    ),
    "udp: without rport the Via's port counts, not the source's": (
        Flow("UDP", ("10.0.0.5", 40000), LOCAL),
        "SIP/2.0/UDP 10.0.0.5:5070;branch=z9hG4bKa",
        "SIP/2.0/UDP 10.0.0.5:5070;branch=z9hG4bKa",
        Flow("UDP", ("10.0.0.5", 5070), LOCAL),
    ),
    "udp: without rport and port it is 5060": (
        Flow("UDP", ("10.0.0.5", 40000), LOCAL),
        "SIP/2.0/UDP 10.0.0.5;branch=z9hG4bKa",
        "SIP/2.0/UDP 10.0.0.5;branch=z9hG4bKa",
        Flow("UDP", ("10.0.0.5", 5060), LOCAL),
    ),
    "udp: another source address goes into received and is where the response goes": (
        FROM_NAT,
        "SIP/2.0/UDP 10.0.0.5:5070;branch=z9hG4bKa",
        "SIP/2.0/UDP 10.0.0.5:5070;branch=z9hG4bKa;received=198.51.100.7",
        Flow("UDP", ("198.51.100.7", 5070), LOCAL),
    ),
    "udp: a host name gets received": (
        Flow("UDP", ("10.0.0.5", 5060), LOCAL),
        "SIP/2.0/UDP phone.example;branch=z9hG4bKa",
        "SIP/2.0/UDP phone.example;branch=z9hG4bKa;received=10.0.0.5",
        Flow("UDP", ("10.0.0.5", 5060), LOCAL),
    ),
    "udp: rport asks for the source port, in the answer's Via and for its way": (
        FROM_NAT,
        "SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bKa;rport",
        "SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bKa;rport=40000;received=198.51.100.7",
        FROM_NAT,
    ),
    "udp: with rport received is there even when it is no news": (
        Flow("UDP", ("10.0.0.5", 5060), LOCAL),
        "SIP/2.0/UDP 10.0.0.5:5060;rport;branch=z9hG4bKa",
        "SIP/2.0/UDP 10.0.0.5:5060;rport=5060;branch=z9hG4bKa;received=10.0.0.5",
        Flow("UDP", ("10.0.0.5", 5060), LOCAL),
    ),
    "what the client claims in received and rport is corrected": (
        FROM_NAT,
        "SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bKa;rport=1;received=203.0.113.9",
        "SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bKa;rport=40000;received=198.51.100.7",
        FROM_NAT,
    ),
    "maddr is not followed": (
        Flow("UDP", ("10.0.0.5", 5060), LOCAL),
        "SIP/2.0/UDP 10.0.0.5:5060;maddr=203.0.113.9;branch=z9hG4bKa",
        "SIP/2.0/UDP 10.0.0.5:5060;maddr=203.0.113.9;branch=z9hG4bKa",
        Flow("UDP", ("10.0.0.5", 5060), LOCAL),
    ),
    "only the top Via of a line is marked": (
        FROM_NAT,
        "SIP/2.0/UDP 10.0.0.5;branch=z9hG4bKa, SIP/2.0/TCP 10.0.0.6;branch=z9hG4bKb",
        "SIP/2.0/UDP 10.0.0.5;branch=z9hG4bKa;received=198.51.100.7, SIP/2.0/TCP 10.0.0.6;branch=z9hG4bKb",
        Flow("UDP", ("198.51.100.7", 5060), LOCAL),
    ),
    "tcp: back over the connection, whatever the Via says": (
        Flow("TCP", ("10.0.0.5", 40000), LOCAL, True),
        "SIP/2.0/TCP 10.0.0.5:5070;branch=z9hG4bKa",
        "SIP/2.0/TCP 10.0.0.5:5070;branch=z9hG4bKa",
        Flow("TCP", ("10.0.0.5", 40000), LOCAL, True),
    ),
    "ipv6: the same address in two spellings is one": (
        Flow("UDP", ("2001:db8::5", 5060), LOCAL6),
        "SIP/2.0/UDP [2001:DB8:0::5]:5060;branch=z9hG4bKa",
        "SIP/2.0/UDP [2001:DB8:0::5]:5060;branch=z9hG4bKa",
        Flow("UDP", ("2001:db8::5", 5060), LOCAL6),
    ),
    "ipv6: received has no brackets": (
        Flow("UDP", ("2001:db8::5", 5060), LOCAL6),
        "SIP/2.0/UDP phone.example;branch=z9hG4bKa",
        "SIP/2.0/UDP phone.example;branch=z9hG4bKa;received=2001:db8::5",
        Flow("UDP", ("2001:db8::5", 5060), LOCAL6),
    ),
}


@pytest.mark.parametrize(("flow", "via", "marked", "expected"), CASES.values(), ids=CASES)
def test_reply_path(flow, via, marked, expected):
    request = make_request("OPTIONS", via, extra=(("Via", "SIP/2.0/UDP 10.9.9.9;branch=z9hG4bKz"),))
    assert trace_reply_path(request, flow) == expected
    assert request.headers.get_all("Via") == [marked, "SIP/2.0/UDP 10.9.9.9;branch=z9hG4bKz"]


SECOND = {
    "the port that the Via named": (Flow("TCP", ("10.0.0.5", 40000), LOCAL, True), 5070, ("10.0.0.5", 5070)),
    "tcp without a port": (Flow("TCP", ("10.0.0.5", 40000), LOCAL, True), 0, ("10.0.0.5", 5060)),
    "tls without a port": (Flow("TLS", ("10.0.0.5", 40000), LOCAL, True), 0, ("10.0.0.5", 5061)),
}


@pytest.mark.parametrize(("lost", "port", "peer"), SECOND.values(), ids=SECOND)
def test_a_lost_connection_is_replaced_by_one_that_we_open(lost, port, peer):
    assert second_path(lost, port) == Flow(lost.transport, peer, ("192.0.2.1", 0))
