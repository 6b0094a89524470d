"""An exchange with three extensions, and one whose 101 has three phones."""

import pytest

from pbx.office.snapshot import Office
from tests.call.world import World, make_extension, make_office


@pytest.fixture
def world():
    return World(make_office("100", "101", "102"))


@pytest.fixture
def ann(world):
    return world.phone("100")


@pytest.fixture
def bob(world):
    return world.phone("101")


@pytest.fixture
def eve(world):
    return world.phone("102")


@pytest.fixture
def forked():
    extensions = (make_extension("100", ("100",)), make_extension("101", ("101i", "101m", "101d")))
    world = World(Office(extensions=extensions, realm="pbx.local"))
    return world, world.phone("100"), [world.phone(name) for name in ("101i", "101m", "101d")]
