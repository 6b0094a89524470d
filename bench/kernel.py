"""CPU of a relayed packet in the kernel and in user space, and of setting a join up.

    python -m bench.kernel [--calls 200] [--seconds 2] [--rounds 5]    (as root: it makes a network namespace)

Nobody is charged by the kernel for what it does with a packet on its way: that is added to whoever sends. So
two groups of phones send the same packets in turn, every 20 ms: one straight to each other (the control), the
other through a media worker. What the second costs more, with the CPU of the worker and of ksoftirqd, is what
relaying costs. The median of the rounds counts. All on the loopback of a network namespace that ends with
this program. Appends to bench/RESULTS.md.
"""

import argparse
import gc
import os
import socket
import statistics
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, process_time_ns, sleep

from pbx.media.orders import EndpointFailed, Join, OpenEndpoint, SetRemote
from pbx.media.wire import Decoder, PathsRead, ReadPaths, encode
from pbx.rtp.kernel.conntrack import Flow
from pbx.rtp.kernel.joins import POLL_S, KernelJoin, KernelJoins
from pbx.rtp.kernel.link import Link
from pbx.rtp.kernel.table import KernelTable
from pbx.rtp.packet import HEADER

ROOT = Path(__file__).parents[1]
INSIDE = "BENCH_KERNEL_INSIDE"
PBX, PHONES = "127.0.0.1", ("127.0.0.2", "127.0.0.3")
LOW, HIGH = 20_000, 40_000
PTIME_S = 0.02
PAYLOAD = b"\xd5" * 160
WARM_UP = 25  # packets of each phone
TARGET_US = 1.0


class Worker:
    """A media worker of `calls` calls; `ports` are where their phones send to."""

    def __init__(self, phones, mark):
        self.control, theirs = socket.socketpair()
        words = [] if mark is None else mark.arguments()
        command = [sys.executable, "-m", "pbx.media.worker", str(theirs.fileno()), "30", *words]
        with theirs:
            self.process = subprocess.Popen(command, pass_fds=[theirs.fileno()], cwd=ROOT)
        self._decoder = Decoder()
        for at, phone in enumerate(phones):
            port = LOW + 2 * at
            self._tell(
                OpenEndpoint(f"e{at}", f"c{at // 2}", PBX, port), SetRemote(f"e{at}", phone.getsockname())
            )
            phone.connect((PBX, port))
            if at % 2:
                self._tell(Join(f"e{at - 1}", f"e{at}"))
        self.paths()

    def _tell(self, *orders):
        self.control.sendall(b"".join(map(encode, orders)))

    def ask(self, *orders, kind):
        """As many answers as orders."""
        self._tell(*orders)
        found = []
        while len(found) < len(orders):
            for event in self._decoder.feed(self.control.recv(1 << 20)):
                if isinstance(event, EndpointFailed):
                    raise SystemExit(f"{event.endpoint}: {event.why}")
                found += [event] if isinstance(event, kind) else []
        return found

    def paths(self):
        return [path for _, path in self.ask(ReadPaths(), kind=PathsRead)[0].paths]

    def end(self):
        self.control.close()
        self.process.wait(10)


def cpu_ns(pid):
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def softirq_pids():
    return [
        int(each.parent.name)
        for each in Path("/proc").glob("[0-9]*/comm")
        if each.read_text().startswith("ksoftirqd")
    ]


def make_phones(calls):
    phones = []
    for at in range(2 * calls):
        phone = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        phone.bind((PHONES[at % 2], 0))
        phone.setblocking(False)
        phones.append(phone)
    return phones


def talk(phones, sequence):
    """Each phone sends a packet; how many were heard, and the CPU it took."""
    start = process_time_ns()
    for phone in phones:
        phone.send(HEADER.pack(0x80, 0, sequence & 0xFFFF, sequence * 160, phone.fileno()) + PAYLOAD)
    heard = 0
    for phone in phones:
        try:
            while True:
                phone.recv(2048)
                heard += 1
        except BlockingIOError:
            continue
    return heard, process_time_ns() - start


def measure(calls, packets, mark):
    """CPU in microseconds: of a relayed packet, of one of the control; and what was lost in percent."""
    plain, relayed = make_phones(calls), make_phones(calls)
    for one, other in zip(plain[::2], plain[1::2], strict=True):
        one.connect(other.getsockname())
        other.connect(one.getsockname())
    worker = Worker(relayed, mark)
    try:
        sent = packets * 2 * calls
        heard, costs, others = 0, [0, 0], 0
        start = monotonic()
        for number in range(WARM_UP + packets):
            if number == WARM_UP:
                paths = worker.paths()
                if paths.count("kernel") != (0 if mark is None else 2 * calls):
                    raise SystemExit(f"not as it should be: {sorted(set(paths))}")
                heard, costs = 0, [0, 0]
                pids = [worker.process.pid, *softirq_pids()]
                others = -sum(map(cpu_ns, pids))
            for at, phones in enumerate((plain, relayed)):
                sleep(max(0.0, start + (number + at / 2) * PTIME_S - monotonic()))
                count, cost = talk(phones, number)
                heard += count * at
                costs[at] += cost
        others += sum(map(cpu_ns, pids))
        sleep(0.1)
        for phone in relayed:  # what was still on its way
            try:
                while True:
                    phone.recv(2048)
                    heard += 1
            except BlockingIOError:
                continue
        return (costs[1] - costs[0] + others) / 1000 / sent, costs[0] / 1000 / sent, 100 * (1 - heard / sent)
    finally:
        worker.end()
        for phone in (*plain, *relayed):
            phone.close()


def set_up_us(mark, calls):
    """CPU of one join, of one look at it, and of taking it back."""
    link = Link()
    joins = KernelJoins(link, mark.of_worker(5), lambda _: None, is_local=lambda _: True)
    joins._proven.add((4, True, True))
    flows = [
        (
            Flow((PHONES[0], 5000 + at), (PBX, LOW + 4 * at)),
            Flow((PBX, LOW + 4 * at + 2), (PHONES[1], 5000 + at)),
        )
        for at in range(calls)
    ]
    best = [1e9, 1e9, 1e9]
    now = 0.0
    for _ in range(15):
        costs = []
        start = process_time_ns()
        made = [joins.join(*pair, print, 0.0) for pair in flows]
        costs.append(process_time_ns() - start)
        assert all(isinstance(each, KernelJoin) for each in made), made
        start, now = process_time_ns(), now + POLL_S
        joins.poll(now)
        costs.append(process_time_ns() - start)
        start = process_time_ns()
        for each in made:
            joins.leave(each)
        costs.append(process_time_ns() - start)
        best = [min(pair) for pair in zip(best, costs, strict=True)]
    joins.close()
    return [each / 1000 / calls for each in best]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if INSIDE not in os.environ:
        os.execvpe(
            "unshare", ["unshare", "--net", sys.executable, *sys.orig_argv[1:]], {**os.environ, INSIDE: "1"}
        )
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    gc.disable()
    packets = int(options.seconds / PTIME_S)
    costs = {"kernel": [], "user space": [], "user space, no conntrack": []}
    lost = dict.fromkeys(costs, 0.0)
    controls, bare = [], []
    table = KernelTable("bench", LOW, HIGH)

    def run(way, mark):
        cost, control, gone = measure(options.calls, packets, mark)
        costs[way].append(cost)
        lost[way] = max(lost[way], gone)
        return control

    for _ in range(options.rounds):
        bare.append(run("user space, no conntrack", None))
        table.set_up()
        if not table.is_up:
            raise SystemExit(table.why_not)
        controls.append(run("user space", None))
        controls.append(run("kernel", table.mark.of_worker(0)))
        table.remove()
    table.set_up()
    join, look, leave = set_up_us(table.mark, 200)
    table.remove()
    tracked, plain = statistics.median(controls), statistics.median(bare)
    figures = {way: statistics.median(rounds) for way, rounds in costs.items()}
    for way, cost in figures.items():
        rounds = ", ".join(f"{each:.2f}" for each in costs[way])
        print(f"{way:25} {cost:6.2f} us a relayed packet, lost {lost[way]:.3f} % (rounds: {rounds})")
    print(f"{'control':25} {plain:6.2f} us a packet sent and heard; {tracked:.2f} with connection tracking")
    print(f"set up {join:.1f} us a join, look {look:.1f} us each {POLL_S:g} s, take back {leave:.1f} us")
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    line = (
        f"- {datetime.now(UTC):%Y-%m-%d} {commit}, {os.cpu_count()} cores, `bench/kernel.py --calls "
        f"{options.calls}`, µs of CPU a relayed packet, all processes less the control: "
        f"kernel {figures['kernel']:.2f}, user space {figures['user space']:.2f} "
        f"({figures['user space, no conntrack']:.2f} without connection tracking); control {plain:.2f} "
        f"({tracked:.2f} tracked); join {join:.0f} µs, look {look:.1f} µs, take back {leave:.0f} µs\n"
    )
    with (ROOT / "bench" / "RESULTS.md").open("a") as file:
        file.write(line)
    sys.exit(figures["kernel"] > TARGET_US)


if __name__ == "__main__":
    main()
