"""Prints a table and keeps it in bench/RESULTS.md, with all that is needed to read it later."""

import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from bench.support.peer import ROOT

RESULTS = ROOT / "bench" / "RESULTS.md"
HEAD = """\
# Results

What the scripts of this folder measured, the newest last; docs/decisions/bench.md says how to read them.
CPU is of the server's whole process tree, user and system. Ratios are between runs of the same command.
"""


class Table:
    """Rows as they are measured, one result at the end.

    Args:
        title: what the figures are.
        columns: the headings; the first is what a row is called by.
        notes: lines that the reader needs for the figures: terms, procedure, who is absent and why.
    """

    def __init__(self, title: str, columns: Sequence[str]) -> None:
        self._title = title
        self._rows = [list(columns)]
        self.notes: list[str] = []

    def add(self, *cells: object) -> None:
        row = [shown(cell) for cell in cells]
        if not self._rows[1:]:
            print(f"\n{self._title}\n{' | '.join(self._rows[0])}")
        print(" | ".join(row), flush=True)
        self._rows.append(row)

    def note(self, text: str) -> None:
        print(text, flush=True)
        self.notes.append(text)

    def absent(self, name: str, why: str) -> None:
        if (line := f"absent: {name}, {why}") not in self.notes:
            self.note(line)

    def write(self, keep: bool = True) -> None:
        """Print it as a whole, and append it to RESULTS.md unless this was only a look."""
        text = self.text()
        print(f"\n{text}")
        if keep:
            old = RESULTS.read_text() if RESULTS.exists() else HEAD
            RESULTS.write_text(f"{old.rstrip()}\n\n{text}")

    def text(self) -> str:
        widths = [max(len(row[at]) for row in self._rows) for at in range(len(self._rows[0]))]
        lines = [
            "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
            for row in self._rows
        ]
        lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        notes = "".join(f"- {note}\n" for note in self.notes)
        return (
            f"## {self._title}\n\n{where()}\n\n" + "\n".join(lines) + "\n" + (f"\n{notes}" if notes else "")
        )


def shown(cell: object) -> str:
    """Three significant digits at least, no more than anybody needs."""
    if cell is None:
        return "–"
    if not isinstance(cell, float):
        return str(cell)
    return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.1f}" if abs(cell) >= 10 else f"{cell:.2f}"


def ratio(ours: float | None, theirs: float | None) -> str:
    """How many times theirs ours is."""
    return "–" if not ours or not theirs else f"× {ours / theirs:.2f}"


def triple(values: Sequence[float]) -> str:
    """Percentiles."""
    return " / ".join(f"{value:.2f}" for value in values)


def where() -> str:
    """Date, commit, machine and command."""
    command = " ".join(["python -m", _module(), *sys.argv[1:]])
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit()}, {os.cpu_count()} cores {cpu_model()}, "
        f"Linux {platform.release()}, CPython {platform.python_version()}, load before {START_LOAD:.1f}: "
        f"`{command}`"
    )


def commit() -> str:
    """The commit, with a plus when the tree differs from it."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--", "pbx", "bench", ":!bench/RESULTS.md")
    return (git("rev-parse", "--short", "HEAD") or "unknown") + ("+" if changed else "")


def cpu_model() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        models = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    return models[0] if models else platform.machine()


def _module() -> str:
    main = sys.modules["__main__"]
    return main.__spec__.name if main.__spec__ is not None else sys.argv[0]


START_LOAD = os.getloadavg()[0]
