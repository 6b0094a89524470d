"""What calls ask of the world beyond SIP and audio: sounds, answers, and letters about them."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from pbx.app.answers import Answers
from pbx.app.changes import OfficeChanges
from pbx.app.emergency_mail import EmergencyMails
from pbx.app.mail import ATTACHMENTS
from pbx.app.printable import printable
from pbx.call.effects import EmergencyDialled, Missed
from pbx.call.exchange import Exchange
from pbx.call.phrases import CALL_TONES
from pbx.call.questions import ChangeOffice
from pbx.call.sound import Question, Render
from pbx.errors import MediaError
from pbx.mail.facts import EmergencyCall, Extension, MailboxFull, MissedCall, NewVoicemail, Party
from pbx.mail.outbox import Mailer
from pbx.media.prompt import Prompt, Rendered, StoppedError
from pbx.media.rendering import Renderer
from pbx.media.system_prompts import fields_of, texts
from pbx.store.desk import Desk
from pbx.store.voicemail import Counts, Message

log: Final = Logger()


class Voices:
    """
    Args:
        step: runs a step of the exchange.
        mailer: sends letters.
        changes: of the office, made from phones.
    """

    def __init__(
        self,
        reactor: Any,
        exchange: Exchange,
        step: Callable[..., None],
        desk: Desk,
        changes: OfficeChanges,
        mailer: Mailer,
        data: Path,
        speech: Iterable[str],
    ) -> None:
        self._reactor, self._exchange, self._step = reactor, exchange, step
        self._mailer, self._changes, self._data = mailer, changes, data
        self._emergencies = EmergencyMails(reactor, lambda facts: mailer.send(facts, exchange.office.staff))
        self.renderer = Renderer(reactor, data, command=tuple(speech))
        self._ahead: Any = None  # when it is time to render ahead
        self._answers = Answers(
            reactor, desk, data, lambda: exchange.office, exchange.locks, self._left, self._full, self._forget
        )

    # --- what calls ask ------------------------------------------------------------------------------------

    def render(self, effect: Render) -> None:
        """Make a sound; a prompt that cannot be made is left out, and the log says why."""

        def rendered(made: Rendered) -> None:
            self._step(self._exchange.rendered, effect.number, made.stem)

        def failed(failure: Failure) -> None:
            self._step(self._exchange.rendered, effect.number, None)
            _complain(failure)

        made = self.renderer.render(effect.prompt)
        made.addCallbacks(rendered, failed)
        made.addErrback(lambda failure: log.failure("rendering failed", failure))

    def answer(self, effect: Question) -> None:
        """Ask whoever knows."""

        def answered(answer: Any) -> None:
            self._step(self._exchange.answered, effect.number, answer)

        if isinstance(effect.about, ChangeOffice):
            self._changes.change(effect.about, answered)
        else:
            self._answers.answer(effect.about, answered)

    def render_ahead(self, after_s: float) -> None:
        """Nobody who calls first is to wait for what is always said; later, so as not to be in the way."""
        if self._ahead is not None and self._ahead.active():
            self._ahead.cancel()
        self._ahead = self._reactor.callLater(after_s, self._render_ahead)

    def _render_ahead(self) -> None:
        office = self._exchange.office
        phrases = self._exchange.services.phrases
        prompts: list[Prompt] = [phrases.beep(), phrases.music(), *map(phrases.call_tone, CALL_TONES)]
        prompts += [phrases.greeting("", each.no_answer.greeting) for each in office.extensions]
        prompts += [phrases.say(name) for name, text in texts("en").items() if not fields_of(text)]
        made = self.renderer.render_ahead(dict.fromkeys(prompts))
        made.addErrback(lambda failure: log.failure("rendering ahead failed", failure))

    def stop(self) -> "Deferred[None]":
        """Mail what is kept back, and end the speech process."""
        self._emergencies.stop()
        if self._ahead is not None and self._ahead.active():
            self._ahead.cancel()
        return self.renderer.stop()

    # --- what is mailed ------------------------------------------------------------------------------------

    def missed(self, effect: Missed) -> None:
        """Nobody has taken a call."""
        extension = self._exchange.office.extension(effect.key)
        if extension is not None:
            called = Extension(extension.key, extension.label)
            caller = Party(effect.caller, effect.caller_name)
            facts = MissedCall(caller, called, datetime.now(UTC), effect.rang_s)
            self._mailer.send(facts, extension.no_answer.emails)

    def emergency(self, effect: EmergencyDialled) -> None:
        """An emergency number was dialled; the mail does not hold up the call."""
        office = self._exchange.office
        extension = office.extension(effect.key)
        caller = Extension(effect.key, extension.label if extension is not None else "")
        log.warn(
            "{device} of {key} dials {number}", device=effect.device, key=effect.key, number=effect.dialled
        )
        facts = EmergencyCall(caller, datetime.now(UTC), effect.dialled, effect.shown, effect.device)
        self._emergencies.tell(facts)

    def mailbox_changed(self, mailbox: str, counts: Counts) -> None:
        """From the desk."""
        self._answers.counts[mailbox] = counts
        self._step(self._exchange.mailbox_changed, mailbox, counts.new, counts.saved)

    def _left(self, message: Message, path: Path) -> None:
        """A message was left."""
        log.info(
            "{caller} left a message of {seconds} s for {mailbox}",
            caller=printable(message.caller) or "somebody",
            seconds=round(message.seconds),
            mailbox=message.mailbox,
        )
        extension = self._exchange.office.extension(message.mailbox)
        if extension is None or not extension.no_answer.emails:
            return
        emails = extension.no_answer.emails
        facts = NewVoicemail(
            Party(message.caller, message.caller_name),
            Extension(extension.key, extension.label),
            datetime.fromtimestamp(message.started_at, UTC),
            message.seconds,
            self._exchange.office.settings.codes.own_mailbox,
        )

        def failed(failure: Failure) -> Path:
            log.warn("a message is mailed as it was recorded: {why}", why=failure.getErrorMessage())
            return path

        zone = ZoneInfo(self._exchange.office.settings.timezone)
        attached = self._attach(attachment_name(message, zone), path)
        attached.addErrback(failed)
        attached.addCallback(lambda attachment: self._mailer.send(facts, emails, attachment))
        attached.addErrback(lambda failure: log.failure("a message is not mailed", failure))

    def _forget(self, path: str) -> None:
        self.renderer.forget(self._exchange.services.phrases.sound(path))

    def _attach(self, name: str, path: Path) -> "Deferred[Any]":
        """The MP3 of a message, in a file for the mail."""
        target = self._data / ATTACHMENTS / name

        def write(data: bytes) -> Path:
            target.parent.mkdir(mode=0o700, exist_ok=True)
            target.write_bytes(data)
            return target

        pool = self._reactor.getThreadPool()
        made: Deferred[Any] = self.renderer.to_mp3(str(path))
        return made.addCallback(lambda data: deferToThreadPool(self._reactor, pool, write, data))

    def _full(self, mailbox: str) -> None:
        """A caller could leave no message."""
        log.warn("the mailbox of {mailbox} is full", mailbox=mailbox)
        extension = self._exchange.office.extension(mailbox)
        if extension is not None:
            counts = self._answers.counts.get(mailbox, Counts())
            facts = MailboxFull(
                Extension(extension.key, extension.label),
                datetime.now(UTC),
                counts.new + counts.saved,
                counts.seconds / 60,
                self._exchange.office.settings.codes.own_mailbox,
            )
            self._mailer.send(facts, extension.no_answer.emails)


def attachment_name(message: Message, zone: ZoneInfo) -> str:
    """Of its MP3: tells it from others in a folder of downloads, in the order of time."""
    at = datetime.fromtimestamp(message.started_at, zone)
    return f"voicemail-{message.mailbox}-{at:%Y-%m-%d-%H%M}-{message.id}.mp3"


def _complain(failure: Failure) -> None:
    failure.trap(MediaError)  # type: ignore[no-untyped-call]  # Twisted has no types here
    if not isinstance(failure.value, StoppedError):
        log.error("a prompt cannot be played: {why}", why=str(failure.value))
