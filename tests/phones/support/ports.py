"""Free ports on loopback, claimed for as long as they are needed, below the range of the kernel's own choice.

Tests run beside each other in several processes, and a server uses the ports of its range only now and then:
that a port can be bound isn't enough. So ports are given out in cells of ten, and each cell has a lock file.
"""

import fcntl
import os
import random
import socket
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

LOWEST: Final = 10_000
HIGHEST: Final = 16_380  # here the default range of a server begins
CELL: Final = 10
PATIENCE_S: Final = 120.0

LOCKS: Final = Path(tempfile.gettempdir()) / f"phone-test-ports-{os.getuid()}"


class Ports:
    """`count` neighbouring ports from `first` (which is even); nobody else gets them before `release`."""

    def __init__(self, count: int, host: str = "127.0.0.1") -> None:
        cells = -(-count // CELL)
        starts = list(range(LOWEST, HIGHEST - CELL * cells, CELL))
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:  # tests that run beside this one give theirs back
            random.SystemRandom().shuffle(starts)
            for self.first in starts:
                with ExitStack() as claims:
                    if all(claim(self.first + CELL * cell, claims) for cell in range(cells)) and _are_free(
                        range(self.first, self.first + count), host
                    ):
                        self._claims = claims.pop_all()
                        return
            time.sleep(1.0)
        raise OSError(f"no {count} neighbouring free ports on {host}")

    def release(self) -> None:
        self._claims.close()


def claim(cell: int, claims: ExitStack) -> bool:
    """Lock the cell that begins at this port, or say that somebody else has it."""
    LOCKS.mkdir(exist_ok=True)
    file = claims.enter_context((LOCKS / str(cell)).open("w"))
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _are_free(ports: range, host: str) -> bool:
    """Nobody who doesn't know of the locks uses one of them, over UDP or TCP."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with ExitStack() as stack:
        for port in ports:
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                probe = stack.enter_context(socket.socket(family, kind))
                if kind == socket.SOCK_STREAM:
                    probe.setsockopt(
                        socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
                    )  # old connections don't matter
                try:
                    probe.bind((host, port))
                except OSError:
                    return False
    return True
