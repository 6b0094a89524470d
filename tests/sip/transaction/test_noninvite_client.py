"""Figure 6 of RFC 3261, row by row."""

import pytest

from pbx.sip.transaction.key import client_key
from pbx.sip.transaction.noninvite_client import Input, NonInviteClientTransaction
from pbx.sip.transaction.timers import Timers
from pbx.sip.transaction.types import Ended, Ignored, ResponseIn, Send, State, TimedOut, TransportFailed
from tests.sip.transaction.support import TCP, UDP, answer, make_request, play, walk

BYE = make_request("BYE")
KEY = client_key(BYE)
TRYING, OK, GONE = (answer(BYE, status) for status in (100, 200, 481))
WIRE = BYE.render()


def sent(flow, *times):
    return [(time, Send(WIRE, flow)) for time in times]


CASES = {
    "udp: repeated at doubling intervals up to T2, until timer F at 64*T1": (
        UDP,
        [(0, "start"), (31.999, "run"), (32, "run")],
        [
            *sent(UDP, 0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5),
            (32, TimedOut(KEY)),
            (32, Ended(KEY)),
        ],
    ),
    "tcp: sent once, timer F ends it": (
        TCP,
        [(0, "start"), (31.999, "run"), (32, "run")],
        [*sent(TCP, 0), (32, TimedOut(KEY)), (32, Ended(KEY))],
    ),
    "a late wake-up past timers E and F is a time-out": (
        UDP,
        [(0, "start"), (50, "expire")],
        [*sent(UDP, 0), (50, TimedOut(KEY)), (50, Ended(KEY))],
    ),
    "an early wake-up does nothing": (UDP, [(0, "start"), (0.4, "expire")], sent(UDP, 0)),
    "udp: after a provisional response it is repeated every T2, and timer F still runs": (
        UDP,
        [(0, "start"), (0.2, "receive_response", TRYING), (32, "run")],
        [
            *sent(UDP, 0),
            (0.2, ResponseIn(TRYING, KEY)),
            *sent(UDP, 0.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5),
            (32, TimedOut(KEY)),
            (32, Ended(KEY)),
        ],
    ),
    "tcp: after a provisional response there is only timer F": (
        TCP,
        [(0, "start"), (1, "receive_response", TRYING), (2, "receive_response", TRYING), (32, "run")],
        [
            *sent(TCP, 0),
            (1, ResponseIn(TRYING, KEY)),
            (2, ResponseIn(TRYING, KEY)),
            (32, TimedOut(KEY)),
            (32, Ended(KEY)),
        ],
    ),
    "udp: the final response is passed on once, copies are absorbed until timer K": (
        UDP,
        [
            (0, "start"),
            (0.25, "receive_response", OK),
            (1, "receive_response", OK),
            (5.2, "run"),
            (5.25, "run"),
        ],
        [*sent(UDP, 0), (0.25, ResponseIn(OK, KEY)), (5.25, Ended(KEY))],
    ),
    "tcp: after the final response it ends at once (timer K is zero)": (
        TCP,
        [(0, "start"), (1, "receive_response", GONE), (1, "run")],
        [*sent(TCP, 0), (1, ResponseIn(GONE, KEY)), (1, Ended(KEY))],
    ),
    "a final response after a provisional one": (
        UDP,
        [(0, "start"), (0.1, "receive_response", TRYING), (0.25, "receive_response", GONE), (10, "run")],
        [*sent(UDP, 0), (0.1, ResponseIn(TRYING, KEY)), (0.25, ResponseIn(GONE, KEY)), (5.25, Ended(KEY))],
    ),
    "the request cannot be sent": (
        TCP,
        [(0, "start"), (1, "transport_failed", "refused"), (100, "run")],
        [*sent(TCP, 0), (1, TransportFailed(KEY, "refused")), (1, Ended(KEY))],
    ),
    "the connection is lost after a provisional response": (
        TCP,
        [(0, "start"), (1, "receive_response", TRYING), (2, "transport_failed", "gone")],
        [*sent(TCP, 0), (1, ResponseIn(TRYING, KEY)), (2, TransportFailed(KEY, "gone")), (2, Ended(KEY))],
    ),
}


def make(flow=UDP):
    return NonInviteClientTransaction(KEY, BYE, flow, Timers())


@pytest.mark.parametrize(("flow", "script", "expected"), CASES.values(), ids=CASES)
def test_figure_6(flow, script, expected):
    assert play(make(flow), script) == expected


START = (0, "start")
ENTER = {
    State.TRYING: [START],
    State.PROCEEDING: [START, (0.1, "receive_response", TRYING)],
    State.COMPLETED: [START, (0.1, "receive_response", OK)],
    State.TERMINATED: [START, (0.1, "transport_failed", "gone")],
}
FIGURE = {
    State.TRYING: {
        Input.PROVISIONAL: State.PROCEEDING,
        Input.FINAL: State.COMPLETED,
        Input.TIMER_E: State.TRYING,
        Input.TIMER_F: State.TERMINATED,
        Input.TRANSPORT_ERROR: State.TERMINATED,
    },
    State.PROCEEDING: {
        Input.PROVISIONAL: State.PROCEEDING,
        Input.FINAL: State.COMPLETED,
        Input.TIMER_E: State.PROCEEDING,
        Input.TIMER_F: State.TERMINATED,
        Input.TRANSPORT_ERROR: State.TERMINATED,
    },
    State.COMPLETED: {Input.FINAL: State.COMPLETED, Input.TIMER_K: State.TERMINATED},
    State.TERMINATED: {},
}
GIVEN = {Input.PROVISIONAL: TRYING, Input.FINAL: OK, Input.TRANSPORT_ERROR: TransportFailed(KEY, "gone")}


@pytest.mark.parametrize("flow", [UDP, TCP], ids=["udp", "tcp"])
@pytest.mark.parametrize("kind", Input, ids=lambda kind: kind.name)
@pytest.mark.parametrize("state", ENTER, ids=lambda state: state.name)
def test_every_input_in_every_state(flow, state, kind):
    effects = walk(lambda: make(flow), state, ENTER[state], kind, GIVEN.get(kind), FIGURE)
    if kind not in FIGURE[state]:
        assert effects == [Ignored(KEY, f"{kind.name} in {state.name}")]
    elif FIGURE[state][kind] is State.TERMINATED:
        assert effects[-1] == Ended(KEY)


STATUSES = {100: State.PROCEEDING, 199: State.PROCEEDING, 200: State.COMPLETED, 699: State.COMPLETED}


@pytest.mark.parametrize(("status", "state"), STATUSES.items())
def test_the_class_of_a_response_decides(status, state):
    transaction = make()
    play(transaction, [START, (1, "receive_response", answer(BYE, status))])
    assert transaction.state is state
