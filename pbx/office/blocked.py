"""Callers that are rejected."""

from dataclasses import dataclass
from typing import Annotated

from pbx.office.values import NUMBER_PATTERN, Many


@dataclass(frozen=True, slots=True)
class Blocked:
    numbers: Annotated[tuple[str, ...], Many(NUMBER_PATTERN, limit=10_000)] = ()
