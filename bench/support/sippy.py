"""Sippy B2BUA (PyPI), the Python peer: calls only, it neither registers nor asks for credentials.

Its simplest program, b2bua_simple, sends every call to one address; that is the callees'. It relays no audio.
Its log of every message is off.
"""

from bench.support.peer import ROOT, AbsentError, Peer

PROGRAM = ROOT / ".venv" / "peers" / "sippy" / "bin" / "b2bua_simple"


class Sippy(Peer):
    name = "sippy"
    relays_audio = False
    registers = False

    @property
    def callee_port(self) -> int:
        return self.port + 4

    def load_options(self) -> dict[str, object]:
        return {"register": 0, "callee_port": self.callee_port}

    def start(self) -> None:
        if not PROGRAM.exists():
            raise AbsentError("not installed (scripts/bench-packages)")
        self.run(
            "sippy",
            [
                *(str(PROGRAM), "-f", "-l", "127.0.0.1", "-p", str(self.port)),
                *("-n", f"127.0.0.1:{self.callee_port}"),
            ],
            SIPLOG_BEND="none",
            SIPLOG_LVL="CRIT",
        )
