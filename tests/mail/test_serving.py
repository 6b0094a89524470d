"""`pbx serve` sends what its database holds."""

import pytest

from pbx.store.outbox import Outbox
from pbx.store.store import open_store
from tests.app.serving import Place, Server
from tests.mail.world import World


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.close()


def test_the_server_sends_mail_and_a_retry_is_heard_at_once(world, tmp_path):
    (tmp_path / "place").mkdir()
    place = Place(tmp_path / "place")
    world.serve(refuse=["ann@acme.example"])
    place.path.write_text(place.path.read_text() + f"[mail]\nserver = 'smtp://127.0.0.1:{world.port}'\n")
    server = Server(place)
    try:
        server.wait_up()
        world.store.close()
        world.store = open_store(f"sqlite:///{place.data / 'pbx.db'}")
        world.outbox = Outbox(world.store)
        world.put(1, "bob@acme.example", wait_s=3600.0)
        world.put(2, "ann@acme.example", wait_s=3600.0)
        assert place.run("mail", "retry").stdout == "2 mails are being tried\n"
        world.wait(lambda: world.outbox.counts()["sending"] + world.outbox.counts()["waiting"] == 0)
        assert [world.state(number) for number in (1, 2)] == ["sent", "refused"]
        assert "mail mail-2 to ann@acme.example is not sent: 550 5.1.1 No such user here" in server.log
        server.stop()
    finally:
        server.kill()
        place.release()
