"""CPU of a relayed packet in the kernel and in user space, and of setting a join up.

    python -m bench.kernel [--calls 200] [--seconds 2] [--rounds 5]    (as root: it makes a network namespace)

Nobody is charged by the kernel for what it does with a packet on its way: that is added to whoever sends. So
the same phones send the same packets three ways: straight to each other (the control), through a media
worker, and through a media worker that lets the kernel relay. The CPU of all processes that have a part in
it, ksoftirqd included, less that of the control just before is what relaying costs. The ways take turns; the
median of the rounds counts. All on the loopback of a namespace that ends with this program. Appends to
bench/RESULTS.md.
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

from pbx.media.orders import EndpointFailed, Join, OpenEndpoint, ReadStats, SetRemote, StatsRead
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

    def stats(self, count):
        return [
            each.stats for each in self.ask(*(ReadStats(f"e{at}") for at in range(count)), kind=StatsRead)
        ]

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


def talk(phones, packets, first):
    """Each phone sends a packet every 20 ms, spread over that time; how many were heard."""
    heard = 0
    slices = [phones[at::20] for at in range(20)]
    start = monotonic()
    for number in range(packets):
        sequence = first + number
        for at, some in enumerate(slices):
            for phone in some:
                ssrc = phone.fileno()
                phone.send(HEADER.pack(0x80, 0, sequence & 0xFFFF, sequence * 160, ssrc) + PAYLOAD)
            sleep(max(0.0, start + number * PTIME_S + (at + 1) * PTIME_S / 20 - monotonic()))
        heard += hear(phones)
    sleep(0.1)
    return heard + hear(phones)


def hear(phones):
    heard = 0
    for phone in phones:
        while True:
            try:
                phone.recv(2048)
            except OSError:
                break
            heard += 1
    return heard


def measure(way, calls, packets, mark):
    """CPU in microseconds of one packet, and what was lost."""
    phones = make_phones(calls)
    worker = None
    try:
        if way == "control":
            for one, other in zip(phones[::2], phones[1::2], strict=True):
                one.connect(other.getsockname())
                other.connect(one.getsockname())
        else:
            worker = Worker(phones, mark)
        talk(phones, WARM_UP, 0)
        if worker is not None:
            paths = worker.paths()
            if paths.count("kernel") != (2 * calls if way == "kernel" else 0):
                raise SystemExit(f"{way}: {sorted(set(paths))}")
        pids = softirq_pids() + ([] if worker is None else [worker.process.pid])
        before, mine = sum(map(cpu_ns, pids)), process_time_ns()
        heard = talk(phones, packets, WARM_UP)
        spent = sum(map(cpu_ns, pids)) - before + process_time_ns() - mine
        sent = packets * 2 * calls
        if worker is not None:
            relayed = sum(each.packets_in for each in worker.stats(2 * calls))
            assert way == "kernel" or relayed >= heard
        return spent / 1000 / sent, 100 * (1 - heard / sent)
    finally:
        if worker is not None:
            worker.end()
        for phone in phones:
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
        control, _ = measure("control", options.calls, packets, None)
        cost, gone = measure(way.partition(",")[0], options.calls, packets, mark)
        costs[way].append(cost - control)
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
