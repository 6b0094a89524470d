"""What one core carries where the PBX itself speaks and listens: prompts, transcoded calls, a conference.

    python -m bench.sound [--short] [--only play|calls|room|speech] [--seconds 5]

One media worker process, which has one thread, gets the orders that the core would give it. Every phone has a
socket of its own and sends 50 packets of speech a second, also while a prompt is played to it, as phones do.
Of each kind a small number is measured first, for the CPU each costs, and then the highest number is looked
for at which every phone gets each packet, and 99 in 100 of them less than 10 ms after they were due: packet k
of a stream is due 20 ms * k after its first, and the earliest counts as in time. "each" is a played prompt, a
call, or a member of the room. Speech is rendered by the real speech process as the core asks for it.

On a shared machine the worker has to wait for a core while others have both; "waited" is how much of the
time, by the kernel's account. That only ever makes it worse, so of the seconds of a trial the best counts.
"""

import json
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, pairwise
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import numpy as np
from twisted.internet.defer import Deferred
from twisted.internet.epollreactor import EPollReactor

from bench.parts.worker import HOST, PORTS, Worker
from bench.support.load import binary
from bench.support.options import parse, parser
from bench.support.processes import cpu_s
from bench.support.results import Table
from bench.support.search import highest
from pbx.entropy import SystemEntropy
from pbx.media.codecs import CODECS, make_encoder
from pbx.media.orders import Address, Mix, OpenEndpoint, Play, SetRemote
from pbx.media.probe import is_pair_free
from pbx.media.prompt import Prompt, Rendered, Speech
from pbx.media.rendering import Renderer
from pbx.media.samples import frame_size
from pbx.media.wire import Ping, Pong
from pbx.rtp.port_pool import PortPool

SOURCE: Final = Path(__file__).parent / "support" / "phones.c"
TYPES: Final = {"PCMU": 0, "PCMA": 8, "G722": 9, "OPUS": 111}
LATE_MS: Final = 10.0  # for 99 in 100 packets
WARM_S: Final = 1.5
MOST: Final = 4000
TEXTS: Final = 20
TEXT: Final = (
    "You have reached the office. All of our colleagues are talking to others at the moment, number {} in "
    "the line is yours. Please stay with us, or leave a message after the tone, then hang up or press hash."
)
COLUMNS: Final = [
    "what",
    "each with",
    "at once",
    "CPU µs/20 ms, each",
    "a core / that",
    "worker's CPU %",
    "waited %",
    "late ms p50 / p99 / most",
    "missing",
    "phones' CPU %",
]


@dataclass(frozen=True)
class Kind:
    """
    Attributes:
        codecs: of the phones of one.
        talks: whether they say anything.
    """

    name: str
    codecs: tuple[str, ...]
    few: int
    start: int
    talks: bool = True


KINDS: Final = {
    "play": (
        Kind("prompt, callers silent", ("PCMU",), 100, 400, talks=False),
        Kind("prompt", ("PCMU",), 100, 300),
        Kind("prompt", ("G722",), 100, 300),
        Kind("prompt", ("OPUS",), 100, 300),
    ),
    "calls": (
        Kind("transcoded call", ("PCMU", "PCMA"), 20, 50),
        Kind("transcoded call", ("PCMU", "G722"), 20, 40),
        Kind("transcoded call", ("PCMU", "OPUS"), 20, 30),
    ),
    "room": (Kind("one room, all talk", ("PCMU",), 20, 80),),
}


@dataclass(frozen=True)
class Trial:
    """What was seen in a second with so many at once."""

    at_once: int
    cpu_s: float
    waited_s: float
    phones: dict[str, Any]

    @property
    def is_good(self) -> bool:
        return not self.phones["missing"] and self.phones["late_ms"][1] < LATE_MS

    @property
    def each_us(self) -> float:
        return self.cpu_s / 50 / self.at_once * 1e6


class Bench:
    """Rendered speech, and phones that say it."""

    def __init__(self, folder: Path, stem: str, seconds: int) -> None:
        self._folder, self._stem, self._seconds = folder, stem, seconds
        for name in TYPES:
            self._sound_file(name)

    def _sound_file(self, name: str) -> Path:
        """The speech as `phones.c` reads it."""
        path = self._folder / name
        if not path.exists():
            rate_hz = CODECS[name].rate_hz
            samples = np.fromfile(f"{self._stem}-{rate_hz}.pcm", "<i2")
            size, encoder = frame_size(rate_hz), make_encoder(name, rate_hz)
            frames = [encoder.encode(samples[at : at + size]) for at in range(0, len(samples) - size, size)]
            path.write_bytes(b"".join(len(frame).to_bytes(2, "big") + frame for frame in frames))
        return path

    def measure(self, kind: Kind, at_once: int) -> Trial:
        """Let so many be up at once."""
        with _worker() as worker, _phones() as phones, _reports() as rtcp:
            names = self._open(kind, at_once, worker, phones, rtcp)
            for number, name in enumerate(names):
                if kind.name.startswith("prompt"):
                    worker.tell(Play(name, "play", self._stem, loop=True))
                elif len(kind.codecs) > 1:
                    worker.tell(Mix(name, f"call{number // len(kind.codecs)}"))
                else:
                    worker.tell(Mix(name, "room"))
            settle(worker)
            _say(phones, f"go {WARM_S + at_once / 500} {self._seconds}")
            marks = []
            for _ in range(self._seconds + 1):
                _wait(phones, "mark")
                marks.append(_ran_and_waited(worker))
            assert phones.stdout is not None
            seconds = [
                Trial(
                    at_once, after[0] - before[0], after[1] - before[1], json.loads(phones.stdout.readline())
                )
                for before, after in pairwise(marks)
            ]
        return min(seconds, key=lambda each: (each.phones["missing"], each.phones["late_ms"][1]))

    def _open(
        self, kind: Kind, at_once: int, worker: Worker, phones: "subprocess.Popen[str]", rtcp: Address
    ) -> Sequence[str]:
        """Endpoints and their phones."""
        pool = PortPool(*PORTS, SystemEntropy(), is_free=is_pair_free)
        names = []
        for number in range(at_once):
            for side, codec in enumerate(kind.codecs):
                name, port = f"e{number}.{side}", pool.take(0.0)
                says = self._sound_file(codec) if kind.talks else "-"
                ticks = CODECS[codec].frame_ticks
                _say(phones, f"{port} {TYPES[codec]} {ticks} {37 * len(names)} {says}")
                assert phones.stdout is not None
                own = int(phones.stdout.readline())
                formats = ((TYPES[codec], codec),)
                clocks = ((TYPES[codec], CODECS[codec].clock_hz),)
                remote = SetRemote(
                    name, (HOST, own), rtcp, clock_rates=clocks, codecs=formats, heard_codecs=formats
                )
                worker.tell(OpenEndpoint(name, f"c{number}", HOST, port), remote)
                names.append(name)
            if not number % 50:
                settle(worker)
        settle(worker)
        return names


@contextmanager
def _worker() -> Iterator[Worker]:
    worker = Worker()
    try:
        yield worker
    finally:
        worker.end()


@contextmanager
def _reports() -> Iterator[Address]:
    """Where RTCP of all may go: the port after that of a phone is somebody else's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind((HOST, 0))
        yield sink.getsockname()


@contextmanager
def _phones() -> "Iterator[subprocess.Popen[str]]":
    with subprocess.Popen(
        [binary(SOURCE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def settle(worker: Worker) -> None:
    """All orders until now are carried out, and its events read."""
    worker.tell(Ping())
    worker.wait_for(Pong, 1)


def _ran_and_waited(worker: Worker) -> tuple[float, float]:
    """Seconds that it ran, and that it could have run, had there been a core."""
    ran, waited, _ = Path(f"/proc/{worker.process.pid}/schedstat").read_text().split()
    return int(ran) / 1e9, int(waited) / 1e9


def _say(process: "subprocess.Popen[str]", line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def _wait(process: "subprocess.Popen[str]", word: str) -> None:
    assert process.stdout is not None
    while (line := process.stdout.readline()).strip() != word:
        if not line:
            raise SystemExit(f"the phones ended with {process.wait()}")


def carry(bench: Bench, kind: Kind, table: Table, *, search: bool) -> None:
    """A row for few, and one for the most."""
    add(table, kind, bench.measure(kind, kind.few))
    if not search:
        return
    good: dict[int, Trial] = {}

    def carries(number: float) -> bool:
        trial = bench.measure(kind, round(number))
        late, missing = trial.phones["late_ms"][1], trial.phones["missing"]
        waited = 100 * trial.waited_s
        print(
            f"  {trial.at_once}: late p99 {late:.2f} ms, missing {missing}, waited {waited:.0f} %", flush=True
        )
        if trial.is_good:
            good[trial.at_once] = trial
        return trial.is_good

    most = round(highest(kind.start, MOST // len(kind.codecs), carries, halvings=2))
    if most in good:
        add(table, kind, good[most])
    else:
        table.note(f"{kind.name}, {' and '.join(kind.codecs)}: no number was carried")


def add(table: Table, kind: Kind, trial: Trial) -> None:
    phones = trial.phones
    table.add(
        kind.name,
        " and ".join(kind.codecs),
        trial.at_once,
        trial.each_us,
        f"{20_000 / trial.each_us:.0f}",
        100 * trial.cpu_s,
        100 * trial.waited_s,
        " / ".join(f"{each:.2f}" for each in phones["late_ms"]),
        phones["missing"],
        100 * phones["cpu_s"],
    )


class Desk:
    """The renderer as the core has it, waited for."""

    def __init__(self, data: Path) -> None:
        self._reactor = EPollReactor()
        self.renderer = Renderer(self._reactor, data, idle_s=600.0)

    def wait(self, ask: "Callable[[], Deferred[Any]]") -> Any:
        """What `ask()` fires with."""
        found: list[Any] = []

        def end(outcome: Any) -> None:
            found.append(outcome)
            self._reactor.crash()

        self._reactor.callWhenRunning(lambda: ask().addBoth(end))
        self._reactor.run(installSignalHandlers=False)
        if hasattr(found[0], "raiseException"):
            found[0].raiseException()
        return found[0]

    def render(self, number: int) -> Rendered:
        prompt = Prompt((Speech(TEXT.format(number)),))
        rendered: Rendered = self.wait(lambda: self.renderer.render(prompt))
        return rendered


def speak(desk: Desk, table: Table | None) -> Rendered:
    """Render texts, one after the other; returns the first."""
    numbers = count(1)
    start = perf_counter()
    first = desk.render(next(numbers))
    cold_s = perf_counter() - start
    if table is None:
        return first
    pid = desk.renderer.pid
    assert pid is not None
    table.add(
        "the first, process started for it",
        1,
        first.seconds,
        cold_s,
        cpu_s([pid]),
        first.seconds / cold_s,
        None,
    )
    before, start, spoken_s = cpu_s([pid]), perf_counter(), 0.0
    for _ in range(TEXTS):
        spoken_s += desk.render(next(numbers)).seconds
    took_s, used_s = perf_counter() - start, cpu_s([pid]) - before
    table.add(
        "texts never said before", TEXTS, spoken_s, took_s, used_s, spoken_s / took_s, spoken_s / used_s
    )
    before, start = cpu_s([pid]), perf_counter()
    for number in range(1, TEXTS + 1):
        desk.render(number)
    took_s, used_s = perf_counter() - start, cpu_s([pid]) - before
    table.add("the same again", TEXTS, spoken_s, took_s, used_s, spoken_s / took_s, None)
    return first


SPEECH_COLUMNS: Final = [
    "what",
    "texts",
    "seconds of sound",
    "took s",
    "speech process's CPU s",
    "× real time",
    "× real time by CPU",
]


def main() -> None:
    found = parser(__doc__, ("pbx",))
    found.add_argument(
        "--only", action="append", choices=(*KINDS, "speech"), help="some of the figures (all)"
    )
    found.add_argument("--seconds", type=int, default=5, help="length of a trial")
    options = parse(found)
    wanted = options.only or (*KINDS, "speech")
    with tempfile.TemporaryDirectory(prefix="bench-sound-") as folder:
        desk = Desk(Path(folder) / "data")
        try:
            speech = Table("Speech rendered", SPEECH_COLUMNS) if "speech" in wanted else None
            rendered = speak(desk, speech)
            if speech is not None:
                speech.write(options.full or options.keep)
            table = Table("Sound on one core", COLUMNS)
            bench = Bench(Path(folder), rendered.stem, options.seconds)
            kinds = [kind for name in KINDS if name in wanted for kind in KINDS[name]]
            for kind in kinds:
                carry(bench, kind, table, search=not options.short)
            if kinds:
                if options.short:
                    table.note("--short: not searched for the most")
                table.write(options.full or options.keep)
        finally:
            desk.wait(desk.renderer.stop)


if __name__ == "__main__":
    main()
