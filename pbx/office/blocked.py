"""Callers that are rejected."""

from dataclasses import dataclass, field
from typing import Annotated

from pbx.office.marks import Hidden, Many
from pbx.office.prefixes import Prefixes
from pbx.office.values import NUMBER_PATTERN


@dataclass(frozen=True, slots=True)
class Blocked:
    """`numbers`: whole ones, and the first digits of others with a `*` at the end."""

    numbers: Annotated[tuple[str, ...], Many(NUMBER_PATTERN, limit=10_000)] = ()
    _whole: Annotated[frozenset[str], Hidden()] = field(init=False, repr=False, compare=False)
    _begun: Annotated[Prefixes[str], Hidden()] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        whole = frozenset(each for each in self.numbers if not each.endswith("*"))
        begun = Prefixes((each[:-1], each) for each in self.numbers if each.endswith("*"))
        object.__setattr__(self, "_whole", whole)
        object.__setattr__(self, "_begun", begun)

    def is_listed(self, text: str) -> bool:
        """Whether a number or key stands in the list as it is written."""
        return text in self._whole

    def beginning_of(self, text: str) -> str:
        """The entry with a `*` that a number, as it is written, begins with; "" = none."""
        return self._begun.longest(text) or ""
