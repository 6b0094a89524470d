"""CPU for each call, and the set-up delay, at a given rate of calls.

    python -m bench.calls [--rate 50 --rate 300] [--seconds 15] [--no-audio] [--extensions 100] [--peer NAME]
    python -m bench.calls --peer pbx --rate 50 --audio --under "py-spy record -o calls.svg --"

Session attempts (RFC 7501 §3.1) at a steady rate, each an INVITE with a digest challenge, held one second,
between 100 registered accounts; with audio every call carries 50 packets of G.711 a second each way through
the server. The set-up delay is from the INVITE with credentials to its 200 at the caller, less the callee's
own time. CPU is what the server used in the window, divided by the calls that began in it; none is given when
more than one in a hundred failed.
"""

import argparse

from bench.support.load import Window, measure
from bench.support.peer import AbsentError
from bench.support.peers import PEERS, open_peer
from bench.support.results import Table, ratio

WARM_S = 3.0

COLUMNS = [
    "server",
    "calls/s",
    "audio",
    "CPU ms/call",
    "ours",
    "set-up delay ms p50 / p95 / p99",
    "failed",
    "retransmissions",
    "audio loss %",
    "audio delay ms p50 / p99",
    "generator CPU %",
]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, action="append", help="calls a second (50 and 300)")
    parser.add_argument("--seconds", type=float, default=15.0, help="length of the measured window")
    parser.add_argument("--hold", type=float, default=1.0, help="how long a call lasts")
    audio = parser.add_mutually_exclusive_group()
    audio.add_argument("--no-audio", action="store_true", help="signalling only")
    audio.add_argument("--audio", action="store_true", help="with audio only")
    parser.add_argument("--extensions", type=int, default=100)
    parser.add_argument("--kernel", choices=("off", "auto"), default="off", help="who relays our audio")
    parser.add_argument("--peer", action="append", choices=sorted(PEERS), help="whom to measure (all)")
    parser.add_argument("--under", default="", help="run the server under this command")
    parser.add_argument("--short", action="store_true", help="5 seconds each; ours and one rate only")
    parser.add_argument("--keep", action="store_true", help="write to RESULTS.md even a partial run")
    options = parser.parse_args()
    partial = bool(options.rate or options.under or options.short or options.peer)
    if options.short:
        options.seconds, options.peer = 5.0, options.peer or ["pbx"]
    table = Table("CPU a call and set-up delay", COLUMNS)
    kinds = [False] if options.no_audio else [True] if options.audio else [True, False]
    for rate in options.rate or ([50.0] if options.short else [50.0, 300.0]):
        for has_audio in kinds:
            ours = None
            for name in options.peer or PEERS:
                try:
                    with open_peer(
                        name, options.extensions, under=options.under, audio=has_audio, kernel=options.kernel
                    ) as peer:
                        window = measure(
                            peer,
                            rate=rate,
                            seconds=options.seconds,
                            warm=max(WARM_S, options.hold + 1),
                            hold=options.hold,
                            audio=int(has_audio),
                        )
                except AbsentError as absent:
                    if f"{name}: {absent}" not in table.notes:
                        table.note(f"{name}: {absent}")
                    continue
                ours = window.cpu_per_call_ms if name == "pbx" else ours
                table.add(*cells(peer.name, rate, has_audio, window, ours))
    table.write(keep=options.keep or not partial)


def cells(name: str, rate: float, has_audio: bool, window: Window, ours: float | None) -> list[object]:
    load = window.load
    return [
        name,
        f"{rate:g}",
        "relayed" if has_audio else "no",
        window.cpu_per_call_ms,
        ratio(ours, window.cpu_per_call_ms),
        " / ".join(f"{value:.2f}" for value in load["delay_ms"]),
        f"{load['failed']} of {load['attempts']}",
        load["retransmissions"],
        100 * window.loss if has_audio else None,
        " / ".join(f"{value:.2f}" for value in load["audio_delay_ms"]) if has_audio else None,
        100 * window.load_share,
    ]


if __name__ == "__main__":
    main()
