"""`pbx serve`: the reactor's life, the log, and the card of a first start."""

import gc
import signal
import sys
import time
from importlib.resources import files
from typing import Any, Final, TextIO

from twisted.internet import reactor as _reactor
from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogBeginner,
    textFileLogObserver,
)

from pbx.app.card import show_card
from pbx.app.service import Service
from pbx.config import Config
from pbx.entropy import SystemEntropy
from pbx.errors import ConfigError, PbxError
from pbx.office.snapshot import Office
from pbx.office.toml import parse_office
from pbx.store.passwords import Passwords
from pbx.store.store import Store, open_store

DEMO: Final = "demo-office.toml"


def run(config: Config, verbose: bool) -> int:
    """Serve until SIGINT or SIGTERM; returns the exit code."""
    reactor: Any = _reactor
    reactor.seconds = time.monotonic  # Twisted's own clock is the wall clock, which jumps
    _begin_logging(sys.stderr, verbose)
    config.server.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    store = open_store(config.database.url)
    office, revision, passwords = _first_office(store, config)
    if office.realm != config.server.domain:
        store.close()
        raise ConfigError(
            "server.domain",
            config.server.domain,
            f"the devices' passwords were stored for the domain {office.realm} and fit no other: "
            "set it back, or apply an office.toml with all passwords",
        )
    service = Service(config, reactor, store, office, revision)
    outcome: list[int] = [0]

    def stop(*_: Any) -> None:
        service.stop().addBoth(lambda _: reactor.stop() if reactor.running else None)

    def start() -> None:
        try:
            service.start()
        except PbxError as error:
            print(f"pbx: {error}", file=sys.stderr, flush=True)  # noqa: T201
            outcome[0] = 2
            stop()
            return
        signal.signal(signal.SIGINT, _in_reactor(reactor, stop))
        signal.signal(signal.SIGTERM, _in_reactor(reactor, stop))
        show_card(config, service, office, passwords, sys.stdout)
        gc.collect()
        gc.freeze()  # what lives for ever need not be looked at again

    reactor.callWhenRunning(start)
    reactor.run(installSignalHandlers=True)
    return outcome[0]


def _in_reactor(reactor: Any, function: Any) -> Any:
    done: list[bool] = []

    def handle(*_: Any) -> None:
        if not done:
            done.append(True)
            reactor.callFromThread(function)

    return handle


def _first_office(store: Store, config: Config) -> tuple[Office, int, dict[str, str]]:
    """The stored office, or in an empty database the demo office and its new passwords."""
    office, revision = store.load()
    if office is not None:
        return office, revision, {}
    text = files("pbx").joinpath("assets", DEMO).read_text(encoding="utf-8")
    demo = parse_office(
        text, DEMO, realm=config.server.domain, hasher=Passwords(), entropy=SystemEntropy(), existing=None
    )
    return demo.office, store.save(demo.office), dict(demo.generated)


def _begin_logging(stream: TextIO, verbose: bool) -> None:
    level = LogLevel.debug if verbose else LogLevel.info
    to_file: Any = textFileLogObserver(stream)  # zope's interfaces are unknown to the type checker
    predicate: Any = LogLevelFilterPredicate(level)
    observer: Any = FilteringLogObserver(to_file, [predicate])
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
