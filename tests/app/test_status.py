"""The registrations of `pbx status` in pieces."""

import json

from pbx.app import status
from pbx.app.status import registrations_of, write_rows
from pbx.office.snapshot import Office
from tests.call.world import World, make_extension


def test_pieces_of_the_registrations_make_the_whole(monkeypatch):
    monkeypatch.setattr(status, "AT_ONCE", 2)
    world = World(Office(extensions=(make_extension("100", ("a", "b", "c")),), realm="pbx.local"))
    for username in ("c", "a", "b"):
        world.phone(username)
    pieces = list(write_rows(registrations_of(world.exchange, world.now)))
    assert len(pieces) == 2
    rows = json.loads(f"[{', '.join(pieces)}]")
    assert [(row["extension"], row["device"]) for row in rows] == [("100", name) for name in "abc"]
    assert rows[0]["contact"] == "sip:a@192.0.2.9:5101"
