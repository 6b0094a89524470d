"""Whatever happens, transactions end, are forgotten, and leave no garbage."""

import gc

from hypothesis import given, settings
from hypothesis import strategies as st

from pbx.errors import UsageError
from pbx.sip.flow import Flow
from pbx.sip.message import Request
from pbx.sip.transaction.key import server_key
from pbx.sip.transaction.layer import TransactionLayer
from pbx.sip.transaction.timers import Timers
from pbx.sip.transaction.types import Ended, Ignored, RequestIn, ResponseIn, Send, TimedOut, TransportFailed
from tests.sip.transaction.support import TCP, UDP, answer, make_request

ACCEPTED_TCP = Flow("TCP", ("127.0.0.1", 40001), ("127.0.0.2", 5060), True)
FLOWS = (UDP, TCP, ACCEPTED_TCP)
METHODS = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS")
VIAS = (
    "SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bKone",
    "SIP/2.0/UDP 127.0.0.1:5062;rport;branch=z9hG4bKtwo",
    "SIP/2.0/TCP 127.0.0.3;branch=z9hG4bKone",
    "SIP/2.0/UDP 127.0.0.1",
)
STATUSES = (100, 180, 200, 302, 486, 600)

requests = st.builds(
    make_request,
    st.sampled_from(METHODS),
    st.sampled_from(VIAS),
    to=st.sampled_from(("<sip:bob@127.0.0.2>", "<sip:bob@127.0.0.2>;tag=bob")),
)
operations = st.one_of(
    st.tuples(st.just("receive"), requests, st.sampled_from(FLOWS)),
    st.tuples(st.just("send"), requests, st.sampled_from(FLOWS)),
    st.tuples(st.just("receive_response"), requests, st.sampled_from(STATUSES)),
    st.tuples(st.just("respond"), requests, st.sampled_from(STATUSES)),
    st.tuples(st.just("transport_failed"), st.sampled_from(FLOWS)),
    st.tuples(st.just("wait"), st.sampled_from((0.0, 0.1, 0.5, 4.0, 31.0, 100.0))),
    st.tuples(st.just("run"), st.sampled_from((0.0, 0.5, 5.0, 40.0))),
)


class World:
    """A layer and the law: one Ended for each transaction, nothing of it after that."""

    def __init__(self):
        self.layer = TransactionLayer(Timers())
        self.now = 0.0
        self.alive = {}  # key -> the request that opened it

    def take(self, effects):
        for effect in effects:
            if isinstance(effect, RequestIn) and effect.key is not None:
                assert effect.key not in self.alive
                self.alive[effect.key] = effect.request
            elif isinstance(effect, ResponseIn | TimedOut | TransportFailed):
                assert effect.key in self.alive
            elif isinstance(effect, Ended):
                del self.alive[effect.key]
            else:
                assert isinstance(effect, Send | Ignored | RequestIn)
        assert len(self.layer) == len(self.alive)

    def run(self, until):
        steps = 0
        while (deadline := self.layer.deadline) is not None and deadline <= until:
            self.now = max(self.now, deadline)
            self.take(self.layer.expire(self.now))
            steps += 1
            assert steps < 1000  # timers that only set themselves again
        self.now = max(self.now, until)

    def send(self, request, flow):
        try:
            key, effects = self.layer.send_request(request, flow, self.now)
        except UsageError:
            return
        self.alive[key] = request
        self.take(effects)

    def do(self, name, *arguments):
        layer = self.layer
        if name == "receive":
            self.take(layer.receive(*arguments, self.now))
        elif name == "send":
            self.send(*arguments)
        elif name == "receive_response":
            self.take(layer.receive(answer(*arguments), UDP, self.now))
        elif name == "respond":
            request, status = arguments
            self.take(layer.respond(server_key(request), answer(request, status), self.now))
        elif name == "transport_failed":
            self.take(layer.transport_failed(*arguments, "gone", self.now))
        elif name == "wait":
            self.now += arguments[0]
            self.take(layer.expire(self.now))
        else:
            self.run(self.now + arguments[0])

    def finish(self):
        """What every transaction user does in the end: it answers, and it cancels what rings."""
        self.run(self.now + 1000)
        self.run(self.now + 1000)
        for key, request in list(self.alive.items()):
            if key.is_server:
                self.take(self.layer.respond(key, answer(request, 500), self.now))
            else:
                cancel_key, effects = self.layer.send_request(as_cancel(request), UDP, self.now)
                self.alive[cancel_key] = request
                self.take(effects)
        self.run(self.now + 1000)


def as_cancel(invite):
    cancel = Request("CANCEL", invite.uri, invite.headers.copy())
    cancel.headers.set("CSeq", f"{invite.cseq.number} CANCEL")
    return cancel


@settings(max_examples=200, deadline=None)
@given(st.lists(operations, max_size=30))
def test_any_order_of_inputs_leaves_nothing_behind(script):
    world = World()
    for operation in script:
        world.do(*operation)
    world.finish()
    assert world.alive == {}
    assert len(world.layer) == 0
    assert world.layer.states() == {}
    assert world.layer.deadline is None
    assert len(world.layer.deadlines) == 0
    assert world.layer._merge_ids == {}


@settings(max_examples=100, deadline=None)
@given(st.lists(operations, max_size=20))
def test_only_what_waits_for_its_user_has_no_deadline(script):
    world = World()
    for operation in script:
        world.do(*operation)
    waiting = {"INVITE server PROCEEDING", "non-INVITE server TRYING", "non-INVITE server PROCEEDING"}
    waiting.add("INVITE client PROCEEDING")
    everyone = [*world.layer._clients.values(), *world.layer._servers.values()]
    for transaction in everyone:
        if transaction.deadline is None:
            assert f"{transaction.name} {transaction.state.name}" in waiting
    if set(world.layer.states()) - waiting:
        assert world.layer.deadline is not None


def held_by(transaction):
    """The messages and octets that a transaction keeps."""
    kept = (getattr(transaction, name, None) for name in ("_data", "_last", "_request"))
    return [value for value in kept if value]


def test_what_only_waits_for_stray_copies_keeps_no_message():
    layer = TransactionLayer(Timers())
    invite = make_request()
    key, _ = layer.send_request(invite, UDP, 0.0)
    layer.receive(answer(invite, 180), UDP, 1.0)
    assert held_by(layer._clients[key]) == [invite]  # for the ACK of a refusal
    layer.receive(answer(invite, 200), UDP, 2.0)
    assert held_by(layer._clients[key]) == []

    told = layer.receive(make_request(), UDP, 0.0)[-1]
    layer.respond(told.key, answer(invite, 200), 1.0)
    assert held_by(layer._servers[told.key]) == []

    refused = layer.receive(make_request(via=VIAS[1], call_id="2"), UDP, 0.0)[-1]
    busy = answer(refused.request, 486)
    layer.respond(refused.key, busy, 1.0)
    layer.receive(make_request("ACK", VIAS[1], to="<sip:bob@127.0.0.2>;tag=bob"), UDP, 1.0)
    assert held_by(layer._servers[refused.key]) == []

    bye = make_request("BYE", call_id="3")
    key, _ = layer.send_request(bye, UDP, 0.0)
    layer.receive(answer(bye, 200), UDP, 1.0)
    assert held_by(layer._clients[key]) == []
    told = layer.receive(bye, UDP, 0.0)[-1]
    response = answer(bye, 200)
    layer.respond(told.key, response, 1.0)
    assert held_by(layer._servers[told.key]) == [response.render()]  # for copies of the BYE


def exchange(layer, flow):
    """An INVITE refused, one answered, and a BYE, on both sides, to their end."""
    for number, status in enumerate((486, 200)):
        invite = make_request(
            via=f"SIP/2.0/UDP 127.0.0.1:5062;rport;branch=z9hG4bK{number}", call_id=str(number)
        )
        sent_key, _ = layer.send_request(invite, flow, 0.0)
        *_, told = layer.receive(make_request(via=invite.headers.get("Via"), call_id=str(number)), flow, 0.0)
        response = answer(told.request, status)
        layer.respond(told.key, response, 1.0)
        layer.receive(response, flow, 1.0)
        layer.receive(
            make_request("ACK", via=invite.headers.get("Via"), to="<sip:bob@127.0.0.2>;tag=bob"), flow, 1.0
        )
        assert not sent_key.is_server
    bye = make_request(
        "BYE", "SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bKbye", to="<sip:bob@127.0.0.2>;tag=bob"
    )
    layer.send_request(bye, flow, 2.0)
    told = layer.receive(bye, flow, 2.0)[-1]
    response = answer(told.request, 200)
    layer.respond(told.key, response, 2.0)
    layer.receive(response, flow, 2.0)
    while layer.deadline is not None:
        layer.expire(layer.deadline)
    assert len(layer) == 0


def test_a_finished_transaction_is_no_work_for_the_garbage_collector():
    layer = TransactionLayer(Timers())
    exchange(layer, UDP)  # fills caches
    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            exchange(layer, UDP)
            exchange(layer, TCP)
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_ten_thousand_transactions_leave_no_object_behind():
    layer = TransactionLayer(Timers())
    exchange(layer, UDP)
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(2000):
        exchange(layer, UDP)
    gc.collect()
    assert len(gc.get_objects()) - before < 200
