"""The commands, called as click calls them, each with a data folder of its own; `serve` has its own tests."""

import json
import os
import stat
import subprocess
import sys
from datetime import datetime

import pytest
from click.testing import CliRunner

from pbx.cli import main
from pbx.store.passwords import Passwords
from pbx.store.store import open_store

OFFICE = """\
[office]
name = "Acme"
[[member]]
email = "ann@acme.example"
account = "owner"
[[extension]]
key = "100"
[[extension.device]]
kind = "ip_phone"
username = "100"
[[extension]]
key = "101"
[[extension.device]]
kind = "ip_phone"
username = "101"
password = "given-in-the-file"
"""


def stop_clock(monkeypatch, command, now: datetime) -> None:
    """For a module of commands it is `now` until the test is over."""
    stopped = type("Stopped", (datetime,), {"now": classmethod(lambda _, zone: now.astimezone(zone))})
    monkeypatch.setattr(command, "datetime", stopped)


class Office:
    """A folder with both files, and `pbx` called in it."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.url = f"sqlite:///{folder / 'data' / 'pbx.db'}"
        self.config()
        self.write()

    def config(self, text: str = "") -> None:
        (self.folder / "pbx.toml").write_text(text)

    def write(self, text: str = OFFICE, name: str = "office.toml") -> str:
        (self.folder / name).write_text(text)
        return str(self.folder / name)

    def __call__(self, *words: str, stdin: str | None = None, code: int = 0) -> str:
        """What the command printed on stdout; its exit code is `code`, and stderr empty if that is 0."""
        done = CliRunner().invoke(main, [*words, "--config", str(self.folder / "pbx.toml")], input=stdin)
        assert done.exit_code == code, done.output
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        self.stderr = done.stderr
        assert code or not done.stderr
        return done.stdout

    def json(self, *words: str, code: int = 0, **options: str):
        """The one line of JSON that the command printed."""
        said = self(*words, "--json", code=code, **options)
        assert not self.stderr
        return json.loads(said)

    def apply(self, text: str = OFFICE) -> str:
        return self("apply", self.write(text))

    def load(self):
        store = open_store(self.url)
        try:
            return store.load()
        finally:
            store.close()


@pytest.fixture
def pbx(tmp_path) -> Office:
    return Office(tmp_path)


# --- apply and export --------------------------------------------------------------------------------------


def test_apply_shows_the_plan_and_then_the_new_passwords_once(pbx):
    lines = pbx.apply().splitlines()
    assert lines[:3] == ["+ member ann@acme.example", "+ extension 100", "+ extension 101"]
    [shown] = [line for line in lines if line.startswith("password of")]
    assert shown.startswith("password of 100: ")
    assert "given-in-the-file" not in "".join(lines)
    assert lines[-1].startswith("applied; no server answers here")
    assert pbx.apply() == "nothing to do\n"


def test_the_password_that_is_shown_is_the_one_that_is_stored(pbx):
    password = pbx.json("apply", pbx.write())["passwords"]["100"]
    before, _ = pbx.load()
    pbx.apply(OFFICE.replace('username = "100"', f'username = "100"\npassword = "{password}"'))
    assert pbx.load() == (before, 1)


def test_a_dry_run_changes_nothing_and_shows_no_password(pbx):
    said = pbx("apply", pbx.write(), "--dry-run")
    assert "+ extension 100" in said
    assert "password" not in said
    assert said.endswith("dry run: nothing was written\n")
    assert pbx.load() == (None, 0)
    answer = pbx.json("apply", pbx.write(), "--dry-run")
    assert (answer["applied"], answer["passwords"]) == (False, {})


def test_apply_as_json(pbx):
    answer = pbx.json("apply", pbx.write())
    assert answer["added"] == ["member ann@acme.example", "extension 100", "extension 101"]
    assert answer["applied"] is True
    assert list(answer["passwords"]) == ["100"]
    assert pbx.json("apply", pbx.write())["applied"] is False


def test_a_change_names_what_changes(pbx):
    pbx.apply()
    said = pbx.apply(OFFICE.replace('key = "101"', 'key = "101"\nlabel = "Shop"').replace("Acme", "Acme 2"))
    assert "~ office: name" in said
    assert "~ extension 101: label" in said


def test_apply_tells_what_a_remark_says(pbx):
    text = OFFICE.replace('key = "100"', 'key = "100"\ntype = "call_centre"').replace(
        'username = "100"', 'username = "100"\n[extension.usage_limit]\nkind = "minutes"\nminutes = 5', 1
    )
    assert "note: " in pbx.apply(text)


def test_all_mistakes_of_a_file_come_at_once_and_nothing_is_applied(pbx):
    text = OFFICE.replace('name = "Acme"', 'nam = "Acme"').replace('key = "101"', 'key = "0"')
    path = pbx.write(text)
    assert pbx("apply", path, code=2) == ""
    lines = pbx.stderr.splitlines()
    assert [line.split(" ")[0] for line in lines] == [f"{path}:2:", f"{path}:12:"]
    assert "did you mean name" in lines[0]
    assert pbx.load() == (None, 0)
    answer = pbx.json("apply", path, code=2)
    assert [(m["line"], m["nearest"]) for m in answer["mistakes"]] == [(2, "name"), (12, None)]
    assert answer["error"].splitlines() == lines


UNREADABLE = {
    "no such file": ("missing.toml", "No such file"),
    "a folder": (".", "Is a directory"),
}


@pytest.mark.parametrize(("name", "says"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_file_that_cannot_be_read_is_one_line(pbx, name, says):
    pbx("apply", str(pbx.folder / name), code=2)
    [line] = pbx.stderr.splitlines()
    assert says in line


def test_what_is_exported_can_be_applied_and_changes_nothing(pbx):
    pbx.apply()
    text = pbx("export")
    assert "given-in-the-file" not in text
    assert "ha1" not in text
    assert pbx.apply(text) == "nothing to do\n"
    assert pbx.json("export") == {"office": text}
    assert pbx("export") == text


# --- check -------------------------------------------------------------------------------------------------


def test_check_of_a_new_folder_makes_nothing(pbx):
    said = pbx("check")
    assert said.splitlines()[0] == "pbx.toml: no mistakes"
    assert "no office yet" in said
    assert not (pbx.folder / "data").exists()


def test_check_of_a_file_applies_nothing_and_lists_what_has_no_effect_yet(pbx):
    pbx.config("[web]\nlisten = ''\n[rtp]\nrelay = 'rtpengine:127.0.0.1:2223'\n")
    path = pbx.write(OFFICE.replace('key = "100"', 'key = "100"\nrole = "supervisor"'))
    said = pbx("check", path).splitlines()
    assert f"{path}: no mistakes" in said
    assert said[-5:] == [
        "stored, not yet in effect, in pbx.toml:",
        "  rtp.relay",
        "  web.listen",
        "stored, not yet in effect, in the office:",
        "  extension.role",
    ]
    assert pbx.json("check", path)["not_yet_in_effect"] == {
        "pbx.toml": ["rtp.relay", "web.listen"],
        "office": ["extension.role"],
    }
    assert not (pbx.folder / "data").exists()


def test_check_of_the_office_in_the_database(pbx):
    pbx.apply()
    assert "the office in the database: no mistakes" in pbx("check")


def test_mistakes_of_pbx_toml_stop_every_command(pbx):
    pbx.config('[sip]\nudq = []\n[rtp]\nports = [1, 2]\nsrtp = "maybe"\n')
    for words in (["apply", "x"], ["export"], ["check"], ["status"], ["doctor"], ["passwd", "x"], ["serve"]):
        pbx(*words, code=2)
        lines = pbx.stderr.splitlines()
        assert [line.rsplit("/", 1)[1].split(" ")[0] for line in lines] == [
            "pbx.toml:2:",
            "pbx.toml:4:",
            "pbx.toml:5:",
        ]
    assert len(pbx.json("check", code=2)["mistakes"]) == 3


def test_a_configuration_that_is_named_has_to_be_there(pbx):
    (pbx.folder / "pbx.toml").unlink()
    pbx("check", code=2)
    assert "No such file" in pbx.stderr


# --- passwd, status, errors --------------------------------------------------------------------------------


def test_a_password_is_stored_as_a_hash(pbx):
    pbx.apply()
    said = pbx("passwd", "Ann@acme.example", "--password-stdin", stdin="correct horse\n")
    assert said == "password of ann@acme.example set\n"
    store = open_store(pbx.url)
    assert Passwords().verify("correct horse", store.password("ann@acme.example"))
    store.close()
    assert pbx.json("passwd", "ann@acme.example", "--password-stdin", stdin="correct horse 2\n") == {
        "member": "ann@acme.example"
    }


REFUSED = {
    "a stranger": ("eve@acme.example", "correct horse\n", "no member has"),
    "a short one": ("ann@acme.example", "short\n", "at least 10"),
    "none": ("ann@acme.example", "", "at least 10"),
}


@pytest.mark.parametrize(("member", "stdin", "says"), REFUSED.values(), ids=REFUSED)
def test_a_password_that_is_refused(pbx, member, stdin, says):
    pbx.apply()
    pbx("passwd", member, "--password-stdin", stdin=stdin, code=2)
    assert says in pbx.stderr
    assert pbx.stderr.count("\n") == 1


def test_without_a_terminal_the_password_is_read_from_standard_input(pbx):
    pbx.apply()
    assert pbx("passwd", "ann@acme.example", stdin="correct horse\n") == "password of ann@acme.example set\n"


WRONG_WORDS = {
    "no such command": (["bogus"], "No such command 'bogus'"),
    "no such option": (["status", "--bogus"], "No such option '--bogus'"),
    "an argument is missing": (["apply"], "Missing argument 'FILE'"),
    "one too many": (["check", "a", "b"], "unexpected extra argument (b)"),
    "a value that is not allowed": (["calls", "--state", "x"], "'x' is not one of 'answered', 'unanswered'"),
    "below a group": (["calls", "show"], "Missing argument 'ID'"),
}


@pytest.mark.parametrize(("words", "says"), WRONG_WORDS.values(), ids=WRONG_WORDS)
def test_wrong_words_are_told_in_one_line(pbx, words, says):
    pbx(*words, code=2)
    assert says in pbx.stderr
    assert pbx.stderr.startswith("pbx: ")
    assert pbx.stderr.count("\n") == 1
    assert says in pbx.json(*words, code=2)["error"]


@pytest.mark.parametrize("words", [("export",), ("mail", "list")], ids=["a command", "a group's"])
def test_the_options_may_stand_before_the_command(pbx, words):
    pbx.apply()
    done = CliRunner().invoke(main, ["--config", str(pbx.folder / "pbx.toml"), "--json", *words])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == pbx.json(*words)


def test_one_clear_line_and_code_2_without_server_or_office(pbx):
    pbx("status", code=2)
    assert pbx.stderr.startswith("pbx: no server runs with the data folder")
    assert pbx.stderr.count("\n") == 1
    pbx("export", code=2)
    assert "holds no office yet" in pbx.stderr
    assert pbx.json("status", code=2)["error"].startswith("no server runs")
    assert not (pbx.folder / "data").exists()


def test_a_database_that_does_not_answer_is_one_line_without_its_password(pbx):
    pbx.config('[database]\nurl = "postgresql+psycopg://pbx:hush-hush@127.0.0.1:9/pbx"\n')
    for words in (["apply", pbx.write()], ["export"], ["check"]):
        pbx(*words, code=2)
        assert pbx.stderr.count("\n") == 1
        assert "hush-hush" not in pbx.stderr
    assert "error" in pbx.json("export", code=2)


def test_only_the_owner_can_read_what_a_command_makes(pbx):
    pbx.apply()
    assert stat.S_IMODE((pbx.folder / "data").stat().st_mode) == 0o700
    assert stat.S_IMODE((pbx.folder / "data" / "pbx.db").stat().st_mode) == 0o600


# --- where the output goes ---------------------------------------------------------------------------------


def shell(pbx, line: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """`pbx` of a shell's command line, with a stdout of its own."""
    command = f"{sys.executable} -m pbx"
    line = line.replace("pbx ", f"{command} --config {pbx.folder / 'pbx.toml'} ")
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


OUTPUTS = {
    "a full disk, words": (
        "pbx check > /dev/full",
        "pbx: not all could be written: No space left on device\n",
    ),
    "a full disk, JSON": (
        "pbx calls --json > /dev/full",
        "pbx: not all could be written: No space left on device\n",
    ),
    "who reads has gone": ("pbx calls --json | true", ""),
}


@pytest.mark.parametrize(("line", "says"), OUTPUTS.values(), ids=OUTPUTS)
def test_output_that_nobody_takes_is_one_line_and_no_success(pbx, line, says):
    pbx.apply()
    done = shell(pbx, line)
    assert (done.returncode, done.stderr) == (1, says)


def test_a_terminal_that_has_no_letters_for_a_name_is_shown_their_codes(pbx):
    pbx.apply(OFFICE.replace('"Acme"', '"安"'))
    done = shell(pbx, "pbx export", PYTHONIOENCODING="latin-1")
    assert (done.returncode, done.stderr) == (0, "")
    assert 'name = "\\u5b89"' in done.stdout
