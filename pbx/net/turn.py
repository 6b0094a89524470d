"""A turn of Twisted's epoll reactor, without what nobody here looks at."""

from collections.abc import Callable
from typing import Any


def make_turn(reactor: Any) -> Callable[[float | None], None]:
    """What `EPollReactor.doIteration` does, in half the time.

    Twisted calls whoever has something to read in a context that names it to its old log system
    (`twisted.python.log.callWithLogger`): a dozen calls and two dictionaries for each event.
    """
    poll, selectables, read_or_write = reactor._poller.poll, reactor._selectables, reactor._doReadOrWrite

    def turn(timeout: float | None) -> None:
        for number, event in poll(-1 if timeout is None else timeout, len(selectables)):
            # One before it may have closed it.
            if (selectable := selectables.get(number)) is not None:
                read_or_write(selectable, number, event)

    return turn
