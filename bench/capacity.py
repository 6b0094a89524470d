"""How many calls with audio are up at once, with less than 0.1 % loss and 15 ms of added delay (p99).

    python -m bench.capacity [--short] [--start 200] [--seconds 4] [--ramp 60] [--peer NAME]

Established sessions with media (RFC 7501): the number is doubled until a trial fails, then narrowed to a
quarter; a trial that fails is repeated once. The phones share the machine with the server.
"""

from bench.relay import AUDIO, SETTLE_S
from bench.support.load import hold, measure
from bench.support.options import each, parse, parser
from bench.support.peer import Peer
from bench.support.results import Table, ratio
from bench.support.search import highest

LOSS, DELAY_MS = 0.001, 15.0
MOST = 4000  # the ports of the range that we give, four a call
COLUMNS = ["server", "calls up at once", "ours / theirs", "CPU µs/packet there", "delay ms p99 there"]


class Trials:
    """Numbers of calls on one server."""

    def __init__(self, server: Peer, ramp: float, seconds: float) -> None:
        self._server, self._ramp, self._seconds = server, ramp, seconds
        self.cost_us: float | None = None
        self.delay_ms: float | None = None

    def carries(self, number: float) -> bool:
        """Does it carry this number of calls?"""
        calls = int(number)
        # All are placed in ten seconds at most, or the ramp would be most of the benchmark.
        ramp = max(self._ramp, calls / 10)
        window = measure(self._server, **hold(calls, ramp, SETTLE_S, self._seconds))
        delay = window.load["audio_delay_ms"][1]
        up = window.load["packets_sent"] / 100 / window.took_s
        good = window.loss < LOSS and delay < DELAY_MS and up > 0.999 * calls
        print(
            f"  {calls} calls ({up:.0f} up): loss {100 * window.loss:.3f} %, delay p99 {delay:.2f} ms",
            flush=True,
        )
        if good:
            self.cost_us, self.delay_ms = window.cpu_per_packet_us, delay
        return good


def main() -> None:
    found = parser(__doc__, AUDIO)
    found.add_argument("--start", type=float, default=200.0, help="the first number that is tried")
    found.add_argument("--seconds", type=float, default=4.0)
    found.add_argument("--ramp", type=float, default=60.0, help="calls a second while they are placed")
    found.add_argument("--kernel", choices=("off", "auto", "both"), default="both", help="who relays ours")
    options = parse(found)
    table = Table("Calls with audio at once", COLUMNS)
    kernels = ("off", "auto") if options.kernel == "both" else (options.kernel,)
    ours = None
    for name in options.peer or AUDIO:
        for kernel in (kernels[:1] if options.short else kernels) if name == "pbx" else ("off",):
            needs = {"audio": True, "kernel": kernel, "under": options.under}
            for peer in each([name], table, 100, **needs):
                trials = Trials(peer, options.ramp, 3.0 if options.short else options.seconds)
                start = 50.0 if options.short else options.start
                number = highest(
                    start, 200.0 if options.short else MOST, trials.carries, 0 if options.short else 2
                )
                ours = number if name == "pbx" and kernel == "off" else ours
                table.add(
                    f"{name}, kernel {kernel}" if name == "pbx" else name,
                    int(number),
                    ratio(ours, number),
                    trials.cost_us,
                    trials.delay_ms,
                )
    if options.short:
        table.note("--short: not searched beyond 200")
    table.write(options.full or options.keep)


if __name__ == "__main__":
    main()
