"""SIPp for signalling: scenarios with digest, at a rate.

Credentials are made here and injected (see scenarios/caller.xml for the reason): one nonce serves all calls
of a run, with a nonce count of its own for each (RFC 7616 §3.4).
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.phones.support.office import TestDevice
from tests.phones.support.ports import Ports
from tests.phones.support.process import Program
from tests.phones.support.sip_client import find_challenge, sip_client
from tests.phones.support.waiting import PATIENCE_S

CALLEE_S: Final = 3600  # a callee lives as long as whoever uses it; this only ends a forgotten one
SCENARIOS: Final = Path(__file__).parents[1] / "scenarios"


@dataclass(frozen=True, slots=True)
class SippResult:
    exit_code: int | None
    successful: int
    failed: int
    retransmissions: int
    errors: str

    def __str__(self) -> str:
        return (
            f"sipp ended with {self.exit_code}: {self.successful} good, {self.failed} failed, "
            f"{self.retransmissions} retransmissions\n{self.errors}"
        )


class SippCallee:
    """A callee for any number of devices on one port; registers them first."""

    def __init__(self, folder: Path, server: tuple[str, int], devices: Sequence[TestDevice]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._ports = Ports(20)
        self.port = self._ports.first
        self._folder = folder
        self._server = server
        self._devices = devices
        self._program: Program | None = None

    def __enter__(self) -> "SippCallee":
        for device in self._devices:
            with sip_client(self._server, ("127.0.0.1", self.port)) as client:
                reply = client.register(device.username, device.password)
                assert reply is not None, f"no answer to REGISTER of {device.username}"
                assert reply.status == 200, reply.text
        self._program = Program(
            "sipp callee",
            sipp(self._server, "callee.xml", self.port, self._folder, CALLEE_S),
            self._folder / "callee.log",
            cwd=self._folder,
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._program is not None
        self._program.kill()
        self._ports.release()

    def errors(self) -> str:
        return read_errors(self._folder)


def call_all(
    folder: Path,
    server: tuple[str, int],
    pairs: Sequence[tuple[TestDevice, TestDevice]],
    rate: float,
    hold_ms: int = 500,
    scenario: str = "caller.xml",
    transport: str = "u1",
) -> SippResult:
    """One call for each pair of caller and callee, `rate` of them a second."""
    folder.mkdir(parents=True, exist_ok=True)
    with sip_client(server) as client:
        aor = f"sip:{pairs[0][0].username}@{client.domain}"
        first = client.request("REGISTER", f"sip:{client.domain}", aor, aor)
        assert first is not None, "no answer to REGISTER"
        challenge = find_challenge(first)
        rows = [
            (
                caller.username,
                callee.key,
                challenge.answer(
                    "INVITE", f"sip:{callee.key}@{client.domain}", caller.username, caller.password, count
                ),
            )
            for count, (caller, callee) in enumerate(pairs, 1)
        ]
    injected = folder / "calls.csv"
    with injected.open("w", newline="") as file:
        file.write("SEQUENTIAL\n")
        csv.writer(
            file, delimiter=";", quoting=csv.QUOTE_NONE, quotechar=None, lineterminator="\n"
        ).writerows(rows)
    ports = Ports(20)
    command = sipp(server, scenario, ports.first, folder)
    command += [
        "-inf",
        str(injected),
        "-m",
        str(len(pairs)),
        "-r",
        str(rate),
        "-d",
        str(hold_ms),
        "-t",
        transport,
    ]
    program = Program("sipp caller", command, folder / "caller.log", cwd=folder)
    try:
        code = program.wait_end(PATIENCE_S + hold_ms / 1000 + len(pairs) / rate)
    finally:
        program.kill()
        ports.release()
    text = (folder / "caller.log").read_text("utf-8", "replace")
    return SippResult(
        code,
        count_of(text, "Successful call"),
        count_of(text, "Failed call"),
        retransmitted(text),
        read_errors(folder),
    )


def sipp(server: tuple[str, int], scenario: str, port: int, folder: Path, timeout_s: int = 300) -> list[str]:
    """The command line; SIPp itself gives up after `timeout_s`."""
    host = f"[{server[0]}]" if ":" in server[0] else server[0]
    return [
        *("sipp", f"{host}:{server[1]}", "-sf", str(SCENARIOS / scenario)),
        *("-i", "127.0.0.1", "-p", str(port), "-mi", "127.0.0.1", "-mp", str(port + 10)),
        *("-nostdin", "-trace_err", "-error_file", str(folder / f"{scenario}.errors")),
        *("-recv_timeout", "60000", "-timeout", str(timeout_s), "-timeout_error"),
    ]


def read_errors(folder: Path) -> str:
    return "\n".join(path.read_text("utf-8", "replace")[:4000] for path in sorted(folder.glob("*.errors")))


def count_of(screen: str, name: str) -> int:
    """The cumulative figure of a line of the last statistics screen."""
    found = re.findall(rf"{name}\s*\|\s*\d+\s*\|\s*(\d+)", screen)
    return int(found[-1]) if found else 0


def retransmitted(screen: str) -> int:
    """All retransmissions, of both sides, on the last scenario screen."""
    last = screen.rpartition("Scenario Screen")[2]
    return sum(int(found) for found in re.findall(r"(?:-{3,}>|<-{3,})[^\n]*?\s\d+\s+(\d+)", last))
