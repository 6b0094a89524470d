"""The highest rate of calls that is sustained without a failure or a retransmission.

    python -m bench.rate [--short] [--audio | --no-audio] [--start 100] [--seconds 5] [--peer NAME]

The session establishment rate of RFC 7502, with media through the server and without: the session attempt
rate is doubled until a trial fails, then narrowed to an eighth. A trial lasts so many seconds and is good
when all attempts succeeded, nothing was sent twice by anybody, and with audio less than 0.1 % of the
packets were lost; one that fails is repeated once, on a server started afresh. The load shares the machine
with the server. It is SIPp without audio, load.c with audio and for servers without a challenge.
"""

from collections.abc import Callable
from contextlib import ExitStack

from bench.support import sipp
from bench.support.load import measure
from bench.support.options import parse, parser
from bench.support.peer import AbsentError, Peer
from bench.support.peers import PEERS, open_peer
from bench.support.results import Table, ratio
from bench.support.search import highest

MOST = 4000.0
LOSS = 0.001
COLUMNS = ["server", "audio", "load by", "highest calls/s", "ours / theirs", "CPU ms/call there", "trials"]


class Trials:
    """Trials of one kind on one server, which is started afresh after each that failed."""

    def __init__(self, name: str, accounts: int, audio: bool, seconds: float, kernel: str = "off") -> None:
        self._open: Callable[[], Peer] = lambda: open_peer(name, accounts, audio=audio, kernel=kernel)
        self._audio, self._seconds = audio, seconds
        self._server: Peer | None = None
        self._stack = ExitStack()
        self.by_sipp = not audio and PEERS[name].registers
        self.count = 0
        self.cost_ms: float | None = None

    def __enter__(self) -> "Trials":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def carries(self, rate: float) -> bool:
        """Does it carry `rate` calls a second?"""
        self.count += 1
        if self._server is None:
            self._server = self._stack.enter_context(self._open())
            if self.by_sipp:
                self._stack.enter_context(sipp.SippCallees(self._server))
        good, cost = (self._by_sipp if self.by_sipp else self._by_load)(self._server, rate)
        print(f"  {rate:g} calls/s: {'good' if good else 'failed'}", flush=True)
        if good:
            self.cost_ms = cost
        else:
            self._stack.close()
            self._server = None
        return good

    def _by_sipp(self, server: Peer, rate: float) -> tuple[bool, float | None]:
        run = sipp.call(server, rate, self._seconds)
        return run.is_clean, run.cpu_per_call_ms

    def _by_load(self, server: Peer, rate: float) -> tuple[bool, float | None]:
        window = measure(server, rate=rate, seconds=self._seconds, warm=2, hold=1, audio=int(self._audio))
        return window.is_clean and (not self._audio or window.loss < LOSS), window.cpu_per_call_ms


def main() -> None:
    found = parser(__doc__)
    found.add_argument("--no-audio", action="store_true", help="signalling only")
    found.add_argument("--audio", action="store_true", help="with audio only")
    found.add_argument("--start", type=float, default=100.0, help="the first rate that is tried")
    found.add_argument("--seconds", type=float, default=5.0, help="length of a trial")
    found.add_argument("--extensions", type=int, default=100)
    found.add_argument("--kernel", choices=("off", "auto"), default="auto", help="who relays our audio")
    options = parse(found)
    kinds = [has for has in (True, False) if not (options.no_audio if has else options.audio)]
    seconds, halvings = (4.0, 1) if options.short else (options.seconds, 3)
    table = Table("Highest rate of calls", COLUMNS)
    for has_audio in kinds[-1:] if options.short else kinds:
        ours = None
        for name in options.peer or tuple(PEERS):
            try:
                with Trials(name, options.extensions, has_audio, seconds, options.kernel) as trials:
                    rate = highest(options.start, MOST, trials.carries, halvings)
            except AbsentError as absent:
                table.absent(name, str(absent))
                continue
            ours = rate if name == "pbx" else ours
            program = "SIPp" if trials.by_sipp else "load.c"
            table.add(
                name,
                "relayed" if has_audio else "no",
                program,
                rate,
                ratio(ours, rate),
                trials.cost_ms,
                trials.count,
            )
    table.write(options.full or options.keep)


if __name__ == "__main__":
    main()
