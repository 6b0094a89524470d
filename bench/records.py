"""What a year of calls costs: writing them, finding some, and reading all (pbx calls).

`python -m bench.records [COUNT]`: a million calls in an SQLite database of their own, some 3 GB in /var/tmp.
"""

import io
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from pbx.call.effects import CallRecord, LegRecord
from pbx.rtp.statistics import EndpointStats
from pbx.store.records import Records, Wanted
from pbx.store.store import open_store
from pbx.store.writer import BATCH

COUNT = 1_000_000
STARTED = 1_800_000_000.0
STATS = EndpointStats(
    9000, 1_548_000, 9000, 1_548_000, 0, 3, 0.002, 0.03, 1, 0.001, source=("192.0.2.9", 4000)
)


def make(number: int) -> dict[str, object]:
    caller, callee = str(100 + number % 97), str(100 + (number * 7 + 1) % 89)
    trunk = "" if number % 3 else "carrier"
    record = CallRecord(
        f"{number:016x}", caller, callee, "answered", "hung up", [f"{callee} rings: {callee}"]
    )
    record.state = ("answered", "answered", "unanswered", "busy", "cancelled")[number % 5]
    record.answered_s, record.duration_s = 4.0, 184.0
    record.kind = "outbound" if trunk else "internal"
    record.legs = [
        LegRecord("A", caller, caller, "caller", 200, 4.0, 184.0, "", {"1": STATS}, codec="PCMA"),
        LegRecord(
            "B1", callee, callee, "callee", 200, 4.0, 184.0, "", {"1": STATS}, trunk=trunk, codec="PCMA"
        ),
    ]
    row = {
        "id": record.id,
        "started_at": STARTED + 30.0 * number,
        "kind": record.kind,
        "body": record.as_row(),
    }
    return {**row, "caller": caller, "callee": callee, "state": record.state}


def timed(what: str, work: Iterable[object]) -> None:
    start, cpu = time.perf_counter(), time.process_time()
    count = sum(1 for _ in work)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    print(f"{what:<52} {count:>9} rows  {seconds:9.3f} s  {cpu:9.3f} s CPU")


def fill(records: Records, count: int) -> Iterable[int]:
    for first in range(0, count, BATCH):
        numbers = range(first, min(first + BATCH, count))
        records.add([make(number) for number in numbers])
        yield from numbers


def export(folder: Path, kind: str) -> None:
    """In a process of its own, whose memory is its own."""
    start = time.perf_counter()
    words = [sys.executable, "-m", "pbx", "calls", f"--{kind}", "--limit", "0", "--config", "pbx.toml"]
    with (folder / f"calls.{kind}").open("wb") as out:
        subprocess.run(words, cwd=folder, stdout=out, check=True)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    size = (folder / f"calls.{kind}").stat().st_size / 2**20
    print(
        f"pbx calls --{kind:<40} {size:9.0f} MB  {time.perf_counter() - start:9.1f} s  {peak:9.0f} MB at most"
    )


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        store = open_store(f"sqlite:///{folder / 'pbx.db'}")
        (folder / "pbx.toml").write_text(f'[database]\nurl = "sqlite:///{folder / "pbx.db"}"\n')
        records = Records(store)
        timed("written, in batches", fill(records, count))
        print(f"{'size':<52} {(folder / 'pbx.db').stat().st_size / 2**20:9.0f} MB")
        for what, wanted in (
            ("the newest 50", Wanted()),
            ("the newest 50 of one extension", Wanted(extension="150")),
            ("the newest 50 of one trunk", Wanted(trunk="carrier")),
            ("of an extension that has none", Wanted(extension="99")),
            ("of a state that there is none of", Wanted(state="failed")),
            ("of a caller who has none", Wanted(caller="+6531234567")),
            ("50 of the first day", Wanted(until=STARTED + 86_400.0)),
        ):
            timed(what, records.read(wanted, 50))
        start = time.perf_counter()
        json.dump(records.find(f"{count // 2:016x}")["id"], io.StringIO())
        print(f"{'one call by its id':<52} {'':>14}  {time.perf_counter() - start:9.3f} s")
        export(folder, "csv")
        export(folder, "json")
        timed("forgetting 5,000", iter(lambda: records.tidy(STARTED + 30.0 * 5000), 0))
        store.close()


if __name__ == "__main__":
    main()
