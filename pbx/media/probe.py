"""Whether a port pair can be had: asked before it is named in SDP, when it can still be another."""

import socket
from contextlib import suppress
from errno import EADDRINUSE
from functools import cache
from pathlib import Path
from socket import SocketType
from typing import Final

_TABLES: Final = (Path("/proc/net/udp"), Path("/proc/net/udp6"))


def ports_in_use() -> frozenset[int] | None:
    """The UDP ports that sockets of this host have; None where the kernel does not tell.

    For the start: with thousands of sockets it takes tens of milliseconds.
    """
    found: set[int] = set()
    try:
        for table in _TABLES:
            with suppress(FileNotFoundError):  # a host without IPv6
                lines = table.read_text().splitlines()[1:]
                found.update(int(line.split(None, 2)[1].rpartition(":")[2], 16) for line in lines)
    except OSError:
        return None
    return frozenset(found) if _TABLES[0].exists() else None


def is_pair_free(port: int) -> bool:
    """Whether no socket of this host, on any address, has `port` or the next one (about 20 microseconds)."""
    return _is_free(port) and _is_free(port + 1)


def _is_free(port: int) -> bool:
    both = _has_both_families()
    try:
        # The plain type: what socket.socket adds is for others.
        sock = SocketType(socket.AF_INET6 if both else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            if both:  # one socket that stands for all addresses of IPv4, too
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            sock.bind(("::" if both else "0.0.0.0", port))  # noqa: S104  # closed at once
        finally:
            sock.close()
    except OSError as error:
        return error.errno != EADDRINUSE  # of all else whoever opens the port will hear
    return True


@cache
def _has_both_families() -> bool:
    return socket.has_dualstack_ipv6()
