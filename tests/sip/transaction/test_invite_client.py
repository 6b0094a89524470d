"""Figure 5 of RFC 3261 with the Accepted state of RFC 6026, row by row."""

import pytest

from pbx.sip.transaction.invite_client import Input, InviteClientTransaction, make_ack
from pbx.sip.transaction.key import client_key
from pbx.sip.transaction.timers import Timers
from pbx.sip.transaction.types import Ended, Ignored, ResponseIn, Send, State, TimedOut, TransportFailed
from tests.sip.transaction.support import TCP, UDP, answer, make_request, play, walk

INVITE = make_request("INVITE", extra=(("Route", "<sip:127.0.0.9;lr>"), ("Subject", "lunch")))
KEY = client_key(INVITE)
TRYING, RINGING, OK, BUSY = (answer(INVITE, status) for status in (100, 180, 200, 486))
WIRE = INVITE.render()
ACK = make_ack(INVITE, BUSY).render()


def sent(flow, *times):
    return [(time, Send(WIRE, flow)) for time in times]


CASES = {
    "udp: the INVITE is repeated at doubling intervals until timer B at 64*T1": (
        UDP,
        [(0, "start"), (31.999, "run"), (32, "run")],
        [
            *sent(UDP, 0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5),
            (32, TimedOut(KEY)),
            (32, Ended(KEY)),
        ],
    ),
    "tcp: the INVITE is sent once, timer B ends it": (
        TCP,
        [(0, "start"), (31.999, "run"), (32, "run")],
        [*sent(TCP, 0), (32, TimedOut(KEY)), (32, Ended(KEY))],
    ),
    "a late wake-up past timers A and B is a time-out, not a burst": (
        UDP,
        [(0, "start"), (40, "expire")],
        [*sent(UDP, 0), (40, TimedOut(KEY)), (40, Ended(KEY))],
    ),
    "a late wake-up repeats once and counts on from then": (
        UDP,
        [(0, "start"), (10, "expire"), (10.9, "expire"), (11, "expire")],
        [*sent(UDP, 0, 10, 11)],
    ),
    "an early wake-up does nothing": (UDP, [(0, "start"), (0.4, "expire")], sent(UDP, 0)),
    "udp: a provisional response stops repetition and time-out": (
        UDP,
        [(0, "start"), (1, "receive_response", TRYING), (2, "receive_response", RINGING), (1000, "run")],
        [*sent(UDP, 0), (1, ResponseIn(TRYING, KEY)), (2, ResponseIn(RINGING, KEY))],
    ),
    "udp: a refusal is acknowledged and passed on once, its copies are acknowledged until timer D": (
        UDP,
        [
            (0, "start"),
            (0.2, "receive_response", BUSY),
            (1, "receive_response", BUSY),
            (32.1, "run"),
            (32.2, "run"),
        ],
        [
            *sent(UDP, 0),
            (0.2, Send(ACK, UDP)),
            (0.2, ResponseIn(BUSY, KEY)),
            (1, Send(ACK, UDP)),
            (32.2, Ended(KEY)),
        ],
    ),
    "tcp: after a refusal it ends at once (timer D is zero)": (
        TCP,
        [(0, "start"), (1, "receive_response", TRYING), (2, "receive_response", BUSY), (2, "run")],
        [
            *sent(TCP, 0),
            (1, ResponseIn(TRYING, KEY)),
            (2, Send(ACK, TCP)),
            (2, ResponseIn(BUSY, KEY)),
            (2, Ended(KEY)),
        ],
    ),
    "udp: each 2xx is passed on until timer M, none is acknowledged": (
        UDP,
        [
            (0, "start"),
            (0.25, "receive_response", OK),
            (1, "receive_response", OK),
            (32, "run"),
            (32.25, "run"),
        ],
        [*sent(UDP, 0), (0.25, ResponseIn(OK, KEY)), (1, ResponseIn(OK, KEY)), (32.25, Ended(KEY))],
    ),
    "tcp: timer M is as long there": (
        TCP,
        [
            (0, "start"),
            (1, "receive_response", RINGING),
            (2, "receive_response", OK),
            (33.9, "run"),
            (34, "run"),
        ],
        [*sent(TCP, 0), (1, ResponseIn(RINGING, KEY)), (2, ResponseIn(OK, KEY)), (34, Ended(KEY))],
    ),
    "a refusal after a 2xx is ignored": (
        UDP,
        [(0, "start"), (0.1, "receive_response", OK), (0.2, "receive_response", BUSY)],
        [*sent(UDP, 0), (0.1, ResponseIn(OK, KEY)), (0.2, Ignored(KEY, "REFUSAL in ACCEPTED"))],
    ),
    "cancelled, but the final response never comes: 64*T1 after the CANCEL it is over": (
        UDP,
        [(0, "start"), (0.1, "receive_response", RINGING), (60, "cancel"), (123.9, "run"), (124, "run")],
        [*sent(UDP, 0), (0.1, ResponseIn(RINGING, KEY)), (92, TimedOut(KEY)), (92, Ended(KEY))],
    ),
    "cancelled, and it still rings: that is no final response": (
        UDP,
        [
            (0, "start"),
            (0.1, "receive_response", TRYING),
            (1, "cancel"),
            (2, "receive_response", RINGING),
            (33, "run"),
        ],
        [
            *sent(UDP, 0),
            (0.1, ResponseIn(TRYING, KEY)),
            (2, ResponseIn(RINGING, KEY)),
            (33, TimedOut(KEY)),
            (33, Ended(KEY)),
        ],
    ),
    "cancelled and refused with 487": (
        UDP,
        [
            (0, "start"),
            (0.1, "receive_response", RINGING),
            (1, "cancel"),
            (2, "receive_response", BUSY),
            (34, "run"),
        ],
        [
            *sent(UDP, 0),
            (0.1, ResponseIn(RINGING, KEY)),
            (2, Send(ACK, UDP)),
            (2, ResponseIn(BUSY, KEY)),
            (34, Ended(KEY)),
        ],
    ),
    "the INVITE cannot be sent": (
        UDP,
        [(0, "start"), (0.1, "transport_failed", "port unreachable"), (100, "run")],
        [*sent(UDP, 0), (0.1, TransportFailed(KEY, "port unreachable")), (0.1, Ended(KEY))],
    ),
    "the ACK cannot be sent": (
        UDP,
        [(0, "start"), (1, "receive_response", BUSY), (1, "transport_failed", "gone")],
        [
            *sent(UDP, 0),
            (1, Send(ACK, UDP)),
            (1, ResponseIn(BUSY, KEY)),
            (1, TransportFailed(KEY, "gone")),
            (1, Ended(KEY)),
        ],
    ),
    "a connection lost while it rings: the answer may come by another": (
        TCP,
        [
            (0, "start"),
            (1, "receive_response", RINGING),
            (2, "transport_failed", "gone"),
            (3, "receive_response", OK),
        ],
        [
            *sent(TCP, 0),
            (1, ResponseIn(RINGING, KEY)),
            (2, Ignored(KEY, "TRANSPORT_ERROR in PROCEEDING")),
            (3, ResponseIn(OK, KEY)),
        ],
    ),
}


def make(flow=UDP):
    return InviteClientTransaction(KEY, INVITE, flow, Timers())


@pytest.mark.parametrize(("flow", "script", "expected"), CASES.values(), ids=CASES)
def test_figure_5(flow, script, expected):
    assert play(make(flow), script) == expected


START = (0, "start")
ENTER = {
    State.CALLING: [START],
    State.PROCEEDING: [START, (1, "receive_response", RINGING)],
    State.ACCEPTED: [START, (1, "receive_response", OK)],
    State.COMPLETED: [START, (1, "receive_response", BUSY)],
    State.TERMINATED: [START, (1, "transport_failed", "gone")],
}
FIGURE = {
    State.CALLING: {
        Input.PROVISIONAL: State.PROCEEDING,
        Input.SUCCESS: State.ACCEPTED,
        Input.REFUSAL: State.COMPLETED,
        Input.TIMER_A: State.CALLING,
        Input.TIMER_B: State.TERMINATED,
        Input.TRANSPORT_ERROR: State.TERMINATED,
    },
    State.PROCEEDING: {
        Input.PROVISIONAL: State.PROCEEDING,
        Input.SUCCESS: State.ACCEPTED,
        Input.REFUSAL: State.COMPLETED,
        Input.CANCEL: State.PROCEEDING,
        Input.TIMER_B: State.TERMINATED,
    },
    State.ACCEPTED: {Input.SUCCESS: State.ACCEPTED, Input.TIMER_M: State.TERMINATED},
    State.COMPLETED: {
        Input.REFUSAL: State.COMPLETED,
        Input.TIMER_D: State.TERMINATED,
        Input.TRANSPORT_ERROR: State.TERMINATED,
    },
    State.TERMINATED: {},
}
GIVEN = {
    Input.PROVISIONAL: RINGING,
    Input.SUCCESS: OK,
    Input.REFUSAL: BUSY,
    Input.TRANSPORT_ERROR: TransportFailed(KEY, "gone"),
}


@pytest.mark.parametrize("flow", [UDP, TCP], ids=["udp", "tcp"])
@pytest.mark.parametrize("kind", Input, ids=lambda kind: kind.name)
@pytest.mark.parametrize("state", ENTER, ids=lambda state: state.name)
def test_every_input_in_every_state(flow, state, kind):
    effects = walk(lambda: make(flow), state, ENTER[state], kind, GIVEN.get(kind), FIGURE)
    if kind not in FIGURE[state]:
        assert effects == [Ignored(KEY, f"{kind.name} in {state.name}")]
    elif FIGURE[state][kind] is State.TERMINATED:
        assert effects[-1] == Ended(KEY)


def test_the_ack_of_a_refusal_is_made_of_the_invite_and_the_to_of_the_response():
    assert ACK.decode().split("\r\n") == [
        "ACK sip:bob@127.0.0.2 SIP/2.0",
        "Via: SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bKone",
        "Max-Forwards: 70",
        "Route: <sip:127.0.0.9;lr>",
        "From: <sip:ann@127.0.0.1>;tag=ann",
        "To: <sip:bob@127.0.0.2>;tag=bob",
        "Call-ID: call@127.0.0.1",
        "CSeq: 1 ACK",
        "Content-Length: 0",
        "",
        "",
    ]


STATUSES = {
    100: State.PROCEEDING,
    199: State.PROCEEDING,
    200: State.ACCEPTED,
    299: State.ACCEPTED,
    300: State.COMPLETED,
    699: State.COMPLETED,
}


@pytest.mark.parametrize(("status", "state"), STATUSES.items())
def test_the_class_of_a_response_decides(status, state):
    transaction = make()
    play(transaction, [START, (1, "receive_response", answer(INVITE, status))])
    assert transaction.state is state
