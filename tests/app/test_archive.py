"""`pbx backup` and `pbx restore`: what comes back, and what is refused without changing anything."""

import io
import json
import stat
import tarfile
from datetime import UTC, datetime

import pytest

from pbx.app import archive
from pbx.app.archive import back_up, restore
from pbx.app.folder import take_folder
from pbx.config import load_config
from pbx.errors import PbxError
from pbx.office.snapshot import Office
from pbx.store.records import Records, Wanted
from pbx.store.store import open_store
from tests.store.conftest import postgres
from tests.store.test_records import record
from tests.store.test_store import make_office

__all__ = ["postgres"]
NOW = datetime(2026, 11, 26, tzinfo=UTC)


class Place:
    """A pbx.toml with a data folder of its own."""

    def __init__(self, folder, url="sqlite:///data/pbx.db", domain="pbx.local") -> None:
        folder.mkdir(exist_ok=True)
        path = folder / "pbx.toml"
        path.write_text(f'[server]\ndomain = "{domain}"\n[database]\nurl = "{url}"\n')
        self.config = load_config(str(path))
        self.data, self.file = self.config.server.data, folder / "backup"

    def put(self, name: str, content: str) -> None:
        (self.data / name).parent.mkdir(parents=True, exist_ok=True)
        (self.data / name).write_text(content)

    def save(self, office: Office) -> None:
        store = open_store(self.config.database.url)
        store.save(office)
        store.set_password("ann@acme.example", "hash")
        store.close()

    @property
    def state(self):
        """The office, and the files that a user cares for."""
        store = open_store(self.config.database.url)
        office, _ = store.load()
        password = store.password("ann@acme.example")
        store.close()
        files = {
            path.relative_to(self.data).as_posix(): path.read_text()
            for path in self.data.rglob("*")
            if path.is_file() and not path.name.startswith(("pbx.db", "serve"))
        }
        return office, password, files


@pytest.fixture
def place(tmp_path):
    place = Place(tmp_path / "one")
    place.save(make_office())
    place.put("voicemail/100/a.wav", "hello")
    place.put("certificates/sip.key", "secret")
    return place


def test_all_comes_back_and_what_came_later_is_gone(place):
    place.put("prompts/cache/x.pcm", "made anew")
    place.put("prompts/hello.mp3", "ours")
    before = place.state
    held = back_up(place.config, place.file, NOW)
    assert held.files == 3
    place.save(make_office("Later"))
    place.put("voicemail/100/a.wav", "another")
    place.put("voicemail/101/b.wav", "later")
    assert restore(place.config, place.file) == held
    office, password, files = before
    files.pop("prompts/cache/x.pcm")
    assert place.state == (office, password, files)


def test_what_comes_back_is_for_its_owner_alone(place):
    """As while serving: in a data folder that others may look into, they see nothing of it."""
    back_up(place.config, place.file, NOW)
    restore(place.config, place.file)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in place.data.rglob("*")}
    assert not {name for name, mode in modes.items() if mode & 0o077}


def test_names_that_are_no_utf_8_are_backed_up_too(place):
    store = open_store(place.config.database.url)
    caller = "Jos\udce9"  # of a phone that writes Latin-1
    Records(store).add([record(1, body={"caller_name": caller, "legs": []})])
    store.close()
    back_up(place.config, place.file, NOW)
    restore(place.config, place.file)
    store = open_store(place.config.database.url)
    (row,) = Records(store).read(Wanted())
    store.close()
    assert row["body"]["caller_name"] == caller


def test_what_is_finished_meanwhile_is_in_the_backup(place, monkeypatch):
    place.put("voicemail/100/b.wav.part", "half")
    place.put("voicemail/100/a.wav.part", "a new greeting, say, for the one that is there")
    listed = archive._state

    def state(data):
        for path in listed(data):
            if path.suffix == ".part":
                path.rename(path.with_suffix(""))
            yield path

    monkeypatch.setattr(archive, "_state", state)
    assert back_up(place.config, place.file, NOW).files == 3
    place.put("voicemail/100/b.wav", "another")
    restore(place.config, place.file)
    assert place.state[2]["voicemail/100/b.wav"] == "half"


def test_only_its_owner_reads_a_backup(place):
    back_up(place.config, place.file, NOW)
    assert stat.S_IMODE(place.file.stat().st_mode) == 0o600
    assert [each.name for each in place.file.parent.iterdir() if "backup" in each.name] == ["backup"]


@pytest.mark.parametrize(("before", "after"), [("sqlite", "postgresql"), ("postgresql", "sqlite")])
def test_one_kind_of_database_is_restored_into_the_other(tmp_path, postgres, before, after):
    urls = {"sqlite": "sqlite:///data/pbx.db", "postgresql": postgres.make_database()}
    source, target = Place(tmp_path / "one", urls[before]), Place(tmp_path / "two", urls[after])
    source.save(make_office())
    back_up(source.config, source.file, NOW)
    restore(target.config, source.file)
    assert target.state == source.state


def make_archive(path, **members: str) -> None:
    with tarfile.open(path, "w:gz") as made:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            made.addfile(member, io.BytesIO(content.encode()))


ABOUT = {"format": 1, "schema": "0005", "domain": "pbx.local"}
NO_BACKUPS = {
    "another file": (None, "is no backup: not a gzip file"),
    "an archive of something else": ({"x": "y"}, "it has no backup.json"),
    "a name outside": ({"backup.json": json.dumps(ABOUT), "data/../../evil": "x"}, "does not belong there"),
    "another format": ({"backup.json": json.dumps(ABOUT | {"format": 2})}, "another version of this program"),
    "a newer schema": ({"backup.json": json.dumps(ABOUT | {"schema": "9999"})}, "another version"),
    "another domain": ({"backup.json": json.dumps(ABOUT | {"domain": "a.b"})}, "is of the domain a.b"),
    "rows that are none": (
        {"backup.json": json.dumps(ABOUT), "tables/revision": '{"nonsense": 1}\n'},
        "database",
    ),
}


@pytest.mark.parametrize(("members", "says"), NO_BACKUPS.values(), ids=NO_BACKUPS)
def test_what_is_no_backup_changes_nothing(place, members, says):
    if members is None:
        place.file.write_text("not an archive")
    else:
        make_archive(place.file, **members)
    before = place.state
    with pytest.raises(PbxError, match=says):
        restore(place.config, place.file)
    assert place.state == before
    assert not (place.data.parent.parent / "evil").exists()


def test_a_running_server_is_not_restored_into(place):
    assert back_up(place.config, place.file, NOW).rows > 0
    with take_folder(place.data), pytest.raises(PbxError, match="already runs"):
        restore(place.config, place.file)


def test_without_a_database_there_is_nothing_to_back_up(tmp_path):
    with pytest.raises(PbxError, match="there is no database"):
        back_up(Place(tmp_path / "one").config, tmp_path / "x", NOW)
