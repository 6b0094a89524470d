"""Prompts made into sound, for the core: what was made before is on disk, the speech process makes the rest.

Nothing here blocks longer than to look at a file's date, and nothing imports numpy.
"""

import os
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred, DeferredList, fail, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from pbx.media.prompt import Prompt, Rendered, RenderError, SoundError, StoppedError
from pbx.media.script import Step, content_key, files_of, steps_of
from pbx.media.speech_control import IDLE_S, SpeechControl
from pbx.media.system_prompts import SystemPrompts

log = Logger()

LIMIT_S: Final = 10.0  # for a job
FILE_S: Final = 10.0  # and for each sound file of up to ten minutes in it
COMMAND_S: Final = 30.0  # for each text that a command speaks
MP3_S: Final = 120.0
TOUCH_S: Final = 3600.0  # a sound in use is marked as used so often
AT_ONCE: Final = 20  # prompts that are asked for ahead: calls go on between them
RATES_HZ: Final = (8_000, 16_000)


class Renderer:
    """Makes sound of prompts, each only once."""

    def __init__(
        self,
        reactor: Any,
        data: Path,
        *,
        command: Sequence[str] = (),
        idle_s: float = IDLE_S,
        limit_s: float = LIMIT_S,
    ) -> None:
        """
        Args:
            data: the data folder; sounds are kept in prompts/cache in it.
            command: speaks instead of eSpeak NG, see `engine`.
            idle_s: after so long without work the speech process ends.
        """
        self._reactor = reactor
        self._cache = data / "prompts" / "cache"
        self._system = SystemPrompts(data / "prompts" / "system")
        self._command, self._limit_s = tuple(command), limit_s
        self._hashes: dict[str, tuple[tuple[int, int], str]] = {}  # by path: size and date, content
        self._waiting: dict[str, list[Deferred[Rendered]]] = {}  # by content key
        self._control = SpeechControl(
            reactor, (str(self._cache), str(COMMAND_S), *self._command), idle_s=idle_s
        )

    @property
    def pid(self) -> int | None:
        """Of the speech process, while there is one."""
        return self._control.pid

    def render(self, prompt: Prompt, *, is_urgent: bool = True) -> "Deferred[Rendered]":
        """Have the sound of a prompt.

        Args:
            is_urgent: somebody waits for it; False: it is made ahead, after all that somebody waits for.

        Fires with what there is then; fails with RenderError, which says why it cannot be.
        """
        try:
            steps = steps_of(prompt, self._system)
            unknown = self._unknown(files_of(steps, prompt.background))
        except RenderError as error:
            return fail(error)
        if not unknown:
            return self._make(steps, prompt.background, is_urgent)
        hashing = self._ask({"do": "hash", "paths": [path for path, _ in unknown]}, LIMIT_S, is_urgent)

        def go_on(answer: dict[str, Any]) -> "Deferred[Rendered]":
            for (path, stamp), found in zip(unknown, answer["hashes"], strict=True):
                self._hashes[path] = (stamp, found)
            return self._make(steps, prompt.background, is_urgent)

        return hashing.addCallback(go_on)

    def known(self, prompt: Prompt) -> Rendered | None:
        """The sound of a prompt if it is there already, at once; else None."""
        try:
            steps = steps_of(prompt, self._system)
            if self._unknown(files_of(steps, prompt.background)):
                return None
        except RenderError:
            return None  # `render` says why
        return self._cached(self._key(steps, prompt.background))

    def forget(self, prompt: Prompt) -> None:
        """Remove the sound of a prompt, which nobody else is to find; who plays it goes on."""
        if (rendered := self.known(prompt)) is None:
            return
        for rate_hz in RATES_HZ:
            Path(f"{rendered.stem}-{rate_hz}.pcm").unlink(missing_ok=True)
        for path in files_of(steps_of(prompt, self._system), prompt.background):
            self._hashes.pop(path, None)

    def render_ahead(self, prompts: Iterable[Prompt]) -> "Deferred[None]":
        """Make what is not there yet, in the pauses between what is urgent.

        What cannot be made is logged. Fires when there is nothing left to do.
        """
        reasons: Counter[str] = Counter()
        left = iter(dict.fromkeys(prompt for prompt in prompts if prompt.parts))
        asked: list[Deferred[Any]] = []
        done: Deferred[None] = Deferred()

        def ask_for_some() -> None:
            some = list(islice(left, AT_ONCE))
            asked.extend(
                self.render(each, is_urgent=False).addErrback(_count_failure, reasons) for each in some
            )
            if some:
                self._reactor.callLater(0.0, ask_for_some)
            else:
                DeferredList(asked).addCallback(lambda _: _log_failures(reasons)).chainDeferred(done)

        ask_for_some()
        return done

    def to_mp3(self, path: str) -> "Deferred[bytes]":
        """A sound file as MP3. Fails with SoundError when it cannot be read, else RenderError."""
        return self._ask({"do": "mp3", "path": path}, MP3_S).addCallback(lambda answer: answer["mp3"])

    def stop(self) -> "Deferred[None]":
        """End the speech process; what is still asked for fails. Fires when it is gone."""
        return self._control.stop()

    def _ask(self, job: dict[str, Any], limit_s: float, is_urgent: bool = True) -> "Deferred[dict[str, Any]]":
        return self._control.submit(job, limit_s, is_urgent=is_urgent).addCallback(_unless_error)

    def _make(self, steps: tuple[Step, ...], background: str, is_urgent: bool) -> "Deferred[Rendered]":
        key = self._key(steps, background)
        if (found := self._cached(key)) is not None:
            return succeed(found)
        waiting: Deferred[Rendered] = Deferred()
        if key in self._waiting:
            self._waiting[key].append(waiting)
            return waiting
        self._waiting[key] = [waiting]
        stem = str(self._cache / key)
        texts = sum(step[0] == "speech" for step in steps) if self._command else 0
        limit_s = self._limit_s + FILE_S * len(files_of(steps, background)) + COMMAND_S * texts
        job = {"do": "render", "steps": steps, "background": background, "stem": stem}
        made = self._ask(job, limit_s, is_urgent).addCallback(
            lambda answer: Rendered(stem, answer["seconds"])
        )
        made.addBoth(lambda outcome: self._tell(outcome, key))
        return waiting

    def _tell(self, outcome: Rendered | Failure, key: str) -> None:
        for each in self._waiting.pop(key):
            if isinstance(outcome, Failure):
                each.errback(outcome)
            else:
                each.callback(outcome)

    def _key(self, steps: tuple[Step, ...], background: str) -> str:
        return content_key(steps, background, self._command, lambda path: self._hashes[path][1])

    def _cached(self, key: str) -> Rendered | None:
        stem = self._cache / key
        try:
            narrow, _ = (os.stat(f"{stem}-{rate_hz}.pcm") for rate_hz in RATES_HZ)
            if time.time() - narrow.st_mtime > TOUCH_S:
                for rate_hz in RATES_HZ:
                    os.utime(f"{stem}-{rate_hz}.pcm")
        except OSError:
            return None
        return Rendered(str(stem), narrow.st_size / 2 / RATES_HZ[0])

    def _unknown(self, paths: Sequence[str]) -> list[tuple[str, tuple[int, int]]]:
        """The files whose content is not known, or has changed, with size and date.

        Raises:
            RenderError: there is no such file.
        """
        unknown = []
        for path in dict.fromkeys(paths):
            try:
                found = os.stat(path)
            except OSError as error:
                raise RenderError(f"{path}: {error.strerror or error}") from None
            stamp = (found.st_size, found.st_mtime_ns)
            if self._hashes.get(path, (None, ""))[0] != stamp:
                unknown.append((path, stamp))
        return unknown


def _count_failure(failure: Failure, reasons: Counter[str]) -> None:
    if not isinstance(failure.value, RenderError | SoundError):
        log.failure("rendering failed", failure)
        return
    if not isinstance(failure.value, StoppedError):
        reasons[failure.getErrorMessage()] += 1


def _log_failures(reasons: Counter[str]) -> None:
    """A line for each reason: a full disk has the same one for hundreds of prompts."""
    for why, count in reasons.items():
        log.error("{count} prompts cannot be made: {why}", count=count, why=why)


def _unless_error(answer: dict[str, Any]) -> dict[str, Any]:
    if "error" in answer:
        raise (SoundError if answer["kind"] == "sound" else RenderError)(answer["error"])
    return answer
