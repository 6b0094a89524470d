"""Mail arrives at a real SMTP server, once, whatever happens on the way."""

import time

import pytest

from tests.mail.rude_server import RudeServer
from tests.mail.world import MP3, SOON_S, World


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.close()


def test_a_voicemail_arrives_with_its_recording(world):
    world.serve()
    world.put(attach=True)
    sender = world.send()
    world.wait(lambda: world.state() == "sent")
    assert world.row().words == "250 2.0.0 Queued as 1"
    assert world.row().body == {}
    [mail] = world.mails()
    assert mail["Message-ID"] == "<mail-1@acme.example>"
    assert mail["Subject"] == "Voicemail from Zoë (+6598765432) to 100 (Ann) (1:15)"
    [part] = mail.iter_attachments()
    assert (part.get_content(), part.get_filename()) == (MP3, "voicemail.mp3")
    assert world.seen()[0] == {
        "mail": "pbx@acme.example",
        "tls": False,
        "login": False,
        "helo": "[127.0.0.1]",
    }
    world.end(sender)


def test_a_recording_that_is_gone_does_not_hold_up_the_mail(world):
    world.serve()
    world.put(attach=True)
    world.recording.unlink()
    world.send()
    world.wait(lambda: world.state() == "sent")
    [mail] = world.mails()
    assert list(mail.iter_attachments()) == []
    assert "voicemail.mp3 could not be read any more" in mail.get_body(("plain",)).get_content()


def test_many_go_over_two_connections_each_once(world):
    world.serve()
    for number in range(60):
        world.put(number)
    world.send()
    world.wait(lambda: world.outbox.counts()["sent"] == 60)
    assert len({mail["Message-ID"] for mail in world.mails()}) == len(world.mails()) == 60


LOGINS = {
    "PLAIN over STARTTLS": ("smtp://ann:s3cret%3A%2F%40pass@127.0.0.1:{port}", ["PLAIN", "LOGIN"], "PLAIN"),
    "LOGIN over STARTTLS": ("smtp://ann:s3cret%3A%2F%40pass@localhost:{port}", ["LOGIN"], "LOGIN"),
    "LOGIN by wish": (
        "smtp://ann:s3cret%3A%2F%40pass@127.0.0.1:{port}?auth=login",
        ["PLAIN", "LOGIN"],
        "LOGIN",
    ),
}


@pytest.mark.parametrize(("url", "offered", "mechanism"), LOGINS.values(), ids=LOGINS)
def test_login_over_encryption(world, url, offered, mechanism):
    world.serve(starttls=True, must=True, certificate=world.certificate, auth=offered)
    world.put()
    world.send(url, world.certificate[0])
    world.wait(lambda: world.state() == "sent")
    assert world.seen()[0] == {"mechanism": mechanism}
    assert (world.seen()[1]["tls"], world.seen()[1]["login"]) == (True, True)
    assert "s3cret" not in world.log.read_text()


def test_smtps(world):
    world.serve(smtps=True, certificate=world.certificate, auth=["PLAIN"])
    world.put(attach=True)
    world.send("smtps://ann:s3cret%3A%2F%40pass@localhost:{port}", world.certificate[0])
    world.wait(lambda: world.state() == "sent")
    [part] = world.mails()[0].iter_attachments()
    assert part.get_content() == MP3


def test_login_by_token(world):
    world.serve(starttls=True, certificate=world.certificate, auth=["PLAIN", "XOAUTH2"])
    world.put()
    world.send("smtp://ann@127.0.0.1:{port}?auth=xoauth2", world.certificate[0], ("echo", "token-of-ann"))
    world.wait(lambda: world.state() == "sent")
    assert world.seen()[0] == {"mechanism": "XOAUTH2", "user": "user=ann"}
    assert "token-of-ann" not in world.log.read_text()


TROUBLES = {
    "a wrong password": ("smtp://ann:battery@127.0.0.1:{port}", True, (), "login refused: 535"),
    "a wrong token": (
        "smtp://ann@127.0.0.1:{port}?auth=xoauth2",
        True,
        ("echo", "battery"),
        "login refused: 535",
    ),
    "no token": (
        "smtp://ann@127.0.0.1:{port}",
        True,
        ("false",),
        "mail.token_command failed with exit code 1",
    ),
    "a token command that is not there": ("smtp://ann@127.0.0.1:{port}", True, ("/no/such",), "No such file"),
    "an unknown authority": ("smtp://ann:battery@127.0.0.1:{port}", False, (), "certificate verify failed"),
    "nobody there": ("smtp://ann:battery@127.0.0.1:1", True, (), "connection refused"),
}


@pytest.mark.parametrize(("url", "trusts", "token", "says"), TROUBLES.values(), ids=TROUBLES)
def test_trouble_with_the_server_is_shown_and_mail_waits(world, url, trusts, token, says):
    world.serve(starttls=True, certificate=world.certificate, auth=["PLAIN", "LOGIN", "XOAUTH2"])
    world.put(1)
    world.put(2)
    world.send(url, world.certificate[0] if trusts else "", token)
    world.wait(lambda: says in world.row(1).words and says in world.row(2).words)
    assert world.outbox.counts()["waiting"] == 2
    assert world.row().attempts >= 1
    assert "battery" not in world.log.read_text() + world.row().words


def test_a_server_without_encryption_gets_neither_password_nor_mail(world):
    world.serve(auth=["PLAIN"])
    world.put()
    world.send("smtp://ann:battery@127.0.0.1:{port}")
    world.wait(lambda: "offers no encryption" in world.row().words)
    assert world.seen() == []


def test_greylisting(world):
    world.serve(greylist=True)
    world.put(1)
    world.put(2, "bob@acme.example")
    world.send()
    world.wait(lambda: world.outbox.counts()["sent"] == 2)
    assert [world.row(number).attempts for number in (1, 2)] == [2, 2]
    assert "450 4.2.0 Greylisted, come again" in world.log.read_text()


def test_one_refused_recipient_holds_up_nobody(world):
    world.serve(refuse=["gone@acme.example"])
    world.put(1, "gone@acme.example")
    world.put(2)
    world.send()
    world.wait(lambda: world.state(2) == "sent")
    assert (world.state(1), world.row(1).words) == ("refused", "550 5.1.1 No such user here")
    assert world.row(1).body["letter"]["heading"] == "New voicemail"


@pytest.mark.parametrize("moment", ["in the middle", "before taking"])
def test_a_server_that_dies_in_mid_transfer_gets_it_again_once(world, moment):
    server = world.serve(die=moment)
    world.recording.write_bytes(MP3 * 80)  # 8 MB: more than sockets hold
    world.put(attach=True)
    world.send()
    server.wait(SOON_S)
    world.serve()
    world.wait(lambda: world.state() == "sent")
    assert len(world.mails()) == 1
    [part] = world.mails()[0].iter_attachments()
    assert part.get_content() == MP3 * 80
    assert world.row().doubts == (moment == "before taking")


def test_a_server_that_always_dies_of_a_message_gets_it_no_more_than_three_times(world):
    server = world.serve(die="after taking")
    world.put()
    world.send()
    for _ in range(2):
        server.wait(SOON_S)
        server = world.serve(die="after taking")
    world.wait(lambda: world.state() == "refused")
    assert len(world.mails()) == 3
    assert {mail["Message-ID"] for mail in world.mails()} == {"<mail-1@acme.example>"}
    assert "3 times now, it is not sent again" in world.row().words


READS_NO_TEXT = [b"220 mx\r\n", None, b"250 mx\r\n", *[None, b"250 ok\r\n"] * 2, None, b"354 go\r\n", SOON_S]


def test_killed_before_the_whole_message_is_out_and_started_again(world):
    stuck = RudeServer(READS_NO_TEXT)
    world.recording.write_bytes(MP3 * 80)  # 8 MB: more than sockets hold
    world.put(attach=True)
    sender = world.send(f"smtp://127.0.0.1:{stuck.port}")
    world.wait(lambda: b"DATA\r\n" in stuck.heard)
    sender.kill()
    sender.wait()
    stuck.close()
    assert world.state() == "waiting"
    world.serve()
    world.send()
    world.wait(lambda: world.state() == "sent")
    assert len(world.mails()) == 1


def test_killed_while_the_server_makes_up_its_mind(world):
    server = world.serve(thinks=True)
    world.put(1)
    sender = world.send()
    world.wait(lambda: len(world.mails()) == 1)
    sender.kill()
    sender.wait()
    assert world.state() == "sending"  # the one moment of which nobody can know
    server.kill()
    server.wait()
    world.serve()
    world.send()
    world.wait(lambda: world.state() == "sent")
    assert [mail["Message-ID"] for mail in world.mails()] == ["<mail-1@acme.example>"] * 2
    assert world.row().doubts == 1


def test_killed_again_and_again_nothing_is_lost(world):
    world.serve()
    for number in range(40):
        world.put(number)
    doubtful = 0
    for delay in (0.30, 0.05, 0.15, 0.1):
        sender = world.send()
        before = world.outbox.counts()["sent"]
        world.wait(lambda before=before: world.outbox.counts()["sent"] > before)
        time.sleep(delay / 10)
        sender.kill()
        sender.wait()
        doubtful += world.outbox.counts()["sending"]
        if world.outbox.counts()["sent"] == 40:
            break
    world.end_all = world.send()
    world.wait(lambda: world.outbox.counts()["sent"] == 40)
    got = [mail["Message-ID"] for mail in world.mails()]
    assert len(set(got)) == 40
    assert len(got) <= 40 + doubtful  # twice at most what was being sent at a kill


def test_stopped_in_order_while_the_server_makes_up_its_mind_it_waits_for_the_answer(world):
    world.serve(thinks=True)
    world.put(1)
    sender = world.send()
    world.wait(lambda: len(world.mails()) == 1)
    world.tell_to_end(sender)
    (world.taken / "has-thought").touch()
    assert sender.wait(SOON_S) == 0
    assert world.state() == "sent"
