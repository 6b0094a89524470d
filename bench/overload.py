"""Three times more calls than the server can carry, while others talk.

    python -m bench.overload [--short] [--runs 3] [--rate R] [--times 3] [--seconds 20] [--talking 50]

First the highest rate is looked for (or given with --rate), in trials of half of `seconds`. Then SIPp offers
`times` as many calls for so many seconds, while `talking` calls with audio are up and a probe places five
calls a second. All that is done `runs` times: a shared machine is half as fast in one minute as in the next.
Goodput is how many of the offered calls went through in time, a second; 503 are those that were refused in
order; recovery is how long after the end of the load the last attempt of the probe began that failed or
needed a retransmission.
"""

import time
from contextlib import ExitStack
from itertools import chain

from bench.rate import Trials
from bench.support import sipp
from bench.support.load import Load
from bench.support.options import each, parse, parser
from bench.support.peer import FIRST_KEY, Peer
from bench.support.results import Table, triple
from bench.support.search import highest

ACCOUNTS = 100  # of the load; as many again talk, as many again probe
PROBE_RATE, PROBE_S = 5.0, 30.0
RAMP = 20.0
COLUMNS = [
    "server",
    "highest calls/s",
    "offered calls/s",
    "goodput calls/s",
    "goodput / highest",
    "503 %",
    "failed %",
    "audio loss % of those talking",
    "audio delay ms p50 / p99",
    "recovered after s",
    "PSS MB before / at the end / after",
]


def main() -> None:
    found = parser(__doc__, ("pbx", "kamailio"))
    found.add_argument("--rate", type=float, default=0.0, help="the highest rate, when it is known")
    found.add_argument("--runs", type=int, default=3)
    found.add_argument("--kernel", choices=("off", "auto"), default="auto", help="who relays our audio")
    found.add_argument("--times", type=float, default=3.0)
    found.add_argument("--seconds", type=float, default=20.0)
    found.add_argument("--talking", type=int, default=50)
    options = parse(found)
    seconds, talking = (6.0, 10) if options.short else (options.seconds, options.talking)
    names = [options.peer or ["pbx"]] * (1 if options.short else options.runs)
    table = Table("Overload", COLUMNS)
    for name in chain.from_iterable(names):
        rate = options.rate or search(name, options.short, seconds / 2)
        if not rate:
            table.note(f"{name}: carries no rate of calls without failures here; nothing to multiply")
            continue
        for peer in each([name], table, 3 * ACCOUNTS, under=options.under, kernel=options.kernel):
            row = overload(peer, rate, options.times * rate, seconds, talking)
            table.add(name, rate, options.times * rate, *row)
    table.write(options.full or options.keep)


def search(name: str, short: bool, trial_s: float) -> float:
    with Trials(name, ACCOUNTS, audio=False, seconds=trial_s) as trials:
        return highest(100.0, 4000.0, trials.carries, 0 if short else 2)


def overload(peer: Peer, highest_rate: float, offered: float, seconds: float, talking: int) -> list[object]:
    """The cells of one row from "goodput" on."""
    up_s = talking / RAMP + 2
    audio = peer.relays_audio
    talkers = {"first": FIRST_KEY + ACCOUNTS, "accounts": ACCOUNTS}
    probers = {"first": FIRST_KEY + 2 * ACCOUNTS, "accounts": ACCOUNTS}
    before_mb = peer.pss_kb() / 1024
    with ExitStack() as stack:
        stack.enter_context(sipp.SippCallees(peer, ACCOUNTS))
        window = {"warm": up_s, "seconds": seconds + 5, "hold": up_s + seconds + 10}
        talk = stack.enter_context(
            Load(peer, **talkers, concurrent=talking, rate=RAMP, audio=int(audio), **window)
        )
        talk.wait("measure")
        probe = stack.enter_context(
            Load(peer, **probers, rate=PROBE_RATE, warm=0, seconds=seconds + PROBE_S, hold=0.2, timeout=4)
        )
        probe.wait("measure")
        probing = time.monotonic()
        run = sipp.call(peer, offered, seconds, sheds=True, accounts=ACCOUNTS)
        end_mb = peer.pss_kb() / 1024
        last_bad = probing + probe.result()["last_bad_s"]
        talked = talk.result()
        after_mb = peer.pss_kb() / 1024
    lost = 1 - talked["packets_received"] / max(1, talked["packets_sent"])
    goodput = run.in_time / seconds
    return [
        goodput,
        f"{goodput / highest_rate:.2f}",
        100 * run.rejected / run.attempts,
        100 * (run.attempts - run.successful - run.rejected) / run.attempts,
        f"{100 * lost:.3f}" if audio else None,
        triple(talked["audio_delay_ms"]) if audio else None,
        max(0.0, last_bad - run.began - seconds),
        f"{before_mb:.0f} / {end_mb:.0f} / {after_mb:.0f}",
    ]


if __name__ == "__main__":
    main()
