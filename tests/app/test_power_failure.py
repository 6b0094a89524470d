"""What the writer keeps when its process is killed in the middle of everything."""

import subprocess
import sys
import time
from dataclasses import dataclass

import pytest
from sqlalchemy import select

from pbx.store.records import Records, Wanted
from pbx.store.schema import usage_alive
from pbx.store.store import Store, open_store
from pbx.store.usage import Usage

WRITES = """
import sys, time
from itertools import count
from pbx.store.store import open_store
from pbx.store.usage import OpenLeg
from pbx.store.writer import Writer

writer = Writer(open_store(sys.argv[1]))
began = (time.time(), time.monotonic())
print(began[1], flush=True)
writer.write_usage(OpenLeg("leg", "call", "100", "2026-11", "+84", "0.12", "0", 3600, *began))
for number in count():
    body = {"legs": []}
    row = {"id": f"{number:08}", "started_at": float(number), "caller": "100", "callee": "101", "body": body}
    writer.write_record({**row, "state": "answered", "kind": "internal"})
    print(number, flush=True)
    time.sleep(0.01)
"""


@dataclass
class Run:
    """A writer that was killed: what it had been handed, and what was in the database just before."""

    store: Store
    began: float
    kept: set[int]
    alive_s: float
    handed: int = 0
    ended: float = 0.0


def read_kept(store):
    return {int(row["id"]) for row in Records(store).read(Wanted())}


def read_alive(store):
    with store.reads() as connection:
        return connection.scalar(select(usage_alive.c.alive_s)) or 0.0


@pytest.fixture
def killed(tmp_path):
    url = f"sqlite:///{tmp_path / 'pbx.db'}"
    store = open_store(url)
    process = subprocess.Popen([sys.executable, "-c", WRITES, url], stdout=subprocess.PIPE, text=True)
    run = Run(store, float(process.stdout.readline()), set(), 0.0)
    while len(run.kept) < 100 or run.alive_s < run.began + 2.0:
        for _ in range(20):
            run.handed = int(process.stdout.readline()) + 1
        run.kept, run.alive_s = read_kept(store), read_alive(store)
    process.kill()
    process.wait()
    run.ended = time.monotonic()
    yield run
    process.stdout.close()
    store.close()


def test_what_was_written_stays_and_nothing_is_missing_before_it(killed):
    kept = read_kept(killed.store)
    assert kept >= killed.kept
    assert kept == set(range(len(kept)))
    assert len(kept) <= killed.handed + 1  # it may have died before it said so


def test_a_call_in_progress_is_charged_to_the_last_sign_of_life(killed):
    [charged] = Usage(killed.store).settle()
    assert killed.alive_s <= killed.began + charged.seconds + 0.001 <= killed.ended  # whole milliseconds
    assert charged.amount == "7.200000"
    assert Usage(killed.store).usage("2026-11")["100"].seconds == charged.seconds
