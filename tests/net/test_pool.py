"""Many connections: found by flow, opened when needed, merged, limited, and closed in order."""

import pytest
from twisted.internet import error
from twisted.python.failure import Failure

from pbx.net.pool import StreamPool
from pbx.net.stream import Refused, StreamLimits
from pbx.sip.flow import Flow
from tests.net.fakes import OURS, PEER, Wire, make_message, make_pool

OUT = Flow("TCP", ("192.0.2.88", 5060), OURS)
IN = Flow("TCP", PEER, OURS, accepted=True)
MESSAGE = make_message()


def accept(pool: StreamPool, peer=PEER, transport="TCP"):
    connection = pool.make_accepted(transport, peer[0])
    wire = Wire(peer)
    connection.makeConnection(wire)
    assert not wire.is_aborted
    return connection, wire


def connect(reactor, index=-1):
    """The other side takes the connection that was asked for."""
    host, port, factory, _, _ = reactor.tcpClients[index]
    protocol = factory.buildProtocol(None)
    wire = Wire((host, port))
    protocol.makeConnection(wire)
    return protocol, wire


def test_what_is_sent_on_an_accepted_flow_goes_back_over_it():
    pool, reactor, _ = make_pool()
    _, wire = accept(pool)
    pool.send(b"answer", IN)
    assert wire.take() == b"answer"
    assert reactor.tcpClients == []


def test_an_accepted_flow_that_is_gone_cannot_be_opened_again():
    pool, reactor, notes = make_pool()
    connection, _ = accept(pool)
    connection.connectionLost(Failure(error.ConnectionDone()))
    pool.send(b"answer", IN)
    assert notes.seen == [
        ("lost", IN, "the peer closed the connection"),
        ("lost", IN, "the connection is gone"),
    ]
    assert reactor.tcpClients == []


def test_sending_opens_one_connection_and_waits_for_it():
    pool, reactor, notes = make_pool()
    pool.send(b"one ", OUT)
    pool.send(b"two ", OUT)
    ((host, port, _, _, bind),) = reactor.tcpClients
    assert (host, port, bind) == ("192.0.2.88", 5060, ("192.0.2.5", 0))
    connection, wire = connect(reactor)
    assert wire.take() == b"one two "
    pool.send(b"three", OUT)
    assert wire.take() == b"three"
    connection.dataReceived(MESSAGE)
    assert notes.seen == [("message", "OPTIONS", OUT)]


def test_flows_to_one_peer_share_a_connection_and_each_is_told_of_its_end():
    pool, reactor, notes = make_pool()
    other = OUT._replace(local=("10.0.0.5", 5060))
    pool.send(b"one ", OUT)
    pool.send(b"two ", other)
    connection, wire = connect(reactor)
    assert wire.take() == b"one two "
    connection.connectionLost(Failure(error.ConnectionLost()))
    assert notes.seen == [("lost", OUT, "the connection broke"), ("lost", other, "the connection broke")]
    pool.send(b"again", OUT)
    assert len(reactor.tcpClients) == 2


def test_a_phone_is_called_at_the_port_that_it_called_from():
    pool, reactor, notes = make_pool()
    connection, wire = accept(pool)
    flow = IN._replace(accepted=False)
    pool.send(b"call", flow)
    assert wire.take() == b"call"
    assert reactor.tcpClients == []
    connection.connectionLost(Failure(error.ConnectionLost()))
    assert [note[1] for note in notes.seen] == [IN, flow]


def test_a_server_that_must_prove_its_name_cannot_do_so_on_a_connection_it_opened():
    pool, reactor, _ = make_pool()
    connection, wire = accept(pool, transport="TLS")
    connection.handshakeCompleted()
    flow = Flow("TLS", PEER, OURS)
    pool.send(b"call", flow)
    assert wire.take() == b"call"
    pool.send(b"call", flow, "carrier.example")
    assert wire.take() == b""
    assert len(reactor.tcpClients) == 1


def test_one_peer_under_two_names_has_two_tls_connections():
    pool, reactor, _ = make_pool()
    flow = Flow("TLS", ("192.0.2.88", 5061), OURS)
    for name in ("a.example", "b.example", "a.example"):
        pool.send(b"x", flow, name)
    assert len(reactor.tcpClients) == 2


@pytest.mark.parametrize(
    ("reason", "why"),
    [
        (error.ConnectionRefusedError(), "connection refused"),
        (error.NoRouteError(), "no route to the peer"),
        (error.TCPTimedOutError(), "the peer did not answer"),
    ],
)
def test_a_connection_that_cannot_be_opened_is_lost_with_what_waited(reason, why):
    pool, reactor, notes = make_pool()
    pool.send(b"one", OUT)
    pool.send(b"two", OUT)
    reactor.tcpClients[0][2].clientConnectionFailed(reactor.connectors[0], Failure(reason))
    assert notes.seen == [("lost", OUT, why)]
    assert (len(pool), reactor.getDelayedCalls()) == (0, [])
    pool.send(b"three", OUT)
    assert len(reactor.tcpClients) == 2


def test_a_connection_that_does_not_open_in_time_is_given_up():
    pool, reactor, notes = make_pool(StreamLimits(connect_s=5))
    pool.send(b"one", OUT)
    reactor.advance(4.9)
    assert notes.seen == []
    reactor.advance(0.1)
    assert notes.seen == [("lost", OUT, "the peer did not answer")]
    assert reactor.connectors[0]._disconnected


def test_a_local_address_that_is_no_longer_ours_is_replaced_by_the_routes():
    pool, reactor, _ = make_pool()
    pool.send(b"one", OUT)
    factory, connector = reactor.tcpClients[0][2], Connector(("192.0.2.5", 0))
    factory.clientConnectionFailed(connector, Failure(error.ConnectBindError()))
    assert (connector.bindAddress, connector.attempts) == (None, 1)
    _, wire = connect(reactor)
    assert wire.take() == b"one"
    factory.clientConnectionFailed(connector, Failure(error.ConnectBindError()))
    assert connector.attempts == 1


class Connector:
    def __init__(self, bind):
        self.bindAddress = bind
        self.attempts = 0

    def connect(self):
        self.attempts += 1


def test_no_more_waits_for_a_connection_than_the_limit():
    pool, _, notes = make_pool(StreamLimits(queued_bytes=10))
    pool.send(b"x" * 10, OUT)
    assert notes.seen == []
    pool.send(b"x", OUT)
    assert notes.kinds() == ["lost"]
    assert len(pool) == 0


def test_one_address_has_only_so_many_connections():
    pool, _, notes = make_pool(StreamLimits(per_address=2))
    first, _ = accept(pool, ("192.0.2.1", 1))
    second, _ = accept(pool, ("192.0.2.1", 2))
    for connection in (first, second):
        connection.dataReceived(MESSAGE)
        notes.kept.add(connection.flow)
    refused = pool.make_accepted("TCP", "192.0.2.1")
    assert isinstance(refused, Refused)
    wire = Wire()
    refused.makeConnection(wire)
    assert wire.is_aborted
    accept(pool, ("192.0.2.2", 1))
    first.connectionLost(Failure(error.ConnectionDone()))
    accept(pool, ("192.0.2.1", 3))


def test_a_phone_has_its_place_beside_those_of_its_address_that_say_nothing():
    pool, _, _ = make_pool(StreamLimits(per_address=2))
    _, stranger = accept(pool, ("192.0.2.2", 1))
    phone, phone_wire = accept(pool, ("192.0.2.1", 1))
    phone.dataReceived(MESSAGE)
    _, silent = accept(pool, ("192.0.2.1", 2))
    another, _ = accept(pool, ("192.0.2.1", 3))
    assert (phone_wire.is_aborted, silent.is_aborted, stranger.is_aborted) == (False, True, False)
    another.dataReceived(MESSAGE)


def test_when_all_places_are_taken_the_oldest_that_said_nothing_goes():
    pool, _, notes = make_pool(StreamLimits(connections=3))
    speaking, speaking_wire = accept(pool, ("192.0.2.1", 1))
    speaking.dataReceived(MESSAGE)
    notes.kept |= {Flow("TCP", (f"192.0.2.{host}", 1), OURS, accepted=True) for host in (1, 4, 5)}
    _, oldest = accept(pool, ("192.0.2.2", 1))
    _, younger = accept(pool, ("192.0.2.3", 1))
    newest, _ = accept(pool, ("192.0.2.4", 1))
    assert (speaking_wire.is_aborted, oldest.is_aborted, younger.is_aborted) == (False, True, False)
    newest.dataReceived(MESSAGE)
    accept(pool, ("192.0.2.5", 1))[0].dataReceived(MESSAGE)
    assert younger.is_aborted
    assert isinstance(pool.make_accepted("TCP", "192.0.2.6"), Refused)


def test_who_has_just_got_through_his_handshake_goes_after_those_who_have_not():
    pool, _, _ = make_pool(StreamLimits(per_address=2))
    phone, phone_wire = accept(pool, ("192.0.2.1", 1), "TLS")
    _, waiting = accept(pool, ("192.0.2.1", 2), "TLS")
    phone.handshakeCompleted()
    accept(pool, ("192.0.2.1", 3), "TLS")
    assert (phone_wire.is_aborted, waiting.is_aborted) == (False, True)


def test_who_only_asks_for_an_answer_keeps_no_phone_out():
    """OPTIONS are answered to anybody: thousands of such connections must not take all places."""
    pool, _, notes = make_pool(StreamLimits(connections=40))
    wires = []
    for number in range(40):
        connection, wire = accept(pool, (f"192.0.2.{number}", 1))
        connection.dataReceived(MESSAGE)
        wires.append(wire)
        if number < 30:
            notes.kept.add(connection.flow)
    # Ten are asked each time, those that were there first before the others.
    made = [pool.make_accepted("TCP", "198.51.100.1") for _ in range(4)]
    assert [isinstance(each, Refused) for each in made] == [True, True, True, False]
    assert [number for number, wire in enumerate(wires) if wire.is_aborted] == [30]


def test_an_ipv6_host_counts_once_whatever_addresses_it_takes():
    pool, _, notes = make_pool(StreamLimits(per_address=2))
    for number in (1, 2):
        connection, _ = accept(pool, (f"2001:db8::{number}", 1))
        connection.dataReceived(MESSAGE)
        notes.kept.add(connection.flow)
    assert isinstance(pool.make_accepted("TCP", "2001:db8::3"), Refused)
    accept(pool, ("2001:db8:0:1::3", 1))


def test_close_sends_what_waits_and_tells_the_end():
    pool, _, notes = make_pool()
    connection, wire = accept(pool)
    pool.send(b"last", IN)
    pool.close(IN)
    pool.close(IN)
    assert (wire.take(), wire.disconnecting) == (b"last", True)
    connection.connectionLost(Failure(error.ConnectionDone()))
    assert notes.seen == [("lost", IN, "closed by us")]
    pool.close(IN)  # nothing is there: nothing happens


def test_a_closing_connection_is_not_used_for_what_comes_after():
    pool, reactor, _ = make_pool()
    pool.send(b"one", OUT)
    connect(reactor)
    pool.close(OUT)
    pool.send(b"two", OUT)
    assert len(reactor.tcpClients) == 2


def test_stop_closes_all_and_says_when_it_is_done():
    pool, reactor, notes = make_pool()
    accepted, wire = accept(pool)
    pool.send(b"one", OUT)
    done = []
    pool.stop().addCallback(done.append)
    assert wire.disconnecting
    assert notes.seen == [("lost", OUT, "the server is stopping")]
    assert done == []
    assert isinstance(pool.make_accepted("TCP", "192.0.2.1"), Refused)
    pool.send(b"late", OUT)
    assert notes.seen[-1] == ("lost", OUT, "no further connection is opened")
    accepted.connectionLost(Failure(error.ConnectionDone()))
    assert done == [None]
    assert reactor.getDelayedCalls() == []


def test_stop_with_nothing_open_is_done_at_once():
    done = []
    make_pool()[0].stop().addCallback(done.append)
    assert done == [None]
