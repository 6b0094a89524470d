"""A media worker as a process, and the core's end of its socket, whose reading ends some time."""

import socket
import subprocess
import sys

from pbx.media.orders import ReadStats, StatsRead
from pbx.media.wire import Decoder, Ping, Pong, encode
from tests.support.rtp_phone import PATIENCE_S


class Process:
    """A worker and the core's end of its socket."""

    def __init__(self, silence_s=30.0):
        self.control, theirs = socket.socketpair()
        self.control.settimeout(PATIENCE_S)
        with theirs:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "pbx.media.worker", str(theirs.fileno()), str(silence_s)],
                pass_fds=[theirs.fileno()],
            )
        self._decoder = Decoder()
        self._events = []

    def tell(self, *orders):
        self.control.sendall(b"".join(map(encode, orders)))

    def events(self, kind):
        """The next event of a kind; those before it are lost."""
        while True:
            while self._events:
                event = self._events.pop(0)
                if isinstance(event, kind):
                    return event
            data = self.control.recv(65536)
            assert data, "the worker is gone"
            self._events += self._decoder.feed(data)

    def so_far(self, kind):
        """The events of a kind that have come; all others are lost."""
        self.tell(Ping())
        found = []
        while not isinstance(event := self.events(object), Pong):
            found += [event] * isinstance(event, kind)
        return found

    def forget(self):
        """The events that have come."""
        self._events.clear()

    def settle(self):
        """All orders until now are carried out."""
        self.tell(Ping())
        self.events(Pong)

    def stats(self, endpoint):
        self.tell(ReadStats(endpoint))
        return self.events(StatsRead).stats

    def end(self):
        self.control.close()
        try:
            return self.popen.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            raise
