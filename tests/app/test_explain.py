"""`pbx explain` asks the server that runs: its registrations, calls and usage count, and nothing changes."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from twisted.internet.task import Clock

from pbx.app.explain import LATER, OF_SERVER, Explainer, as_lines, later, read_moment
from pbx.call.logins import Login
from pbx.errors import PbxError
from pbx.office.settings import Settings
from pbx.office.snapshot import Office
from pbx.rules.facts import Used
from pbx.rules.still_world import StillWorld
from tests.app.serving import Place, Server
from tests.call.world import World, make_office, talk

NOW = datetime(2026, 11, 3, 8, tzinfo=UTC)


def answer_of(world: World, *words: str):
    reactor = Clock()
    reactor.advance(world.now)
    said = []
    Explainer(reactor, SimpleNamespace(), world.exchange).explain(*words).addCallback(said.append)
    return said[0]


def test_registrations_and_calls_of_the_server_count_and_no_call_is_made():
    world = World(make_office("100", "101", "102"))
    ann = world.phone("100")
    first = answer_of(world, "100", "101")
    assert first["basis"] == OF_SERVER
    assert first["steps"][0]["decided"] == ("no phone of 101 that rings is registered",)
    bob = world.phone("101")
    assert answer_of(world, "100", "101")["steps"][0]["decided"] == ("the phones of 101 ring: 101",)
    for callee in (bob, world.phone("102")):
        talk(world, ann, callee)
    ann.received.clear()
    before = dict(world.exchange.calls)
    said = answer_of(world, "101", "100")["steps"][0]["decided"]
    assert said == ("100 is busy: it has 2 calls, and call_waiting is 2",)
    assert world.exchange.calls == before
    assert not ann.received


def test_lines():
    world = World(make_office("100", "101"))
    world.phone("101")
    assert [*as_lines(answer_of(world, "100", "101"))] == [
        f"{OF_SERVER}; 2026-01-01 00:00 (UTC)",
        "phone 100 of 100 (Phone 100), dials 101",
        "   1. the phones of 101 ring: 101",
        "      -> phone 101 rings for 20 s",
        "if nobody answers within 20 s:",
        "   2. nobody answered in time",
        "   3. no-answer action of 101 is hangup: the call ends",
        "      -> the caller is refused: 480 Temporarily Unavailable",
    ]


def test_at_another_time_calls_are_over_and_logins_end():
    office = Office(Settings(timezone="Asia/Singapore", hot_desk_logout="18:00"))
    logins = (
        Login("desk", "ann@acme.example", NOW),
        Login("hall", "bob@acme.example", datetime(2026, 11, 5, tzinfo=UTC)),
    )
    world = StillWorld(NOW, busy={"100": 2}, locked=frozenset(("passcode 100",)), turns={"600": 3})
    at = datetime(2026, 11, 3, 12, tzinfo=UTC)  # 20:00 in Singapore
    moved = later(world, office, at, {"100": Used(seconds=5.0)}, logins)
    assert (moved.now, moved.calls("100"), moved.is_locked("passcode 100")) == (at, 0, False)
    assert (moved.member_at("desk"), moved.member_at("hall")) == ("", "bob@acme.example")
    assert (moved.turn("600"), moved.used("100").seconds) == (3, 5.0)


MOMENTS = {
    "of the office's zone": ("2026-12-24 18:00", datetime(2026, 12, 24, 10, tzinfo=UTC)),
    "of its own zone": ("2026-12-24T18:00:00+01:00", datetime(2026, 12, 24, 17, tzinfo=UTC)),
    "a day begins at midnight": ("2026-12-24", datetime(2026, 12, 23, 16, tzinfo=UTC)),
}


@pytest.mark.parametrize(("text", "expected"), MOMENTS.values(), ids=MOMENTS)
def test_moments(text, expected):
    assert read_moment(text, Office(Settings(timezone="Asia/Singapore"))) == expected


@pytest.mark.parametrize("text", ["", "noon", "2026-12-24 25:00", "0001-01-01", "9999-12-31T23:00-12:00"])
def test_no_moments(text):
    with pytest.raises(PbxError, match=r"is no date or time|is further away than the calendar goes"):
        read_moment(text, Office(Settings(timezone="Asia/Singapore")))


def test_the_running_server_is_asked(tmp_path):
    place = Place(tmp_path)
    server = Server(place).wait_up()
    client = place.client()

    def explain(*words: str, code: int = 0) -> str:
        done = place.run("explain", *words)
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    try:
        said = explain("100", "101")
        assert said.startswith(f"{OF_SERVER}; ")
        assert "no phone of 101 that rings is registered" in said
        assert client.register("101", server.password("101")).status == 200
        assert "the phones of 101 ring: 101" in explain("100", "101")
        answer = json.loads(explain("100", "101", "--at", "2030-12-24 18:00", "--json"))
        assert (answer["basis"], answer["at"][:16]) == (LATER, "2030-12-24T18:00")
        assert "'nobody' is nobody who could call" in explain("nobody", "101", code=2)
        assert "'noon' is no date or time" in explain("100", "101", "--at", "noon", code=2)
        assert place.status()["calls"] == []
        server.stop()
        assert explain("100", "101").startswith("no server runs here; by what its database holds")
    finally:
        client.close()
        server.kill()
        place.release()
