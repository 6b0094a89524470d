"""The PBX under test: as its users run it, in a process of its own, on ports of its own."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from pbx.app.client import ask
from tests.phones.support.office import Extensions, office_toml
from tests.phones.support.phone import Account, Transport
from tests.phones.support.ports import Ports
from tests.phones.support.process import Program
from tests.phones.support.sip_client import sip_client
from tests.phones.support.waiting import PATIENCE_S, wait_until

ROOT: Final = Path(__file__).parents[3]
GONE_S: Final = 20.0  # less than the silence after which calls end by themselves
RTP_PORTS: Final = 320

CONFIG: Final = """\
[server]
domain = "pbx.test"
data = "{data}"

[database]
url = "sqlite:///{data}/pbx.db"

[sip]
udp = ["127.0.0.1:{port}", "[::1]:{port}"]
tcp = ["127.0.0.1:{port}", "[::1]:{port}"]
tls = ["127.0.0.1:{tls_port}", "[::1]:{tls_port}"]
trusted_ca = "{trusted_ca}"

[rtp]
ports = [{rtp_first}, {rtp_last}]
kernel = "{kernel}"

[web]
listen = ""

[limits]
failed_auth = {failed_auth}
{limits}
"""

BAD_NEWS: Final = re.compile(r"Traceback \(most recent call last\)|\bcritical\b", re.IGNORECASE)


class PbxServer:
    """`pbx apply`, then `pbx serve`; `stop` is Ctrl-C and wants exit code 0 and a clean log.

    Args:
        folder: gets the configuration, the data and the log.
        office: text of office.toml; the tests' own office by default.
        rtp_ports: how many ports its calls share; each call takes four, and a freed one rests.
        failed_auth: how many wrong passwords an address has. Many, since all phones have the same one.
        rtp_ports: how many ports its audio has.
        limits: further lines of [limits].
        trusted_ca: a PEM file with who may sign the certificates of trunks.
        kernel: "auto" only in a network namespace of its own: the kernel does it for all in it.
    """

    def __init__(
        self,
        folder: Path,
        office: str = "",
        failed_auth: int = 10_000,
        rtp_ports: int = RTP_PORTS,
        limits: str = "",
        kernel: str = "off",
        trusted_ca: str = "",
    ) -> None:
        self.folder = folder
        self._rtp_ports = rtp_ports
        self._ports = Ports(rtp_ports + 10)
        self.port = self._ports.first
        self.tls_port = self.port + 1
        self.rtp_first = self.port + 10
        self.extensions = Extensions()
        self.log_path = folder / "serve.log"
        self._office = office or office_toml()
        self._failed_auth = failed_auth
        self._limits = limits
        self._kernel = kernel
        self._trusted_ca = trusted_ca
        self._rtp_ports = rtp_ports
        self._program: Program | None = None
        self._mark = 0
        self.marked_at = 0.0  # seconds since 1970
        self._examined = 0

    @property
    def address(self) -> str:
        """host:port for UDP and TCP."""
        return f"127.0.0.1:{self.port}"

    @property
    def tls_address(self) -> str:
        return f"127.0.0.1:{self.tls_port}"

    @property
    def address_v6(self) -> str:
        return f"[::1]:{self.port}"

    @property
    def pid(self) -> int:
        """Of `pbx serve`."""
        assert self._program is not None, "the server was not started"
        return self._program.pid

    @property
    def is_running(self) -> bool:
        return self._program is not None and self._program.is_running

    def account(self, transport: Transport = "udp", **changes: object) -> Account:
        """A phone's account at an extension that no other test has."""
        device = self.extensions.for_transport(transport)
        server = self.tls_address if transport == "tls" else self.address
        return replace(device.account(server, transport), **changes)  # type: ignore[arg-type]  # real field names

    def start(self) -> None:
        """Write both files, apply the office, serve, and wait for an answer to OPTIONS."""
        self.prepare()
        self.serve()

    def prepare(self) -> None:
        """Write both files, and apply the office."""
        (self.folder / "data").mkdir(parents=True, exist_ok=True)
        (self.folder / "pbx.toml").write_text(
            CONFIG.format(
                data=self.folder / "data",
                port=self.port,
                tls_port=self.tls_port,
                rtp_first=self.rtp_first,
                rtp_last=self.rtp_first + self._rtp_ports - 2,
                failed_auth=self._failed_auth,
                limits=self._limits,
                kernel=self._kernel,
                trusted_ca=self._trusted_ca,
            )
        )
        self.apply(self._office)

    def command(self, *arguments: str, timeout: float = PATIENCE_S) -> str:
        """Run `pbx ...` and return what it printed; it has to succeed."""
        done = subprocess.run(
            [sys.executable, "-m", "pbx", *arguments, "--config", str(self.folder / "pbx.toml")],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode == 0, f"pbx {' '.join(arguments)} ended with {done.returncode}:\n{said}"
        return said

    def serve(self) -> None:
        assert self._program is None, "the server runs already"
        self._program = Program(
            "pbx serve",
            [sys.executable, "-m", "pbx", "serve", "--config", str(self.folder / "pbx.toml")],
            self.log_path,
            cwd=ROOT,
        )
        try:
            wait_until("the server answers OPTIONS", self._is_up)
        except AssertionError as late:
            self.kill()
            raise AssertionError(f"{late}\n{self.log_text()[-6000:]}") from None

    def stop(self) -> None:
        """Ctrl-C: it must end in order, and must have had nothing bad to tell."""
        if self._program is None:
            return
        self._program.signal(signal.SIGINT)
        code = self._program.wait_end(PATIENCE_S)
        if code is None:
            self.kill()
            raise AssertionError(f"pbx serve doesn't end by SIGINT\n{self.log_text()[-4000:]}")
        self._program = None
        assert code == 0, f"pbx serve ended with {code}\n{self.log_text()[-4000:]}"
        self._examine()

    def kill(self) -> None:
        """End it as a power failure would."""
        if self._program is not None:
            self._program.kill()
            self._program = None

    def mark(self) -> None:
        """A test begins here."""
        self._mark, self.marked_at = len(self.log_text()), time.time()

    def log_text(self) -> str:
        return self.log_path.read_text("utf-8", "replace") if self.log_path.exists() else ""

    def log_since_mark(self) -> str:
        return self.log_text()[self._mark :]

    def release(self) -> None:
        """It will not be started again: others may have its ports."""
        self._ports.release()

    def assert_well(self) -> None:
        """It runs, and has logged neither a traceback nor a critical event since it was last asked."""
        assert self._program is not None, "the server was not started"
        assert self._program.is_running, f"the server has died\n{self.log_text()[-4000:]}"
        self._examine()

    def status(self) -> dict[str, Any]:
        """What `pbx status` would show."""
        answer: dict[str, Any] = ask(self.folder / "data", "status")
        return answer

    def assert_nothing_left(self) -> None:
        """No call, dialog or media port outlives the tests' phones."""
        try:
            wait_until("all calls have ended at the server", lambda: not any(self._left().values()), GONE_S)
        except AssertionError as late:
            raise AssertionError(f"{late}; left are {self._left()}") from None

    def _left(self) -> dict[str, int]:
        counts = self.status()["counts"]
        return {name: counts[name] for name in ("calls", "dialogs", "ports")}

    def apply(self, office: str) -> str:
        """`pbx apply` while the server runs; what it printed."""
        (self.folder / "office.toml").write_text(office)
        return self.command("apply", str(self.folder / "office.toml"))

    def media_workers(self) -> list[int]:
        """The process ids of the server's media workers."""
        return self.children("pbx.media.worker")

    def children(self, module: str) -> list[int]:
        """The ids of the server's processes that run a module."""
        assert self._program is not None
        children = Path(f"/proc/{self._program.pid}/task/{self._program.pid}/children").read_text().split()
        return [int(pid) for pid in children if module in _command_line(pid)]

    def _examine(self) -> None:
        text = self.log_text()
        news, self._examined = text[self._examined :], len(text)
        if bad := BAD_NEWS.search(news):
            raise AssertionError(
                f"the server's log has bad news:\n{news[max(0, bad.start() - 500) :][:4000]}"
            )

    def _is_up(self) -> bool:
        assert self._program is not None
        if not self._program.is_running:
            raise AssertionError(f"pbx serve ended at once with {self._program.exit_code}")
        with sip_client(("127.0.0.1", self.port)) as client:
            return client.options() is not None


def running(
    folder: Path, office: str, before: Callable[[PbxServer], None] = lambda _: None, **options: Any
) -> Iterator[PbxServer]:
    """A server of its own office, for a fixture to yield from; `before` it serves something can be done."""
    made = PbxServer(folder, office, **options)
    try:
        made.prepare()
        before(made)
        made.serve()
        yield made
        made.stop()
    finally:
        made.kill()
        made.release()


def _command_line(pid: str) -> str:
    """Empty for a process that has gone since it was listed."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
