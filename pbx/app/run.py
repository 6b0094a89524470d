"""`pbx serve`: the reactor's life, the log, and the card of a first start."""

import gc
import os
import resource
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib.resources import files
from typing import Any, Final

from twisted.internet import reactor as _reactor
from twisted.internet.epollreactor import EPollReactor
from twisted.logger import Logger

from pbx.app.card import make_card, render_json, show_card
from pbx.app.folder import take_folder
from pbx.app.line_log import LineLog
from pbx.app.memory import return_large_blocks
from pbx.app.report import report_error
from pbx.app.service import Service
from pbx.config import Config
from pbx.entropy import SystemEntropy
from pbx.errors import ConfigError, PbxError
from pbx.net.turn import hasten
from pbx.office.snapshot import Office
from pbx.office.toml import OfficeFile, parse_office
from pbx.store.passwords import Passwords
from pbx.store.store import Store, open_store

log: Final = Logger()

DEMO: Final = "demo-office.toml"
# Ended calls leave no reference cycles (tests/call/test_garbage.py), so the collector has next to nothing to
# find; with the usual 700 it took a tenth of the time of all calls and stopped them for up to 40 ms.
GC_THRESHOLD: Final = (50_000, 20, 100)
NO_THREAD: Final = "can't start new thread"  # as Python says it
# Calls go before other programs of the machine, and the audio of the workers before calls.
PRIORITY: Final = -5
MOST_FILES: Final = 1 << 20  # what a system that says "unlimited" gets


def run(config: Config, verbose: bool = False, as_json: bool = False) -> int:
    """Serve until SIGINT, SIGTERM or SIGHUP (its terminal is closed); returns the exit code.

    Raises:
        PbxError: it cannot even begin.
    """
    os.umask(0o077)
    raise_file_limit()
    raise_priority()
    return_large_blocks()
    with take_folder(config.server.data):
        store = open_store(config.database.url)
        try:
            office, revision = store.load()
            if office is not None and office.realm != config.server.domain:
                raise ConfigError(
                    "server.domain",
                    config.server.domain,
                    f"the devices' passwords were stored for the domain {office.realm} and fit no other: "
                    "set it back, or `pbx apply` an office.toml with all passwords (those it leaves out are "
                    "made anew)",
                )
            demo = _demo(config) if office is None else None
            reactor: Any = _reactor
            reactor.seconds = time.monotonic  # Twisted's own clock is the wall clock, which jumps
            has_epoll = isinstance(reactor, EPollReactor)  # what Twisted takes on Linux
            if has_epoll:
                hasten(reactor)
            lines = LineLog(sys.stderr, reactor, verbose)
            lines.begin()
            try:
                return _Run(config, reactor, store, office, revision, demo, as_json).run()
            except RuntimeError as error:
                if str(error) != NO_THREAD:
                    raise
                raise PbxError(f"{NO_THREAD}: this user has too many processes (ulimit -u)") from error
            finally:
                lines.flush()
        finally:
            store.close()


class _Run:
    """One life of the reactor."""

    def __init__(
        self,
        config: Config,
        reactor: Any,
        store: Store,
        office: Office | None,
        revision: int,
        demo: OfficeFile | None,
        as_json: bool,
    ) -> None:
        self._config, self._reactor, self._store, self._as_json = config, reactor, store, as_json
        self._demo = demo
        self._office = demo.office if demo is not None else office or Office()
        # The demo office is saved as the first revision once it is sure that its passwords will be shown.
        self._service = Service(config, reactor, store, self._office, 1 if demo is not None else revision)
        self._is_stopping = False
        self._code = 0

    def run(self) -> int:
        self._reactor.callWhenRunning(self._start)
        self._reactor.run()
        return self._code

    def _start(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # over Twisted's: they end it at once
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # as nohup has it
                signal.signal(number, lambda *_: self._reactor.callFromThread(self._stop))
        self._service.start_media().addCallback(lambda _: self._begin())

    def _begin(self) -> None:
        if self._service.is_stopping:
            return
        try:
            self._service.start()
            if self._demo is not None:
                self._store.save(self._demo.office, expected=0)
        except PbxError as error:
            self._fail(str(error), 2)
        except Exception:
            log.failure("cannot start")
            self._fail("cannot start: a bug, see above", 1)
        else:
            self._show(self._demo.generated if self._demo is not None else {})
            gc.collect()
            gc.freeze()  # what lives for ever need not be looked at again
            gc.set_threshold(*GC_THRESHOLD)

    def _show(self, passwords: Mapping[str, str]) -> None:
        service = self._service
        card = make_card(
            self._config, service.transports.listening, service.addresses, self._office, passwords
        )
        if self._as_json:
            print(render_json(card), flush=True)  # noqa: T201
        else:
            show_card(card, sys.stdout)

    def _fail(self, why: str, code: int) -> None:
        report_error(why, self._as_json)
        self._code = code
        self._stop()

    def _stop(self) -> None:
        """The first time in order; the second time without waiting for phones."""
        stopped = self._service.stop()
        if not self._is_stopping:
            self._is_stopping = True
            stopped.addCallback(lambda _: self._reactor.stop())


def raise_file_limit() -> None:
    """Allow as many open files as the system does: each TCP phone and each audio port takes one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def raise_priority() -> None:
    """Before others, where that is allowed and nobody has said (`nice`) how important we are."""
    if os.getpriority(os.PRIO_PROCESS, 0) == 0:
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)


def _demo(config: Config) -> OfficeFile:
    """The office of an empty database, with new passwords."""
    text = files("pbx").joinpath("assets", DEMO).read_text(encoding="utf-8")
    return parse_office(
        text, DEMO, realm=config.server.domain, hasher=Passwords(), entropy=SystemEntropy(), existing=None
    )
