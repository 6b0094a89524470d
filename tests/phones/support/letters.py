"""A mail server for the PBX under test, and the letters that it has taken."""

import email
import email.policy
import subprocess
import sys
from email.message import EmailMessage
from pathlib import Path
from typing import Final, cast

SMTP: Final = Path(__file__).parents[2] / "mail" / "smtp_server.py"


class Letterbox:
    """A process with a folder; `close` ends it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        command = [sys.executable, str(SMTP), str(folder), "{}"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._port = self._process.stdout.readline().strip()

    @property
    def configuration(self) -> str:
        """The table of pbx.toml that leads here."""
        return (
            f'[mail]\nserver = "smtp://127.0.0.1:{self._port}?starttls=off"\nsender = "pbx@voices.example"\n'
        )

    def letters(self, about: str = "") -> list[EmailMessage]:
        """What came, in order; only those with these words in the subject."""
        found = [
            cast(EmailMessage, email.message_from_bytes(path.read_bytes(), policy=email.policy.default))
            for path in sorted(self._folder.glob("*.eml"))
        ]
        return [letter for letter in found if about in letter["Subject"]]

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
