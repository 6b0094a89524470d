"""A mail server, an outbox and its sender, each a process of its own; the test puts in and looks."""

import email
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from email import policy
from pathlib import Path

from pbx.mail.facts import Extension, NewVoicemail, Party
from pbx.mail.letter import write_letter
from pbx.mail.packing import make_row
from pbx.net.tls import make_self_signed
from pbx.store.outbox import Outbox, OutboxRow
from pbx.store.store import open_store

HERE = Path(__file__).parent
SOON_S = 60.0
MINUTE_IN_HALF_A_SECOND = 120
AT = datetime(2026, 3, 28, 17, 5, tzinfo=UTC)
MP3 = bytes(range(256)) * 400 + b"\r\n.\r\n..\n.\n"
FACTS = NewVoicemail(Party("+6598765432", "Zoë"), Extension("100", "Ann"), AT, 75, "*97")


class World:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"sqlite:///{folder / 'pbx.db'}"
        self.store = open_store(self.url)
        self.outbox = Outbox(self.store)
        self.taken = folder / "taken"
        self.taken.mkdir()
        self.log = folder / "log"
        self.recording = folder / "voicemail.mp3"
        self.recording.write_bytes(MP3)
        # Held, so that it is nobody else's while the server is down; only who listens keeps others from it.
        self._held = socket.socket()
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._held.bind(("127.0.0.1", 0))
        self.port: int = self._held.getsockname()[1]
        self._certificate: tuple[str, str] | None = None
        self._processes: list[subprocess.Popen[bytes]] = []

    # the server

    def serve(self, **options: object) -> "subprocess.Popen[bytes]":
        """Start the mail server, always on the same port."""
        command = [sys.executable, str(HERE / "smtp_server.py"), str(self.taken)]
        server = subprocess.Popen(
            [*command, json.dumps({"port": self.port, **options})],
            stdout=subprocess.PIPE,
            stderr=(self.folder / "server-log").open("ab"),
        )
        self._processes.append(server)
        assert server.stdout is not None
        assert server.stdout.readline() == b"%d\n" % self.port
        return server

    @property
    def certificate(self) -> tuple[str, str]:
        """Certificate and key of a server at 127.0.0.1 and localhost; it is its own authority."""
        if self._certificate is None:
            paths = self.folder / "server.pem", self.folder / "server.key"
            made = make_self_signed(["localhost", "127.0.0.1"], datetime.now(UTC))
            for path, content in zip(paths, made, strict=True):
                path.write_bytes(content)
            self._certificate = (str(paths[0]), str(paths[1]))
        return self._certificate

    def seen(self) -> list[dict[str, object]]:
        path = self.taken / "seen"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def mails(self) -> list[email.message.EmailMessage]:
        """What the server has taken."""
        paths = sorted(self.taken.glob("*.eml"), key=lambda path: int(path.stem))
        return [email.message_from_bytes(path.read_bytes(), policy=policy.default) for path in paths]

    # the outbox

    def put(
        self, number: int = 1, recipient: str = "ann@acme.example", attach: bool = False, wait_s: float = 0.0
    ) -> OutboxRow:
        letter = write_letter(FACTS, "Acme", "UTC")
        path = self.recording if attach else None
        row = make_row(f"mail-{number}", letter, "pbx@acme.example", recipient, time.time(), path)
        row = replace(row, next_at=row.next_at + wait_s)
        self.outbox.add([row])
        return row

    def state(self, number: int = 1) -> str:
        return self.row(number).state

    def row(self, number: int = 1) -> OutboxRow:
        rows = self.outbox.rows(("waiting", "sending", "sent", "refused"), 1000)
        return next(row for row in rows if row.id == f"mail-{number}")

    # its sender

    def send(
        self,
        server: str = "smtp://127.0.0.1:{port}",
        ca: str = "",
        token: tuple[str, ...] = (),
        clock: int = MINUTE_IN_HALF_A_SECOND,
        **patience: float,
    ) -> "subprocess.Popen[bytes]":
        """Start the sender.

        Args:
            server: its URL, with {port} in it.
            clock: how many times too fast the sender's goes. At 0 it stands: each mail is tried once.
            patience: of `Patience`, where it shall be little.
        """
        options = json.dumps({"clock": clock, **patience})
        process = subprocess.Popen(
            [
                sys.executable,
                str(HERE / "sender.py"),
                self.url,
                server.format(port=self.port),
                ca,
                options,
                *token,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log.open("ab"),
        )
        self._processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n", self.log.read_text()
        return process

    def tell_to_end(self, process: "subprocess.Popen[bytes]") -> None:
        """The sender has begun to stop in order."""
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        assert process.stdout.readline() == b"ends\n", self.log.read_text()

    def end(self, process: "subprocess.Popen[bytes]") -> None:
        """Stop the sender in order."""
        self.tell_to_end(process)
        assert process.wait(SOON_S) == 0, self.log.read_text()

    def wait(self, is_so: Callable[[], bool]) -> None:
        until = time.monotonic() + SOON_S
        while not is_so():
            assert time.monotonic() < until, self.tell()
            time.sleep(0.02)  # other processes: there is nothing to wait for

    def tell(self) -> str:
        rows = self.outbox.rows(("waiting", "sending", "sent", "refused"), 20)
        log = self.log.read_text() if self.log.exists() else ""
        return f"{[(row.id, row.state, row.words) for row in rows]}\n{self.seen()}\n{log}"

    def close(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()
        self._held.close()
        self.store.close()
