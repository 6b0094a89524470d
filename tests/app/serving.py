"""`pbx serve` as its users run it: a process of its own, ports of its own."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.phones.support.ports import Ports
from tests.phones.support.sip_client import SipClient

ROOT = Path(__file__).parents[2]
START_S, STOP_S = 60.0, 60.0

CONFIG = """\
[server]
data = "data"
[database]
url = "{url}"
[sip]
udp = ["127.0.0.1:{port}"]
tcp = ["127.0.0.1:{port}"]
tls = ["127.0.0.1:{tls}"]
[rtp]
ports = [{rtp}, {rtp_last}]
workers = 1
kernel = "off"
"""


class Place:
    """A folder with a pbx.toml, whose ports are nobody else's."""

    def __init__(self, folder: Path, url: str = "sqlite:///data/pbx.db") -> None:
        self.folder, self.data = folder, folder / "data"
        self._ports = Ports(40)
        self.port = self._ports.first
        self.path = folder / "pbx.toml"
        self.path.write_text(
            CONFIG.format(
                url=url, port=self.port, tls=self.port + 1, rtp=self.port + 10, rtp_last=self.port + 38
            )
        )

    def change(self, old: str, new: str) -> None:
        """Edit pbx.toml."""
        text = self.path.read_text()
        assert old in text
        self.path.write_text(text.replace(old, new))

    def run(self, *words: str, timeout: float = 60.0) -> "subprocess.CompletedProcess[str]":
        """`pbx ...`, to its end."""
        return subprocess.run(
            [*self.command(*words)], cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False
        )

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "pbx", *words, "--config", str(self.path)]

    def status(self) -> Any:
        done = self.run("status", "--json")
        assert done.returncode == 0, done.stdout
        return json.loads(done.stdout)

    def client(self) -> SipClient:
        return SipClient(("127.0.0.1", self.port))

    def release(self) -> None:
        self._ports.release()


class Server:
    """One `pbx serve`; `out` is its stdout, `log` its stderr."""

    def __init__(self, place: Place, *words: str) -> None:
        self.place = place
        self._out, self._log = place.folder / "out", place.folder / "log"
        with self._out.open("w") as out, self._log.open("w") as log:
            self._process = subprocess.Popen(
                place.command("serve", *words), cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=log
            )
        self.pid = self._process.pid

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def log(self) -> str:
        return self._log.read_text()

    def wait_up(self) -> "Server":
        """Until it has shown its card."""
        self.wait_for(lambda: "Stop with Ctrl-C" in self.out or '"servers"' in self.out, START_S)
        return self

    def wait_log(self, pattern: str) -> str:
        self.wait_for(lambda: re.search(pattern, self.log) is not None, START_S)
        found = re.search(pattern, self.log)
        assert found is not None
        return found[0]

    def wait_for(self, is_so: Callable[[], bool], timeout: float) -> None:
        until = time.monotonic() + timeout
        while not is_so():
            assert self._process.poll() is None, f"ended with {self._process.returncode}: {self.log}"
            assert time.monotonic() < until, f"still not so: {self.out}\n{self.log}"
            time.sleep(0.05)  # another process: there is nothing to wait for

    @property
    def password(self) -> Callable[[str], str]:
        """Of an account on the card."""
        found = dict(re.findall(r"^    (\d+) +(\S+) +\d+ ", self.out, re.MULTILINE))
        return found.__getitem__

    def has_loaded(self, name: str) -> bool:
        """Whether an extension module has been imported."""
        return name in Path(f"/proc/{self.pid}/maps").read_text()

    def workers(self) -> list[int]:
        """Its media workers."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [int(pid) for pid in children]

    def tell(self, number: int = signal.SIGINT) -> None:
        self._process.send_signal(number)

    def wait_end(self) -> int:
        return self._process.wait(STOP_S)

    def stop(self, number: int = signal.SIGINT) -> None:
        """End it, in order and without bad news."""
        self.tell(number)
        assert self.wait_end() == 0, self.log
        assert "Traceback" not in self.log
        assert "Traceback" not in self.out

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
