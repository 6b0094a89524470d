"""Where an extension may call, how, and what it shows there."""

from dataclasses import dataclass
from typing import Annotated

from pbx.office.values import DIGITS, E164, NAME, Country, Many, Named, Reference, Text, Whole

FIRST_DIGITS = Text(10, r"[0-9]{1,10}", 'first digits, such as "3689" for any of 3, 6, 8, 9')
PREPEND = Text(20, r"\+?[0-9]{1,19}|\+", 'at most 20 digits, a "+" first where wanted')


@dataclass(frozen=True, slots=True)
class DialPlanRow:
    """A number of `length` digits (0 = any length) that starts with any of these digits ("" = any)."""

    starts_with: Annotated[str, FIRST_DIGITS] = ""
    length: Annotated[int, Whole(0, 20)] = 0
    remove: Annotated[int, Whole(0, 20)] = 0
    prepend: Annotated[str, PREPEND] = ""


@dataclass(frozen=True, slots=True)
class AllowedCountry:
    country: Annotated[str, Country()]
    passcode: bool = False


@dataclass(frozen=True, slots=True)
class CallerIdPlanRow:
    """The number shown to callees of `country` whose national number starts with `prefix`."""

    country: Annotated[str, Country()]
    number: Annotated[str, E164(empty=False)]
    prefix: Annotated[str, DIGITS] = ""


@dataclass(frozen=True, slots=True)
class OutboundRule:
    name: Annotated[str, NAME]
    trunks: Annotated[tuple[str, ...], Many(Reference("trunk", NAME))] = ()
    dial_plan: tuple[DialPlanRow, ...] = ()
    countries: Annotated[tuple[AllowedCountry, ...], Named("country", by="country")] = ()
    caller_id_plan: tuple[CallerIdPlanRow, ...] = ()
