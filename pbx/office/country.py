"""The country of an outside number."""

import phonenumbers


def country_of(e164: str) -> str | None:
    """The ISO code of a number's country; countries that share a code are told apart by the digits after it.

    Returns:
        None when the number has no country: an unknown code, or a service such as +800.
    """
    try:
        number = phonenumbers.parse(e164)
    except phonenumbers.NumberParseException:
        return None
    exact = phonenumbers.region_code_for_number(number)
    found = exact or phonenumbers.region_code_for_country_code(number.country_code or 0)
    return (
        None if found in (phonenumbers.UNKNOWN_REGION, phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY) else found
    )
