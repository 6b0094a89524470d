"""CPU for each digest registration, at a given rate.

    python -m bench.registrations [--short] [--rate 100 --rate 2000] [--seconds 10]

Registration attempts (RFC 7501) at a steady rate: REGISTER, 401, REGISTER with credentials, 200, each with a
challenge of its own. Every account registers again and again (RFC 7502: re-registration rate).
"""

from bench.support.load import measure
from bench.support.options import each, parse, parser
from bench.support.peers import PEERS
from bench.support.results import Table, ratio, triple

COLUMNS = [
    "server",
    "registrations/s",
    "CPU ms/registration",
    "ours / theirs",
    "delay ms p50 / p95 / p99",
    "failed",
    "retransmissions",
    "load's CPU %",
]


def main() -> None:
    found = parser(__doc__)
    found.add_argument("--rate", type=float, action="append", help="registrations a second (100 and 2,000)")
    found.add_argument("--seconds", type=float, default=10.0)
    found.add_argument("--extensions", type=int, default=100)
    options = parse(found)
    table = Table("CPU a digest registration", COLUMNS)
    for rate in options.rate or [100.0, 2000.0]:
        ours = None
        needs = {"registrar": True, "under": options.under}
        for peer in each(options.peer or tuple(PEERS), table, options.extensions, **needs):
            window = measure(
                peer,
                mode="registrations",
                rate=rate,
                seconds=4.0 if options.short else options.seconds,
                warm=2,
            )
            load, cost = window.load, window.cpu_per_call_ms
            ours = cost if peer.name == "pbx" else ours
            table.add(
                peer.name,
                f"{rate:g}",
                cost,
                ratio(ours, cost),
                triple(load["delay_ms"]),
                f"{load['failed']} of {load['attempts']}",
                load["retransmissions"],
                100 * window.load_share,
            )
    table.write(options.full or options.keep)


if __name__ == "__main__":
    main()
