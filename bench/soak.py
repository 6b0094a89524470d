"""Many calls through the whole server, then a look at what they left behind.

Usage: bench/soak.py [calls] [calls a second]      (10,000 at 40 a second take four minutes)

SIPp registers phones, calls with digest authentication, talks for 200 ms and hangs up. Afterwards no call,
dialog, transaction, timer or port may be left, no file descriptor more be open than before, and memory flat.
Appends a line to bench/RESULTS.md.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.phones.support.server import PbxServer  # noqa: E402
from tests.phones.support.sipp import SippCallee, call_all  # noqa: E402
from tests.phones.support.waiting import wait_until  # noqa: E402

WARM_UP = 3000  # calls before the first look: pools, caches and 32 s of transactions have filled then
RTP_PORTS = 2000
ROUND = 1000  # calls of one run of SIPp


def tree(pid: int) -> list[int]:
    """A process and its descendants."""
    found = [pid]
    for each in found:
        for task in Path(f"/proc/{each}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def look(server: PbxServer) -> dict[str, Any]:
    """What the server holds now."""
    pids = tree(server.pid)
    rollups = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids]
    pss = sum(
        int(line.split()[1]) for text in rollups for line in text.splitlines() if line.startswith("Pss:")
    )
    cpu = sum(
        sum(int(each) for each in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13])
        for pid in pids
    )
    counts = json.loads(server.command("status", "--json"))["counts"]
    files = sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)
    return {"pss_kb": pss, "files": files, "cpu_s": cpu / os.sysconf("SC_CLK_TCK"), **counts}


def is_quiet(server: PbxServer) -> bool:
    counts = json.loads(server.command("status", "--json"))["counts"]
    return not any(counts[name] for name in ("calls", "dialogs", "transactions", "ports"))


def main() -> None:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    rate = float(sys.argv[2]) if len(sys.argv) > 2 else 40.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = PbxServer(folder, rtp_ports=RTP_PORTS)
        server.start()
        try:
            pairs = [(server.extensions.plain(), server.extensions.plain()) for _ in range(20)]
            address = ("127.0.0.1", server.port)
            good = bad = again = 0

            def run(count: int) -> None:
                nonlocal good, bad, again
                todo = [pairs[each % len(pairs)] for each in range(count)]
                result = call_all(folder / "caller", address, todo, rate=rate, hold_ms=200)
                good, bad, again = (
                    good + result.successful,
                    bad + result.failed,
                    again + result.retransmissions,
                )
                if result.failed or result.exit_code:
                    print(result)

            with SippCallee(folder / "callee", address, [callee for _, callee in pairs]):
                run(min(WARM_UP, calls))
                wait_until("everything has ended", lambda: is_quiet(server), 60.0, poll=1.0)
                before = look(server)
                started = time.monotonic()
                done = 0
                while done < calls:
                    run(min(ROUND, calls - done))
                    done += min(ROUND, calls - done)
                    print(f"{done} calls, {bad} failed, {look(server)}", flush=True)
                took = time.monotonic() - started
                wait_until("everything has ended", lambda: is_quiet(server), 60.0, poll=1.0)
                after = look(server)
            server.assert_well()
        finally:
            server.stop()
    report(calls, rate, took, good, bad, again, before, after)


def report(
    calls: int,
    rate: float,
    took: float,
    good: int,
    bad: int,
    again: int,
    before: dict[str, Any],
    after: dict[str, Any],
) -> None:
    """Print, append to RESULTS.md, and fail when something was left behind."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    leaks = {
        name: after[name] - before[name] for name in ("files", "calls", "dialogs", "transactions", "ports")
    }
    line = (
        f"- {datetime.now(UTC):%Y-%m-%d} {commit}, {os.cpu_count()} cores, `bench/soak.py {calls} {rate:g}`: "
        f"{good} calls good, {bad} failed, {again} retransmissions in {took:.0f} s; left behind: "
        f"{', '.join(f'{name} {value:+d}' for name, value in leaks.items())}; memory (PSS) "
        f"{before['pss_kb'] / 1024:.1f} MB before, {after['pss_kb'] / 1024:.1f} MB after; CPU of the server "
        f"{(after['cpu_s'] - before['cpu_s']) / calls * 1000:.2f} ms a call"
    )
    print(line)
    with (ROOT / "bench" / "RESULTS.md").open("a") as file:
        file.write(line + "\n")
    if bad or any(value > 0 for value in leaks.values()):
        sys.exit("something failed or was left behind")


if __name__ == "__main__":
    main()
