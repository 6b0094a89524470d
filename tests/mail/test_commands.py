"""`pbx mail` and its kin, as processes."""

import json
import subprocess
import sys

import pytest

from tests.mail.world import HERE, World


class Commands(World):
    def config(self, mail: str = "") -> None:
        text = f"[database]\nurl = '{self.url}'\n[mail]\nsender = 'pbx@acme.example'\n"
        (self.folder / "pbx.toml").write_text(text + mail.format(port=self.port))

    def run(self, *words: str, code: int = 0) -> str:
        """What it prints: on stdout if all is well, else the one line on stderr."""
        run = subprocess.run(
            [sys.executable, "-m", "pbx", *words, "--config", str(self.folder / "pbx.toml")],
            cwd=HERE.parents[1],
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == code, run.stderr
        assert "s3cret" not in run.stdout + run.stderr
        if code == 0:
            assert not run.stderr
            return run.stdout
        assert run.stderr.count("\n") == 1
        return run.stderr


@pytest.fixture
def pbx(tmp_path):
    made = Commands(tmp_path)
    yield made
    made.close()


def test_without_a_server_mail_is_kept_and_shown(pbx):
    pbx.config()
    pbx.put()
    said = pbx.run("mail").splitlines()
    assert said[0] == "1 waiting, 0 sent, 0 refused"
    assert said[1] == "no mail server is configured (mail.server): mail is kept, and not sent"
    assert "waiting  ann@acme.example  Voicemail from Zoë (+6598765432)" in said[2]
    assert "no mail server is configured" in pbx.run("mail", "test", "ann@acme.example", code=2)


def test_refused_mail_is_shown_tried_again_and_forgotten(pbx):
    pbx.config()
    for number in range(3):
        pbx.put(number)
        pbx.outbox.finish(f"mail-{number}", "refused", 1, 0, 0.0, "550 5.1.1 No such user", 5.0)
    assert "    550 5.1.1 No such user" in pbx.run("mail").splitlines()
    assert pbx.run("mail", "retry", "mail-1") == "1 mails will be tried when the server runs\n"
    assert pbx.run("mail", "forget", "mail-0") == "1 mails deleted\n"
    listed = json.loads(pbx.run("mail", "--json"))
    assert listed["server"] is False
    assert listed["counts"] == {"waiting": 1, "sending": 0, "sent": 0, "refused": 1}
    assert [(row["id"], row["state"], row["words"]) for row in listed["mails"]] == [
        ("mail-2", "refused", "550 5.1.1 No such user"),
        ("mail-1", "waiting", "550 5.1.1 No such user"),
    ]


def test_a_test_mail_is_sent_at_once(pbx):
    pbx.serve(
        starttls=True, must=True, certificate=pbx.certificate, auth=["PLAIN"], refuse=["no@acme.example"]
    )
    trusted = f"trusted_ca = '{pbx.certificate[0]}'\n"
    server = "server = 'smtp://ann:s3cret%3A%2F%40pass@localhost:{port}'\n"
    pbx.config(server + trusted)
    assert pbx.run("mail", "test", "ann@acme.example") == f"localhost:{pbx.port}: 250 2.0.0 Queued as 1\n"
    [mail] = pbx.mails()
    assert (mail["To"], mail["Subject"]) == ("ann@acme.example", "Test of the telephone system's mail")
    said = json.loads(pbx.run("mail", "test", "ann@acme.example", "--json"))
    assert said == {"recipient": "ann@acme.example", "says": f"localhost:{pbx.port}: 250 2.0.0 Queued as 2"}
    said = pbx.run("mail", "test", "no@acme.example", code=2)
    assert said.endswith("did not take the mail to no@acme.example: 550 5.1.1 No such user here\n")
    pbx.config(server)
    assert "certificate verify failed" in pbx.run("mail", "test", "ann@acme.example", code=2)
    pbx.config(server.replace("pass", "word") + trusted)
    assert "login refused: 535" in pbx.run("mail", "test", "ann@acme.example", code=2)
    assert "is not a mail address" in pbx.run("mail", "test", "ann", code=2)


def test_doctor_visits_the_server(pbx):
    pbx.serve(starttls=True, certificate=pbx.certificate, auth=["PLAIN"])
    pbx.config("server = 'smtp://ann:s3cret%3A%2F%40word@localhost:{port}'\n")
    said = subprocess.run(
        [sys.executable, "-m", "pbx", "doctor", "--json", "--config", str(pbx.folder / "pbx.toml")],
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    [mail] = [each for each in json.loads(said.stdout) if each["what"] == "mail"]
    assert mail["ok"] is False
    assert mail["says"].startswith(f"localhost:{pbx.port}: TLS: certificate verify failed")
    assert pbx.seen() == []
