"""Free ports and port ranges on loopback, below the range that the kernel gives out itself."""

import random
import socket
from contextlib import ExitStack
from typing import Final

LOWEST: Final = 10_000
HIGHEST: Final = 32_000

_random = random.SystemRandom()


def free_block(count: int, host: str = "127.0.0.1") -> int:
    """The first of `count` neighbouring ports (it is even) that are free over UDP and TCP.

    Tests run beside each other: the place is chosen by chance, so that two of them rarely meet.
    """
    for _ in range(200):
        first = _random.randrange(LOWEST, HIGHEST - count, 2)
        if _is_free(first, count, host):
            return first
    raise OSError(f"no {count} neighbouring free ports on {host}")


def free_port(host: str = "127.0.0.1") -> int:
    """One port that is free over UDP and TCP."""
    return free_block(2, host)


def _is_free(first: int, count: int, host: str) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with ExitStack() as stack:
        for port in range(first, first + count):
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                probe = stack.enter_context(socket.socket(family, kind))
                try:
                    probe.bind((host, port))
                except OSError:
                    return False
    return True
