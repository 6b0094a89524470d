"""Three machines: the PBX in the middle, a phone on each side; a media worker with the table of its core."""

import socket
import subprocess
import sys
from contextlib import suppress
from time import monotonic, sleep

from pbx.media.orders import Join, OpenEndpoint, SetRemote
from pbx.media.wire import Decoder, PathsRead, ReadPaths
from pbx.rtp.kernel.table import KernelTable
from tests.kernel.seen import entries, tables
from tests.media.test_worker import Process
from tests.support.rtp_phone import PATIENCE_S, Phone, rtp

PBX, X, Y = ("10.77.1.1", "10.77.2.1"), "10.77.1.2", "10.77.2.2"
PBX6, X6, Y6 = ("fd77:1::1", "fd77:2::1"), "fd77:1::2", "fd77:2::2"
PORTS = (20_000, 20_998)
PACE_S = 0.002  # no phone answers while a stream is being handed over, time after time


class Worker(Process):
    """A media worker that may use the kernel."""

    def __init__(self, mark, silence_s=30.0):
        self.control, theirs = socket.socketpair()
        self.control.settimeout(PATIENCE_S)
        command = [sys.executable, "-m", "pbx.media.worker", str(theirs.fileno()), str(silence_s)]
        with theirs:
            self.popen = subprocess.Popen([*command, *mark.arguments()], pass_fds=[theirs.fileno()])
        self._decoder, self._events = Decoder(), []

    def path(self, endpoint="a"):
        """Who relays, as `pbx status` says it."""
        self.tell(ReadPaths())
        return dict(self.events(PathsRead).paths).get(endpoint, "")

    def trouble(self):
        self.tell(ReadPaths())
        return self.events(PathsRead).trouble


class Office:
    """`network` is where the PBX is."""

    def __init__(self, namespaces, identity="office"):
        self.network, self.left, self.right = namespaces(), namespaces(), namespaces()
        self.network.wire(self.left, "left", (f"{PBX[0]}/24", f"{X}/24"), (f"{PBX6[0]}/64", f"{X6}/64"))
        self.network.wire(self.right, "right", (f"{PBX[1]}/24", f"{Y}/24"), (f"{PBX6[1]}/64", f"{Y6}/64"))
        self.network.set("net/ipv4/ip_forward", "1")
        self.network.set("net/ipv6/conf/all/forwarding", "1")
        self._phones, self._workers, self._tables = [], [], []
        self.table = self.make_table(identity)
        self._port = PORTS[0]

    def make_table(self, identity, ports=PORTS):
        with self.network.inside():
            table = KernelTable(identity, *ports)
            table.set_up()
        assert table.is_up, table.why_not
        self._tables.append(table)
        return table

    def worker(self, number=0, table=None, **more):
        with self.network.inside():
            self._workers.append(Worker((table or self.table).mark.of_worker(number), **more))
        return self._workers[-1]

    def phones(self, hosts=(X, Y)):
        made = []
        for host in hosts:
            space = {X: self.left, X6: self.left, Y: self.right, Y6: self.right}.get(host, self.network)
            with space.inside():
                made.append(Phone(host))
        self._phones += made
        return made

    def talk(self, worker, a, b, hosts=PBX, **more):
        """Join two phones by endpoints "a" and "b"; where the phones send to."""
        to = []
        for name, phone, host in zip("ab", (a, b), hosts, strict=True):
            to.append((host, self._port))
            opened = OpenEndpoint(name, "call", host, self._port)
            worker.tell(opened, SetRemote(name, phone.address, **more.get(f"of_{name}", {})))
            self._port += 2
        worker.tell(Join("a", "b"))
        worker.settle()
        return to

    def entries(self, mark=None):
        """What the kernel has of ours."""
        mark = mark or self.table.mark
        with self.network.inside():
            return entries(mark.value, mark.mask)

    def tables(self):
        """The names of all tables."""
        with self.network.inside():
            return tables()

    def close(self):
        for worker in self._workers:
            worker.control.close()
            with suppress(subprocess.TimeoutExpired):
                worker.popen.wait(PATIENCE_S)
            worker.popen.kill()
            worker.popen.wait()
        with self.network.inside():
            for table in self._tables:
                table.remove()
        for phone in self._phones:
            phone.close()


class Conversation:
    """Two phones that speak in turn, each packet heard by the other before the next."""

    def __init__(self, a, b, to_a, to_b):
        self.a, self.b, self.to_a, self.to_b = a, b, to_a, to_b
        self.count = 0

    def say(self, times=1):
        for _ in range(times):
            number, self.count = self.count, self.count + 1
            for phone, other, to, ssrc in ((self.a, self.b, self.to_a, 1), (self.b, self.a, self.to_b, 2)):
                phone.rtp.sendto(rtp(number, ssrc=ssrc), to)
                assert other.heard() == rtp(number, ssrc=ssrc)
                sleep(PACE_S)

    def say_until(self, is_so):
        """Go on until something is so."""
        late = monotonic() + PATIENCE_S
        while not is_so():
            assert monotonic() < late, "it never came to that"
            self.say()
