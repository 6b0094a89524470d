"""Which socket a flow leaves by, which flow leads to a target, and what becomes of what comes in."""

from ipaddress import ip_address

import pytest
from twisted.internet.testing import MemoryReactorClock

from pbx.net.addresses import LocalAddresses
from pbx.net.driver import Driver
from pbx.net.locate import Reach, Target
from pbx.net.transports import Listening, Transports
from pbx.sip.flow import Flow
from tests.net.fakes import Wire, make_message

SOURCES = {"192.0.2.77": "192.0.2.5", "10.0.0.77": "10.0.0.5", "2001:db8::77": "2001:db8::5"}


class Recorder:
    """A machine that writes its steps down."""

    deadline = None

    def __init__(self):
        self.steps = []

    def expire(self, _now):
        return []

    def receive(self, data, flow, now):
        return self._note("datagram", data, flow, now)

    def receive_message(self, message, flow, now):
        return self._note("message", message.method, flow, now)

    def receive_malformed(self, error, flow, now):
        return self._note("malformed", error.field, flow, now)

    def flow_lost(self, flow, why, now):
        return self._note("lost", why, flow, now)

    def keeps(self, _flow):
        return True

    def _note(self, *step):
        self.steps.append(step)
        return []


class Port:
    """Stands for a UdpPort."""

    def __init__(self, host, port, refusal=None):
        self.host, self.port, self.refusal = host, port, refusal
        self.is_ipv6 = ":" in host
        self.sent = []

    def can_send(self, local):
        return self.host == local or (self.host in ("0.0.0.0", "::") and self.is_ipv6 == (":" in local))

    def send(self, data, flow):
        self.sent.append((data, flow))
        return self.refusal


def make(*listening, ports=()):
    reactor, machine = MemoryReactorClock(), Recorder()
    addresses = LocalAddresses(
        reactor.seconds, read=lambda: frozenset([ip_address("192.0.2.5")]), route=SOURCES.get
    )
    transports = Transports(reactor, Driver(machine, reactor, lambda _effect: None), machine, addresses)
    transports.listening = tuple(Listening(*each) for each in listening)
    transports._udp = list(ports)
    return transports, machine, reactor


ANY = [("UDP", "0.0.0.0", 5060), ("TCP", "0.0.0.0", 5062), ("TLS", "0.0.0.0", 5061)]

FLOWS = {
    "a wildcard: the route's address, our port": (ANY, "UDP", "192.0.2.77", ("192.0.2.5", 5060)),
    "a stream says the port we listen on": (ANY, "TCP", "10.0.0.77", ("10.0.0.5", 5062)),
    "TLS has its own port": (ANY, "TLS", "192.0.2.77", ("192.0.2.5", 5061)),
    "the very address goes before the wildcard": (
        [*ANY, ("UDP", "10.0.0.5", 5070)],
        "UDP",
        "10.0.0.77",
        ("10.0.0.5", 5070),
    ),
    "UDP leaves by the socket there is": (
        [("UDP", "10.0.0.5", 5060)],
        "UDP",
        "192.0.2.77",
        ("10.0.0.5", 5060),
    ),
    "a stream leaves from anywhere": (
        [("TCP", "10.0.0.5", 5070)],
        "TCP",
        "192.0.2.77",
        ("192.0.2.5", 5070),
    ),
    "a stream without any listener": ([], "TLS", "192.0.2.77", ("192.0.2.5", 5061)),
    "UDP is off": ([("TCP", "0.0.0.0", 5060)], "UDP", "192.0.2.77", None),
    "UDP is off for IPv6": (ANY, "UDP", "2001:db8::77", None),
    "no route": (ANY, "TCP", "198.51.100.1", None),
}


@pytest.mark.parametrize(("listening", "transport", "peer", "local"), FLOWS.values(), ids=FLOWS)
def test_flow_to(listening, transport, peer, local):
    flow = make(*listening)[0].flow_to(transport, (peer, 5099))
    assert flow == (None if local is None else Flow(transport, (peer, 5099), local))


def test_flows_to_targets_leave_out_what_cannot_be_reached():
    targets = [
        Target("UDP", "198.51.100.1", 5060, "a.example"),
        Target("UDP", "192.0.2.77", 5060, "a.example"),
        Target("TLS", "192.0.2.77", 5061, "a.example"),
    ]
    assert make(*ANY)[0].flows_to(targets) == [
        Flow("UDP", ("192.0.2.77", 5060), ("192.0.2.5", 5060)),
        Flow("TLS", ("192.0.2.77", 5061), ("192.0.2.5", 5061)),
    ]


REACHES = {
    "all": (ANY, Reach(ipv6=False)),
    "streams only": ([("TCP", "::", 5060)], Reach(("TCP", "TLS"), ipv4=False)),
    "nothing": ([], Reach(("TCP", "TLS"))),
}


@pytest.mark.parametrize(("listening", "reach"), REACHES.values(), ids=REACHES)
def test_reach(listening, reach):
    assert make(*listening)[0].reach == reach


def test_a_datagram_leaves_by_the_socket_it_came_by():
    any_port, inside, other, six = (
        Port("0.0.0.0", 5060),
        Port("10.0.0.5", 5070),
        Port("0.0.0.0", 5080),
        Port("::", 5060),
    )
    transports, machine, _ = make(ports=[any_port, inside, other, six])
    for local, port in (
        (("192.0.2.5", 5060), any_port),
        (("10.0.0.5", 5070), inside),
        (("192.0.2.5", 5080), other),
        (("2001:db8::5", 5060), six),
        (("192.0.2.5", 9), any_port),  # a flow of former days
    ):
        for _ in range(2):
            peer = "2001:db8::77" if port is six else "192.0.2.77"
            transports.send(b"x", Flow("UDP", (peer, 5060), local))
        assert len(port.sent) >= 2
        port.sent.clear()
    assert machine.steps == []


def test_a_restored_flow_leaves_by_a_socket_of_its_family():
    inside = Port("10.0.0.5", 5060)
    transports, _, _ = make(ports=[Port("::", 5060), inside])
    transports.send(b"x", Flow("UDP", ("10.0.0.77", 5060), ("10.0.0.4", 5060)))
    assert len(inside.sent) == 1


def test_what_cannot_be_sent_comes_back_as_a_step():
    flow = Flow("UDP", ("192.0.2.77", 5060), ("192.0.2.5", 5060))
    transports, machine, reactor = make(ports=[Port("0.0.0.0", 5060, "Network is unreachable")])
    reactor.advance(3)
    transports.send(b"x", flow)
    assert machine.steps == [("lost", "Network is unreachable", flow, 3)]
    transports, machine, _ = make()
    transports.send(b"x", flow)
    assert machine.steps == [("lost", "no UDP socket of this kind is open", flow, 0)]


def test_streams_become_steps():
    transports, machine, reactor = make(*ANY)
    flow = transports.flow_to("TCP", ("192.0.2.77", 5060))
    transports.send(b"x", flow)
    protocol = reactor.tcpClients[0][2].buildProtocol(None)
    wire = Wire()
    protocol.makeConnection(wire)
    protocol.dataReceived(make_message() + b"\x00")
    assert [step[0] for step in machine.steps] == ["message", "malformed"]
    assert {step[2] for step in machine.steps} == {flow}
    assert wire.disconnecting


def test_close_is_for_streams_only():
    transports, _, reactor = make(*ANY, ports=[Port("0.0.0.0", 5060)])
    transports.close(transports.flow_to("UDP", ("192.0.2.77", 5060)))
    flow = transports.flow_to("TCP", ("192.0.2.77", 5060))
    transports.send(b"x", flow)
    wire = Wire()
    reactor.tcpClients[0][2].buildProtocol(None).makeConnection(wire)
    transports.close(flow)
    assert wire.disconnecting
