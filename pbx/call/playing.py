"""What the legs of a call hear besides one another: announcements, music, ringing."""

from collections.abc import Callable
from typing import Any, Final, Protocol

from pbx.call.leg import Leg
from pbx.call.phrases import Phrases
from pbx.call.sound import Sound
from pbx.media.orders import Play, StopPlay
from pbx.media.prompt import Prompt
from pbx.sdp.content import SENDING

MUSIC: Final = "music"


class PlayingHost(Protocol):
    """The exchange."""

    sound: Sound

    @property
    def services(self) -> Any: ...
    def order(self, order: Any) -> None: ...


class Playing:
    """At most one sound that goes round and round for each leg, and any number of announcements."""

    def __init__(self, host: PlayingHost) -> None:
        self._host = host
        self._loops: dict[Leg, Prompt] = {}  # what a leg that waits hears again and again
        self._then: dict[str, Callable[[], None]] = {}  # what is to be done when a sound is over
        self._count = 0

    def play(
        self, leg: Leg, prompt: Prompt, is_here: Callable[[], bool], then: Callable[[], None] | None = None
    ) -> None:
        """Let a leg hear something, whoever it talks with; `then` comes when that is over."""
        self._count += 1
        name = f"announcement {self._count}"

        def rendered(stem: str | None) -> None:
            endpoint = leg.media.sound_endpoint
            if stem is not None and endpoint is not None and is_here():
                if then is not None:
                    self._then[name] = then
                self._host.order(Play(endpoint, name, stem))
            elif then is not None:
                then()

        self._host.sound.render(prompt, rendered)

    def loop(self, leg: Leg, prompt: Prompt, *, is_filler: bool = False) -> None:
        """Let a leg that waits hear something again and again; a filler gives way to what its peer sends."""
        if self._loops.get(leg) == prompt:
            return
        self._loops[leg] = prompt

        def rendered(stem: str | None) -> None:
            endpoint = leg.media.sound_endpoint
            if stem is not None and endpoint is not None and self._loops.get(leg) == prompt:
                self._host.order(Play(endpoint, MUSIC, stem, loop=True, is_filler=is_filler))

        self._host.sound.render(prompt, rendered)

    def music(self, leg: Leg) -> None:
        """Let a leg that waits hear music."""
        self.loop(leg, self._host.services.phrases.music())

    def ringing(self, leg: Leg) -> None:
        """Let a leg that is transferred hear that the target rings, whoever it still talks with."""
        self.loop(leg, self._host.services.phrases.ring_back())

    def stop(self, leg: Leg) -> None:
        """It waits no more."""
        if self._loops.pop(leg, None) is not None and (endpoint := leg.media.sound_endpoint) is not None:
            self._host.order(StopPlay(endpoint))

    def hold(self, leg: Leg, target: Leg) -> None:
        """What `leg` has agreed on now says whether `target` waits."""
        content = leg.media.content
        if content is None or not content.is_held:
            self.stop(target)
            return
        line = content.line("audio")
        phrases: Phrases = self._host.services.phrases
        self.loop(target, phrases.music(), is_filler=line is not None and line.direction in SENDING)

    def played(self, name: str) -> bool:
        """A sound is over; False: it is none of these, or nobody waits for its end."""
        then = self._then.pop(name, None)
        if then is not None:
            then()
        return then is not None

    def drop(self, leg: Leg) -> None:
        """A leg is gone."""
        self._loops.pop(leg, None)

    def clear(self) -> None:
        """The call is over."""
        self._then.clear()
