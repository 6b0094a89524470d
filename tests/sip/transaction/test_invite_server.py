"""Figure 7 of RFC 3261 with the Accepted state of RFC 6026, row by row."""

import pytest

from pbx.sip.transaction.invite_server import Input, InviteServerTransaction, render_trying
from pbx.sip.transaction.key import server_key
from pbx.sip.transaction.timers import Timers
from pbx.sip.transaction.types import Ended, Ignored, RequestIn, Send, State, TimedOut, TransportFailed
from tests.sip.transaction.support import TCP, UDP, answer, make_request, play, walk

INVITE = make_request("INVITE")
ACK = make_request("ACK")
KEY = server_key(INVITE)
TRYING, RINGING, OK, BUSY, MOVED = (answer(INVITE, status) for status in (100, 180, 200, 486, 302))
BEGIN = (0, "start", INVITE)


def sent(response, flow):
    return Send(response.render(), flow)


def repeated(response, flow, *times):
    return [(time, sent(response, flow)) for time in times]


CASES = {
    "the latest provisional response answers each copy of the INVITE": (
        UDP,
        [BEGIN, (0.5, "receive_request"), (1, "respond", RINGING), (1.5, "receive_request"), (500, "run")],
        [
            *repeated(TRYING, UDP, 0, 0.5),
            *repeated(RINGING, UDP, 1, 1.5),
        ],
    ),
    "udp: a refusal is repeated at doubling intervals up to T2 until timer H at 64*T1": (
        UDP,
        [BEGIN, (1, "respond", BUSY), (32.999, "run"), (33, "run")],
        [
            *repeated(TRYING, UDP, 0),
            *repeated(BUSY, UDP, 1, 1.5, 2.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5, 32.5),
            (33, TimedOut(KEY)),
            (33, Ended(KEY)),
        ],
    ),
    "tcp: a refusal is sent once, and without an ACK timer H ends it": (
        TCP,
        [BEGIN, (1, "respond", MOVED), (32.9, "run"), (33, "run")],
        [*repeated(TRYING, TCP, 0), *repeated(MOVED, TCP, 1), (33, TimedOut(KEY)), (33, Ended(KEY))],
    ),
    "a late wake-up past timers G and H is a time-out": (
        UDP,
        [BEGIN, (1, "respond", BUSY), (60, "expire")],
        [*repeated(TRYING, UDP, 0), *repeated(BUSY, UDP, 1), (60, TimedOut(KEY)), (60, Ended(KEY))],
    ),
    "an early wake-up does nothing": (
        UDP,
        [BEGIN, (1, "respond", BUSY), (1.4, "expire")],
        [*repeated(TRYING, UDP, 0), *repeated(BUSY, UDP, 1)],
    ),
    "udp: a copy of the INVITE gets the refusal again until the ACK; its copies are absorbed until timer I": (
        UDP,
        [
            BEGIN,
            (1, "respond", BUSY),
            (1.2, "receive_request"),
            (1.3, "receive_ack", ACK, UDP),
            (2, "receive_ack", ACK, UDP),
            (6.2, "run"),
            (6.3, "run"),
        ],
        [*repeated(TRYING, UDP, 0), *repeated(BUSY, UDP, 1, 1.2), (6.3, Ended(KEY))],
    ),
    "tcp: the ACK ends it at once (timer I is zero)": (
        TCP,
        [BEGIN, (1, "respond", BUSY), (2, "receive_ack", ACK, TCP), (2, "run")],
        [*repeated(TRYING, TCP, 0), *repeated(BUSY, TCP, 1), (2, Ended(KEY))],
    ),
    "udp: after a 2xx copies of the INVITE are absorbed and nothing is repeated, until timer L": (
        UDP,
        [BEGIN, (1, "respond", OK), (1.5, "receive_request"), (32.9, "run"), (33, "run")],
        [*repeated(TRYING, UDP, 0), *repeated(OK, UDP, 1), (33, Ended(KEY))],
    ),
    "tcp: timer L is as long there": (
        TCP,
        [BEGIN, (1, "respond", OK), (32.9, "run"), (33, "run")],
        [*repeated(TRYING, TCP, 0), *repeated(OK, TCP, 1), (33, Ended(KEY))],
    ),
    "the user repeats its 2xx through the transaction, over streams too": (
        TCP,
        [BEGIN, (1, "respond", OK), (1.5, "respond", OK), (2.5, "respond", OK)],
        [*repeated(TRYING, TCP, 0), *repeated(OK, TCP, 1, 1.5, 2.5)],
    ),
    "an ACK for the 2xx with the branch of the INVITE goes to the user": (
        UDP,
        [BEGIN, (1, "respond", OK), (1.1, "receive_ack", ACK, UDP), (2, "receive_ack", ACK, UDP)],
        [
            *repeated(TRYING, UDP, 0),
            *repeated(OK, UDP, 1),
            (1.1, RequestIn(ACK, None, UDP)),
            (2, RequestIn(ACK, None, UDP)),
        ],
    ),
    "after a 2xx there is no other response": (
        UDP,
        [BEGIN, (1, "respond", OK), (2, "respond", RINGING), (3, "respond", BUSY)],
        [
            *repeated(TRYING, UDP, 0),
            *repeated(OK, UDP, 1),
            (2, Ignored(KEY, "PROVISIONAL in ACCEPTED")),
            (3, Ignored(KEY, "REFUSAL in ACCEPTED")),
        ],
    ),
    "after a refusal there is no other response, and the refusal is what is repeated": (
        UDP,
        [BEGIN, (1, "respond", BUSY), (1.1, "respond", OK), (1.2, "receive_request")],
        [
            *repeated(TRYING, UDP, 0),
            *repeated(BUSY, UDP, 1),
            (1.1, Ignored(KEY, "SUCCESS in COMPLETED")),
            *repeated(BUSY, UDP, 1.2),
        ],
    ),
    "a response that cannot be sent is reported, and the transaction goes on": (
        UDP,
        [
            BEGIN,
            (1, "transport_failed", "unreachable"),
            (2, "respond", OK),
            (3, "transport_failed", "unreachable"),
            (34, "run"),
        ],
        [
            *repeated(TRYING, UDP, 0),
            (1, TransportFailed(KEY, "unreachable")),
            *repeated(OK, UDP, 2),
            (3, TransportFailed(KEY, "unreachable")),
            (34, Ended(KEY)),
        ],
    ),
    "a refusal that cannot be sent is reported, and repeated all the same": (
        UDP,
        [BEGIN, (1, "respond", BUSY), (1, "transport_failed", "unreachable"), (1.5, "run")],
        [
            *repeated(TRYING, UDP, 0),
            *repeated(BUSY, UDP, 1),
            (1, TransportFailed(KEY, "unreachable")),
            *repeated(BUSY, UDP, 1.5),
        ],
    ),
}


def make(flow=UDP):
    return InviteServerTransaction(KEY, flow, Timers())


@pytest.mark.parametrize(("flow", "script", "expected"), CASES.values(), ids=CASES)
def test_figure_7(flow, script, expected):
    assert play(make(flow), script) == expected


REFUSED = [BEGIN, (1, "respond", BUSY)]
ENTER = {
    State.PROCEEDING: [BEGIN],
    State.ACCEPTED: [BEGIN, (1, "respond", OK)],
    State.COMPLETED: REFUSED,
    State.CONFIRMED: [*REFUSED, (2, "receive_ack", ACK, UDP)],
    State.TERMINATED: [*REFUSED, (90, "run")],
}
FIGURE = {
    State.PROCEEDING: {
        Input.REQUEST: State.PROCEEDING,
        Input.PROVISIONAL: State.PROCEEDING,
        Input.SUCCESS: State.ACCEPTED,
        Input.REFUSAL: State.COMPLETED,
        Input.TRANSPORT_ERROR: State.PROCEEDING,
    },
    State.ACCEPTED: {
        Input.REQUEST: State.ACCEPTED,
        Input.ACK: State.ACCEPTED,
        Input.SUCCESS: State.ACCEPTED,
        Input.TIMER_L: State.TERMINATED,
        Input.TRANSPORT_ERROR: State.ACCEPTED,
    },
    State.COMPLETED: {
        Input.REQUEST: State.COMPLETED,
        Input.ACK: State.CONFIRMED,
        Input.TIMER_G: State.COMPLETED,
        Input.TIMER_H: State.TERMINATED,
        Input.TRANSPORT_ERROR: State.COMPLETED,
    },
    State.CONFIRMED: {Input.ACK: State.CONFIRMED, Input.TIMER_I: State.TERMINATED},
    State.TERMINATED: {},
}
GIVEN = {
    Input.ACK: RequestIn(ACK, None, UDP),
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


TRYINGS = {
    "plain": INVITE,
    "each Via is copied, and the Timestamp; a To tag is not added": make_request(
        extra=(("Via", "SIP/2.0/TCP 127.0.0.9;branch=z9hG4bKz"), ("Timestamp", "54.2"), ("Subject", "lunch"))
    ),
    "inside a dialog": make_request(to="<sip:bob@127.0.0.2>;tag=bob"),
    "octets that are no UTF-8 come back as they were": make_request(
        from_='"\udcff" <sip:ann@127.0.0.1>;tag=ann'
    ),
}


@pytest.mark.parametrize("invite", TRYINGS.values(), ids=TRYINGS)
def test_the_100_is_what_any_response_would_be(invite):
    assert render_trying(invite) == answer(invite, 100).render()


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
    play(transaction, [BEGIN, (1, "respond", answer(INVITE, status))])
    assert transaction.state is state
