"""Memory that the server needs for a moment only."""

import subprocess
import sys

import pytest

PROGRAM = """
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from pbx.app.memory import return_large_blocks
from pbx.store.passwords import Passwords

THREADS = 4
barrier = Barrier(THREADS)  # each of them hashes

def work(_):
    barrier.wait()
    for _ in range(3):
        Passwords().hash("1234")

def resident_kb():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))

return_large_blocks()
before = resident_kb()
with ThreadPoolExecutor(THREADS) as pool:
    list(pool.map(work, range(THREADS)))
    print(resident_kb() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_threads_that_have_hashed_a_pin_keep_nothing_of_the_16_mib_it_took():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 16 * 1024
