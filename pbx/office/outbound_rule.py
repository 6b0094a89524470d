"""Where an extension may call, how, and what it shows there."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pbx.office.country import country_of, national_digits
from pbx.office.marks import Hidden, Many, Named, Reference
from pbx.office.prefixes import Prefixes
from pbx.office.values import DIGITS, E164, NAME, Country, NotAllowedError, Text, Whole

FIRST_DIGITS = Text(10, r"[0-9]{1,10}", 'first digits, such as "3689" for any of 3, 6, 8, 9')
PREPEND = Text(20, r"\+?[0-9]{1,19}|\+", 'at most 20 digits, a "+" first where wanted')


@dataclass(frozen=True, slots=True)
class CountryOrRange:
    """A country, or the first digits of numbers that are in none, such as those of satellites."""

    def read(self, raw: object) -> str:
        if isinstance(raw, str) and re.fullmatch(r"\+[1-9][0-9]{0,9}", raw, re.ASCII):
            return raw
        try:
            return Country().read(raw)
        except NotAllowedError as error:
            allowed = f'{error.allowed}, or "+" and the first digits of a range such as "+870"'
            raise NotAllowedError(allowed, error.nearest) from None


@dataclass(frozen=True, slots=True)
class DialPlanRow:
    """A number of `length` digits (0 = any length) that starts with any of these digits ("" = any)."""

    starts_with: Annotated[str, FIRST_DIGITS] = ""
    length: Annotated[int, Whole(0, 20)] = 0
    remove: Annotated[int, Whole(0, 20)] = 0
    prepend: Annotated[str, PREPEND] = ""


@dataclass(frozen=True, slots=True)
class AllowedCountry:
    """`country` is an ISO code, or "+" and the first digits of a range: what is in no country needs that."""

    country: Annotated[str, CountryOrRange()]
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
    _ranges: Annotated[Prefixes[AllowedCountry], Hidden()] = field(init=False, repr=False, compare=False)
    _countries: Annotated[Mapping[str | None, AllowedCountry], Hidden()] = field(
        init=False, repr=False, compare=False
    )
    _shown: Annotated[Mapping[str | None, Prefixes[CallerIdPlanRow]], Hidden()] = field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        ranges = Prefixes((row.country, row) for row in self.countries if row.country.startswith("+"))
        shown = {
            country: Prefixes((row.prefix, row) for row in self.caller_id_plan if row.country == country)
            for country in {row.country for row in self.caller_id_plan}
        }
        object.__setattr__(self, "_ranges", ranges)
        object.__setattr__(self, "_countries", {row.country: row for row in reversed(self.countries)})
        object.__setattr__(self, "_shown", shown)

    def row_for(self, number: str) -> AllowedCountry | None:
        """What allows an E.164 number: the longest range that it is in, else its country."""
        return self._ranges.longest(number) or self._countries.get(country_of(number))

    def caller_id_row(self, number: str) -> CallerIdPlanRow | None:
        """The row of the caller-ID plan with the longest prefix that a callee's E.164 number begins with."""
        if not self._shown:
            return None
        rows = self._shown.get(country_of(number))
        return rows.longest(national_digits(number)) if rows is not None else None
