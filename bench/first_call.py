"""From nothing to the first answered call, as somebody new would do it, with headless softphones.

Usage: python -m bench.first_call

Clones this repository into an empty folder, types `make run` there, reads the card that it prints, registers
two baresip phones with the accounts on it, dials 101 from 100 and waits until each hears the other. Prints
how long each step took and appends a line to bench/RESULTS.md. SIP ports 5060 and 5061 must be free.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.phones.support.baresip_phone import BaresipPhone
from tests.phones.support.phone import TONES, Account
from tests.phones.support.process import Program
from tests.phones.support.talk import connect, hang_up, hear_each_other
from tests.phones.support.waiting import wait_until

ROOT = Path(__file__).parents[1]

ACCOUNT = re.compile(r"^ +(10[012]) +(\S{14,}) ", re.MULTILINE)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        started = time.monotonic()
        clone = folder / "pbx"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        steps = [("clone", time.monotonic() - started)]
        log = folder / "serve.log"
        server = Program("make run", ["make", "run"], log, cwd=clone)
        try:
            accounts = dict(
                wait_until(
                    "the card", lambda: len(found := ACCOUNT.findall(log.read_text())) >= 3 and found, 120.0
                )
            )
            steps.append(("set up and start", time.monotonic() - started))
            phones = []
            for number, key in enumerate(("100", "101")):
                account = Account(key, accounts[key], "127.0.0.1", "127.0.0.1:5060")
                phone = BaresipPhone(f"phone{key}", account, folder / key, TONES[number])
                phones.append(phone)
                phone.start()
                phone.wait_registered()
            steps.append(("phones registered", time.monotonic() - started))
            calls = connect(*phones)
            steps.append(("call answered", time.monotonic() - started))
            hear_each_other((phones[0], calls[0]), (phones[1], calls[1]))
            hang_up((phones[0], calls[0]), (phones[1], calls[1]))
            for phone in phones:
                phone.stop()
            for pid in descendants(server.pid):
                os.kill(pid, signal.SIGINT)
            code = server.wait_end(15.0)
            if code not in (0, 130):
                sys.exit(f"make run ended with {code}\n{log.read_text()[-3000:]}")
        finally:
            server.kill()
    line = (
        f"- {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, `python -m bench.first_call`, seconds "
        f"since the start of git clone: {', '.join(f'{what} {seconds:.1f}' for what, seconds in steps)}"
    )
    print(line)
    with (ROOT / "bench" / "RESULTS.md").open("a") as file:
        file.write(line + "\n")


def descendants(pid: int) -> list[int]:
    """The `pbx serve` below make: the first process of the tree that is neither make nor a shell."""
    todo = [pid]
    for each in todo:
        if b"serve" in Path(f"/proc/{each}/cmdline").read_bytes():
            return [each]
        todo += [int(c) for c in Path(f"/proc/{each}/task/{each}/children").read_text().split()]
    return []


if __name__ == "__main__":
    main()
