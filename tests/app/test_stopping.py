"""What a server that stops does not do."""

from pbx.call.effects import SaveBindings
from pbx.sip.location import restore_binding, save_binding
from tests.call.world import World, make_office


def saved(effects):
    return [effect.username for effect in effects if isinstance(effect, SaveBindings)]


def test_a_connection_that_closes_takes_its_registration_along():
    world = World(make_office("100"))
    phone = world.phone("100", transport="TCP")
    effects = world.exchange.flow_lost(phone.flow, "closed by the phone", world.now)
    assert saved(effects) == ["100"]
    assert not world.exchange.location.is_registered("100", world.now)


def test_connections_that_the_stopping_server_closes_itself_leave_their_registrations():
    world = World(make_office("100"))
    phone = world.phone("100", transport="TCP")
    world.perform(world.exchange.stop(world.now))
    effects = world.exchange.flow_lost(phone.flow, "the server stops", world.now)
    assert saved(effects) == []
    assert world.exchange.location.is_registered("100", world.now)
    rows = [
        save_binding(username, binding, world.now, 0.0)
        for username, binding in world.exchange.location.all(world.now)
    ]
    assert [restore_binding(row, 5.0, 0.0).flow.transport for row in rows] == ["TCP"]
