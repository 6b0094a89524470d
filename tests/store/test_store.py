"""The store on both databases: offices, registrations, call records, passwords; alone and with others."""

import os
import signal
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, text

from pbx.errors import StoreError
from pbx.office.settings import Settings
from pbx.office.snapshot import Office
from pbx.store.migrate import migrate
from pbx.store.outbox import Outbox
from pbx.store.records import Records, Wanted
from pbx.store.schema import metadata
from pbx.store.store import ConflictError, UnusableError, has_database, open_store
from tests.office.fakes import parse

ROOT = Path(__file__).parents[2]
OFFICE = """
[[member]]
email = "ann@acme.example"
account = "owner"
[[member]]
email = "bob@acme.example"
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
"""


def make_office(name: str = "Acme", text: str = OFFICE) -> Office:
    office = parse(text).office
    return replace(office, settings=replace(office.settings, name=name))


# --- the office --------------------------------------------------------------------------------------------


def test_a_new_database_holds_nothing(store):
    assert store.load() == (None, 0)
    assert store.revision() == 0
    assert store.load_bindings() == []


def test_a_database_of_before_keeps_its_calls_and_gets_what_is_new(url):
    engine = create_engine(url)
    with engine.begin() as connection:
        migrate(connection, to="0003")
        values = "('call-1', 1000.0, '100', '101', 'answered', '{}')"
        connection.execute(text(f"INSERT INTO call_record VALUES {values}"))
    engine.dispose()
    store = open_store(url)
    [call] = Records(store).read(Wanted())
    assert (call["id"], call["kind"], call["body"]) == ("call-1", "internal", {})
    assert Outbox(store).counts()["waiting"] == 0
    store.close()


def test_the_migrations_make_the_tables_that_queries_are_built_from(store, url):
    engine = create_engine(url)
    found = inspect(engine)
    for table in metadata.sorted_tables:
        columns = {column["name"]: column for column in found.get_columns(table.name)}
        assert set(columns) == set(table.c.keys())
        assert {name for name, c in columns.items() if not c["nullable"]} == {
            column.name for column in table.c if not column.nullable
        }
        assert found.get_pk_constraint(table.name)["constrained_columns"] == [
            column.name for column in table.primary_key
        ]
    engine.dispose()


def test_the_revision_grows_with_each_change(store):
    assert store.save(make_office("A")) == 1
    assert store.save(make_office("B"), expected=1) == 2
    assert store.revision() == 2
    office, revision = store.load()
    assert (office.settings.name, revision) == ("B", 2)


def test_a_change_that_is_based_on_an_old_office_is_refused(store):
    store.save(make_office("A"))
    store.save(make_office("B"))
    with pytest.raises(ConflictError, match="somebody else"):
        store.save(make_office("C"), expected=1)
    assert store.load() == (make_office("B"), 2)


def test_a_database_that_is_opened_again_is_as_it_was_left(store, url):
    store.save(make_office())
    again = open_store(url)
    assert again.load() == (make_office(), 1)
    again.close()


def test_a_row_that_has_not_changed_is_not_read_anew(store):
    store.save(make_office())
    before, _ = store.load()
    changed = replace(before.extensions[1], label="Bob")
    store.save(replace(before, extensions=(before.extensions[0], changed)))
    after, _ = store.load()
    assert after.extensions == (before.extensions[0], changed)
    assert after.extensions[0] is before.extensions[0]
    assert after.extensions[1] is not before.extensions[1]


def test_rows_that_a_smaller_office_has_not_are_gone(store):
    store.save(make_office())
    store.save(Office(realm="pbx.local"))
    assert store.load() == (Office(realm="pbx.local"), 2)


def test_an_office_that_was_broken_by_hand_is_one_clear_line(store, url):
    store.save(make_office())
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE office_item SET body = '{' WHERE kind = 'extensions'"))
    engine.dispose()
    with pytest.raises(UnusableError) as raised:
        store.load()
    assert "\n" not in str(raised.value)


UNREADABLE = {
    "a table of a later version": (
        "queues",
        "{}",
        "queues: this version knows no such table; a later one wrote it",
    ),
    "a key of a later version": (
        "extensions",
        '{"key": "100", "incoming": {"colour": "red"}}',
        "extensions.incoming.colour: this version knows no such key; a later one wrote it",
    ),
    "a value of a later version": (
        "extensions",
        '{"key": "100", "record": "some"}',
        "extensions.record: Input should be 'off', 'inbound', 'outbound' or 'all'",
    ),
}


@pytest.mark.parametrize(("kind", "body", "says"), UNREADABLE.values(), ids=UNREADABLE)
def test_an_office_that_a_later_version_wrote_is_refused_and_not_shortened(store, url, kind, body, says):
    store.save(make_office())
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO office_item (kind, position, body) VALUES (:kind, 9, :body)"),
            {"kind": kind, "body": body},
        )
    engine.dispose()
    with pytest.raises(UnusableError) as raised:
        store.load()
    assert str(raised.value).endswith(f"the office cannot be read: {says}")


@pytest.mark.parametrize("is_current", [True, False])
def test_alembic_is_loaded_only_when_a_migration_is_due(url, is_current):
    if is_current:
        open_store(url).close()
    program = f"import sys; from pbx.store.store import open_store; open_store({url!r}).close()"
    program += "; print('alembic' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.split() == [str(not is_current)]


def test_a_database_of_a_later_version_is_left_alone(store, url):
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(StoreError, match="another version of this program"):
        open_store(url)


# --- what else is kept -------------------------------------------------------------------------------------


def test_bindings_of_a_device_are_replaced_and_keep_their_order(store):
    store.save(make_office())
    store.save_bindings({"100": [{"contact": "b"}, {"contact": "a"}], "101": [{"contact": "c"}]})
    assert store.load_bindings() == [{"contact": "b"}, {"contact": "a"}, {"contact": "c"}]
    store.save_bindings({"100": [{"contact": "d", "path": ["x"], "reg_id": None, "q": 0.5}]})
    assert store.load_bindings() == [
        {"contact": "d", "path": ["x"], "reg_id": None, "q": 0.5},
        {"contact": "c"},
    ]
    store.save_bindings({"100": [], "101": []})
    assert store.load_bindings() == []


def test_bindings_of_a_device_that_is_removed_go_with_it(store):
    store.save(make_office())
    store.save_bindings({"100": [{"contact": "a"}], "101": [{"contact": "b"}]})
    store.save(make_office(text=OFFICE[: OFFICE.rindex("[[extension]]")]))
    assert store.load_bindings() == [{"contact": "a"}]


def test_passwords_are_replaced_and_go_with_their_member(store):
    store.save(make_office())
    store.set_password("ann@acme.example", "hash 1")
    store.set_password("bob@acme.example", "hash 2")
    store.set_password("ann@acme.example", "hash 3")
    assert store.password("ann@acme.example") == "hash 3"
    assert store.password("eve@acme.example") is None
    store.save(make_office(text=OFFICE.replace('[[member]]\nemail = "bob@acme.example"\n', "")))
    assert store.password("ann@acme.example") == "hash 3"
    assert store.password("bob@acme.example") is None


# --- files and servers -------------------------------------------------------------------------------------


def test_only_the_owner_reads_the_files_of_sqlite(tmp_path):
    path = tmp_path / "new" / "pbx.db"
    store = open_store(f"sqlite:///{path}")
    store.save(make_office())
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in (path.parent, *path.parent.iterdir())}
    assert modes == {"new": 0o700, "pbx.db": 0o600, "pbx.db-wal": 0o600, "pbx.db-shm": 0o600}
    store.close()


def test_a_database_that_others_could_read_is_closed_to_them(tmp_path):
    path = tmp_path / "pbx.db"
    path.touch(mode=0o644)
    path.chmod(0o644)
    open_store(f"sqlite:///{path}").close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_readers_are_not_held_up_by_a_writer(store):
    store.save(make_office())
    with store._writing.begin() as connection:
        connection.execute(text("UPDATE revision SET number = 7"))
        assert store.revision() == 1
    assert store.revision() == 7


ONE_LINE = {
    "no file": ("sqlite:////proc/none/pbx.db", "/proc/none"),
    "a folder": ("sqlite:////tmp", "directory"),
    "no database": ("sqlite:///{file}", "not a database"),
    "memory": ("sqlite:///:memory:", "path of a file"),
    "nobody listens": ("postgresql+psycopg://u:hush-hush@127.0.0.1:9/pbx", "127.0.0.1"),
    "nobody listens to a query": (
        "postgresql+psycopg://127.0.0.1:9/pbx?user=u&password=hush-hush",
        "127.0.0.1",
    ),
    "no socket": ("postgresql+psycopg://u:hush-hush@/pbx?host=/nowhere", "/nowhere"),
    "no URL": ("sqlite", "parse"),
}


@pytest.mark.parametrize(("url", "says"), ONE_LINE.values(), ids=ONE_LINE)
def test_a_database_that_cannot_be_opened_is_one_clear_line_without_its_password(tmp_path, url, says):
    (tmp_path / "file").write_text("something else entirely" * 100)
    with pytest.raises(StoreError) as raised:
        open_store(url.format(file=tmp_path / "file"))
    line = str(raised.value)
    assert says in line
    assert "\n" not in line
    assert "hush-hush" not in line


def test_what_is_no_file_is_no_database_and_keeps_its_mode(tmp_path):
    device = tmp_path / "device"
    os.mkfifo(device)
    device.chmod(0o666)  # whatever the umask
    with pytest.raises(StoreError, match="is no file"):
        open_store(f"sqlite:///{device}")
    assert device.stat().st_mode & 0o777 == 0o666


def test_a_database_that_is_only_asked_for_is_not_made(tmp_path):
    path = tmp_path / "sub" / "pbx.db"
    with pytest.raises(StoreError, match="there is no database"):
        open_store(f"sqlite:///{path}", make=False)
    assert not path.parent.exists()


def test_a_server_that_goes_down_is_an_error_and_is_found_again_when_it_is_back(postgres):
    store = open_store(postgres.make_database())
    store.save(make_office())
    postgres.stop()
    try:
        with pytest.raises(StoreError) as raised:
            store.revision()
        assert "\n" not in str(raised.value)
        assert "not-asked-for" not in str(raised.value)
    finally:
        postgres.start()
    assert store.load() == (make_office(), 1)
    store.close()


def test_an_error_names_no_values(store, url):
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE member_password"))
    engine.dispose()
    with pytest.raises(StoreError) as raised:
        store.set_password("ann@acme.example", "the-hash-itself")
    assert "ann@acme.example" not in f"{raised.value} {raised.value.__cause__}"


# --- several processes -------------------------------------------------------------------------------------

COUNTING = """
import sys
from dataclasses import replace
from pbx.store.store import ConflictError, open_store
store = open_store(sys.argv[1])
for _ in range(15):
    while True:
        office, revision = store.load()
        settings = replace(office.settings, name=str(int(office.settings.name) + 1))
        try:
            store.save(replace(office, settings=settings), expected=revision)
        except ConflictError:
            continue
        break
"""

DYING = """
import os, signal, sys
from dataclasses import replace
from sqlalchemy import event
from pbx.store.store import open_store
store = open_store(sys.argv[1])
office, _ = store.load()

def die(connection, cursor, statement, parameters, context, many):
    if statement.startswith("UPDATE revision"):  # the rows are written, the end is not
        os.kill(os.getpid(), signal.SIGKILL)

event.listen(store._engine, "before_cursor_execute", die)
store.save(replace(office, extensions=()))
"""


def program(source: str, url: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", source, url], cwd=ROOT, stderr=subprocess.PIPE, text=True)


def test_of_two_processes_that_write_at_once_neither_loses_a_change(store, url):
    store.save(Office(settings=Settings(name="0"), realm="pbx.local"))
    programs = [program(COUNTING, url) for _ in range(2)]
    for each in programs:
        _, errors = each.communicate(timeout=60)
        assert each.returncode == 0, errors
    office, revision = store.load()
    assert (office.settings.name, revision) == ("30", 31)


def test_two_processes_may_make_the_database_at_once(url):
    source = "import sys; from pbx.store.store import open_store; print(open_store(sys.argv[1]).revision())"
    programs = [program(source, url) for _ in range(3)]
    for each in programs:
        _, errors = each.communicate(timeout=60)
        assert each.returncode == 0, errors


def test_a_writer_that_is_killed_in_the_middle_leaves_the_old_office(store, url):
    store.save(make_office())
    dying = program(DYING, url)
    dying.communicate(timeout=60)
    assert dying.returncode == -signal.SIGKILL
    assert store.load() == (make_office(), 1)
    assert store.save(make_office("after"), expected=1) == 2


def test_a_database_that_is_busy_for_too_long_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("pbx.store.store.BUSY_MS", 50)
    url = f"sqlite:///{tmp_path / 'pbx.db'}"
    store, other = open_store(url), open_store(url)
    with other._writing.begin(), pytest.raises(StoreError, match="locked"):
        store.save(make_office())
    assert store.save(make_office()) == 1
    store.close()
    other.close()


def test_a_file_of_sqlite_that_is_gone_is_written_to_no_more_until_it_is_back(tmp_path):
    """Rows in a file without a name would be rows for nobody."""
    path, kept = tmp_path / "pbx.db", tmp_path / "kept.db"
    store = open_store(f"sqlite:///{path}")
    store.save(make_office())
    path.rename(kept)
    with pytest.raises(StoreError, match="its file is gone"):
        store.save(make_office())
    assert not path.exists()  # no new one is made
    kept.rename(path)
    assert store.save(make_office(), expected=1) == 2
    store.close()


def test_a_file_of_sqlite_that_another_one_replaces_is_left_for_that(tmp_path):
    path, other = tmp_path / "pbx.db", tmp_path / "other.db"
    store = open_store(f"sqlite:///{path}")
    store.save(make_office())
    second = open_store(f"sqlite:///{other}")
    for _ in range(3):
        second.save(make_office())
    second.close()
    for each in tmp_path.glob("pbx.db*"):
        each.unlink()
    other.rename(path)
    assert store.revision() == 3
    store.close()


def test_a_database_that_this_user_may_not_look_for_may_be_there(monkeypatch):
    def refuse(_path):
        raise PermissionError

    monkeypatch.setattr(Path, "exists", refuse)
    assert has_database("sqlite:////root/pbx.db")


def test_a_path_that_no_disk_can_have_is_said_when_it_is_opened():
    url = f"sqlite:////{'a' * 300}/pbx.db"
    assert has_database(url)
    with pytest.raises(StoreError, match="File name too long"):
        open_store(url)
