"""Ways out of a block of a line: by the keys pressed (gather), or by what is true of a call (condition)."""

import datetime
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pbx.office.marks import Many, Reference
from pbx.office.values import CLOCK, NAME, NUMBER_PATTERN, Day, Regex, Text, Weekdays, Whole

KEYED = Text(20, r"[0-9*#]{1,20}", "1 to 20 of the keys 0-9 * #", empty=False)
BLOCK = Reference("block", NAME)
EXPRESSION = Text(500, allowed="an expression of at most 500 characters", empty=False)


@dataclass(frozen=True, slots=True)
class Equals:
    """Exactly these keys."""

    when: Literal["equals"] = field(default="equals", kw_only=True)
    digits: Annotated[str, KEYED]
    next: Annotated[str, BLOCK]


@dataclass(frozen=True, slots=True)
class AnyDigits:
    """Any keys, at most `max_digits` of them."""

    when: Literal["any"] = field(default="any", kw_only=True)
    next: Annotated[str, BLOCK]
    max_digits: Annotated[int, Whole(1, 20)] = 20


@dataclass(frozen=True, slots=True)
class NoDigits:
    """Nothing was keyed in time."""

    when: Literal["none"] = field(default="none", kw_only=True)
    next: Annotated[str, BLOCK]


@dataclass(frozen=True, slots=True)
class InDigits:
    """One of these."""

    when: Literal["list"] = field(default="list", kw_only=True)
    list: Annotated[tuple[str, ...], Many(KEYED, low=1)]
    next: Annotated[str, BLOCK]


@dataclass(frozen=True, slots=True)
class Matches:
    """All the keys together match a regular expression."""

    when: Literal["regex"] = field(default="regex", kw_only=True)
    regex: Annotated[str, Regex()]
    next: Annotated[str, BLOCK]


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller's number is this one, or starts so."""

    when: Literal["caller"] = field(default="caller", kw_only=True)
    caller: Annotated[str, NUMBER_PATTERN]
    next: Annotated[str, BLOCK]


@dataclass(frozen=True, slots=True)
class CallerIn:
    """The caller's number is one of these."""

    when: Literal["list"] = field(default="list", kw_only=True)
    list: Annotated[tuple[str, ...], Many(NUMBER_PATTERN, low=1)]
    next: Annotated[str, BLOCK]


@dataclass(frozen=True, slots=True)
class Dates:
    """Today is in this range, both days included."""

    when: Literal["date"] = field(default="date", kw_only=True)
    from_: Annotated[datetime.date, Day()]
    to: Annotated[datetime.date, Day()]
    next: Annotated[str, BLOCK]


@dataclass(frozen=True, slots=True)
class Times:
    """The time is in [from, to) on one of these days; one over midnight belongs to the day it begins on."""

    when: Literal["time"] = field(default="time", kw_only=True)
    from_: Annotated[str, CLOCK]
    to: Annotated[str, CLOCK]
    next: Annotated[str, BLOCK]
    days: Annotated[str, Weekdays()] = "mon-sun"


@dataclass(frozen=True, slots=True)
class OnHoliday:
    when: Literal["holiday"] = field(default="holiday", kw_only=True)
    next: Annotated[str, BLOCK]


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression on the call's variables is true."""

    when: Literal["expression"] = field(default="expression", kw_only=True)
    expression: Annotated[str, EXPRESSION]
    next: Annotated[str, BLOCK]


@dataclass(frozen=True, slots=True)
class Otherwise:
    when: Literal["otherwise"] = field(default="otherwise", kw_only=True)
    next: Annotated[str, BLOCK]


GatherBranch = Equals | AnyDigits | NoDigits | InDigits | Matches
ConditionBranch = Caller | CallerIn | Dates | Times | OnHoliday | Expression | Otherwise
