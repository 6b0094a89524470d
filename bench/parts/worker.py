"""CPU of the media worker for each relayed packet, and the delay it adds.

    python -m bench.parts.worker [--calls 100 --calls 400] [--seconds 5] [--srtp | --bare]

Calls have G.711 audio, 20 ms, both ways, between phones on the loopback. CPU (user + system) is what the
kernel charged to the worker process (/proc/PID/schedstat), divided by the packets sent to it. "floor" is the
same divided for a loop that only receives and sends, in the same run: what no relay in Python can go below.
--bare measures the same worker with all but receive and send taken out of its hot path: on a machine with
other work to do, the ratio of the two says more than either.
"""

import argparse
import gc
import random
import select
import socket
import statistics
import subprocess
import sys
from pathlib import Path
from time import monotonic, perf_counter_ns, process_time_ns, sleep

from pbx.entropy import SystemEntropy
from pbx.media.orders import EndpointFailed, Join, OpenEndpoint, ReadStats, SetRemote, SrtpKeys, StatsRead
from pbx.media.probe import is_pair_free
from pbx.media.wire import Decoder, Ping, Pong, encode
from pbx.rtp.packet import HEADER
from pbx.rtp.port_pool import PortPool
from pbx.rtp.srtp import Srtp

HOST = "127.0.0.1"
PORTS = (16_384, 32_766)
PTIME_MS = 20
PAYLOAD = b"\xd5" * 152
SUITE = "AES_CM_128_HMAC_SHA1_80"
TARGETS = {100: 9.0, 400: 7.0}  # calls -> microseconds a packet
WARM_UP_S = 1.5


BARE = """
import sys
from pbx.media import worker
from pbx.rtp.stream import _FIRST, _PACKET, Stream
def relay(self, now):
    self.send(_FIRST[self.recv_into(_PACKET)])
    self.packets += 1
Stream.relay = relay
worker.main(int(sys.argv[1]), float(sys.argv[2]))
"""


class Worker:
    """The process under test."""

    def __init__(self, bare=False):
        self.control, theirs = socket.socketpair()
        program = ("-c", BARE) if bare else ("-m", "pbx.media.worker")
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, *program, str(theirs.fileno()), "30"],
                pass_fds=[theirs.fileno()],
            )
        self._decoder = Decoder()

    def tell(self, *orders):
        self.control.sendall(b"".join(map(encode, orders)))

    def wait_for(self, kind, count):
        found = []
        while len(found) < count:
            data = self.control.recv(1 << 20)
            if not data:
                raise SystemExit("the worker died")
            for event in self._decoder.feed(data):
                if isinstance(event, EndpointFailed):
                    raise SystemExit(f"{event.endpoint}: {event.why}")
                found += [event] if isinstance(event, kind) else []
        return found

    def cpu_ns(self):
        return int(Path(f"/proc/{self.process.pid}/schedstat").read_text().split()[0])

    def memory_kb(self):
        for line in Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
        return 0

    def end(self):
        self.control.close()
        self.process.wait(5)


class Stream:
    """One direction of one call: who sends, where to."""

    def __init__(self, ssrc, keys):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((HOST, 0))
        self.socket.setblocking(False)
        self.ssrc, self.sequence = ssrc, random.getrandbits(15)
        self.srtp = None if keys is None else Srtp(SrtpKeys(SUITE, keys.remote, keys.local))

    def packet(self):
        self.sequence += 1
        head = HEADER.pack(0x80, 0, self.sequence & 0xFFFF, self.sequence * 160 & 0xFFFFFFFF, self.ssrc)
        stamp = perf_counter_ns().to_bytes(8, "big")
        data = head + stamp + PAYLOAD
        return data if self.srtp is None else self.srtp.protect(data)


def open_calls(worker, calls, keys):
    streams = []
    pool = PortPool(*PORTS, SystemEntropy(), is_free=is_pair_free)
    for number in range(2 * calls):
        stream = Stream(number + 1, keys)
        port = pool.take(0.0)
        stream.socket.connect((HOST, port))
        worker.tell(
            OpenEndpoint(f"e{number}", f"c{number // 2}", HOST, port),
            SetRemote(f"e{number}", stream.socket.getsockname(), srtp=keys),
        )
        if number % 2:
            worker.tell(Join(f"e{number - 1}", f"e{number}"))
        streams.append(stream)
    worker.tell(Ping())
    worker.wait_for(Pong, 1)
    return streams


def send_and_listen(streams, seconds):
    """Each stream sends every 20 ms, evenly spread; the delays of what came back, in milliseconds."""
    epoll = select.epoll()
    by_fd = {}
    for stream in streams:
        epoll.register(stream.socket.fileno(), select.EPOLLIN)
        by_fd[stream.socket.fileno()] = stream.socket.recv
    slices = [streams[at::PTIME_MS] for at in range(PTIME_MS)]
    delays, sent, start = [], 0, monotonic()
    for step in range(int(seconds * 1000)):
        for stream in slices[step % PTIME_MS]:
            stream.socket.send(stream.packet())
            sent += 1
        while True:
            for fd, _ in epoll.poll(0):
                try:
                    data = by_fd[fd](2048)
                except OSError:
                    continue
                delays.append((perf_counter_ns() - int.from_bytes(data[12:20], "big")) / 1e6)
            wait = start + (step + 1) / 1000 - monotonic()
            if wait <= 0:
                break
            sleep(min(wait, 0.0003))
    epoll.close()
    return sent, delays


def floor_us(pairs=400):
    """Receive and send on connected sockets, the best of some rounds."""
    sockets = []
    for _ in range(pairs):
        ends = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(4)]
        for end in ends:
            end.bind((HOST, 0))
        for end, other in ((0, 1), (1, 0), (2, 3), (3, 2)):
            ends[end].connect(ends[other].getsockname())
        sockets.append(ends)
    paths = [(ends[1].recv, ends[2].send) for ends in sockets]
    best = 1e9
    for _ in range(50):
        for ends in sockets:
            ends[0].send(bytes(172))
        start = process_time_ns()
        for recv, send in paths:
            send(recv(2048))
        best = min(best, (process_time_ns() - start) / pairs / 1000)
        for ends in sockets:
            ends[3].recv(2048)
    for ends in sockets:
        for end in ends:
            end.close()
    return best


def measure(calls, seconds, keys, bare):
    worker = Worker(bare)
    try:
        worker.tell(Ping())
        worker.wait_for(Pong, 1)
        memory = worker.memory_kb()
        streams = open_calls(worker, calls, keys)
        sent, _ = send_and_listen(streams, WARM_UP_S)
        before = worker.cpu_ns()
        more, delays = send_and_listen(streams, seconds)
        after = worker.cpu_ns()
        memory = worker.memory_kb() - memory
        worker.tell(*(ReadStats(f"e{number}") for number in range(2 * calls)))
        relayed = sum(event.stats.packets_out for event in worker.wait_for(StatsRead, 2 * calls))
        for stream in streams:
            stream.socket.close()
    finally:
        worker.end()
    cost_us = (after - before) / 1000 / more
    lost = 100 * (1 - relayed / (sent + more))
    cuts = statistics.quantiles(delays, n=100) if keys is None and len(delays) > 100 else [0.0] * 99
    print(
        f"{calls:5} calls  {more / seconds:7.0f} packets/s  {cost_us:6.2f} us/packet  lost {lost:.3f} %"
        f"  delay p50 {cuts[49]:.2f} p99 {cuts[98]:.2f} ms  memory {memory / calls:.1f} kB/call",
        flush=True,
    )
    return cost_us


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, action="append")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--srtp", action="store_true", help="both sides encrypted; no target, no delay")
    parser.add_argument("--bare", action="store_true", help="receive and send only; no target")
    options = parser.parse_args()
    keys = SrtpKeys(SUITE, bytes(30), bytes(range(30))) if options.srtp else None
    gc.disable()
    print(f"floor {floor_us():.2f} us/packet")
    for calls in options.calls or [20, *TARGETS]:
        cost_us = measure(calls, options.seconds, keys, options.bare)
        if not options.srtp and not options.bare and cost_us > TARGETS.get(calls, cost_us):
            print(f"      target of {TARGETS[calls]} us missed")


if __name__ == "__main__":
    main()
