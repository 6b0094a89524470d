"""What a server's processes cost: CPU seconds and memory of the whole tree, from /proc."""

import os
from collections.abc import Sequence
from pathlib import Path

PROC = Path("/proc")


def tree(pid: int) -> list[int]:
    """A process and its descendants; those that end meanwhile are left out."""
    found = [pid]
    for each in found:
        try:
            for task in (PROC / str(each) / "task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
        except FileNotFoundError:
            continue
    return found


def cpu_s(pids: Sequence[int]) -> float:
    """CPU time that the kernel's scheduler charged to these processes, user and system, all threads."""
    total_ns = 0
    for pid in pids:
        for task in (PROC / str(pid) / "task").iterdir():
            total_ns += int((task / "schedstat").read_text().split()[0])
    return total_ns / 1e9


def pss_kb(pids: Sequence[int]) -> int:
    """Memory, with what is shared divided among those who share it (proportional set size)."""
    return sum(
        int(line.split()[1])
        for pid in pids
        for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
        if line.startswith("Pss:")
    )


def threads(pids: Sequence[int]) -> int:
    return sum(len(os.listdir(PROC / str(pid) / "task")) for pid in pids)


def files(pids: Sequence[int]) -> int:
    """Open file descriptors."""
    return sum(len(os.listdir(PROC / str(pid) / "fd")) for pid in pids)
