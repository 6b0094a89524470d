"""Many calls through the server, then a look at what they left behind.

    python -m bench.soak [--short] [--calls 60000] [--rate 100] [--hold 1]

Memory is compared after a warm-up of 64 s (pools, caches and 32 s of transactions have filled then) and after
all calls, each time when nothing is going on any more. No call, dialog, transaction, port or file may be
left; exits 1 when something is, or when a call failed.
"""

import json
import sys
import time
from typing import Any

from bench.support.load import measure
from bench.support.options import each, parse, parser
from bench.support.pbx import Pbx
from bench.support.peer import Peer
from bench.support.processes import files
from bench.support.results import Table
from tests.phones.support.waiting import wait_until

LEFT = ("calls", "dialogs", "transactions", "ports")
QUIET_S = 120.0
WARM_UP_S = 64.0  # twice the life of a transaction
SHORT, SHORT_RATE = 300, 30.0  # too few to say much about memory, enough to find what is left behind
COLUMNS = [
    "calls",
    "calls/s",
    "failed",
    "PSS MB before",
    "PSS MB after",
    "growth MB",
    "CPU ms/call",
    "left behind",
]


def main() -> None:
    found = parser(__doc__, ("pbx",))
    found.add_argument("--calls", type=int, default=60_000)
    found.add_argument("--rate", type=float, default=100.0)
    found.add_argument("--hold", type=float, default=1.0)
    found.add_argument("--audio", action="store_true", help="with audio; without it is quicker")
    options = parse(found)
    calls, rate = (SHORT, SHORT_RATE) if options.short else (options.calls, options.rate)
    table = Table("Memory after many calls", COLUMNS)
    bad = False
    for server in each(["pbx"], table, 100, under=options.under):
        # Phones of this name are not asked by OPTIONS whether they are there: afterwards they are not.
        load = {"agent": "sipp", "rate": rate, "hold": options.hold, "warm": 0, "audio": int(options.audio)}
        measure(server, **load, seconds=min(WARM_UP_S, calls / rate))
        before = look(server)
        window = measure(server, **load, seconds=calls / rate)
        after = look(server)
        left = {name: after[name] - before[name] for name in (*LEFT, "files") if after[name] > before[name]}
        table.add(
            window.attempts,
            f"{rate:g}",
            window.load["failed"],
            before["pss_mb"],
            after["pss_mb"],
            f"{after['pss_mb'] - before['pss_mb']:+.1f}",
            window.cpu_per_call_ms,
            ", ".join(f"{count} {name}" for name, count in left.items()) or "nothing",
        )
        bad = bool(left or window.load["failed"])
    table.write(options.full or options.keep)
    sys.exit(bad)


def look(server: Peer) -> dict[str, Any]:
    """What the server holds when all has come to its end."""
    assert isinstance(server, Pbx)

    def counts() -> dict[str, int]:
        found: dict[str, int] = json.loads(server.command("status", "--json"))["counts"]
        return found

    wait_until("everything has ended", lambda: not any(counts()[name] for name in LEFT), QUIET_S, poll=1.0)
    time.sleep(1.0)
    return {**counts(), "pss_mb": server.pss_kb() / 1024, "files": files(server.pids())}


if __name__ == "__main__":
    main()
