"""Runs the reactor for a command that has to ask the network."""

import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from twisted.internet import defer
from twisted.internet import reactor as _reactor

Job = Callable[[Any], Coroutine[Any, Any, Any]]


def run_once(jobs: Sequence[Job]) -> list[Any]:
    """What each job gives, or the exception that ended it; they run at once. Goes once in a process.

    Args:
        jobs: take the reactor.
    """
    reactor: Any = _reactor
    reactor.seconds = time.monotonic
    found: list[Any] = [None] * len(jobs)

    async def run(at: int, job: Job) -> None:
        try:
            found[at] = await job(reactor)
        except Exception as error:  # the caller's to judge
            found[at] = error

    def start() -> None:
        runs = [defer.Deferred.fromCoroutine(run(at, job)) for at, job in enumerate(jobs)]
        defer.DeferredList(runs).addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(start)
    reactor.run()
    return found
