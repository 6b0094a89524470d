"""How rules are asked: one after the other; the first that decides is the last that is asked."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeVar

from pbx.rules.decision import AskPasscode, AskPin, Reject, Ring, Serve, TakeMessage

Facts = TypeVar("Facts")
Opinion = TypeVar("Opinion")
Made = TypeVar("Made", bound=Reject | Ring | AskPasscode | AskPin | TakeMessage | Serve)


def ask(rules: Iterable[Callable[[Facts], Opinion]], facts: Facts) -> tuple[Opinion | None, tuple[str, ...]]:
    """The first decision (never a sentence), None = nobody decides; and what the rules before it remarked.

    A rule decides, remarks something (a sentence), or has no opinion (None).
    """
    remarks: list[str] = []
    for rule in rules:
        opinion = rule(facts)
        if isinstance(opinion, str):
            remarks.append(opinion)
        elif opinion is not None:
            return opinion, tuple(remarks)
    return None, tuple(remarks)


def after(remarks: tuple[str, ...], decision: Made) -> Made:
    """A decision, with what was considered before it."""
    return replace(decision, because=remarks + decision.because) if remarks else decision
