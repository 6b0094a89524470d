"""A program under test: started by us, its lines read as they come, ended by its process id."""

import collections
import contextlib
import os
import re
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.phones.support.waiting import PATIENCE_S, wait_until

COLOURS: Final = re.compile(r"\x1b?\[[0-9;]*[mKJ]|\r")


class Program:
    """One child process, with standard input, and both outputs as one stream of lines.

    Args:
        name: what the failure messages call it.
        command: the program and its arguments.
        log: a file that gets every line.
        on_line: called in the reader's thread with each line, without its end and its colours.
        environment: variables added to ours.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        on_line: Callable[[str], None] | None = None,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self._on_line = on_line
        self._recent: collections.deque[str] = collections.deque(maxlen=400)
        self._log_path = log
        self._log = log.open("a", encoding="utf-8")
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            cwd=cwd,
        )
        self._reader = threading.Thread(target=self._read, name=f"reads {name}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        return self._process.poll()

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    @property
    def lines(self) -> list[str]:
        """The latest lines it wrote."""
        return list(self._recent)

    def write(self, text: str) -> None:
        """Type `text` on its standard input."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(text.encode())
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError) as gone:
            raise AssertionError(
                f"{self.name} is gone (exit code {self.exit_code}); its last words: {self.lines[-10:]}"
            ) from gone

    def wait_line(self, pattern: str, timeout: float = PATIENCE_S) -> str:
        """Wait for a line that `pattern` is found in."""
        seen = re.compile(pattern)
        return wait_until(
            f"{self.name} writes {pattern!r}",
            lambda: next((line for line in self.lines if seen.search(line)), "") or self._dead(pattern),
            timeout,
        )

    def signal(self, number: int) -> None:
        if self.is_running:
            self._process.send_signal(number)

    def wait_end(self, timeout: float) -> int | None:
        """Its exit code, or None when it still runs after `timeout`."""
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        self._close()
        return code

    def kill(self) -> None:
        """End it now."""
        if self.is_running:
            self._process.kill()
        self._process.wait(10)
        self._close()

    def _dead(self, pattern: str) -> str:
        if not self.is_running:
            self._reader.join(2)
            raise AssertionError(
                f"{self.name} ended with {self.exit_code} instead of writing {pattern!r}: "
                + "\n".join(self.lines[-30:])
            )
        return ""

    def _close(self) -> None:
        self._reader.join(5)
        if self._process.stdin is not None and not self._process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        if not self._log.closed:
            self._log.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for raw in self._process.stdout:
            line = COLOURS.sub("", raw.decode("utf-8", "replace")).rstrip("\n")
            self._recent.append(line)
            if not self._log.closed:
                self._log.write(line + "\n")
                self._log.flush()
            if self._on_line is not None:
                self._on_line(line)
