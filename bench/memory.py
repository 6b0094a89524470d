"""Memory of a server: idle, for each registration, for each call in progress.

    python -m bench.memory [--short] [--registrations 1000] [--calls 100] [--peer NAME]

PSS of the whole process tree. A fresh server each: idle is five seconds after it answers; then so many
accounts register; and on another one, with 200 registered accounts, the first calls come up, with audio
where it relays.
"""

import time

from bench.support.load import Load
from bench.support.options import each, parse, parser
from bench.support.peers import PEERS
from bench.support.processes import threads
from bench.support.results import Table, ratio

IDLE_S = 5.0
ACCOUNTS = 200
COLUMNS = [
    "server",
    "idle MB",
    "ours / theirs",
    "threads idle",
    "kB/registration",
    "kB/call",
    "ours / theirs ",
    "threads/call",
]


def main() -> None:
    found = parser(__doc__)
    found.add_argument("--registrations", type=int, default=1000)
    found.add_argument("--calls", type=int, default=100)
    options = parse(found)
    table = Table("Memory", COLUMNS)
    ours: tuple[float, float] | None = None
    for name in options.peer or tuple(PEERS):
        has_audio = PEERS[name].relays_audio
        idle = each_registration = each_call = each_thread = 0.0
        idle_threads = 0
        for peer in each([name], table, options.registrations, under=options.under, audio=has_audio):
            time.sleep(IDLE_S)
            idle, idle_threads = peer.pss_kb() / 1024, threads(peer.pids())
            if peer.registers:
                with Load(peer, mode="register") as load:
                    load.result()
                each_registration = (peer.pss_kb() - idle * 1024) / options.registrations
        for peer in each([name], table, ACCOUNTS, under=options.under, audio=has_audio):
            # The window begins with the first call and ends before the first is over.
            ramp, settle = 50.0, 3.0
            seconds = options.calls / ramp + settle
            before = threads(peer.pids())
            with Load(
                peer,
                concurrent=options.calls,
                rate=ramp,
                warm=0,
                seconds=seconds,
                hold=seconds + 2,
                audio=int(has_audio),
            ) as load:
                load.wait("measure")
                pss = peer.pss_kb()
                load.wait("measured")
                each_call = (peer.pss_kb() - pss) / options.calls
                each_thread = (threads(peer.pids()) - before) / options.calls
                failed = load.result()["failed"]
            if failed:
                table.note(f"{name}: {failed} of {options.calls} calls failed")
            if name == "pbx":
                ours = idle, each_call
            table.add(
                name,
                idle,
                ratio(ours and ours[0], idle),
                idle_threads,
                each_registration if peer.registers else None,
                each_call,
                ratio(ours and ours[1], each_call),
                each_thread,
            )
    table.write(options.full or options.keep)


if __name__ == "__main__":
    main()
