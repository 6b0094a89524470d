"""The load generator, load.c: compiled when it is needed, run beside the server, its result read."""

import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bench.support.peer import FIRST_KEY, Peer

SOURCE = Path(__file__).with_name("load.c")
GRACE_S = 30.0


@dataclass(frozen=True, slots=True)
class Window:
    """What happened while it was measured.

    Args:
        load: the generator's own account (see `report` in load.c).
        cpu_s: CPU seconds of the server's processes.
        took_s: the length of the window, by the generator's clock.
        pss_kb: memory of the server at the end of the window, and the growth since its beginning.
    """

    load: dict[str, Any]
    cpu_s: float
    took_s: float
    pss_kb: int
    growth_kb: int

    @property
    def attempts(self) -> int:
        return int(self.load["attempts"])

    @property
    def is_clean(self) -> bool:
        """Nothing failed, and nothing had to be sent twice."""
        return not (self.load["failed"] or self.load["retransmissions"])

    @property
    def loss(self) -> float:
        """The share of audio packets that did not arrive."""
        return 1 - self.load["packets_received"] / max(1, self.load["packets_sent"])

    @property
    def cpu_per_call_ms(self) -> float | None:
        """Or for a registration; None when more than one in a hundred failed."""
        if self.load["failed"] > self.attempts / 100:
            return None
        return 1000 * self.cpu_s / max(1, self.attempts)

    @property
    def cpu_per_packet_us(self) -> float:
        return 1e6 * self.cpu_s / max(1, self.load["packets_sent"])

    @property
    def load_share(self) -> float:
        """What the generator itself used of one core."""
        return float(self.load["load_cpu_s"] / self.load["load_took_s"])


@cache
def binary(source: Path = SOURCE) -> str:
    """The compiled generator: without a C compiler there is nothing to measure with."""
    compiler = next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)
    if compiler is None:
        raise SystemExit("no C compiler for the load generator: apt-get install gcc libc6-dev")
    program = Path(tempfile.mkdtemp(prefix="bench-load-")) / source.stem
    subprocess.run([compiler, "-O2", "-o", str(program), str(source)], check=True)
    return str(program)


class Load:
    """One run of the generator; in `with`, it is ended whatever happens."""

    def __init__(self, peer: Peer, **options: object) -> None:
        self._peer = peer
        words = {
            "server": peer.address,
            "domain": peer.domain,
            "first": FIRST_KEY,
            "accounts": peer.accounts,
            **peer.load_options(),
            **options,
        }
        self._process = subprocess.Popen(
            [binary(), *(f"{key}={value}" for key, value in words.items())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Load":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait(self, word: str) -> None:
        """Until the generator says `word`: "measure" or "measured"."""
        assert self._process.stdout is not None
        while (line := self._process.stdout.readline()).strip() != word:
            if not line:
                raise AssertionError(f"the load generator ended with {self._process.wait()}")

    def result(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                found: dict[str, Any] = json.loads(line)
                return found
        raise AssertionError(f"the load generator ended with {self._process.wait()}")

    def leave(self) -> None:
        """After the result: wait until its phones are registered no longer."""
        self._process.wait(GRACE_S)


def hold(calls: int, ramp: float, settle: float, seconds: float, **options: object) -> dict[str, object]:
    """Options for `calls` calls that are up together for `seconds`, placed `ramp` a second before."""
    up_s = calls / ramp + settle
    return {
        "concurrent": calls,
        "rate": ramp,
        "warm": up_s,
        "seconds": seconds,
        "hold": up_s + seconds + 1.0,
        "audio": 1,
        **options,
    }


def measure(peer: Peer, **options: object) -> Window:
    """Run the generator and look at the server at both ends of its window."""
    with Load(peer, **options) as load:
        load.wait("measure")
        pss, cpu = peer.pss_kb(), peer.cpu_s()
        load.wait("measured")
        used, now = peer.cpu_s() - cpu, peer.pss_kb()
        result = load.result()
        load.leave()
    return Window(result, used, result["seconds"], now, now - pss)
