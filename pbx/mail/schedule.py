"""What becomes of a message after an attempt: tried again, done, or kept as refused."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

FIRST_WAIT_S: Final = 60.0
LONGEST_WAIT_S: Final = 2 * 3600.0
GIVE_UP_S: Final = 48 * 3600.0
MOST_DOUBTS: Final = 3

Verdict = Enum("Verdict", "TAKEN LATER REFUSED DOUBTFUL")
# TAKEN: the server is responsible now. LATER: it was not delivered, and can be. REFUSED: it never will be.
# DOUBTFUL: the server had the whole message and did not say what it made of it (RFC 5321 §6.1, RFC 1047).


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one attempt: what it came to, and the server's words (or ours) about it, clean, without secrets."""

    verdict: Verdict
    words: str


@dataclass(frozen=True, slots=True)
class Change:
    """How the message stands in the outbox after an attempt; times are seconds since 1970."""

    state: str
    attempts: int
    doubts: int
    next_at: float
    words: str


def wait_before(attempt: int) -> float:
    """Seconds from a failed attempt to the next; the first was number 1."""
    return min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(attempt - 1, 16))


def judge(outcome: Outcome, attempts: int, doubts: int, since: float, now: float) -> Change:
    """How a message stands after one more attempt.

    Args:
        attempts: made before this one.
        doubts: of these, how many ended without the server's word.
        since: when trying began.
        now: when this attempt ended.
    """
    attempts += 1
    verdict, words = outcome.verdict, outcome.words
    if verdict is Verdict.DOUBTFUL:
        doubts += 1
    if verdict is Verdict.TAKEN:
        return Change("sent", attempts, doubts, now, words)
    if verdict is Verdict.REFUSED:
        return Change("refused", attempts, doubts, now, words)
    if doubts >= MOST_DOUBTS and verdict is Verdict.DOUBTFUL:
        # A server that dies of the message each time may deliver it each time: no two days of copies.
        says = f"{words}; {doubts} times now, it is not sent again"
        return Change("refused", attempts, doubts, now, says)
    if now - since >= GIVE_UP_S:
        return Change("refused", attempts, doubts, now, f"given up after two days: {words}")
    return Change("waiting", attempts, doubts, now + wait_before(attempts), words)
