"""CPU for each call, and the set-up delay, at a given rate of calls.

    python -m bench.calls [--short] [--rate 50 --rate 300] [--seconds 8] [--audio | --no-audio]
    python -m bench.calls --peer pbx --rate 50 --audio --under "py-spy record -o calls.svg --"

Session attempts (RFC 7501) at a steady rate, each an INVITE with a digest challenge, held one second, between
100 registered accounts; with audio every call carries 50 packets of G.711 a second each way through the
server. The set-up delay is from the INVITE with credentials to its 200 at the caller, less the callee's own
time. CPU is what the server used in the window, divided by the calls that began in it; none is given when
more than one in a hundred failed. SIPp repeats the figure without audio, over its whole run.
"""

from bench.support import sipp
from bench.support.load import Window, measure
from bench.support.options import each, parse, parser
from bench.support.peer import AbsentError
from bench.support.peers import PEERS
from bench.support.results import Table, ratio, triple

WARM_S = 3.0
COLUMNS = [
    "server",
    "calls/s",
    "audio",
    "load by",
    "CPU ms/call",
    "ours / theirs",
    "set-up delay ms p50 / p95 / p99",
    "failed",
    "retransmissions",
    "audio loss %",
    "audio delay ms p50 / p99",
    "load's CPU %",
]


def main() -> None:
    found = parser(__doc__)
    found.add_argument("--rate", type=float, action="append", help="calls a second (50 and 300)")
    found.add_argument("--seconds", type=float, default=8.0, help="length of the measured window")
    found.add_argument("--hold", type=float, default=1.0, help="how long a call lasts")
    found.add_argument("--no-audio", action="store_true", help="signalling only")
    found.add_argument("--audio", action="store_true", help="with audio only")
    found.add_argument("--no-sipp", action="store_true", help="without the repetition by SIPp")
    found.add_argument("--extensions", type=int, default=100)
    found.add_argument("--kernel", choices=("off", "auto"), default="auto", help="who relays our audio")
    options = parse(found)
    seconds = 4.0 if options.short else options.seconds
    kinds = [has for has in (True, False) if not (options.no_audio if has else options.audio)]
    table = Table("CPU a call and set-up delay", COLUMNS)
    for rate in options.rate or ([50.0] if options.short else [50.0, 300.0]):
        for has_audio in kinds:
            ours: dict[str, float | None] = {}
            needs = {"audio": has_audio, "kernel": options.kernel, "under": options.under}
            for peer in each(options.peer or tuple(PEERS), table, options.extensions, **needs):
                window = measure(
                    peer,
                    rate=rate,
                    seconds=seconds,
                    warm=max(WARM_S, options.hold + 1),
                    hold=options.hold,
                    audio=int(has_audio),
                )
                cost = window.cpu_per_call_ms
                mine = ours.setdefault("load", cost) if peer.name == "pbx" else ours.get("load")
                table.add(*cells(peer.name, rate, has_audio, window, ratio(mine, cost)))
                if has_audio or options.no_sipp or not peer.registers:
                    continue
                try:
                    with sipp.SippCallees(peer):
                        run = sipp.call(peer, rate, seconds, options.hold)
                except AbsentError as absent:
                    table.absent("SIPp", str(absent))
                    continue
                cost = run.cpu_per_call_ms
                mine = ours.setdefault("sipp", cost) if peer.name == "pbx" else ours.get("sipp")
                table.add(*sipp_cells(peer.name, rate, run, ratio(mine, cost)))
    table.write(options.full or options.keep)


def cells(name: str, rate: float, has_audio: bool, window: Window, compared: str) -> list[object]:
    load = window.load
    return [
        name,
        f"{rate:g}",
        "relayed" if has_audio else "no",
        "load.c",
        window.cpu_per_call_ms,
        compared,
        triple(load["delay_ms"]),
        f"{load['failed']} of {load['attempts']}",
        load["retransmissions"],
        f"{100 * window.loss:.3f}" if has_audio else None,
        triple(load["audio_delay_ms"]) if has_audio else None,
        100 * window.load_share,
    ]


def sipp_cells(name: str, rate: float, run: sipp.SippRun, compared: str) -> list[object]:
    return [
        name,
        f"{rate:g}",
        "no",
        "SIPp",
        run.cpu_per_call_ms,
        compared,
        None,
        f"{run.attempts - run.successful} of {run.attempts}",
        run.retransmissions,
        None,
        None,
        100 * run.sipp_cpu_s / run.took_s,
    ]


if __name__ == "__main__":
    main()
