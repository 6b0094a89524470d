"""One accepted connection: framing, keep-alives, and every limit that cuts it."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.internet import error
from twisted.python.failure import Failure

from pbx.net.stream import State, StreamLimits, describe
from pbx.sip.flow import Flow
from tests.net.fakes import OURS, PEER, Wire, make_message, make_pool

FLOW = Flow("TCP", PEER, OURS, accepted=True)
LIMITS = StreamLimits(
    handshake_s=5, first_message_s=30, message_s=10, idle_s=600, stalled_s=20, stalled_bytes=1000, closing_s=3
)
MESSAGE = make_message()


def accept(transport="TCP", limits=LIMITS, peer=PEER):
    pool, clock, notes = make_pool(limits)
    connection = pool.make_accepted(transport, peer[0])
    wire = Wire(peer)
    connection.makeConnection(wire)
    return connection, wire, clock, notes, pool


def test_messages_arrive_whole_however_the_stream_is_cut():
    for size in (1, 2, 7, 100, 10_000):
        connection, _, _, notes, _ = accept()
        stream = MESSAGE + b"\r\n\r\n" + make_message(body=b"hello") + MESSAGE
        for start in range(0, len(stream), size):
            connection.dataReceived(stream[start : start + size])
        assert notes.seen == [("message", "OPTIONS", FLOW)] * 3


def test_a_ping_is_answered_with_a_pong():
    connection, wire, _, notes, _ = accept()
    connection.dataReceived(b"\r\n\r\n")
    assert wire.take() == b"\r\n"
    connection.dataReceived(b"\r\n")
    connection.dataReceived(b"\r\n" + MESSAGE + b"\r\n\r\n")
    assert wire.take() == b"\r\n\r\n"
    assert notes.kinds() == ["message"]


def test_rubbish_that_loses_the_stream_closes_it():
    connection, wire, _, notes, _ = accept()
    connection.dataReceived(MESSAGE.replace(b"Content-Length: 0\r\n", b"") + MESSAGE)
    assert notes.seen == [("malformed", "Content-Length", FLOW)]
    assert wire.disconnecting
    connection.dataReceived(MESSAGE)
    assert notes.kinds() == ["malformed"]


def test_a_malformed_message_whose_end_is_known_is_skipped():
    connection, wire, _, notes, _ = accept()
    connection.dataReceived(MESSAGE.replace(b"OPTIONS sip", b"OPT IONS sip", 1) + MESSAGE)
    assert notes.kinds() == ["malformed", "message"]
    assert not wire.disconnecting


def test_nothing_is_delivered_after_the_machine_closed_the_flow():
    connection, wire, _, notes, pool = accept()
    notes.on_message = lambda _message, flow: pool.close(flow)
    connection.dataReceived(MESSAGE * 3)
    assert notes.kinds() == ["message"]
    assert wire.disconnecting


def test_the_peers_close_is_told_once():
    connection, _, clock, notes, pool = accept()
    connection.dataReceived(MESSAGE)
    connection.connectionLost(Failure(error.ConnectionDone()))
    connection.connectionLost(Failure(error.ConnectionDone()))
    assert notes.seen[1:] == [("lost", FLOW, "the peer closed the connection")]
    assert (len(pool), clock.getDelayedCalls()) == (0, [])


# Each: how the peer behaves, when it is cut, and what is said.
CUT = {
    "silent from the start": ([], 30, "no message came"),
    "pings are no message": ([(0, b"\r\n\r\n"), (10, b"\r\n\r\n"), (20, b"\r\n\r\n")], 30, "no message came"),
    "a byte now and then (the first three could be half a keep-alive)": (
        [(t, MESSAGE[t : t + 1]) for t in range(9)],
        13,
        "a message came too slowly",
    ),
    "a second message that stops half-way": (
        [(0, MESSAGE), (50, MESSAGE + MESSAGE[:50])],
        60,
        "a message came too slowly",
    ),
    "a body that never comes": (
        [(0, MESSAGE), (1, make_message(body=b"hello")[:-1])],
        11,
        "a message came too slowly",
    ),
}


def test_each_message_has_its_own_time():
    connection, wire, clock, notes, _ = accept()
    connection.dataReceived(MESSAGE[:60])
    clock.advance(8)
    connection.dataReceived(MESSAGE[60:] + MESSAGE[:60])
    clock.advance(8)
    connection.dataReceived(MESSAGE[60:])
    assert not wire.is_aborted
    assert notes.kinds() == ["message", "message"]


@pytest.mark.parametrize(("behaviour", "cut_at", "why"), CUT.values(), ids=CUT)
def test_limits_in_time(behaviour, cut_at, why):
    connection, wire, clock, notes, _ = accept()
    for when, data in behaviour:
        clock.advance(when - clock.seconds())
        connection.dataReceived(data)
    clock.advance(cut_at - 0.1 - clock.seconds())
    assert not wire.is_aborted
    clock.advance(0.1)
    assert wire.is_aborted
    connection.connectionLost(Failure(error.ConnectionAborted()))
    assert notes.seen[-1] == ("lost", FLOW, why)


def test_half_a_keep_alive_may_stay_for_ever():
    connection, wire, clock, _, _ = accept()
    connection.dataReceived(MESSAGE)
    for _ in range(20):
        connection.dataReceived(b"\r\n")
        clock.advance(100)
    assert not wire.is_aborted


def test_an_idle_connection_is_closed_unless_something_lives_on_it():
    connection, wire, clock, notes, _ = accept()
    connection.dataReceived(MESSAGE)
    notes.kept.add(FLOW)
    clock.advance(600)
    clock.advance(600)
    assert not wire.disconnecting
    notes.kept.clear()
    clock.advance(600)
    assert wire.disconnecting


def test_a_closed_connection_that_the_peer_keeps_open_is_cut():
    connection, wire, clock, _, _ = accept()
    connection.close("enough")
    clock.advance(2.9)
    assert not wire.is_aborted
    clock.advance(0.1)
    assert wire.is_aborted


def test_a_peer_that_does_not_read_is_cut_after_a_time():
    connection, wire, clock, _, _ = accept()
    connection.dataReceived(MESSAGE)
    wire.producer.pauseProducing()
    clock.advance(19.9)
    wire.producer.resumeProducing()
    clock.advance(5)
    assert not wire.is_aborted
    wire.producer.pauseProducing()
    clock.advance(10)
    wire.producer.pauseProducing()
    clock.advance(10)
    assert wire.is_aborted


def test_a_peer_that_does_not_read_is_cut_when_too_much_waits():
    connection, wire, _, _, _ = accept()
    wire.producer.pauseProducing()
    connection.send(b"x" * 1000)
    assert not wire.is_aborted
    connection.send(b"x")
    assert wire.is_aborted


def test_pings_of_a_peer_that_does_not_read_count_too():
    connection, wire, _, _, _ = accept()
    wire.producer.pauseProducing()
    connection.dataReceived(b"\r\n\r\n" * 1000)
    assert wire.is_aborted


def test_tls_says_nothing_before_its_handshake_which_has_its_time():
    connection, wire, clock, notes, pool = accept("TLS")
    clock.advance(4.9)
    assert not wire.is_aborted
    clock.advance(0.1)
    assert wire.is_aborted
    connection.connectionLost(Failure(error.ConnectionAborted()))
    assert notes.seen == []
    assert len(pool) == 0


def test_tls_after_its_handshake_is_as_tcp():
    connection, _, _, notes, _ = accept("TLS")
    connection.handshakeCompleted()
    connection.dataReceived(MESSAGE)
    assert notes.seen == [("message", "OPTIONS", FLOW._replace(transport="TLS"))]


def test_a_scope_does_not_get_into_the_flow():
    connection, _, _, notes, _ = accept(peer=("fe80::1%eth0", 40000))
    connection.dataReceived(MESSAGE)
    assert notes.seen[0][2].peer == ("fe80::1", 40000)


def test_a_transport_that_came_too_late_is_cut():
    pool, clock, _ = make_pool(LIMITS)
    connection = pool.make_accepted("TCP", PEER[0])
    clock.advance(LIMITS.connect_s)
    assert connection.state is State.CLOSED
    wire = Wire()
    connection.makeConnection(wire)
    assert wire.is_aborted


REASONS = {
    "the peer closed the connection": error.ConnectionDone(),
    "the connection broke": error.ConnectionLost(),
    "connection refused": error.ConnectionRefusedError(),
    "the peer did not answer": error.TCPTimedOutError(),
    "no route to the peer": error.NoRouteError(),
    "TLS: certificate verify failed": SSL.Error([("SSL routines", "", "certificate verify failed")]),
    "TLS: the connection broke": SSL.Error(),
    "ValueError": ValueError(),
}


@pytest.mark.parametrize(("words", "reason"), REASONS.items())
def test_describe(words, reason):
    assert describe(Failure(reason)) == words


pieces = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from([MESSAGE, MESSAGE[:60], b"\r\n", b"\r\n\r\n", b"Content-Length: 5\r\n\r\n", b"\r"]),
    ),
    max_size=12,
)


@given(pieces=pieces)
@example(pieces=[b"\r\n\r", b"\n", MESSAGE])
@example(pieces=[b"SIP/2.0 200 OK\r\nContent-Length: 99999999999\r\n\r\n"])
def test_whatever_comes_is_a_message_or_malformed_and_ends_in_a_loss(pieces):
    connection, wire, clock, notes, pool = accept()
    for piece in pieces:
        connection.dataReceived(piece)
    clock.advance(LIMITS.idle_s + LIMITS.closing_s)
    clock.advance(LIMITS.closing_s)
    assert wire.is_aborted
    connection.connectionLost(Failure(error.ConnectionAborted()))
    assert set(notes.kinds()[:-1]) <= {"message", "malformed"}
    assert notes.kinds()[-1] == "lost"
    assert (len(pool), clock.getDelayedCalls()) == (0, [])
