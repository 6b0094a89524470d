"""Servers that are broken, slow or malicious: mail waits, the reason is shown, and nothing leaks or hangs."""

import pytest

from pbx.mail.outbox import CONNECTIONS
from tests.mail.rude_server import RudeServer
from tests.mail.world import SOON_S, World

HELLO = [b"220 mx\r\n", None]
READY = [*HELLO, b"250-mx\r\n250 SIZE 1000000\r\n", None]  # MAIL has come
TO_DATA = [*READY, b"250 ok\r\n", None, b"250 ok\r\n", None]  # DATA has come
NONE: list[None] = [None] * 200  # reads on and says nothing


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def rude():
    servers = []

    def start(script):
        servers.append(RudeServer(script))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


BEFORE_MAIL = {
    "a web server": (
        [b"HTTP/1.1 400 Bad Request\r\n"],
        "does not speak SMTP: it says HTTP/1.1 400 Bad Request",
    ),
    "closes at once": ([], "the peer closed the connection"),
    "a banner without end": ([b"220-wait\r\n" * 5000], "a reply of over 200 lines"),
    "a line of a megabyte": ([b"220 " + b"x" * 2**20 + b"\r\n"], "a line of over 4096 bytes"),
    "a line without end": ([b"2" * 100_000, 2.0], "a line of over 4096 bytes"),
    "no service": ([b"554 5.7.1 go away \xfc\x1b[31m\r\n", 5.0], "554 5.7.1 go away � [31m"),
    "busy": ([b"421 too busy\r\n"], "421 too busy"),
    "no hello": ([*HELLO, b"502 what?\r\n", None, b"502 what?\r\n", None], "502 what?"),
    "another code in one reply": ([*HELLO, b"250-mx\r\n251 no\r\n"], "250 and 251 in one reply"),
    "speaks unasked": ([*HELLO, b"250 mx\r\n250 more\r\n", 2.0], "says unasked"),
    "offers STARTTLS and refuses": ([*HELLO, b"250-mx\r\n250 STARTTLS\r\n", None, b"454 no\r\n"], "454 no"),
    "says more than STARTTLS in clear": (
        [*HELLO, b"250-mx\r\n250 STARTTLS\r\n", None, b"220 go\r\n250-mx\r\n250 AUTH PLAIN\r\n", 2.0],
        "says more than it is asked before encryption begins",
    ),
    "no TLS after STARTTLS": (
        [*HELLO, b"250-mx\r\n250 STARTTLS\r\n", None, b"220 go\r\n", 0.2, b"250 mx\r\n" * 10, 2.0],
        "TLS: ",
    ),
    "wants a login": ([*READY, b"530 5.7.0 Authentication required\r\n", *NONE], "530 5.7.0"),
}


@pytest.mark.parametrize(("script", "says"), BEFORE_MAIL.values(), ids=BEFORE_MAIL)
def test_a_server_of_no_use(world, rude, script, says):
    world.port = rude(script).port
    world.put()
    sender = world.send(clock=0)
    world.wait(lambda: bool(world.row().words))
    assert says in world.row().words
    assert world.state() == "waiting"
    assert world.row().doubts == 0
    assert world.row().words.isprintable()
    world.end(sender)
    assert "Traceback" not in world.log.read_text()


SILENT = {
    "from the start": [SOON_S],
    "but for a slow banner without end": [each for _ in range(500) for each in (b"220-wait\r\n", 0.1)],
    "when TLS begins": [*HELLO, b"250-mx\r\n250 STARTTLS\r\n", None, b"220 go\r\n", SOON_S],
}


@pytest.mark.parametrize("script", SILENT.values(), ids=SILENT)
def test_a_server_that_is_silent(world, rude, script):
    world.port = rude(script).port
    world.put()
    sender = world.send(clock=0, reply_s=1.0)
    world.wait(lambda: bool(world.row().words))
    assert "does not answer" in world.row().words
    assert (world.state(), world.row().doubts) == ("waiting", 0)
    world.end(sender)
    assert "Traceback" not in world.log.read_text()


LOGINS = {
    "repeats the password": (b"535 no, not %s or hush\r\n", "login refused: 535 no, not *** or ***"),
    "asks on and on": (b"334 \r\n" * 1, "asks for more than there is to say"),
    "wants nothing that we know": (None, "no way to log in that we may use (PLAIN, LOGIN), but: CRAM-MD5"),
}


@pytest.mark.parametrize(("answer", "says"), LOGINS.values(), ids=LOGINS)
def test_a_server_that_plays_with_the_login(world, rude, answer, says):
    offer = b"250-mx\r\n250 AUTH " + (b"CRAM-MD5" if answer is None else b"PLAIN") + b"\r\n"
    told = (answer or b"").replace(b"%s", b"AGFubgBodXNo")
    world.port = rude([*HELLO, offer, None, told, *NONE]).port
    world.put()
    world.send("smtp://ann:hush@127.0.0.1:{port}?starttls=off", clock=0)
    world.wait(lambda: bool(world.row().words))
    assert says in world.row().words
    assert "hush" not in world.log.read_text() + world.row().words


WITH_MAIL = {
    "a sender that is refused": ([*READY, b"553 5.1.8 sender\r\n", *NONE], "refused", "553 5.1.8 sender", 0),
    "a full mailbox": (
        [*READY, b"250 ok\r\n", None, b"452 4.2.2 full\r\n", *NONE],
        "waiting",
        "452 4.2.2 full",
        0,
    ),
    "a recipient, in a strange way": (
        [*READY, b"250 ok\r\n", None, b"354 go\r\n", *NONE],
        "waiting",
        "out of turn",
        0,
    ),
    "DATA is not wanted": ([*TO_DATA, b"554 no\r\n", *NONE], "refused", "554 no", 0),
    "DATA, in a strange way": ([*TO_DATA, b"250 ok\r\n", *NONE], "waiting", "out of turn: 250 ok", 0),
    "closes at DATA": ([*TO_DATA, b"354 go\r\n"], "waiting", "", None),
    "the message is refused": (
        [*TO_DATA, b"354 go\r\n", ".", b"554 spam\r\n", *NONE],
        "refused",
        "554 spam",
        0,
    ),
    "the message is put off": ([*TO_DATA, b"354 go\r\n", ".", b"451 no\r\n", *NONE], "waiting", "451 no", 0),
    "an answer to the message that is none": (
        [*TO_DATA, b"354 go\r\n", ".", b"hmm\r\n", *NONE],
        "waiting",
        "does not speak SMTP: it says hmm, before it was said whether the message is taken",
        1,
    ),
    "speaks before the end": (
        [*TO_DATA, b"354 go\r\n250 thanks\r\n", *NONE],
        "waiting",
        "says unasked: 250 thanks",
        0,
    ),
    "shuts down": ([*READY, b"421 4.3.2 shutting down\r\n"], "waiting", "421 4.3.2 shutting down", 0),
    "too small": (
        [*HELLO, b"250-mx\r\n250 SIZE 1000\r\n", *NONE],
        "refused",
        "the server takes at most 1000",
        0,
    ),
}


@pytest.mark.parametrize(("script", "state", "says", "doubts"), WITH_MAIL.values(), ids=WITH_MAIL)
def test_a_server_that_is_strange_about_a_message(world, rude, script, state, says, doubts):
    world.port = rude(script).port
    world.put()
    sender = world.send(clock=0)
    world.wait(lambda: bool(world.row().words))
    assert says in world.row().words
    assert world.state() == state
    assert doubts is None or world.row().doubts == doubts
    world.end(sender)
    assert "Traceback" not in world.log.read_text()


def test_a_server_that_says_nothing_about_a_message(world, rude):
    world.port = rude([*TO_DATA, b"354 go\r\n", SOON_S]).port
    world.put()
    sender = world.send(clock=0, end_s=1.0)
    world.wait(lambda: world.row().doubts == 1)
    assert world.state() == "waiting"
    assert "the server does not answer" in world.row().words
    assert "it may arrive twice" in world.row().words
    world.end(sender)


def test_a_server_that_refuses_rset_for_ever_is_left(world, rude):
    server = rude([*READY, b"553 no\r\n", *(step for _ in range(500) for step in (None, b"500 what?\r\n"))])
    world.port = server.port
    world.put()
    sender = world.send()
    world.wait(lambda: world.state() == "refused")
    world.end(sender)
    server.wait()
    assert server.heard.count(b"RSET\r\n") == 1
    assert server.visits == 1


def test_a_server_that_closes_after_each_login_is_not_visited_without_pause(world, rude):
    server = rude([*HELLO, b"250 mx\r\n", 0.01])
    world.port = server.port
    for number in range(50):
        world.put(number)
    sender = world.send()
    world.wait(lambda: world.row(49).attempts >= 3)
    world.end(sender)
    assert server.visits <= CONNECTIONS * (world.row(49).attempts + 1)
