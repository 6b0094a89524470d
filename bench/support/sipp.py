"""SIPp (Debian's sip-tester) as caller and callee: signalling that others can repeat with the same program.

The call flow is that of load.c, without audio. Credentials are made here, as in the tests: one nonce serves
all calls of a run, with a nonce count of its own for each (RFC 7616 §3.4); the challenge is asked for all the
same. A server that asks for no credentials gets SIPp's own scenarios uac and uas.
"""

import csv
import re
import resource
import shutil
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.support.peer import FIRST_KEY, AbsentError, Peer
from tests.phones.support.ports import Ports
from tests.phones.support.process import Program
from tests.phones.support.sip_client import Challenge, find_challenge, sip_client
from tests.phones.support.sipp import SCENARIOS, count_of, retransmitted

FOREVER_S = 3600
END_S = 40  # for the last calls of a server that does not answer
REJECTED = """\
  <recv response="503" optional="true" next="rejected"/>
"""
LEAVE = """
  <pause milliseconds="0" next="left"/>
  <label id="rejected"/>
  <send>
    <![CDATA[

      ACK sip:[field1]@[remote_ip]:[remote_port] SIP/2.0
      [last_Via:]
      Max-Forwards: 70
      [last_From:]
      [last_To:]
      Call-ID: [call_id]
      CSeq: [cseq] ACK
      Content-Length: 0

    ]]>
  </send>
  <label id="left"/>
"""


@dataclass(frozen=True, slots=True)
class SippRun:
    """A whole run, from before its first call until after its last.

    Args:
        successful: calls that went through; `rejected` with 503 are not among them.
        in_time: those of them that were over one second after the last one should be.
        cpu_s: of the server.
        sipp_cpu_s: of SIPp itself, both sides.
        began: when the first call was placed, on the monotonic clock.
    """

    attempts: int
    successful: int
    in_time: int
    failed: int
    rejected: int
    retransmissions: int
    cpu_s: float
    sipp_cpu_s: float
    took_s: float
    began: float

    @property
    def is_clean(self) -> bool:
        """Everything went through, nothing had to be sent twice."""
        return self.successful == self.attempts and not self.retransmissions

    @property
    def cpu_per_call_ms(self) -> float | None:
        """None when more than one in a hundred failed."""
        if self.successful < 0.99 * self.attempts:
            return None
        return 1000 * self.cpu_s / self.successful


class SippCallees:
    """The callees of a server's second half of accounts, for as long as `with` lasts."""

    def __init__(self, peer: Peer, accounts: int = 0) -> None:
        if shutil.which("sipp") is None:
            raise AbsentError("no SIPp here (apt-get install sip-tester)")
        self._peer = peer
        self._accounts = accounts or peer.accounts

    def __enter__(self) -> "SippCallees":
        with ExitStack() as stack:
            port = self._peer.load_options().get("callee_port")
            if port is None:
                ports = Ports(20)
                stack.callback(ports.release)
                port = ports.first
                register(self._peer, ports.first, self._accounts)
                scenario = ["-sf", str(SCENARIOS / "callee.xml")]
            else:
                scenario = ["-sn", "uas"]
            command = [*sipp(self._peer, int(str(port)), FOREVER_S), *scenario]
            callee = Program("callee", command, self._peer.folder / "callee.out", cwd=self._peer.folder)
            stack.callback(callee.kill)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def call(
    peer: Peer, rate: float, seconds: float, hold: float = 1.0, sheds: bool = False, accounts: int = 0
) -> SippRun:
    """`rate` calls a second to callees that are there; with `sheds`, 503 is an answer like others."""
    count = int(rate * seconds)
    before_s = resource.getrusage(resource.RUSAGE_CHILDREN)
    log = peer.folder / f"caller-{time.monotonic_ns()}.out"
    with ExitStack() as stack:
        ports = Ports(20)
        stack.callback(ports.release)
        command = [
            *sipp(peer, ports.first, int(seconds) + END_S),
            *("-m", str(count), "-r", f"{rate:g}", "-d", str(int(1000 * hold)), "-l", "1000000"),
        ]
        statistics = log.with_suffix(".csv")
        command += ["-trace_stat", "-stf", str(statistics), "-fd", "1"]
        if peer.registers:
            scenario = SCENARIOS / "caller.xml"
            if sheds:
                scenario = with_503(scenario, peer.folder / "shed.xml")
            rows = credentials(peer, count, accounts or peer.accounts)
            command += ["-sf", str(scenario), "-inf", str(rows)]
        else:
            command += ["-sn", "uac", "-s", str(FIRST_KEY)]
        cpu, began = peer.cpu_s(), time.monotonic()
        caller = Program("caller", command, log, cwd=peer.folder)
        stack.callback(caller.kill)
        caller.wait_end(seconds + 2 * END_S)
        cpu, took = peer.cpu_s() - cpu, time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    text = log.read_text("utf-8", "replace")
    rejected = sum(
        int(n) for n in re.findall(r"\b503 <-+[^\n]*?\s(\d+)\s", text.rpartition("Scenario Screen")[2])
    )
    return SippRun(
        attempts=count,
        in_time=max(0, succeeded_by(statistics, seconds + hold + 1.0) - rejected),
        successful=count_of(text, "Successful call") - rejected,
        failed=count_of(text, "Failed call"),
        rejected=rejected,
        retransmissions=retransmitted(text),
        cpu_s=cpu,
        sipp_cpu_s=after.ru_utime + after.ru_stime - before_s.ru_utime - before_s.ru_stime,
        took_s=took,
        began=began,
    )


def succeeded_by(statistics: Path, elapsed_s: float) -> int:
    """How many calls SIPp's statistics, written every second, count as successful until then."""
    count = 0
    with statistics.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter=";"):
            hours, minutes, seconds = (float(part) for part in row["ElapsedTime(C)"].split(":")[:3])
            if 3600 * hours + 60 * minutes + seconds > elapsed_s:
                break
            count = int(row["SuccessfulCall(C)"])
    return count


def sipp(peer: Peer, port: int, timeout_s: int) -> list[str]:
    """SIPp's command line, but for the scenario."""
    return [
        *(
            "sipp",
            peer.address,
            "-i",
            "127.0.0.1",
            "-p",
            str(port),
            "-mi",
            "127.0.0.1",
            "-mp",
            str(port + 10),
        ),
        # In servers of several processes the 200 of a callee that answers at once may overtake its 180.
        *("-default_behaviors", "all,-abortunexp"),
        *("-nostdin", "-timeout", f"{timeout_s}s", "-recv_timeout", "8000", "-buff_size", "4194304"),
    ]


def register(peer: Peer, port: int, accounts: int) -> None:
    """Every account of the second half, at the callee's port."""
    for key in range(FIRST_KEY + accounts // 2, FIRST_KEY + accounts):
        with sip_client(peer.host, ("127.0.0.1", port)) as client:
            reply = client.register(str(key), f"secret-of-{key}", expires=FOREVER_S)
            if reply is None or reply.status != 200:
                raise AssertionError(f"REGISTER of {key}: {reply}\n{peer.log()}")


def credentials(peer: Peer, count: int, accounts: int) -> Path:
    """The file that SIPp takes callers, numbers and Authorization lines from."""
    half = accounts // 2
    with sip_client(peer.host) as client:
        aor = f"sip:{FIRST_KEY}@{client.domain}"
        reply = client.request("REGISTER", f"sip:{client.domain}", aor, aor)
        assert reply is not None, "no answer to REGISTER"
        challenge: Challenge = find_challenge(reply)
    file = peer.folder / "calls.csv"
    with file.open("w", newline="") as out:
        out.write("SEQUENTIAL\n")
        rows = csv.writer(out, delimiter=";", quoting=csv.QUOTE_NONE, quotechar=None, lineterminator="\n")
        for number in range(count):
            caller = str(FIRST_KEY + number % half)
            called = FIRST_KEY + half + (number + number // half) % (accounts - half)
            uri = f"sip:{called}@{client.domain}"
            line = challenge.answer("INVITE", uri, caller, f"secret-of-{caller}", number + 1)
            rows.writerow((caller, called, line))
    return file


def with_503(scenario: Path, to: Path) -> Path:
    """The same scenario, where 503 to either INVITE ends the call in order."""
    text = scenario.read_text()
    waiting = '  <recv response="100" optional="true"/>\n'
    text = text.replace(waiting, waiting + REJECTED)
    text = text.replace('  <recv response="200"/>\n', '  <recv response="200"/>\n' + LEAVE)
    to.write_text(text)
    return to
