import phonenumbers
import pytest
from phonenumbers import PhoneNumberType, ValidationResult

from pbx.office.numbering import numbering

KINDS = [each for each in PhoneNumberType.values() if each != PhoneNumberType.UNKNOWN]


def examples(region):
    """A number of each kind, and numbers around it that there may be or not: as they are dialled in E.164."""
    for kind in KINDS:
        example = phonenumbers.example_number_for_type(region, kind)
        if example is not None:
            digits = phonenumbers.national_significant_number(example)
            for each in (digits, f"{digits}1", digits[:-1], f"{digits[:3]}11111", f"1{digits}", f"0{digits}"):
                yield f"+{example.country_code}{each}", each


@pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_a_plan_says_what_the_library_says(region):
    plans = numbering(phonenumbers.country_code_for_region(region))
    for e164, dialled in examples(region):
        number = phonenumbers.parse(e164)
        digits = phonenumbers.national_significant_number(number)
        assert plans.main.strip(dialled) == digits, e164
        assert plans.has(digits) == phonenumbers.is_valid_number(number), e164
        reason = phonenumbers.is_possible_number_with_reason(number)
        assert plans.is_possible(digits) == (reason == ValidationResult.IS_POSSIBLE), e164
        found = plans.region_of(digits)
        assert (found and found.name) == phonenumbers.region_code_for_number(number), e164
        is_premium = phonenumbers.number_type(number) == PhoneNumberType.PREMIUM_RATE
        assert (found is not None and found.is_premium(digits)) == is_premium, e164


NEAREST = {
    "one digit is wrong": (1, "4161234567", "CA", "4162345678"),
    "a digit too many": (65, "612345678", "SG", "61234567"),
    "too few": (65, "6123", "SG", "61232345"),
    "in an island": (44, "1481111111", "GG", "1481234567"),
    "a prefix that comes before numbers inside is none abroad": (7, "0012345678", None, None),
}


@pytest.mark.parametrize(("code", "digits", "region", "number"), NEAREST.values(), ids=NEAREST)
def test_the_nearest_number_that_there_is(code, digits, region, number):
    found = numbering(code).nearest(digits)
    assert (found and (found[0].name, found[1])) == (region and (region, number))


@pytest.mark.parametrize(
    ("code", "is_country"), [(65, True), (800, False), (870, False)], ids=["a country", "+800", "a satellite"]
)
def test_services_have_codes_like_countries(code, is_country):
    assert numbering(code).is_country is is_country


@pytest.mark.parametrize("code", [0, 999])
def test_a_code_that_nobody_has(code):
    assert numbering(code) is None
