"""A SIP server under measurement, ours or another: with a configuration of its own, ended by its pid."""

import os
import shlex
import signal
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar

from bench.support import processes
from tests.phones.support.ports import Ports
from tests.phones.support.process import Program
from tests.phones.support.sip_client import sip_client
from tests.phones.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
FIRST_KEY = 10_000  # no emergency number begins with 1 and has five digits
START_S = 60.0
STOP_S = 15.0
RTP_PORTS = (16_384, 32_766)  # below the range that the kernel gives to the telephones' sockets


class AbsentError(Exception):
    """This peer cannot be measured here; the text says why."""


class Peer:
    """Starts in `with`; accounts are FIRST_KEY, FIRST_KEY + 1 ... with the password secret-of-<account>.

    Args:
        accounts: how many it serves.
        under: words put before its command, such as a profiler's.
    """

    name: ClassVar[str]
    relays_audio: ClassVar[bool] = True
    registers: ClassVar[bool] = True
    domain: str = "pbx.bench"

    def __init__(self, accounts: int = 100, under: str = "") -> None:
        self.accounts = accounts
        self._under = shlex.split(under)
        self._stack = ExitStack()
        self._programs: list[Program] = []

    def __enter__(self) -> "Peer":
        with self._stack as stack:
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
            self._ports = Ports(20)
            stack.callback(self._ports.release)
            self.port = self._ports.first
            stack.callback(self.stop)
            self.start()
            wait_until(f"{self.name} answers OPTIONS", self._is_up, START_S)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def host(self) -> tuple[str, int]:
        return ("127.0.0.1", self.port)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Write the configuration and `run` what is needed."""
        raise NotImplementedError

    def load_options(self) -> dict[str, object]:
        """What the load generator must know of this server."""
        return {}

    def run(self, name: str, command: Sequence[str], **environment: str) -> Program:
        program = Program(
            name,
            [*self._under, *command],
            self.folder / f"{name}.log",
            environment=environment,
            cwd=ROOT,
        )
        self._programs.append(program)
        return program

    def pids(self) -> list[int]:
        return [pid for program in self._programs for pid in processes.tree(program.pid)]

    def cpu_s(self) -> float:
        return processes.cpu_s(self.pids())

    def pss_kb(self) -> int:
        return processes.pss_kb(self.pids())

    def log(self) -> str:
        return "\n".join(path.read_text("utf-8", "replace")[-3000:] for path in self.folder.glob("*.log"))

    def stop(self) -> None:
        """End its processes in order, the rest by force."""
        while self._programs:
            program = self._programs.pop()
            pids = processes.tree(program.pid) if program.is_running else []
            if pids:
                os.kill(self.main_pid(pids), signal.SIGINT)
            if pids and program.wait_end(STOP_S) is None:
                print(f"{self.name}: {program.name} had to be killed")
            program.kill()
            for pid in pids[1:]:
                if Path(f"/proc/{pid}").exists():
                    os.kill(pid, signal.SIGKILL)

    def main_pid(self, pids: list[int]) -> int:
        """Who of a program's tree is told to stop."""
        return pids[0]

    def _is_up(self) -> bool:
        for program in self._programs:
            if not program.is_running:
                raise AssertionError(f"{program.name} ended with {program.exit_code}: {self.log()}")
        with sip_client(self.host) as client:
            return client.options() is not None
