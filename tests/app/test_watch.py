"""Who learns when that the office has changed; the database is a list of questions, time a clock's."""

import pytest
from twisted.internet.task import Clock

from pbx.app.watch import POLL_S, OfficeWatch
from pbx.errors import StoreError
from pbx.office.settings import Settings
from pbx.office.snapshot import Office

DOMAIN = "pbx.local"
GONE = StoreError("database: gone")


def office(name: str, realm: str = DOMAIN) -> Office:
    return Office(settings=Settings(name=name), realm=realm)


class World:
    """A watch of revision 1; `answer` is the database's."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.callFromThread = lambda function, *args: function(*args)
        self.asked = []
        self.in_force = []
        self.heard = []
        self.watch = OfficeWatch(
            self.clock, self, 1, DOMAIN, lambda office: self.in_force.append(office.settings.name)
        )
        self.watch.start()

    def look(self, known, then):
        self.asked.append((known, then))

    def answer(self, answer) -> None:
        _, then = self.asked.pop(0)
        then(answer)

    def hear(self, name: str) -> None:
        """Someone asks, as a command does."""
        asking = self.watch.look()
        asking.addCallbacks(
            lambda revision: self.heard.append((name, revision)),
            lambda failure: self.heard.append((name, failure.getErrorMessage())),
        )


@pytest.fixture
def world():
    return World()


def test_it_looks_every_few_seconds(world):
    for _ in range(3):
        world.clock.advance(POLL_S)
        assert [known for known, _ in world.asked] == [1]
        world.answer(None)
    assert world.in_force == []


def test_a_new_revision_comes_into_force_and_is_the_one_known_from_then_on(world):
    world.clock.advance(POLL_S)
    world.answer((office("B"), 5))
    assert world.in_force == ["B"]
    world.clock.advance(POLL_S)
    assert world.asked[0][0] == 5


def test_while_the_database_hangs_nothing_piles_up(world):
    for _ in range(100):
        world.clock.advance(POLL_S)
    assert len(world.asked) == 1
    world.answer(None)
    assert world.asked == []  # nobody has waited for a look of his own
    world.clock.advance(POLL_S)
    assert len(world.asked) == 1


def test_a_database_that_is_gone_changes_nothing(world):
    world.clock.advance(POLL_S)
    world.answer(GONE)
    assert world.in_force == []
    world.clock.advance(POLL_S)
    world.answer((office("B"), 2))
    assert world.in_force == ["B"]


def test_who_asks_hears_the_revision_in_force(world):
    world.hear("ann")
    world.answer((office("B"), 2))
    world.hear("bob")
    world.answer(None)
    assert world.heard == [("ann", 2), ("bob", 2)]


def test_who_asks_hears_what_went_wrong(world):
    world.hear("ann")
    world.answer(GONE)
    assert world.heard == [("ann", "database: gone")]


def test_who_asks_during_a_look_gets_a_look_that_began_later(world):
    world.clock.advance(POLL_S)
    world.hear("ann")  # what she has written may have come after the database was read
    world.hear("bob")
    world.answer(None)
    assert world.heard == []
    world.answer((office("B"), 2))
    assert world.heard == [("ann", 2), ("bob", 2)]
    assert world.asked == []


def test_an_office_for_another_domain_is_refused_and_complained_of_once(world):
    for name in ("ann", "bob"):
        world.hear(name)
        world.answer((office("B", "other.example"), 2))
    assert world.in_force == []
    assert {said for _, said in world.heard} == {
        "the office in the database is for the domain other.example, this server's is pbx.local: "
        "it goes on with the old office"
    }
    world.hear("cy")
    world.answer((office("C"), 3))
    assert world.in_force == ["C"]


def test_it_stops(world):
    world.watch.stop()
    world.watch.stop()
    world.clock.advance(10 * POLL_S)
    assert world.asked == []
