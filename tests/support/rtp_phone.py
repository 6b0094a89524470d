"""Half a phone: the sockets of its audio, for tests that may open some; all waiting ends."""

import socket
from contextlib import suppress
from functools import cache
from itertools import cycle

import pytest

from pbx.rtp.packet import Packet
from tests.phones.support.ports import Ports

PATIENCE_S = 60.0
V4, V6 = "127.0.0.1", "::1"


class Phone:
    """An even port with RTP, the next odd one with RTCP."""

    def __init__(self, host=V4):
        self.host = host
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        while True:
            self.rtp = socket.socket(family, socket.SOCK_DGRAM)
            self.rtcp = socket.socket(family, socket.SOCK_DGRAM)
            self.rtp.bind((host, 0))
            self.port = self.rtp.getsockname()[1]
            try:
                self.rtcp.bind((host, self.port + 1))
                break
            except OSError:
                self.close()
        self.rtp.settimeout(PATIENCE_S)
        self.rtcp.settimeout(PATIENCE_S)

    @property
    def address(self):
        return self.host, self.port

    def heard(self):
        return self.rtp.recv(4096)

    def hears_nothing(self):
        """To be asked when all that could come has come."""
        self.rtp.setblocking(False)
        try:
            with pytest.raises(BlockingIOError):
                self.rtp.recv(4096)
        finally:
            self.rtp.settimeout(PATIENCE_S)

    def close(self):
        self.rtp.close()
        self.rtcp.close()


def free_pair(host=V4):
    """An even port that nobody has, nor the next one, and that no other test process is given.

    It is none of those that the kernel gives to whoever asks for any: tests at the same time do.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    while True:
        port = next(_pairs())
        with (
            suppress(OSError),
            socket.socket(family, socket.SOCK_DGRAM) as one,
            socket.socket(family, socket.SOCK_DGRAM) as two,
        ):
            one.bind((host, port))
            two.bind((host, port + 1))
            return port


@cache
def _pairs():
    """Our even ports, again and again."""
    first = _claimed().first
    return cycle(range(first, first + 200, 2))


@cache
def _claimed():
    """Kept until the process ends: who lets go of it gives the ports back."""
    return Ports(200)


def rtp(sequence, ssrc=7, payload_type=0, payload=b"\xd5" * 160):
    return Packet(payload_type, sequence, 160 * sequence, ssrc, payload).pack()
