"""Outside numbers: E.164 of what carriers send and of what phones dial (product §2 and §3)."""

from functools import lru_cache
from typing import Final

from phonenumbers import PhoneNumber, country_code_for_region, national_significant_number

from pbx.office.country import exists, parse_number
from pbx.office.numbering import numbering
from pbx.office.outbound_rule import DialPlanRow, OutboundRule
from pbx.office.settings import Settings
from pbx.office.snapshot import Office
from pbx.office.values import KEY

SEPARATORS: Final = str.maketrans("", "", " -.()/")  # RFC 3966 §3, and what people write
LONGEST: Final = 40
CACHED: Final = 4096


def to_e164(text: str, country: str) -> str:
    """A caller's number as carriers write it: "+65...", "0065...", "65..." or as in the office's country.

    Args:
        country: ISO code of the office, "" = none.

    Returns:
        "+" and at most 15 digits; "" when it cannot be read, or its country has none of that length.
    """
    return _to_e164(text, country) if len(text) <= LONGEST else ""


@lru_cache(CACHED)
def _to_e164(text: str, country: str) -> str:
    digits = text.translate(SEPARATORS)
    if digits.startswith(("+", "00")):
        return _international(digits)
    if not _are_digits(digits):
        return ""
    here = parse_number(digits, country)
    if here is not None and exists(here):
        return _possible(here)
    abroad = parse_number(f"+{digits}")
    if abroad is not None and exists(abroad):
        return _possible(abroad)
    return _possible(here) or _possible(abroad)


def forms_of(number: str, country: str) -> tuple[str, ...]:
    """How a number in E.164 may be written: international, and national in the office's country.

    Anything else is written as it is.
    """
    if not number.startswith("+"):
        return (number,)
    forms: tuple[str, ...] = (number, f"00{number[1:]}")
    code = f"+{country_code_for_region(country)}"
    if number.startswith(code):
        forms += (number[len(code) :], f"0{number[len(code) :]}")
    return forms


def read_dialled(settings: Settings, rule: OutboundRule | None, dialled: str) -> tuple[str, str]:
    """The number that somebody dials, by his dial plan.

    A row makes the whole international number, with "+" or "00" before it or not. A number that is dialled
    with "+" is whole, and no row concerns it.

    Returns:
        E.164 and how it was read; "" and why it is no number.
    """
    digits = dialled.translate(SEPARATORS)
    plus = digits.startswith("+")
    if len(digits) > LONGEST or not _are_digits(digits[plus:]):
        return "", f"{dialled[:LONGEST]} is no number"
    for at, row in enumerate(rule.dial_plan if rule is not None and not plus else (), 1):
        if _matches(row, digits):
            made = row.prepend + digits[row.remove :]
            number = _international(made if made.startswith(("+", "00")) else f"+{made}")
            how = f'row {at} of the dial plan of outbound rule "{rule.name if rule else ""}" makes'
            return number, f"{how} {number or made} of {dialled}" + ("" if number else ", which is no number")
    if digits.startswith(("+", "00")):
        number = _international(digits)
        return number, f"{dialled} is international" if number else f"{dialled} is no number of any country"
    if not settings.country:
        return "", f"{dialled} is not international, and the office has no country (office.country)"
    number = _national(digits, settings.country)
    if not number:
        return "", f"{dialled} is no number of {settings.country} (office.country)"
    return number, f"{dialled} is a number of {settings.country} (office.country): {number}"


def is_dialled_here(office: Office, first: str) -> bool:
    """Whether a local number is dialled in this office as it stands.

    Args:
        first: "+" and the first digits of the global numbers that it belongs to (RFC 3966 §5.1.5), "" = any.
    """
    country = f"+{country_code_for_region(office.settings.country)}"
    return any(number.startswith(first) for number in (country, *(each.number for each in office.numbers)))


@lru_cache(CACHED)
def _national(digits: str, country: str) -> str:
    number = parse_number(digits, country)
    # In some plans almost everything is possible; what looks like a key has to be a number that there is.
    if number is None or (KEY.fits(digits) and not exists(number)):
        return ""
    return _possible(number)


@lru_cache(CACHED)
def _international(text: str) -> str:
    digits = text[1:] if text.startswith("+") else text[2:]
    return _possible(parse_number(f"+{digits}")) if _are_digits(digits) else ""


def _matches(row: DialPlanRow, digits: str) -> bool:
    return (not row.length or row.length == len(digits)) and (
        not row.starts_with or digits[:1] in tuple(row.starts_with)
    )


def _possible(number: PhoneNumber | None) -> str:
    """E.164; "" for a length that its country does not have, or has only without the area code."""
    plans = numbering(number.country_code or 0) if number is not None else None
    if number is None or plans is None:
        return ""
    digits = national_significant_number(number)
    made = f"+{plans.code}{digits}"
    return made if plans.is_possible(digits) and len(made) <= 16 else ""


def _are_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()
