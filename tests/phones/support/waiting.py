"""Waiting for the world: always for a condition, always with a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

POLL_S = 0.02
PATIENCE_S = 60.0  # with a machine that is busy; what comes costs nothing


class WaitError(AssertionError):
    """What was waited for did not come in time."""


def wait_until(
    what: str, question: Callable[[], Found], timeout: float = PATIENCE_S, poll: float = POLL_S
) -> Found:
    """Ask `question` until its answer is true, and return that answer.

    Raises:
        WaitError: the deadline passed; `what` says what was waited for.
    """
    deadline = time.monotonic() + timeout
    while True:
        if answer := question():
            return answer
        if time.monotonic() >= deadline:
            raise WaitError(f"waited {timeout:g} s in vain for: {what}")
        time.sleep(poll)
