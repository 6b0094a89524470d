"""The layer: who gets which message (RFC 3261 §17, RFC 6026)."""

import pytest

from pbx.errors import UsageError
from pbx.sip.flow import Flow
from pbx.sip.message import Request, Response
from pbx.sip.transaction.invite_client import make_ack
from pbx.sip.transaction.key import client_key, server_key
from pbx.sip.transaction.layer import TransactionLayer
from pbx.sip.transaction.timers import Timers
from pbx.sip.transaction.types import Ended, Ignored, RequestIn, ResponseIn, Send, TimedOut, TransportFailed
from tests.sip.transaction.support import TCP, UDP, VIA, answer, make_request, play

OTHER_VIA = "SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bKtwo"
OLD_VIA = "SIP/2.0/UDP 127.0.0.1:5062"
TAGGED = "<sip:bob@127.0.0.2>;tag=bob"

INVITE = make_request()
CANCEL = make_request("CANCEL")
ACK = make_request("ACK", to=TAGGED)
BYE = make_request("BYE", OTHER_VIA, to=TAGGED, cseq=2)
MESSAGE = make_request("MESSAGE")
OLD_INVITE = make_request(via=OLD_VIA)
OLD_ACK = make_request("ACK", OLD_VIA, to=TAGGED)

INVITE_IN, CANCEL_IN, BYE_IN = server_key(INVITE), server_key(CANCEL), server_key(BYE)
MESSAGE_IN, OLD_IN = server_key(MESSAGE), server_key(OLD_INVITE)
INVITE_OUT, CANCEL_OUT, BYE_OUT = client_key(INVITE), client_key(CANCEL), client_key(BYE)

TRYING, RINGING, OK, BUSY = (answer(INVITE, status) for status in (100, 180, 200, 486))
CANCEL_OK, BYE_OK, MESSAGE_OK = answer(CANCEL, 200), answer(BYE, 200), answer(MESSAGE, 200)
OLD_TRYING, OLD_OK, OLD_BUSY = (answer(OLD_INVITE, status) for status in (100, 200, 486))


def sent(message, flow=UDP):
    return Send(message.render(), flow)


def opened(request, trying, key):
    return [(0, sent(trying)), (0, RequestIn(request, key, UDP))]


ARRIVED = (0, "receive", INVITE, UDP)
SERVING = opened(INVITE, TRYING, INVITE_IN)
OLD_SERVING = opened(OLD_INVITE, OLD_TRYING, OLD_IN)

SERVER_CASES = {
    "a new INVITE is answered with 100 and given to the user; its copies only get the 100": (
        [ARRIVED, (0.5, "receive", INVITE, UDP)],
        [*SERVING, (0.5, sent(TRYING))],
    ),
    "a new request is given to the user; its copies get the response": (
        [(0, "receive", BYE, UDP), (1, "respond", BYE_IN, BYE_OK), (2, "receive", BYE, UDP), (33, "run")],
        [(0, RequestIn(BYE, BYE_IN, UDP)), (1, sent(BYE_OK)), (2, sent(BYE_OK)), (33, Ended(BYE_IN))],
    ),
    "an answer that comes rendered is what copies get": (
        [(0, "receive", BYE, UDP), (1, "answer", BYE_IN, b"200"), (2, "receive", BYE, UDP), (33, "run")],
        [
            (0, RequestIn(BYE, BYE_IN, UDP)),
            (1, Send(b"200", UDP)),
            (2, Send(b"200", UDP)),
            (33, Ended(BYE_IN)),
        ],
    ),
    "there is one answer": (
        [(0, "receive", BYE, UDP), (1, "answer", BYE_IN, b"200"), (2, "answer", BYE_IN, b"500")],
        [
            (0, RequestIn(BYE, BYE_IN, UDP)),
            (1, Send(b"200", UDP)),
            (2, Ignored(BYE_IN, "FINAL in COMPLETED")),
        ],
    ),
    "what is rendered is no answer to an INVITE": (
        [ARRIVED, (1, "answer", INVITE_IN, b"200")],
        [*SERVING, (1, Ignored(INVITE_IN, "an answer for no transaction"))],
    ),
    "the ACK of a refusal is absorbed": (
        [ARRIVED, (1, "respond", INVITE_IN, BUSY), (1.1, "receive", ACK, UDP), (6.1, "run")],
        [*SERVING, (1, sent(BUSY)), (6.1, Ended(INVITE_IN))],
    ),
    "the ACK of a 2xx is a request of its own": (
        [
            ARRIVED,
            (1, "respond", INVITE_IN, OK),
            (1.1, "receive", own_ack := make_request("ACK", OTHER_VIA, to=TAGGED), UDP),
        ],
        [*SERVING, (1, sent(OK)), (1.1, RequestIn(own_ack, None, UDP))],
    ),
    "the ACK of a 2xx with its INVITE's branch goes to the user as well": (
        [ARRIVED, (1, "respond", INVITE_IN, OK), (1.1, "receive", ACK, UDP)],
        [*SERVING, (1, sent(OK)), (1.1, RequestIn(ACK, None, UDP))],
    ),
    "a stray ACK goes to the user, without a key": (
        [(0, "receive", ACK, UDP)],
        [(0, RequestIn(ACK, None, UDP))],
    ),
    "an early ACK changes nothing": (
        [ARRIVED, (0.1, "receive", ACK, UDP), (1, "respond", INVITE_IN, RINGING)],
        [*SERVING, (0.1, Ignored(INVITE_IN, "ACK in PROCEEDING")), (1, sent(RINGING))],
    ),
    "a CANCEL names the INVITE that it means, and is answered by itself": (
        [
            ARRIVED,
            (1, "receive", CANCEL, UDP),
            (1, "respond", CANCEL_IN, CANCEL_OK),
            (1.5, "receive", CANCEL, UDP),
            (2, "respond", INVITE_IN, BUSY),
        ],
        [
            *SERVING,
            (1, RequestIn(CANCEL, CANCEL_IN, UDP, cancels=INVITE_IN)),
            (1, sent(CANCEL_OK)),
            (1.5, sent(CANCEL_OK)),
            (2, sent(BUSY)),
        ],
    ),
    "a CANCEL that crosses the 200 still means the INVITE": (
        [ARRIVED, (1, "respond", INVITE_IN, OK), (1.1, "receive", CANCEL, UDP)],
        [*SERVING, (1, sent(OK)), (1.1, RequestIn(CANCEL, CANCEL_IN, UDP, cancels=INVITE_IN))],
    ),
    "a CANCEL of nothing means nothing": (
        [(0, "receive", CANCEL, UDP)],
        [(0, RequestIn(CANCEL, CANCEL_IN, UDP, cancels=None))],
    ),
    "a CANCEL that comes when all is over means nothing": (
        [ARRIVED, (1, "respond", INVITE_IN, OK), (33, "run"), (34, "receive", CANCEL, UDP)],
        [
            *SERVING,
            (1, sent(OK)),
            (33, Ended(INVITE_IN)),
            (34, RequestIn(CANCEL, CANCEL_IN, UDP, cancels=None)),
        ],
    ),
    "a request that comes by two paths is merged": (
        [ARRIVED, (0.1, "receive", forked := make_request(via=OTHER_VIA), UDP)],
        [
            *SERVING,
            (0.1, sent(answer(forked, 100))),
            (0.1, RequestIn(forked, server_key(forked), UDP, merged=True)),
        ],
    ),
    "not only an INVITE is merged": (
        [
            (0, "receive", MESSAGE, UDP),
            (0, "respond", MESSAGE_IN, MESSAGE_OK),
            (1, "receive", by_detour := make_request("MESSAGE", OTHER_VIA), UDP),
        ],
        [
            (0, RequestIn(MESSAGE, MESSAGE_IN, UDP)),
            (0, sent(MESSAGE_OK)),
            (1, RequestIn(by_detour, server_key(by_detour), UDP, merged=True)),
        ],
    ),
    "with another CSeq it is another request": (
        [
            (0, "receive", MESSAGE, UDP),
            (1, "receive", next_one := make_request("MESSAGE", OTHER_VIA, cseq=2), UDP),
        ],
        [(0, RequestIn(MESSAGE, MESSAGE_IN, UDP)), (1, RequestIn(next_one, server_key(next_one), UDP))],
    ),
    "with another From tag it is another's request": (
        [
            (0, "receive", MESSAGE, UDP),
            (
                1,
                "receive",
                his := make_request("MESSAGE", OTHER_VIA, from_="<sip:eve@127.0.0.1>;tag=eve"),
                UDP,
            ),
        ],
        [(0, RequestIn(MESSAGE, MESSAGE_IN, UDP)), (1, RequestIn(his, server_key(his), UDP))],
    ),
    "inside a dialog nothing is merged": (
        [
            (0, "receive", BYE, UDP),
            (1, "receive", again := make_request("BYE", VIA, to=TAGGED, cseq=2), UDP),
        ],
        [(0, RequestIn(BYE, BYE_IN, UDP)), (1, RequestIn(again, server_key(again), UDP))],
    ),
    "when the first one has ended there is nothing to merge with": (
        [
            (0, "receive", MESSAGE, UDP),
            (0, "respond", MESSAGE_IN, MESSAGE_OK),
            (32, "run"),
            (33, "receive", late := make_request("MESSAGE", OTHER_VIA), UDP),
        ],
        [
            (0, RequestIn(MESSAGE, MESSAGE_IN, UDP)),
            (0, sent(MESSAGE_OK)),
            (32, Ended(MESSAGE_IN)),
            (33, RequestIn(late, server_key(late), UDP)),
        ],
    ),
    "old peers: a copy, and the ACK by its To tag": (
        [
            (0, "receive", OLD_INVITE, UDP),
            (0.5, "receive", make_request(via=OLD_VIA), UDP),
            (1, "respond", OLD_IN, OLD_BUSY),
            (1.1, "receive", make_request("ACK", OLD_VIA, to="<sip:bob@127.0.0.2>;tag=other"), UDP),
            (1.2, "receive", OLD_ACK, UDP),
            (6.2, "run"),
        ],
        [
            *OLD_SERVING,
            (0.5, sent(OLD_TRYING)),
            (1, sent(OLD_BUSY)),
            (1.1, RequestIn(make_request("ACK", OLD_VIA, to="<sip:bob@127.0.0.2>;tag=other"), None, UDP)),
            (6.2, Ended(OLD_IN)),
        ],
    ),
    "old peers: the ACK of a 2xx goes to the user": (
        [(0, "receive", OLD_INVITE, UDP), (1, "respond", OLD_IN, OLD_OK), (1.1, "receive", OLD_ACK, UDP)],
        [*OLD_SERVING, (1, sent(OLD_OK)), (1.1, RequestIn(OLD_ACK, None, UDP))],
    ),
    "old peers: a CANCEL finds its INVITE": (
        [(0, "receive", OLD_INVITE, UDP), (1, "receive", old_cancel := make_request("CANCEL", OLD_VIA), UDP)],
        [*OLD_SERVING, (1, RequestIn(old_cancel, server_key(old_cancel), UDP, cancels=OLD_IN))],
    ),
    "a response for nobody is ignored": (
        [(0, "respond", BYE_IN, BYE_OK)],
        [(0, Ignored(BYE_IN, "200 for no transaction"))],
    ),
    "a lost connection: responses go by a new one to where the Via says, and then fail": (
        [
            (0, "receive", INVITE, lost := Flow("TCP", ("127.0.0.1", 39999), ("127.0.0.2", 5060), True)),
            (1, "transport_failed", lost, "closed"),
            (2, "respond", INVITE_IN, RINGING),
            (3, "transport_failed", lost, "closed"),
            (4, "transport_failed", second := Flow("TCP", ("127.0.0.1", 5062), ("127.0.0.2", 0)), "refused"),
        ],
        [
            (0, sent(TRYING, lost)),
            (0, RequestIn(INVITE, INVITE_IN, lost)),
            (2, sent(RINGING, second)),
            (4, TransportFailed(INVITE_IN, "refused")),
        ],
    ),
}

CLIENT_CASES = {
    "provisional and final responses; the refusal is acknowledged": (
        [
            (0, "send", INVITE, UDP),
            (1, "receive", RINGING, UDP),
            (2, "receive", BUSY, UDP),
            (3, "receive", BUSY, UDP),
            (34, "run"),
        ],
        [
            (0, sent(INVITE)),
            (1, ResponseIn(RINGING, INVITE_OUT)),
            (2, sent(make_ack(INVITE, BUSY))),
            (2, ResponseIn(BUSY, INVITE_OUT)),
            (3, sent(make_ack(INVITE, BUSY))),
            (34, Ended(INVITE_OUT)),
        ],
    ),
    "a response may come by another way than the request went": (
        [(0, "send", BYE, UDP), (0.1, "receive", BYE_OK, TCP)],
        [(0, sent(BYE)), (0.1, ResponseIn(BYE_OK, BYE_OUT))],
    ),
    "a stray response is ignored, a 2xx too": (
        [(0, "receive", OK, UDP), (1, "receive", BYE_OK, UDP)],
        [(0, Ignored(INVITE_OUT, "200 for no transaction")), (1, Ignored(BYE_OUT, "200 for no transaction"))],
    ),
    "the response to a CANCEL is not one to the INVITE": (
        [
            (0, "send", INVITE, UDP),
            (0.1, "receive", RINGING, UDP),
            (1, "send", CANCEL, UDP),
            (1.1, "receive", CANCEL_OK, UDP),
        ],
        [
            (0, sent(INVITE)),
            (0.1, ResponseIn(RINGING, INVITE_OUT)),
            (1, sent(CANCEL)),
            (1.1, ResponseIn(CANCEL_OK, CANCEL_OUT)),
        ],
    ),
    "a cancelled INVITE that is never answered times out": (
        [
            (0, "send", INVITE, TCP),
            (0.1, "receive", RINGING, TCP),
            (10, "send", CANCEL, TCP),
            (10.1, "receive", CANCEL_OK, TCP),
            (42, "run"),
        ],
        [
            (0, sent(INVITE, TCP)),
            (0.1, ResponseIn(RINGING, INVITE_OUT)),
            (10, sent(CANCEL, TCP)),
            (10.1, ResponseIn(CANCEL_OK, CANCEL_OUT)),
            (10.1, Ended(CANCEL_OUT)),
            (42, TimedOut(INVITE_OUT)),
            (42, Ended(INVITE_OUT)),
        ],
    ),
    "a CANCEL that crosses the 200 changes nothing": (
        [
            (0, "send", INVITE, UDP),
            (0.1, "receive", OK, UDP),
            (0.2, "send", CANCEL, UDP),
            (0.3, "receive", CANCEL_OK, UDP),
            (40, "run"),
        ],
        [
            (0, sent(INVITE)),
            (0.1, ResponseIn(OK, INVITE_OUT)),
            (0.2, sent(CANCEL)),
            (0.3, ResponseIn(CANCEL_OK, CANCEL_OUT)),
            (5.3, Ended(CANCEL_OUT)),
            (32.1, Ended(INVITE_OUT)),
        ],
    ),
    "a CANCEL of what has ended goes out all the same": (
        [(0, "send", CANCEL, UDP)],
        [(0, sent(CANCEL))],
    ),
    "a failed transport ends what went by it, and nothing else": (
        [
            (0, "send", INVITE, TCP),
            (0, "send", BYE, UDP),
            (0.1, "transport_failed", TCP, "refused"),
            (0.2, "receive", BYE_OK, UDP),
        ],
        [
            (0, sent(INVITE, TCP)),
            (0, sent(BYE)),
            (0.1, TransportFailed(INVITE_OUT, "refused")),
            (0.1, Ended(INVITE_OUT)),
            (0.2, ResponseIn(BYE_OK, BYE_OUT)),
        ],
    ),
    "we may call ourselves": (
        [
            (0, "send", BYE, UDP),
            (0, "receive", BYE, UDP),
            (0, "respond", BYE_IN, BYE_OK),
            (0, "receive", BYE_OK, UDP),
        ],
        [
            (0, sent(BYE)),
            (0, RequestIn(BYE, BYE_IN, UDP)),
            (0, sent(BYE_OK)),
            (0, ResponseIn(BYE_OK, BYE_OUT)),
        ],
    ),
}


class Player(TransactionLayer):
    """A layer whose `send_request` returns effects only, for `play`."""

    def send(self, request, flow, now):
        key, effects = self.send_request(request, flow, now)
        assert key == client_key(request)
        return effects


@pytest.fixture
def layer():
    return Player(Timers())


@pytest.mark.parametrize(("script", "expected"), SERVER_CASES.values(), ids=SERVER_CASES)
def test_server_side(layer, script, expected):
    assert play(layer, script) == expected


@pytest.mark.parametrize(("script", "expected"), CLIENT_CASES.values(), ids=CLIENT_CASES)
def test_client_side(layer, script, expected):
    assert play(layer, script) == expected


SEVERAL = {
    "in two lines": (VIA_TWO := ["SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bKtwo", "SIP/2.0/UDP 127.0.0.9"]),
    "in one line": [", ".join(VIA_TWO)],
}


@pytest.mark.parametrize("vias", SEVERAL.values(), ids=SEVERAL)
def test_a_response_with_several_vias_was_meant_for_another(layer, vias):
    layer.send(BYE, UDP, 0)
    stray = BYE_OK.copy()
    stray.headers.set("Via", vias[0])
    for via in vias[1:]:
        stray.headers.add("Via", via)
    assert layer.receive(stray, UDP, 1) == [Ignored(BYE_OUT, "200 with several Vias")]
    assert layer.receive(BYE_OK, UDP, 1) == [ResponseIn(BYE_OK, BYE_OUT)]


def test_other_headers_of_a_response_may_be_repeated(layer):
    layer.send(BYE, UDP, 0)
    response = BYE_OK.copy()
    response.headers.add("Record-Route", "<sip:127.0.0.8;lr>")
    response.headers.add("Record-Route", "<sip:127.0.0.9;lr>")
    assert layer.receive(response, UDP, 1) == [ResponseIn(response, BYE_OUT)]


def test_the_source_is_in_the_top_via_before_anybody_sees_the_request(layer):
    nat = Flow("UDP", ("198.51.100.7", 40000), ("192.0.2.1", 5060))
    trying, told = layer.receive(make_request(via=f"{VIA};rport"), nat, 0)
    marked = f"{VIA};rport=40000;received=198.51.100.7"
    assert told.request.headers.get("Via") == marked
    assert f"Via: {marked}\r\n".encode() in trying.data
    assert trying.flow == nat


def test_without_rport_responses_go_to_the_port_of_the_via(layer):
    source = Flow("UDP", ("127.0.0.1", 40000), ("127.0.0.2", 5060))
    trying, told = layer.receive(make_request(), source, 0)
    assert trying.flow == Flow("UDP", ("127.0.0.1", 5062), ("127.0.0.2", 5060))
    assert told.flow == source


USAGE = {
    "an ACK opens no transaction": [(0, "send", ACK, UDP)],
    "a request needs a branch": [(0, "send", make_request("BYE", OLD_VIA), UDP)],
    "a branch is used once": [(0, "send", BYE, UDP), (0, "send", BYE, UDP)],
    "no CANCEL before a provisional response": [(0, "send", INVITE, UDP), (1, "send", CANCEL, UDP)],
}


@pytest.mark.parametrize("script", USAGE.values(), ids=USAGE)
def test_wrong_use_is_an_error_and_changes_nothing(layer, script):
    play(layer, script[:-1])
    before, deadline = layer.states(), layer.deadline
    with pytest.raises(UsageError):
        play(layer, script[-1:])
    assert (layer.states(), layer.deadline) == (before, deadline)


def test_the_deadline_is_the_earliest_of_all(layer):
    assert layer.deadline is None
    layer.send(INVITE, TCP, 0)
    assert layer.deadline == 32
    layer.send(BYE, UDP, 1)
    assert layer.deadline == 1.5
    layer.receive(BYE_OK, UDP, 1.2)
    assert layer.deadline == 6.2
    assert layer.expire(6.1) == []
    assert layer.expire(6.2) == [Ended(BYE_OUT)]
    assert layer.deadline == 32


def test_one_wake_up_fires_all_that_is_due_in_order(layer):
    layer.send(INVITE, TCP, 0)
    layer.send(BYE, TCP, 1)
    assert layer.expire(50) == [TimedOut(INVITE_OUT), Ended(INVITE_OUT), TimedOut(BYE_OUT), Ended(BYE_OUT)]
    assert (len(layer), layer.deadline) == (0, None)


def test_states_are_counted(layer):
    layer.receive(INVITE, UDP, 0)
    layer.receive(BYE, UDP, 0)
    layer.send(INVITE, UDP, 0)
    layer.send(BYE, UDP, 0)
    layer.receive(BYE_OK, UDP, 0)
    assert len(layer) == 4
    assert layer.states() == {
        "INVITE server PROCEEDING": 1,
        "non-INVITE server TRYING": 1,
        "INVITE client CALLING": 1,
        "non-INVITE client COMPLETED": 1,
    }


def test_each_message_is_rendered_once(layer, monkeypatch):
    rendered = []
    for kind in (Request, Response):
        monkeypatch.setattr(
            kind, "render", lambda self, render=kind.render: rendered.append(repr(self)) or render(self)
        )
    refused = answer(INVITE, 486)
    ringing = answer(INVITE, 180)
    layer.receive(INVITE, UDP, 0)  # 100
    layer.receive(INVITE, UDP, 1)
    layer.respond(INVITE_IN, ringing, 2)
    layer.respond(INVITE_IN, ringing, 3)  # a reliable provisional response, repeated by its user
    layer.respond(INVITE_IN, refused, 4)
    layer.receive(INVITE, UDP, 4)
    layer.send(BYE, UDP, 4)
    layer.send(make_request(via=OTHER_VIA), UDP, 4)
    play(layer, [(100, "run")])
    assert len(rendered) == 4


def test_a_2xx_is_rendered_again_at_most_once_for_all_its_repetitions(layer, monkeypatch):
    rendered = []
    monkeypatch.setattr(
        Response, "render", lambda self, render=Response.render: rendered.append(1) or render(self)
    )
    layer.receive(INVITE, UDP, 0)
    rendered.clear()
    for time in range(1, 9):
        assert len(layer.respond(INVITE_IN, OK, time)) == 1
    assert len(rendered) == 2
