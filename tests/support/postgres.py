"""A PostgreSQL server for tests: Debian's, on a socket in a folder of its own. `postgres` is a fixture."""

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

START_S = 60.0


class Postgres:
    """One server without TCP; `make_database` gives the URL of a new database in it."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self._folder, self._programs = folder, programs
        self._numbers = itertools.count(1)
        self._user = "nobody" if os.geteuid() == 0 else None  # initdb refuses root
        self._process: subprocess.Popen[bytes] | None = None
        if self._user is not None:
            nobody = pwd.getpwnam(self._user)
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        subprocess.run(
            [programs / "initdb", "-D", folder / "cluster", "-U", "pbx", "-A", "trust", "-E", "UTF8", "-N"],
            user=self._user,
            cwd=folder,
            env={"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]},
            check=True,
            capture_output=True,
        )

    def start(self) -> None:
        options = {"listen_addresses": "", "unix_socket_directories": self._folder, "fsync": "off"}
        settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._folder / "cluster", *settings],
                user=self._user,
                cwd=self._folder,
                stdout=log,
                stderr=log,
            )
        until = time.monotonic() + START_S
        while True:
            try:
                psycopg.connect(self._conninfo("postgres")).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > until or self._process.poll() is not None:
                    raise
                time.sleep(0.05)  # there is nothing to wait for but the socket

    def stop(self) -> None:
        """As a machine that goes down: clients are cut off."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(START_S)
            self._process = None

    def make_database(self) -> str:
        name = f"pbx{next(self._numbers)}"
        with psycopg.connect(self._conninfo("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql+psycopg://pbx:not-asked-for@/{name}?host={self._folder}"

    def _conninfo(self, database: str) -> str:
        return f"host={self._folder} user=pbx dbname={database}"


def find_programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    programs = find_programs()
    if programs is None:
        missing = "no PostgreSQL server here (Debian: apt install postgresql)"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    folder = Path(tempfile.mkdtemp(prefix="pbx-postgres-"))  # short: a socket's path has 107 bytes
    server = Postgres(folder, programs)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)
