"""Which changes of a phone's bindings are saved at once, and which may wait for others."""

from pbx.call.effects import SaveBindings
from tests.call.world import World, make_office


class KeepingWorld(World):
    """Remembers what it is asked to save."""

    def __post_init__(self):
        self.saved: list[bool] = []
        super().__post_init__()

    def perform(self, effects):
        self.saved += [effect.is_urgent for effect in effects if isinstance(effect, SaveBindings)]
        super().perform(effects)


def test_a_phone_in_a_new_place_is_saved_at_once_and_a_refresh_may_wait():
    world = KeepingWorld(make_office("100"))
    phone = world.phone("100")
    assert world.saved == [True]
    phone.register()
    assert world.saved == [True, False]
    phone.contact = "<sip:100@192.0.2.9:5999>"
    phone.register()
    phone.register(expires=0)
    assert world.saved == [True, False, True, True]
