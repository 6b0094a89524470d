"""Network namespaces of a test's own: what happens in them touches nothing else of this machine."""

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

CLONE_NEWNET: Final = 0x40000000
LIBC: Final = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """One namespace, alive as long as a process holds it: that ends with the test, whatever becomes of it."""

    def __init__(self) -> None:
        """
        Raises:
            OSError: this user may not make one, or there is no `unshare`.
        """
        self._holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo here && exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != b"here\n":
            raise OSError(self._holder.communicate()[1].decode().strip())
        self.pid = self._holder.pid
        self._file = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY)
        self.ip("link", "set", "lo", "up")

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Sockets opened and programs started meanwhile are, and stay, in here."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            _enter(self._file)
            try:
                yield
            finally:
                _enter(home)
        finally:
            os.close(home)

    def ip(self, *words: str) -> str:
        """The command `ip`, in here."""
        with self.inside():
            done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"
        return done.stdout

    def set(self, key: str, value: str) -> None:
        """A network setting (sysctl), in here."""
        with self.inside():
            Path("/proc/sys", *key.split("/")).write_text(value)

    def get(self, key: str) -> str:
        with self.inside():
            return Path("/proc/sys", *key.split("/")).read_text().strip()

    def wire(self, other: "Namespace", name: str, *addresses: tuple[str, str]) -> None:
        """A cable to `other`; each pair is our address and the other's, which gets its default route here."""
        self.ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", str(other.pid))
        for ours, theirs in addresses:
            for space, device, address in ((self, name, ours), (other, "eth0", theirs)):
                more = ("nodad",) if ":" in address else ()
                space.ip("address", "add", address, "dev", device, *more)
        self.ip("link", "set", name, "up")
        other.ip("link", "set", "eth0", "up")
        for ours, _ in addresses:
            other.ip("route", "add", "default", "via", ours.partition("/")[0])

    def close(self) -> None:
        os.close(self._file)
        assert self._holder.stdin is not None
        self._holder.stdin.close()
        self._holder.wait()
        for pipe in (self._holder.stdout, self._holder.stderr):
            assert pipe is not None
            pipe.close()


def make_namespace() -> Namespace:
    """A namespace; where none may be made the test is skipped, and fails in CI."""
    try:
        return Namespace()
    except (OSError, AssertionError) as error:
        why = f"needs root, unshare and ip (Debian: util-linux, iproute2): {error}"
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


def _enter(file: int) -> None:
    if LIBC.setns(file, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
