"""One UDP socket, as far as it can be asked without a network."""

import socket

from pbx.net.sockets import Endpoint
from pbx.net.udp import FLOWS, UdpPort
from tests.net.test_load import Readers


def test_peers_of_the_link_are_not_remembered_without_end():
    port = UdpPort(Endpoint("::1", 0, "sip.udp"), lambda _data, _flow: None, Readers())
    for number in range(FLOWS + 100):
        port._make_flow((f"fe80::{number:x}%lo", 5060, 0, 1), b"")
    port._make_flow(("fe80::1%lo", 5061, 0, 2), b"")
    assert len(port._scopes) <= FLOWS
    assert port._scopes["fe80::1"] == 2
    assert port.family == socket.AF_INET6
    port.close()
