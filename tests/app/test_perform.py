"""The order in which effects reach the world."""

from pbx.app.perform import Performer
from pbx.media.orders import CloseEndpoint, Join, OpenEndpoint, SetRemote
from pbx.sip.flow import Flow
from pbx.sip.transaction.types import Send

FLOW = Flow("UDP", ("192.0.2.1", 5060), ("192.0.2.9", 5060))


class World:
    """Writes down what it is asked for."""

    def __init__(self):
        self.seen = []

    def perform(self, order):
        self.seen.append(order)

    def flush(self):
        self.seen.append("flush")

    def send(self, data, flow):
        assert flow is FLOW
        self.seen.append(data)


def perform(*effects):
    world = World()
    performer = Performer(world, world.perform, world.perform, world.perform, world.perform)
    performer.wire = world
    for effect in effects:
        performer(effect)
    return world.seen


def test_ports_are_being_opened_before_anything_names_them():
    a, b = OpenEndpoint("a", "call", "192.0.2.9", 10_000), OpenEndpoint("b", "call", "192.0.2.9", 10_002)
    invite, again = Send(b"INVITE", FLOW), Send(b"again", FLOW)
    assert perform(a, b, invite, again) == [a, b, "flush", b"INVITE", b"again"]


def test_all_other_orders_wait_for_the_end_of_the_steps():
    orders = SetRemote("a", ("192.0.2.1", 4000)), Join("a", "b"), CloseEndpoint("a")
    assert perform(*orders, Send(b"BYE", FLOW)) == [*orders, b"BYE"]
