"""Does a call cost more when there are more extensions, or more calls in progress?

    python -m bench.growth [--short] [--count 1 --count 10 ...] [--rate 20] [--seconds 4] [--peer NAME]

The same rate of calls, and of re-registrations (RFC 7502), is measured with so many registered extensions,
and with so many other calls up (silent ones, between 100 other extensions). Flat is right; the last column
compares with the first row.
"""

import time

from bench.support.load import Load, Window, measure
from bench.support.options import each, parse, parser
from bench.support.peer import FIRST_KEY, Peer
from bench.support.results import Table, ratio

COUNTS = (1, 10, 100, 500, 1000)
COLUMNS = [
    "server",
    "extensions",
    "calls up",
    "CPU ms/call",
    "to the first",
    "CPU ms/registration",
    "to the first ",
    "failed",
]
OTHERS = 100
MANY = 500  # with more, phones register until our server renders its prompts, 30 s after its start
RENDERED_S = 50.0  # then that is over
RAMP = 100.0  # a second; they carry no audio, and a call that is silent for 30 s is ended as dead


def main() -> None:
    found = parser(__doc__)
    found.add_argument("--count", type=int, action="append", help="1, 10, 100, 500, 1000")
    found.add_argument("--rate", type=float, default=20.0)
    found.add_argument("--seconds", type=float, default=4.0)
    options = parse(found)
    seconds = 3.0 if options.short else options.seconds
    counts = options.count or ((10, 100) if options.short else COUNTS)
    table = Table("Growth", COLUMNS)
    for name in options.peer or ("pbx",):
        first: list[float | None] = []
        for count in counts:
            extensions = max(2, count)  # somebody calls, somebody is called
            register = None
            for peer in each([name], table, extensions, under=options.under):
                if peer.registers:
                    rate = 2 * options.rate
                    # Until each has registered, and was asked if it is there.
                    warm = 4 + extensions / rate if extensions <= MANY else RENDERED_S
                    register = measure(peer, mode="registrations", rate=rate, seconds=seconds, warm=warm)
            for peer in each([name], table, extensions, under=options.under):
                warm = 2.0 if extensions <= MANY else RENDERED_S
                call = measure(peer, rate=options.rate, seconds=seconds, warm=warm, hold=1)
                first = first or [call.cpu_per_call_ms, register and register.cpu_per_call_ms]
                add(table, peer, extensions, 0, call, register, first)
        first = []
        for count in counts:
            for peer in each([name], table, 2 * OTHERS, under=options.under):
                call = with_others(peer, count, options.rate, seconds)
                first = first or [call.cpu_per_call_ms, None]
                add(table, peer, 2 * OTHERS, count, call, None, first)
    table.write(options.full or options.keep)


def with_others(peer: Peer, others: int, rate: float, seconds: float) -> Window:
    """Measure calls between the first accounts while `others` calls are up between the last ones."""
    up_s = others / RAMP + 2
    held_s = up_s + 5 + seconds + 3  # the measured ones register, warm up, and end meanwhile
    with Load(
        peer,
        first=FIRST_KEY + OTHERS,
        accounts=OTHERS,
        concurrent=others,
        rate=RAMP,
        hold=held_s,
        warm=0,
        seconds=up_s,
    ) as load:
        load.wait("measured")
        began = time.monotonic()
        window = measure(peer, accounts=OTHERS, rate=rate, seconds=seconds, warm=2, hold=1)
        assert time.monotonic() - began < held_s, "the others hung up too soon"
        result = load.result()
        assert not result["failed"], f"{result['failed']} of the {others} other calls failed"
    return window


def add(
    table: Table,
    peer: Peer,
    extensions: int,
    up: int,
    call: Window,
    register: Window | None,
    first: list[float | None],
) -> None:
    table.add(
        peer.name,
        extensions,
        up,
        call.cpu_per_call_ms,
        ratio(call.cpu_per_call_ms, first[0]),
        register.cpu_per_call_ms if register else None,
        ratio(register.cpu_per_call_ms, first[1]) if register else None,
        call.load["failed"] + (register.load["failed"] if register else 0),
    )


if __name__ == "__main__":
    main()
