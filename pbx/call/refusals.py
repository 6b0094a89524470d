"""What was turned away and why: a line in the log when it begins and one when it ends, none for each."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from pbx.call.limits import Cause
from pbx.deadlines import Deadlines

QUIET_S: Final = 5.0  # nothing turned away for so long: it is over

Topic = tuple[Cause, str]  # what, and which device


@dataclass(slots=True)
class Episode:
    """A time in which one cause turned requests away."""

    why: str
    since: float
    last: float
    counts: Counter[str] = field(default_factory=Counter)  # by method


class Refusals:
    """Counts; `expire` ends what has been quiet."""

    def __init__(self) -> None:
        self.total: Counter[Cause] = Counter()
        self._episodes: dict[Topic, Episode] = {}
        self.deadlines: Deadlines[Topic] = Deadlines()

    def add(self, cause: Cause, who: str, why: str, method: str, now: float) -> bool:
        """Count one; True when an episode begins with it.

        Args:
            who: the device that it is about, "" for everybody.
            why: in words, for the log and `pbx status`.
        """
        self.total[cause] += 1
        topic = (cause, who)
        episode = self._episodes.get(topic)
        is_first = episode is None
        if episode is None:
            episode = self._episodes[topic] = Episode(why, now, now)
            self.deadlines.set(topic, now + QUIET_S)
        episode.last = now
        episode.counts[method] += 1
        return is_first

    def expire(self, now: float) -> list[Episode]:
        """End every episode that has been quiet, and hand it back."""
        ended = []
        while (topic := self.deadlines.pop_first(now)) is not None:
            episode = self._episodes[topic]
            if episode.last + QUIET_S > now:
                self.deadlines.set(topic, episode.last + QUIET_S)
                continue
            del self._episodes[topic]
            ended.append(episode)
        return ended

    def status(self, now: float) -> list[dict[str, Any]]:
        """What is being turned away now, for `pbx status`."""
        return [
            {
                "cause": cause.value,
                "why": episode.why,
                "since_s": round(now - episode.since, 1),
                "refused": episode.counts.total(),
            }
            for (cause, _), episode in self._episodes.items()
        ]
