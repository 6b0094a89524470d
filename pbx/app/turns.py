"""Work in many turns of the reactor, between which calls go on."""

from collections.abc import Iterable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

T = TypeVar("T")


def in_turns(reactor: Any, parts: Iterable[T]) -> "Deferred[list[T]]":
    """Make one part a turn. Fires with all of them, or fails as the first that cannot be made."""
    left, made = iter(parts), list[T]()
    done: Deferred[list[T]] = Deferred()

    def turn() -> None:
        try:
            made.append(next(left))
        except StopIteration:
            done.callback(made)
        except Exception:  # a bug in a part is the failure of the whole
            done.errback(Failure())  # type: ignore[no-untyped-call]  # Twisted has no types here
        else:
            reactor.callLater(0.0, turn)

    turn()
    return done
