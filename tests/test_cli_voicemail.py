"""`pbx voicemail` without a running server; with one, tests/phones/test_lamps.py."""

from dataclasses import replace

import pytest

from pbx.store.store import open_store
from pbx.store.voicemail import Mailbox, Message, Voicemail
from tests.store.sounds import wav, write
from tests.test_cli import Office

SECOND = 1_800_000_000.0  # 2027-01-15 08:00 UTC
FIRST = Message("a", "100", "+6591234567", "Bob", "100", SECOND, 63.4, "new", "voicemail/100/a.wav")
OTHER = replace(
    FIRST, id="b", mailbox="101", caller="", caller_name="\x1b[31mEve", path="voicemail/101/b.wav"
)


@pytest.fixture
def pbx(tmp_path):
    made = Office(tmp_path)
    made.apply()
    store = open_store(made.url)
    for message in (FIRST, OTHER, replace(FIRST, id="c", state="recording")):
        Voicemail(store).put(message)
        write(tmp_path / "data" / message.path, wav(2.0))
    store.close()
    return made


def left(pbx) -> list[str]:
    store = open_store(pbx.url)
    found = [message.id for message in Voicemail(store).messages()]
    store.close()
    return found


def test_list(pbx):
    lines = pbx("voicemail", "list").splitlines()
    assert lines[0].split() == ["ID", "BOX", "WHEN", "LENGTH", "STATE", "FROM"]
    assert lines[1].split() == ["a", "100", "2027-01-15", "08:00:00", "1:03", "new", "Bob", "+6591234567"]
    assert lines[2].endswith(r"new   \x1b[31mEve")
    assert pbx("voicemail", "list", "101").splitlines()[1:] == lines[2:]


def test_list_of_one_mailbox(pbx):
    pbx("apply", pbx.write('[[extension]]\nkey = "102"\n'))
    assert pbx("voicemail", "list", "102") == "no messages\n"
    removed = pbx("voicemail", "list", "101").splitlines()
    assert [line.split()[0] for line in removed] == ["ID", "b"]  # what is left of a removed extension
    pbx("voicemail", "list", "999", code=2)
    [line] = pbx.stderr.splitlines()
    assert "there is no mailbox 999: allowed is the key of an extension, or of a former one" in line
    assert "there is no mailbox 999" in pbx.json("voicemail", "list", "999", code=2)["error"]


def test_apply_tells_of_messages_that_stay_and_of_those_that_a_new_extension_finds(pbx):
    store = open_store(pbx.url)
    Voicemail(store).put_mailbox(Mailbox("101", "voicemail/101/greeting.wav"))
    store.close()
    without = pbx.write('[[extension]]\nkey = "100"\n')
    goes = 'extension "101" goes; its voice message stays: `pbx voicemail list 101`'
    assert pbx.json("apply", without, "--dry-run")["notes"] == [goes]
    assert f"note: {goes}\n" in pbx("apply", without)
    again = pbx.write('[[extension]]\nkey = "100"\n[[extension]]\nkey = "101"\n')
    assert pbx.json("apply", again)["notes"] == [
        'extension "101" finds a voice message of an earlier one: `pbx voicemail list 101`',
        'extension "101" finds the greeting of an earlier one: its owner records another (own_mailbox, 0)',
    ]
    assert pbx.json("apply", again)["notes"] == []


def test_list_in_the_offices_time(pbx):
    pbx("apply", pbx.write('[office]\ntimezone = "Asia/Singapore"\n'))
    assert "2027-01-15 16:00:00" in pbx("voicemail", "list")


def test_list_as_json(pbx):
    first, _ = pbx.json("voicemail", "list")
    assert (first["id"], first["seconds"], first["started_at"]) == ("a", 63.4, SECOND)
    assert first["file"] == str(pbx.folder / "data" / FIRST.path)


def test_export(pbx):
    target = pbx.folder / "x.wav"
    assert pbx("voicemail", "export", "a", str(target)) == f"written: {target}\n"
    assert target.read_bytes() == wav(2.0)
    folder = pbx.folder / "copies"
    folder.mkdir()
    assert pbx.json("voicemail", "export", "a", str(folder)) == {"id": "a", "file": str(folder / "a.wav")}
    assert (folder / "a.wav").read_bytes() == wav(2.0)


def test_delete(pbx):
    assert pbx("voicemail", "delete", "a", "b") == "deleted: a, b; no server runs here\n"
    assert left(pbx) == []
    assert not (pbx.folder / "data" / FIRST.path).exists()
    assert pbx.json("voicemail", "delete", "a", code=2)["error"].startswith("there is no message a")


MISTAKES = {
    "export of none": (["export", "z", "x.wav"], "there is no message z"),
    "export over a file": (["export", "a", "pbx.toml"], "is there already"),
    "export into nowhere": (["export", "a", "nowhere/x.wav"], "No such file"),
    "export of what is being recorded": (["export", "c", "x.wav"], "still being recorded"),
    "deletion of none": (["delete", "a", "z"], "there is no message z"),
    "deletion of what is being recorded": (["delete", "c"], "still being recorded"),
}


@pytest.mark.parametrize(("words", "says"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_one_line_and_change_nothing(pbx, words, says):
    words = [str(pbx.folder / word) if "." in word else word for word in words]
    pbx("voicemail", *words, code=2)
    [line] = pbx.stderr.splitlines()
    assert says in line
    assert left(pbx) == ["a", "b"]


def test_a_message_whose_file_is_lost(pbx):
    (pbx.folder / "data" / FIRST.path).unlink()
    pbx("voicemail", "export", "a", str(pbx.folder / "x.wav"), code=2)
    assert "lost its file" in pbx.stderr
    pbx("voicemail", "delete", "a")
    assert left(pbx) == ["b"]


def test_without_a_database(tmp_path):
    office = Office(tmp_path)
    office("voicemail", "list", code=2)
    assert "there is no database" in office.stderr
