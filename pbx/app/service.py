"""The running system: every part made from the configuration and plugged into the others."""

import json
import os
import socket
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from pbx.app.changes import OfficeChanges
from pbx.app.control import ControlServer, Json
from pbx.app.explain import Explainer
from pbx.app.finder import Finder
from pbx.app.hot_desk import LoginKeeper
from pbx.app.mail import make_mailer
from pbx.app.mailboxes import Mailboxes
from pbx.app.perform import Performer
from pbx.app.rows import record_row, trace_row
from pbx.app.rtp_ports import make_port_pool
from pbx.app.status import registrations_of, status_of, write_rows
from pbx.app.turns import in_turns
from pbx.app.usage import UsageDesk
from pbx.app.voices import Voices
from pbx.app.watch import OfficeWatch
from pbx.call.effects import SaveBindings, Traced, WriteRecord
from pbx.call.exchange import Exchange, Settings
from pbx.config import Config
from pbx.entropy import SystemEntropy
from pbx.errors import StoreError
from pbx.media.control import MediaControl
from pbx.net.addresses import Advertiser, LocalAddresses
from pbx.net.driver import Driver
from pbx.net.tls import ServerCertificate, TrustedServers, ensure_certificate
from pbx.net.transports import Transports
from pbx.office.snapshot import Office
from pbx.rtp.kernel.table import KernelTable
from pbx.sip.flow import Flow
from pbx.sip.location import save_device
from pbx.store.caller_ids import CallerIds
from pbx.store.hot_desk import HotDesk
from pbx.store.store import Store
from pbx.store.voicemail import Counts
from pbx.store.writer import Writer

log: Final = Logger()

AHEAD_S: Final = 30.0  # after the start: phones register first
AHEAD_CHANGED_S: Final = 2.0  # after a change of the office
DRAIN_S: Final = 3.0  # for phones to answer the BYEs of a server that stops


class Service:
    """Everything of one `pbx serve`."""

    def __init__(self, config: Config, reactor: Any, store: Store, office: Office, revision: int) -> None:
        self.config = config
        self._reactor = reactor
        self._store = store
        self._started = reactor.seconds()
        entropy = SystemEntropy()
        self.addresses = LocalAddresses(reactor.seconds, known_as=self._names())
        networks = [str(network) for network in config.server.local_networks]
        self._advertiser = Advertiser(config.server.advertise or "auto", networks, self.addresses)
        self._listening: dict[str, int] = {}
        settings = Settings(
            domain=config.server.domain,
            data=str(config.server.data),
            srtp=config.rtp.srtp,
            max_calls=config.limits.calls,
            calls_per_second=config.limits.calls_per_second,
            failed_auth=config.limits.failed_auth,
        )
        self.exchange = Exchange(
            settings,
            office,
            entropy,
            make_port_pool(config.rtp.ports, entropy, reactor.seconds()),
            self.addresses.is_local_host,
            self._own_address,
            calendar=lambda: datetime.now(UTC),
        )
        self._kernel: KernelTable | None = None
        self.media = MediaControl(
            reactor,
            config.rtp.workers or os.cpu_count() or 1,
            self._media_event,
            settle=self._media_settled,
        )
        self._writer = Writer(store)
        self.mailboxes = Mailboxes(
            reactor,
            store,
            config.server.data,
            lambda: self.exchange.office,
            self._mailbox_changed,
        )
        self.mailer = make_mailer(
            reactor, config.mail, store, lambda: self.exchange.office.settings, config.server.data
        )
        self._logins = LoginKeeper(reactor, HotDesk(store), self._expire_logins)
        performer = Performer(
            self.media, self._save_bindings, self._write_record, self._logins.save, self._write_trace
        )
        self._driver: Driver[Any] = Driver(self.exchange, reactor, performer, self.media.flush)
        trusted = TrustedServers(config.sip.trusted_ca)
        self.transports: Transports[Any] = Transports(
            reactor,
            self._driver,
            self.exchange,
            self.addresses,
            trusted=trusted,
            load=self.exchange,
        )
        self._watch = OfficeWatch(reactor, self._writer, revision, config.server.domain, self._take_over)
        performer.wire = self.transports
        finder = Finder(reactor, self.transports, entropy.below, self._found)
        self._voices = Voices(
            reactor,
            self.exchange,
            self._driver.run,
            self.mailboxes.desk,
            OfficeChanges(reactor, store, self._watch.look),
            self.mailer,
            config.server.data,
            config.speech.command,
        )
        self._usage = UsageDesk(
            reactor,
            store,
            self._writer,
            self.mailer,
            lambda: self.exchange.office,
            self.exchange.metering.ledger,
            self.exchange.metering.month,
            self._driver.run,
        )
        performer.connect(self._voices, finder, self._usage)
        self._control = ControlServer(config.server.data / "control.sock", self._commands())
        self._stopped: Deferred[None] | None = None
        self._give_up_at = 0.0

    # --- life ----------------------------------------------------------------------------------------------

    def start_media(self) -> "Deferred[None]":
        """Bring the media workers up, and let them use the kernel where we may. Fires when they are there."""
        if self.config.rtp.kernel == "off":
            return self.media.start()
        place = self.config.server.data.stat()
        # The folder's place on the disk: the path may mean another folder in each container.
        identity = f"{place.st_dev}:{place.st_ino}"
        self._kernel = kernel = KernelTable(identity, *self.config.rtp.ports)
        kernel.set_up()
        if kernel.keys is not None:
            self.media.watch_keys(kernel.keys)
        elif kernel.is_up:  # keys would not be seen: calls of phones that have them stay in user space
            self.exchange.has_to_see_keys = True
        if not kernel.is_up:
            log.info("audio stays in user space: {why}", why=kernel.why_not)
        return self.media.start(kernel.mark if kernel.is_up else None)

    def start(self) -> None:
        """Listen; from here on calls are taken. The media workers are there already (`start_media`).

        Raises:
            ConfigError: an address cannot be listened on.
        """
        sip = self.config.sip
        certificate = None
        if sip.tls:
            certificate = ServerCertificate(*self._certificate())
        self.transports.listen(
            [str(each) for each in sip.udp],
            [str(each) for each in sip.tcp],
            [str(each) for each in sip.tls],
            certificate,
        )
        for each in self.transports.listening:
            self._listening.setdefault(each.transport, each.port)
        self._control.listen(self._reactor)
        self._restore()
        self._driver.run(self.exchange.start)
        self._watch.start()
        self._logins.start()
        self.mailboxes.start()
        self.mailer.start()
        self._voices.render_ahead(AHEAD_S)

    def _restore(self) -> None:
        """The phones that were registered when the server ended, and what was used of limits."""
        self._usage.load()
        now, location = self._reactor.seconds(), self.exchange.location
        rows = [row for row in self._store.load_bindings() if self._is_device(row.get("username"))]
        for complaint in location.restore(rows, now, time.time()):
            log.warn("{complaint}", complaint=complaint)
        for username, _ in location.all(now):
            self.exchange.qualifier.watch(username)
        self.exchange.logins.restore(self._logins.load(), self.exchange.office)
        self.exchange.swap_caller_ids(CallerIds(self._store).approved())

    def _is_device(self, username: Any) -> bool:
        return self.exchange.office.device(username) is not None

    @property
    def is_stopping(self) -> bool:
        """`stop` has been called."""
        return self._stopped is not None

    def stop(self) -> "Deferred[None]":
        """End calls in order, then everything else; asked again, wait no longer for phones.

        Returns:
            The same each time; fires when all is over, whatever went wrong.
        """
        if self._stopped is not None:
            self._give_up_at = 0.0
            return self._stopped
        self._stopped = Deferred()
        self._watch.stop()
        self._driver.run(self.exchange.stop)
        self._give_up_at = self._reactor.seconds() + DRAIN_S
        drained: Deferred[None] = Deferred()

        def wait() -> None:
            if self.exchange.is_quiet or self._reactor.seconds() >= self._give_up_at:
                drained.callback(None)
            else:
                self._reactor.callLater(0.05, wait)

        steps = (
            *(self.transports.stop, self.media.stop, self._leave_kernel, self._control.stop),
            *(self._voices.stop, self.mailboxes.stop, self.mailer.stop, self._logins.stop, self._close),
        )
        for step in steps:
            drained.addCallback(_call(step))
            drained.addErrback(lambda failure: log.failure("stopping failed", failure))
        drained.chainDeferred(self._stopped)
        wait()
        return self._stopped

    def _leave_kernel(self) -> None:
        if self._kernel is not None:
            self._kernel.remove()

    def _close(self) -> "Deferred[None]":
        """Write what is left; a database that hangs must not hold up the reactor."""
        self._driver.stop()
        pool = self._reactor.getThreadPool()
        written: Deferred[None] = deferToThreadPool(self._reactor, pool, self._writer.stop)
        return written.addCallback(lambda _: self._store.close())

    # --- what the parts ask of each other ------------------------------------------------------------------

    def _media_event(self, event: Any) -> None:
        self._driver.take(self.exchange.media_event, event)

    def _media_settled(self) -> None:
        self._driver.settle()

    def _own_address(self, flow: Flow) -> tuple[str, int]:
        local = flow.local
        port = local[1] if flow.transport == "UDP" else 0
        if port and self._advertiser.is_plain:
            return local
        return self._advertiser.advertised(flow), port or self._listening.get(flow.transport) or local[1]

    def _save_bindings(self, effect: SaveBindings) -> None:
        now, wall = self._reactor.seconds(), time.time()
        username = effect.username
        rows = partial(save_device, username, self.exchange.location.stored(username), now, wall)
        self._writer.save_bindings(username, rows, is_urgent=effect.is_urgent)

    def _write_record(self, effect: WriteRecord) -> None:
        self._writer.write_record(record_row(effect.record, time.time()))

    def _write_trace(self, effect: Traced) -> None:
        ahead_s = time.time() - float(self._reactor.seconds())
        self._writer.write_traces(trace_row(each, ahead_s) for each in effect.messages)

    def _expire_logins(self, calendar: datetime) -> None:
        self._driver.run(lambda now: self.exchange.expire_logins(calendar, now))

    def _found(self, number: int, flows: Sequence[Flow], why: str) -> None:
        self._driver.run(self.exchange.resolved, number, flows, why)

    def _mailbox_changed(self, mailbox: str, counts: Counts) -> None:
        self._voices.mailbox_changed(mailbox, counts)

    def _names(self) -> list[str]:
        advertise = self.config.server.advertise
        return [advertise] if advertise else []

    def _certificate(self) -> tuple[Any, Any]:
        sip = self.config.sip
        if sip.certificate is not None:
            return sip.certificate, sip.private_key or sip.certificate
        names = [self.config.server.domain, socket.gethostname(), *self._names(), *self.addresses.all()]
        return ensure_certificate(self.config.server.data / "certificates", lambda: names, datetime.now(UTC))

    # --- commands ------------------------------------------------------------------------------------------

    def _commands(self) -> dict[str, Callable[..., Any]]:
        return {
            "status": self._status,
            "reload": self._reload,
            "flush": self._flush,
            "voicemail": self.mailboxes.refresh,
            "mail": self.mailer.try_now,
            "usage": self._usage.reload,
            "explain": Explainer(self._reactor, self._store, self.exchange).explain,
        }

    def _status(self) -> "Deferred[Any]":
        return self.media.read_paths().addCallback(self._show_status)

    def _show_status(self, read: tuple[dict[str, str], str]) -> "Deferred[Json]":
        paths, trouble = read
        now = self._reactor.seconds()
        status = status_of(self.exchange, now, now - self._started, self.transports, paths)
        kernel = self._kernel
        if kernel is None:
            is_active, why = False, 'rtp.kernel is "off"'
        else:
            is_active, why = kernel.is_up, kernel.why_not or trouble
        head = json.dumps({**status, "kernel": {"active": is_active, "why": why}})
        rows = in_turns(self._reactor, write_rows(registrations_of(self.exchange, now)))
        return rows.addCallback(lambda made: Json(f'{head[:-1]}, "registrations": [{", ".join(made)}]}}'))

    def _reload(self) -> "Deferred[Any]":
        return self._watch.look().addCallback(self._with_caller_ids)

    def _flush(self) -> "Deferred[bool]":
        """Call records and charges that wait for others are written; False: the database takes nothing."""
        flushed: Deferred[bool] = Deferred()
        self._writer.flush(lambda done: self._reactor.callFromThread(flushed.callback, done))
        return flushed

    def _with_caller_ids(self, revision: int) -> "Deferred[Any]":
        return self._load_caller_ids().addCallback(lambda _: {"revision": revision})

    def _load_caller_ids(self) -> "Deferred[None]":
        """Which numbers of others extensions may show now."""
        read = CallerIds(self._store).approved
        loaded = deferToThreadPool(self._reactor, self._reactor.getThreadPool(), read)
        return loaded.addCallback(self.exchange.swap_caller_ids)

    def _take_over(self, office: Office) -> None:
        self._driver.run(lambda now: self.exchange.swap_office(office, now))
        self._load_caller_ids().addErrback(_not_loaded)
        self._voices.render_ahead(AHEAD_CHANGED_S)


def _not_loaded(failure: Failure) -> None:
    failure.trap(StoreError)  # type: ignore[no-untyped-call]  # Twisted has no types here
    log.error("caller IDs that were approved are as before: {why}", why=failure.getErrorMessage())


def _call(step: Callable[[], Any]) -> Callable[[Any], Any]:
    """`step` as a callback that takes no result."""
    return lambda _: step()
