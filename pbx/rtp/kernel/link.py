"""A netlink socket to netfilter: requests out, answers in."""

import socket
from typing import Final

from pbx.rtp.kernel.netlink import DONE, ERROR, Message, unpack

NETFILTER: Final = 12
CHUNK: Final = 1 << 16
BUFFER: Final = 1 << 20


class Link:
    """The kernel carries a request out while it is being sent: the answers are there at once."""

    def __init__(self) -> None:
        """
        Raises:
            OSError: this machine has no netfilter.
        """
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETFILTER)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        self.socket.bind((0, 0))
        self._sequence = 0

    def number(self) -> int:
        """The sequence number of the next request."""
        self._sequence = (self._sequence + 1) & 0x7FFF_FFFF
        return self._sequence

    def send(self, requests: bytes) -> None:
        """
        Raises:
            OSError: the kernel does not take it.
        """
        self.socket.send(requests)

    def receive(self) -> list[Message]:
        """What is there to be read with one read; nothing: an empty list.

        Raises:
            OSError, MediaError: it cannot be read.
        """
        try:
            return list(unpack(self.socket.recv(CHUNK)))
        except BlockingIOError:
            return []

    def ask(self, requests: bytes) -> list[Message]:
        """Send requests, and all that is answered.

        The acknowledgement of the last request, or the end of a dump, is known to be the last of it.

        Raises:
            OSError, MediaError: as above.
        """
        self.send(requests)
        answers: list[Message] = []
        while more := self.receive():
            answers += more
            if more[-1].sequence == self._sequence and more[-1].kind in {ERROR, DONE}:
                break
        return answers

    def close(self) -> None:
        self.socket.close()
