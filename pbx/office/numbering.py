"""The numbering plans of countries: what `phonenumbers` knows, each pattern compiled once.

The library asks a plan several times over about one number, and looks each pattern up by its text in a cache
that the plans of some sixty countries overflow.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import phonenumbers
from phonenumbers.phonemetadata import PhoneMetadata

FILLING: Final = "2345678901234567"  # digits that follow a prefix in most plans
NEAREST_LENGTHS: Final = 4
SHORTEST_PREFIX: Final = 2
NOTHING: Final = re.compile(r"(?!)")
PREMIUM: Final = "premium_rate"
KINDS: Final = (  # premium numbers before all: some have two kinds
    PREMIUM,
    "fixed_line",
    "mobile",
    "toll_free",
    "shared_cost",
    "voip",
    "personal_number",
    "pager",
    "uan",
    "voicemail",
)


class Region:
    """The numbers of one region; all digits are those after the country code."""

    def __init__(self, name: str, plan: Any) -> None:
        self.name = name
        self.lengths: tuple[int, ...] = plan.general_desc.possible_length
        self.first = _pattern(plan.leading_digits)  # what begins so is of this region, a number or not
        self._prefix = _pattern(plan.national_prefix_for_parsing)
        self._instead: str | None = plan.national_prefix_transform_rule
        self._abroad = _pattern(plan.international_prefix)
        self._code = str(plan.country_code)
        self._general = re.compile(plan.general_desc.national_number_pattern)
        self._plan = plan
        self._existing: dict[int, re.Pattern[str]] = {}  # by length

    def match(self, digits: str) -> re.Match[str] | None:
        """A number that there is; the only group has the premium numbers."""
        existing = self._existing.get(len(digits)) or self._compile(len(digits))
        return existing.fullmatch(digits)

    def is_premium(self, digits: str) -> bool:
        found = self.match(digits)
        return found is not None and found.lastindex is not None

    def strip(self, digits: str) -> str:
        """Without what is dialled before a number inside of the country, where the rest may be a number.

        It is what `phonenumbers.parse` does; in some plans something else takes the place of the prefix.
        """
        found = self._prefix.match(digits) if self._prefix is not None else None
        if found is None or found.end() == 0:
            return digits
        rest = digits[found.end() :]
        if self._instead and found[found.re.groups] is not None:
            rest = found.expand(self._instead) + rest
        is_possible = len(rest) in self.lengths or len(rest) > self.lengths[-1]
        if not is_possible or (self._general.fullmatch(digits) and not self._general.fullmatch(rest)):
            return digits
        return rest

    def is_national(self, dialled: str) -> bool:
        """Whether what is dialled there cannot be meant to begin with a country code."""
        is_abroad = self._abroad is not None and self._abroad.match(dialled) is not None
        return not (is_abroad or dialled.startswith(self._code))

    def _compile(self, length: int) -> re.Pattern[str]:
        """All numbers of a length in one pattern."""
        kinds = [(name, getattr(self._plan, name)) for name in KINDS]
        patterns = [
            f"({kind.national_number_pattern})" if name == PREMIUM else kind.national_number_pattern
            for name, kind in kinds
            if kind is not None and length in kind.possible_length
        ]
        text = rf"(?=(?:{self._general.pattern})\Z)(?:{'|'.join(patterns)})"
        is_empty = length not in self.lengths or not patterns
        self._existing[length] = NOTHING if is_empty else re.compile(text)
        return self._existing[length]


class Numbering:
    """The regions of one country code, of which the first is the main one.

    `is_country`: no, for satellites, +800, +808 and +979.
    """

    def __init__(self, code: int, regions: list[Region]) -> None:
        self.code = code
        self.is_country = regions[0].name != phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY
        self.main = regions[0]
        self._regions = regions
        firsts = [region.first.pattern for region in regions if region.first is not None]
        self._first = re.compile("|".join(firsts) or r"(?!)")
        self._without_first = [region for region in regions if region.first is None]

    def region(self, name: str) -> Region | None:
        """By its ISO code."""
        return next((region for region in self._regions if region.name == name), None)

    def is_possible(self, digits: str) -> bool:
        """Whether there may be numbers of that length."""
        return len(digits) in self.main.lengths

    def has(self, digits: str) -> bool:
        """Whether there is such a number."""
        region = self.region_of(digits)
        return region is not None and region.match(digits) is not None

    def region_of(self, digits: str) -> Region | None:
        """The region of a number; a code that only one region has is that region's, a number or not."""
        if len(self._regions) == 1:
            return self.main
        for region in self._regions if self._first.match(digits) else self._without_first:
            if region.first.match(digits) if region.first is not None else region.match(digits):
                return region
        return None

    def nearest(self, digits: str) -> tuple[Region, str] | None:
        """A number that there is, with as many as possible of the first digits; and its region."""
        for like in self._alike(digits):
            number = self.main.strip(like)
            if (region := self.region_of(number)) is not None and region.match(number):
                return region, number
        return None

    def _alike(self, digits: str) -> Iterator[str]:
        """Numbers of the lengths of the plan that begin with fewer and fewer of some digits."""
        lengths = sorted(self.main.lengths, key=lambda length: abs(length - len(digits)))[:NEAREST_LENGTHS]
        yield from [(digits + FILLING)[:length] for length in lengths]
        for kept in range(len(digits) - 1, SHORTEST_PREFIX - 1, -1):
            for length in lengths:
                if length > kept:
                    yield digits[:kept] + FILLING[: length - kept]


@cache
def numbering(code: int) -> Numbering | None:
    """The numbering of a country code, or of a service such as +800; None: there is no such code."""
    names = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(code, ())
    plans = [(name, PhoneMetadata.metadata_for_region_or_calling_code(code, name)) for name in names]
    regions = [Region(name, plan) for name, plan in plans if plan is not None]
    return Numbering(code, regions) if regions else None


def _pattern(text: str | None) -> re.Pattern[str] | None:
    return re.compile(text) if text is not None else None
