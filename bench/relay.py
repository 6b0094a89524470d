"""CPU for each relayed packet, and the delay, jitter and loss that relaying adds.

    python -m bench.relay [--short] [--calls 20 --calls 100 --calls 400] [--seconds 5] [--kernel off|auto]

So many calls are up together (established sessions, RFC 7501) and carry G.711 both ways, 50 packets a
second and direction, and nothing else happens while it is measured. CPU is of the whole server, its core
included. Delay is from the phone's send to the arrival in the other phone's socket (kernel timestamp);
jitter is that of RFC 3550.
"""

from bench.support.load import hold, measure
from bench.support.options import each, parse, parser
from bench.support.results import Table, ratio, triple

AUDIO = ("pbx", "kamailio+rtpengine")
SETTLE_S = 2.0
COLUMNS = [
    "server",
    "calls",
    "packets/s",
    "CPU µs/packet",
    "ours / theirs",
    "delay ms p50 / p99",
    "jitter ms p50 / p99",
    "loss %",
    "calls failed",
    "load's CPU %",
]


def main() -> None:
    found = parser(__doc__, AUDIO)
    found.add_argument("--calls", type=int, action="append", help="calls up together (20, 100, 400)")
    found.add_argument("--seconds", type=float, default=5.0)
    found.add_argument("--ramp", type=float, default=60.0, help="calls a second while they are placed")
    found.add_argument("--kernel", choices=("off", "auto", "both"), default="both", help="who relays ours")
    options = parse(found)
    table = Table("CPU a relayed packet, delay and jitter", COLUMNS)
    kernels = ("off", "auto") if options.kernel == "both" else (options.kernel,)
    for calls in options.calls or ([100] if options.short else [20, 100, 400]):
        ours = None
        for name in options.peer or AUDIO:
            for kernel in kernels if name == "pbx" else ("off",):
                needs = {"audio": True, "kernel": kernel, "under": options.under}
                for peer in each([name], table, 100, **needs):
                    seconds = 4.0 if options.short else options.seconds
                    window = measure(peer, **hold(calls, options.ramp, SETTLE_S, seconds))
                    cost = window.cpu_per_packet_us
                    ours = cost if name == "pbx" and kernel == "off" else ours
                    load = window.load
                    table.add(
                        f"{name}, kernel {kernel}" if name == "pbx" else name,
                        calls,
                        f"{load['packets_sent'] / window.took_s:.0f}",
                        cost,
                        ratio(ours, cost),
                        triple(load["audio_delay_ms"]),
                        triple(load["jitter_ms"]),
                        f"{100 * window.loss:.3f}",
                        load["failed"],
                        100 * window.load_share,
                    )
    table.write(options.full or options.keep)


if __name__ == "__main__":
    main()
