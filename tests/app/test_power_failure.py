"""What the writer keeps when its process is killed in the middle of everything."""

import subprocess
import sys
import time

import pytest

from pbx.store.records import Records, Wanted
from pbx.store.store import open_store
from pbx.store.usage import Usage

WRITES = """
import sys, time
from itertools import count
from pbx.store.store import open_store
from pbx.store.usage import OpenLeg
from pbx.store.writer import Writer

writer = Writer(open_store(sys.argv[1]))
began = (time.time(), time.monotonic())
writer.write_usage(OpenLeg("leg", "call", "100", "2026-11", "+84", "0.12", "0", 60, *began))
for number in count():
    body = {"legs": []}
    row = {"id": f"{number:08}", "started_at": float(number), "caller": "100", "callee": "101", "body": body}
    writer.write_record({**row, "state": "answered", "kind": "internal"})
    print(number, time.monotonic(), flush=True)
    time.sleep(0.01)
"""


@pytest.fixture
def killed(tmp_path):
    """A database, and what was handed to the writer until it was killed: number and time of each call."""
    url = f"sqlite:///{tmp_path / 'pbx.db'}"
    open_store(url).close()
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "-c", WRITES, url], stdout=subprocess.PIPE, text=True)
    handed = []
    while not handed or time.monotonic() < handed[0][1] + 3.0:
        number, at = process.stdout.readline().split()
        handed.append((int(number), float(at)))
    process.kill()
    process.wait()
    assert handed[0][1] > began
    store = open_store(url)
    yield store, handed
    store.close()


def test_nothing_is_lost_but_the_last_second(killed):
    store, handed = killed
    kept = [int(row["id"]) for row in Records(store).read(Wanted())]
    assert sorted(kept) == list(range(len(kept)))
    ended = handed[-1][1]
    assert set(kept) >= {number for number, at in handed if at < ended - 1.0}


def test_a_call_in_progress_is_charged_to_the_last_second(killed):
    store, handed = killed
    lasted_s = handed[-1][1] - handed[0][1]
    [charged] = Usage(store).settle()
    assert lasted_s - 1.5 <= charged.seconds <= lasted_s + 1.0
    assert charged.amount == "0.120000"
    assert Usage(store).usage("2026-11")["100"].seconds == charged.seconds
