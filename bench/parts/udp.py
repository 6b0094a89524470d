"""What one datagram costs the server: received, handed to a machine, answered. Prints microseconds of CPU.

Usage: python -m bench.parts.udp [BURST ...]

A client process sends bursts of 600-byte datagrams and waits for their answers. The server is measured: its
reactor, UdpPort, Driver and Transports, with a machine that sends each datagram back. "wildcard" listens on
0.0.0.0 and so pays for learning and setting addresses; "concrete" listens on 127.0.0.1; "raw" is recvfrom
and sendto alone, the kernel's own cost.
"""

import multiprocessing
import os
import socket
import sys
import time
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from twisted.internet import epollreactor  # noqa: E402

epollreactor.install()

from twisted.internet import reactor  # noqa: E402

from pbx.net.addresses import LocalAddresses  # noqa: E402
from pbx.net.driver import Driver  # noqa: E402
from pbx.net.transports import Transports  # noqa: E402

PAYLOAD = b"x" * 600
DATAGRAMS = 60_000


class Mirror:
    """Sends back what comes."""

    deadline = None

    def expire(self, _now):
        return []

    def receive(self, data, flow, _now):
        return ((data, flow),)

    def flow_lost(self, _flow, _why, _now):
        return []

    def keeps(self, _flow):
        return False


def serve(host, ready, done):
    transports = None
    driver = Driver(Mirror(), reactor, lambda effect: transports.send(*effect))
    transports = Transports(reactor, driver, driver._machine, LocalAddresses(reactor.seconds))
    transports.listen(udp=[f"{host}:0"])
    ready.send(transports.listening[0].port)
    reactor.callWhenRunning(lambda: watch(ready, done))
    reactor.run()


def watch(ready, done):
    """When the client is through, say how much CPU it took."""
    if done.is_set():
        times = os.times()
        ready.send(times.user + times.system)
        reactor.stop()
    else:
        reactor.callLater(0.05, watch, ready, done)


def serve_raw(_host, ready, done):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here:
        here.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        here.bind(("127.0.0.1", 0))
        here.settimeout(0.05)
        ready.send(here.getsockname()[1])
        while not done.is_set():
            try:
                for _ in range(32):
                    data, peer = here.recvfrom(65536)
                    here.sendto(data, peer)
            except TimeoutError:
                continue
    times = os.times()
    ready.send(times.user + times.system)


def measure(target, host, burst):
    """Microseconds of the server's CPU per datagram, start-up taken off."""
    costs = [run(target, host, burst, count) for count in (0, DATAGRAMS)]
    return (costs[1] - costs[0]) / DATAGRAMS * 1e6


def run(target, host, burst, count):
    ours, theirs = multiprocessing.Pipe()
    done = multiprocessing.Event()
    process = multiprocessing.Process(target=target, args=(host, theirs, done))
    process.start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        client.connect(("127.0.0.1", ours.recv()))
        client.settimeout(1)
        for _ in range(count // burst):
            for _ in range(burst):
                client.send(PAYLOAD)
            for _ in range(burst):
                client.recv(2048)
    time.sleep(0.1)
    done.set()
    cost = ours.recv()
    process.join()
    return cost


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    bursts = [int(each) for each in sys.argv[1:]] or [1, 10, 100]
    print(f"{'burst':>8}" + "".join(f"{name:>12}" for name in ("raw", "concrete", "wildcard")))
    for size in bursts:
        row = [
            measure(serve_raw, "", size),
            measure(serve, "127.0.0.1", size),
            measure(serve, "0.0.0.0", size),
        ]
        print(f"{size:>8}" + "".join(f"{cost:>9.1f} µs" for cost in row), flush=True)
