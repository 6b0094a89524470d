"""Figure 8 of RFC 3261, row by row; transport errors by RFC 6026."""

import pytest

from pbx.sip.transaction.key import server_key
from pbx.sip.transaction.noninvite_server import Input, NonInviteServerTransaction
from pbx.sip.transaction.timers import Timers
from pbx.sip.transaction.types import Ended, Ignored, Send, State, TransportFailed
from tests.sip.transaction.support import TCP, UDP, answer, make_request, play, walk

BYE = make_request("BYE")
KEY = server_key(BYE)
TRYING, QUEUED, OK, GONE = (answer(BYE, status) for status in (100, 182, 200, 481))


def sent(response, flow):
    return Send(response.render(), flow)


CASES = {
    "udp: the final response is repeated until timer J at 64*T1": (
        UDP,
        [
            (0, "respond", OK),
            (1, "receive_request"),
            (31.9, "receive_request"),
            (31.9, "expire"),
            (32, "expire"),
        ],
        [(0, sent(OK, UDP)), (1, sent(OK, UDP)), (31.9, sent(OK, UDP)), (32, Ended(KEY))],
    ),
    "tcp: it ends as soon as the final response is sent (timer J is zero)": (
        TCP,
        [(3, "respond", OK), (3, "run")],
        [(3, sent(OK, TCP)), (3, Ended(KEY))],
    ),
    "before the first response there is nothing to repeat": (
        UDP,
        [(0, "receive_request")],
        [(0, Ignored(KEY, "REQUEST in TRYING"))],
    ),
    "before the final response there is no timer": (
        UDP,
        [(0, "respond", TRYING), (9999, "expire")],
        [(0, sent(TRYING, UDP))],
    ),
    "the latest provisional response is repeated": (
        UDP,
        [
            (0, "respond", TRYING),
            (1, "receive_request"),
            (2, "respond", QUEUED),
            (3, "receive_request"),
            (4, "respond", GONE),
            (5, "receive_request"),
            (36, "run"),
        ],
        [
            (0, sent(TRYING, UDP)),
            (1, sent(TRYING, UDP)),
            (2, sent(QUEUED, UDP)),
            (3, sent(QUEUED, UDP)),
            (4, sent(GONE, UDP)),
            (5, sent(GONE, UDP)),
            (36, Ended(KEY)),
        ],
    ),
    "a second final response is dropped, the first is what is repeated": (
        UDP,
        [(0, "respond", OK), (1, "respond", GONE), (2, "respond", TRYING), (3, "receive_request")],
        [
            (0, sent(OK, UDP)),
            (1, Ignored(KEY, "FINAL in COMPLETED")),
            (2, Ignored(KEY, "PROVISIONAL in COMPLETED")),
            (3, sent(OK, UDP)),
        ],
    ),
    "a response that cannot be sent is reported; a copy of the request is still known": (
        UDP,
        [(0, "respond", OK), (1, "transport_failed", "unreachable"), (2, "receive_request"), (32, "run")],
        [(0, sent(OK, UDP)), (1, TransportFailed(KEY, "unreachable")), (2, sent(OK, UDP)), (32, Ended(KEY))],
    ),
}


def make(flow=UDP):
    return NonInviteServerTransaction(KEY, flow, Timers())


@pytest.mark.parametrize(("flow", "script", "expected"), CASES.values(), ids=CASES)
def test_figure_8(flow, script, expected):
    assert play(make(flow), script) == expected


ENTER = {
    State.TRYING: [],
    State.PROCEEDING: [(0, "respond", TRYING)],
    State.COMPLETED: [(0, "respond", OK)],
    State.TERMINATED: [(0, "respond", OK), (32, "run")],
}
FIGURE = {
    State.TRYING: {Input.PROVISIONAL: State.PROCEEDING, Input.FINAL: State.COMPLETED},
    State.PROCEEDING: {
        Input.REQUEST: State.PROCEEDING,
        Input.PROVISIONAL: State.PROCEEDING,
        Input.FINAL: State.COMPLETED,
        Input.TRANSPORT_ERROR: State.PROCEEDING,
    },
    State.COMPLETED: {
        Input.REQUEST: State.COMPLETED,
        Input.TIMER_J: State.TERMINATED,
        Input.TRANSPORT_ERROR: State.COMPLETED,
    },
    State.TERMINATED: {},
}
GIVEN = {
    Input.PROVISIONAL: QUEUED,
    Input.FINAL: OK.render(),
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
        assert effects == [Ended(KEY)]


STATUSES = {100: State.PROCEEDING, 199: State.PROCEEDING, 200: State.COMPLETED, 699: State.COMPLETED}


@pytest.mark.parametrize(("status", "state"), STATUSES.items())
def test_the_class_of_a_response_decides(status, state):
    transaction = make()
    play(transaction, [(1, "respond", answer(BYE, status))])
    assert transaction.state is state
