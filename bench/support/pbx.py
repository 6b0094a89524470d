"""Our own server: `pbx apply`, then `pbx serve`, with one extension and device an account."""

import subprocess
from pathlib import Path

from bench.support.peer import FIRST_KEY, ROOT, RTP_PORTS, Peer

PBX = ROOT / ".venv" / "bin" / "pbx"

CONFIG = """\
[server]
domain = "{domain}"
data = "{data}"

[database]
url = "sqlite:///{data}/pbx.db"

[sip]
udp = ["127.0.0.1:{port}"]
tcp = []
tls = []

[rtp]
ports = [{first}, {last}]
kernel = "{kernel}"

[web]
listen = ""

[limits]
calls = 100000
"""

OFFICE = """\
[office]
name = "Bench"
country = "SG"
timezone = "Asia/Singapore"

[[member]]
email = "owner@bench.example"
name = "Olga Owner"
account = "owner"
"""

EXTENSION = """
[[extension]]
key = "{key}"
label = "Phone {key}"
call_waiting = 100
[[extension.device]]
kind = "ip_phone"
username = "{key}"
password = "secret-of-{key}"
[extension.no_answer]
action = "hangup"
timeout = 20
"""


class Pbx(Peer):
    """Ours.

    Args:
        kernel: "off" relays audio in user space, "auto" in the kernel where it may.
    """

    name = "pbx"

    def __init__(self, accounts: int = 100, under: str = "", kernel: str = "off") -> None:
        super().__init__(accounts, under)
        self._kernel = kernel

    def start(self) -> None:
        data = self.folder / "data"
        data.mkdir()
        self.config.write_text(
            CONFIG.format(
                domain=self.domain,
                data=data,
                port=self.port,
                first=RTP_PORTS[0],
                last=RTP_PORTS[1],
                kernel=self._kernel,
            )
        )
        office = self.folder / "office.toml"
        office.write_text(
            OFFICE + "".join(EXTENSION.format(key=FIRST_KEY + number) for number in range(self.accounts))
        )
        self.command("apply", str(office))
        self.run("serve", [str(PBX), "serve", "--config", str(self.config)])

    @property
    def config(self) -> Path:
        return self.folder / "pbx.toml"

    def command(self, *arguments: str) -> str:
        """Run `pbx ...` and return what it printed."""
        done = subprocess.run(
            [str(PBX), *arguments, "--config", str(self.config)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise AssertionError(f"pbx {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def main_pid(self, pids: list[int]) -> int:
        """`pbx serve` itself, below whatever it is run under."""
        serving = [pid for pid in pids if b"\0serve\0" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        return serving[-1] if serving else pids[0]
