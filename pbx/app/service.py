"""The running system: every part made from the configuration and plugged into the others."""

import os
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from pbx.app.answers import Answers
from pbx.app.control import ControlServer
from pbx.app.mail import make_mailer
from pbx.app.perform import Performer
from pbx.app.status import status_of
from pbx.app.watch import OfficeWatch
from pbx.call.effects import Missed, SaveBindings, WriteRecord
from pbx.call.exchange import Exchange, Settings
from pbx.call.sound import Question, Render
from pbx.config import Config
from pbx.entropy import Entropy, SystemEntropy
from pbx.errors import MediaError
from pbx.mail.facts import Extension as MailedExtension
from pbx.mail.facts import MailboxFull, MissedCall, NewVoicemail, Party
from pbx.media.control import MediaControl
from pbx.media.probe import is_pair_free, ports_in_use
from pbx.media.prompt import Rendered
from pbx.media.rendering import Renderer
from pbx.media.system_prompts import fields_of, texts
from pbx.net.addresses import Advertiser, LocalAddresses
from pbx.net.driver import Driver
from pbx.net.tls import ServerCertificate, TrustedServers, ensure_certificate
from pbx.net.transports import Transports
from pbx.office.snapshot import Office
from pbx.rtp.kernel.table import KernelTable
from pbx.rtp.port_pool import PortPool
from pbx.sip.flow import Flow
from pbx.store.desk import Desk
from pbx.store.store import Store
from pbx.store.voicemail import Counts, Message
from pbx.store.writer import Writer

log: Final = Logger()

SWEEP_S: Final = 3600.0  # between looks for recordings whose time is over
DRAIN_S: Final = 3.0  # for phones to answer the BYEs of a server that stops


class Service:
    """Everything of one `pbx serve`."""

    def __init__(self, config: Config, reactor: Any, store: Store, office: Office, revision: int) -> None:
        self.config = config
        self._reactor = reactor
        self._store = store
        self._started = time.time()
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
            self._port_pool(entropy),
            self.addresses.is_local_host,
            self._own_address,
        )
        self._kernel: KernelTable | None = None
        self.media = MediaControl(
            reactor,
            config.rtp.workers or os.cpu_count() or 1,
            self._media_event,
            settle=self._media_settled,
        )
        self._writer = Writer(store)
        self._renderer = Renderer(reactor, config.server.data, command=config.speech.command)
        self._desk = Desk(store, config.server.data, reactor.callFromThread, self._mailbox_changed)
        self._answers = Answers(
            reactor,
            self._desk,
            config.server.data,
            lambda: self.exchange.office,
            self._message_left,
            self._mailbox_full,
        )
        self.mailer = make_mailer(reactor, config.mail, store, lambda: self.exchange.office.settings)
        performer = Performer(
            self.media, self._save_bindings, self._write_record, self._render, self._answer, self._missed
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
        performer.wire = self.transports
        self._control = ControlServer(config.server.data / "control.sock", self._commands())
        self._sweeping = LoopingCall(self._desk.sweep)
        self._sweeping.clock = reactor
        self._watch = OfficeWatch(reactor, self._writer, revision, config.server.domain, self._take_over)
        self._stopped: Deferred[None] | None = None
        self._give_up_at = 0.0

    def _port_pool(self, entropy: Entropy) -> PortPool:
        in_use = ports_in_use()
        ports = self.config.rtp.ports
        return PortPool(
            ports.low,
            ports.high,
            entropy,
            is_free=is_pair_free,
            looked_at=-inf if in_use is None else self._reactor.seconds(),
            in_use=in_use or (),
        )

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
        self._driver.run(lambda _now: ())
        self._watch.start()
        self._desk.salvage(self.exchange.office.settings.recording_days)
        self._sweeping.start(SWEEP_S, now=True)
        self._render_ahead(self.exchange.office)
        self.mailer.start()

    def _restore(self) -> None:
        """The phones that were registered when the server ended."""
        now, location = self._reactor.seconds(), self.exchange.location
        rows = [row for row in self._store.load_bindings() if self._is_device(row.get("username"))]
        for complaint in location.restore(rows, now, time.time()):
            log.warn("{complaint}", complaint=complaint)
        for username, _ in location.all(now):
            self.exchange.qualifier.watch(username)

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
        if self._sweeping.running:
            self._sweeping.stop()
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
            *(self._renderer.stop, self.mailer.stop, self._close),
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
        written: Deferred[None] = deferToThreadPool(self._reactor, pool, self._stop_threads)
        return written.addCallback(lambda _: self._store.close())

    def _stop_threads(self) -> None:
        self._desk.stop()
        self._writer.stop()

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
        rows = self.exchange.location.save_device(effect.username, now, wall)
        self._writer.save_bindings(effect.username, rows, is_urgent=effect.is_urgent)

    def _write_record(self, effect: WriteRecord) -> None:
        record = effect.record
        self._writer.write_record(
            {
                "id": record.id,
                "started_at": time.time() - record.duration_s,
                "caller": record.caller,
                "callee": record.callee[:255],
                "state": record.state,
                "body": record.as_row(),
            }
        )

    # --- what the PBX says and hears -----------------------------------------------------------------------

    def _render_ahead(self, office: Office) -> None:
        """Nobody who calls first is to wait for what is always said."""
        phrases = self.exchange.services.phrases
        prompts = [phrases.say(name) for name, text in texts("en").items() if not fields_of(text)]
        prompts += [phrases.beep(), phrases.music(), phrases.ring_back()]
        prompts += [phrases.greeting("", each.no_answer.greeting) for each in office.extensions]
        for prompt in dict.fromkeys(prompts):
            made = self._renderer.render(prompt, is_urgent=False)
            made.addErrback(_complain)

    def _render(self, effect: Render) -> None:
        def rendered(made: Rendered) -> None:
            self._driver.run(lambda now: self.exchange.rendered(effect.number, made.stem, now))

        def failed(failure: Failure) -> None:
            failure.trap(MediaError)  # type: ignore[no-untyped-call]  # Twisted has no types here
            log.error("a prompt cannot be played: {why}", why=str(failure.value))
            self._driver.run(lambda now: self.exchange.rendered(effect.number, None, now))

        made = self._renderer.render(effect.prompt)
        made.addCallbacks(rendered, failed)
        made.addErrback(lambda failure: log.failure("rendering failed", failure))

    def _answer(self, effect: Question) -> None:
        def answered(answer: Any) -> None:
            self._driver.run(lambda now: self.exchange.answered(effect.number, answer, now))

        self._answers.answer(effect.about, answered)

    def _missed(self, effect: Missed) -> None:
        extension = self.exchange.office.extension(effect.key)
        if extension is not None:
            facts = MissedCall(
                Party(effect.caller, effect.caller_name),
                MailedExtension(extension.key, extension.label),
                datetime.now(UTC),
                effect.rang_s,
            )
            self.mailer.send(facts, extension.no_answer.emails)

    def _message_left(self, message: Message, path: Path) -> None:
        log.info(
            "{caller} left a message of {seconds} s for {mailbox}",
            caller=message.caller or "somebody",
            seconds=round(message.seconds),
            mailbox=message.mailbox,
        )
        extension = self.exchange.office.extension(message.mailbox)
        if extension is None or not extension.no_answer.emails:
            return
        facts = NewVoicemail(
            Party(message.caller, message.caller_name),
            MailedExtension(extension.key, extension.label),
            datetime.fromtimestamp(message.started_at, UTC),
            message.seconds,
        )
        emails = extension.no_answer.emails
        attached = self._attach(message.id, path)
        attached.addErrback(lambda failure: log.failure("a message goes without its sound", failure))
        attached.addCallback(lambda attachment: self.mailer.send(facts, emails, attachment))

    def _attach(self, name: str, path: Path) -> "Deferred[Path]":
        """The MP3 of a message, in a file that goes with the mail."""
        target = self.config.server.data / "outbox" / f"{name}.mp3"

        def write(data: bytes) -> Path:
            target.parent.mkdir(mode=0o700, exist_ok=True)
            target.write_bytes(data)
            return target

        pool = self._reactor.getThreadPool()
        made: Deferred[Any] = self._renderer.to_mp3(str(path))
        return made.addCallback(lambda data: deferToThreadPool(self._reactor, pool, write, data))

    def _mailbox_full(self, mailbox: str) -> None:
        log.warn("the mailbox of {mailbox} is full", mailbox=mailbox)
        extension = self.exchange.office.extension(mailbox)
        if extension is not None:
            counts = self._answers.counts.get(mailbox, Counts())
            facts = MailboxFull(
                MailedExtension(extension.key, extension.label),
                datetime.now(UTC),
                counts.new + counts.saved,
                counts.seconds / 60,
            )
            self.mailer.send(facts, extension.no_answer.emails)

    def _mailbox_changed(self, mailbox: str, counts: Counts) -> None:
        self._answers.counts[mailbox] = counts
        self._driver.run(lambda now: self.exchange.mailbox_changed(mailbox, counts.new, counts.saved, now))

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

    def _commands(self) -> dict[str, Callable[[], Any]]:
        return {"status": self._status, "reload": self._reload, "mail": self.mailer.try_now}

    def _status(self) -> "Deferred[Any]":
        return self.media.read_paths().addCallback(self._show_status)

    def _show_status(self, read: tuple[dict[str, str], str]) -> Any:
        paths, trouble = read
        now, up_s = self._reactor.seconds(), time.time() - self._started
        status = status_of(self.exchange, now, up_s, self.transports, paths)
        kernel = self._kernel
        if kernel is None:
            is_active, why = False, 'rtp.kernel is "off"'
        else:
            is_active, why = kernel.is_up, kernel.why_not or trouble
        return {**status, "kernel": {"active": is_active, "why": why}}

    def _reload(self) -> "Deferred[Any]":
        return self._watch.look().addCallback(lambda revision: {"revision": revision})

    def _take_over(self, office: Office) -> None:
        self._driver.run(lambda now: self.exchange.swap_office(office, now))
        self._render_ahead(office)


def _complain(failure: Failure) -> None:
    failure.trap(MediaError)  # type: ignore[no-untyped-call]  # Twisted has no types here
    log.error("a prompt cannot be rendered: {why}", why=str(failure.value))


def _call(step: Callable[[], Any]) -> Callable[[Any], Any]:
    """`step` as a callback that takes no result."""
    return lambda _: step()
