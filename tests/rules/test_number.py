import importlib.resources
import tomllib

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberType

from pbx.office.country import country_of, national_digits, parse_number
from pbx.office.outbound_rule import AllowedCountry, DialPlanRow, OutboundRule
from pbx.office.settings import Settings
from pbx.rules.number import read_dialled, to_e164
from tests.office.fakes import parse

CARRIERS = {
    "E.164": ("+6531234567", "SG", "+6531234567"),
    "international with 00": ("006531234567", "SG", "+6531234567"),
    "the country code without plus": ("6531234567", "SG", "+6531234567"),
    "national": ("31234567", "SG", "+6531234567"),
    "another country's code without plus": ("84912345678", "SG", "+84912345678"),
    "national with its trunk prefix": ("0912345678", "VN", "+84912345678"),
    "with separators": ("+65 (3123) 45-67", "SG", "+6531234567"),
    "without a country of the office": ("6531234567", "", "+6531234567"),
    "a name": ("anonymous", "SG", ""),
    "nothing": ("", "SG", ""),
    "too short": ("12", "SG", ""),
    "no country has the code": ("+999123456", "SG", ""),
    "a plus alone": ("+", "SG", ""),
    "too long for any country": ("+" + "6" * 30, "SG", ""),
    "far too long": ("6" * 3000, "SG", ""),
    "digits of another script": ("+٦٥٣١٢٣٤٥٦٧", "SG", ""),
    "two plus signs": ("++6531234567", "SG", ""),
    "a satellite": ("+881612345678", "SG", "+881612345678"),
}


@pytest.mark.parametrize(("text", "country", "expected"), CARRIERS.values(), ids=CARRIERS)
def test_a_carriers_number(text, country, expected):
    assert to_e164(text, country) == expected


EIGHT = DialPlanRow("3689", 8, 0, "65")
NINE = DialPlanRow("9", 9, 1, "+65")
DIALLED = {
    "the first row that matches makes the number": ((EIGHT,), "61234567", "+6561234567"),
    "a row that takes digits off and prepends with a plus": ((NINE,), "961234567", "+6561234567"),
    "rows go top-down": ((DialPlanRow("6", 8, 0, "84"), EIGHT), "61234567", "+8461234567"),
    "a row of another length is not meant": ((DialPlanRow("6", 7, 0, "1"), EIGHT), "61234567", "+6561234567"),
    "a row of other first digits is not meant": ((DialPlanRow("5", 8, 0, "1"),), "61234567", "+6561234567"),
    "a row without digits and length takes everything": (
        (DialPlanRow(prepend="65"),),
        "61234567",
        "+6561234567",
    ),
    "a row may take off the 00": ((DialPlanRow("0", 0, 2),), "006561234567", "+6561234567"),
    "a row may make an impossible number": ((DialPlanRow(remove=20),), "61234567", ""),
    "the row that matches decides, also for nothing": (
        (DialPlanRow("6", 8, 0, "999"), EIGHT),
        "61234567",
        "",
    ),
    "no row concerns a number with plus": ((DialPlanRow(prepend="84"),), "+6561234567", "+6561234567"),
    "no row: +": ((), "+84912345678", "+84912345678"),
    "no row: 00": ((), "0084912345678", "+84912345678"),
    "no row: national": ((), "61234567", "+6561234567"),
    "separators are no digits": ((EIGHT,), "6123-4567", "+6561234567"),
    "impossible": ((), "123456789012345678", ""),
    "impossible after 00": ((), "00", ""),
    "impossible after +": ((), "+", ""),
    "no digits": ((), "ann", ""),
    "empty": ((), "", ""),
    "a code": ((), "*99", ""),
    "endless": ((), "6" * 5000, ""),
}


@pytest.mark.parametrize(("rows", "dialled", "expected"), DIALLED.values(), ids=DIALLED)
def test_what_is_dialled(rows, dialled, expected):
    number, why = read_dialled(Settings(country="SG"), OutboundRule("r", dial_plan=rows), dialled)
    assert number == expected
    assert why


REASONS = {
    "a row": (
        "SG",
        (EIGHT,),
        "61234567",
        'row 1 of the dial plan of outbound rule "r" makes +6561234567 of 61234567',
    ),
    "national": ("SG", (), "61234567", "61234567 is a number of SG (office.country): +6561234567"),
    "international": ("SG", (), "+6561234567", "+6561234567 is international"),
    "no country": (
        "",
        (),
        "61234567",
        "61234567 is not international, and the office has no country (office.country)",
    ),
    "impossible": ("SG", (), "1", "1 is no number of SG (office.country)"),
}


@pytest.mark.parametrize(("country", "rows", "dialled", "why"), REASONS.values(), ids=REASONS)
def test_how_it_was_read(country, rows, dialled, why):
    assert read_dialled(Settings(country=country), OutboundRule("r", dial_plan=rows), dialled)[1] == why


def test_what_looks_like_a_key_is_a_number_only_where_there_is_one():
    german = Settings(country="DE")
    assert read_dialled(german, None, "10500")[0] == ""
    assert read_dialled(german, None, "030123456")[0] == "+4930123456"


def test_a_local_number_without_its_area_code_is_none():
    assert read_dialled(Settings(country="US"), None, "5551234")[0] == ""


@given(
    text=st.text(st.sampled_from("0123456789+*# -()a٣"), max_size=25) | st.text(max_size=10),
    country=st.sampled_from(["", "SG", "US", "IT", "DE", "VN"]),
    rows=st.lists(
        st.builds(
            DialPlanRow,
            st.sampled_from(["", "0", "3689"]),
            st.integers(0, 20),
            st.integers(0, 20),
            st.sampled_from(["", "65", "+", "+65", "00"]),
        ),
        max_size=3,
    ),
)
def test_a_number_is_e164_or_nothing(text, country, rows):
    for number in (
        to_e164(text, country),
        read_dialled(Settings(country=country), OutboundRule("r", dial_plan=tuple(rows)), text)[0],
    ):
        assert number == "" or (number[0] == "+" and number[1:].isdigit() and 4 <= len(number) <= 16)
        assert number == "" or to_e164(number, country) == number
        country_of(number)


COUNTRIES = {
    "Singapore": ("+6561234567", "SG"),
    "the United States": ("+12025550123", "US"),
    "Canada": ("+14165550123", "CA"),
    "Canada, a number that is not assigned": ("+14161234567", "CA"),
    "Jamaica": ("+18765550123", "JM"),
    "Jamaica, not assigned": ("+18761234567", "JM"),
    "the Dominican Republic": ("+18095550123", "DO"),
    "the Bahamas": ("+12421234567", "BS"),
    "Russia": ("+74951234567", "RU"),
    "Kazakhstan": ("+77012345678", "KZ"),
    "Britain": ("+442071838750", "GB"),
    "Guernsey": ("+441481960194", "GG"),
    "Guernsey, not assigned": ("+441481111111", "GG"),
    "Jersey": ("+441534000000", "JE"),
    "Jersey's mobiles": ("+447797123456", "JE"),
    "the Isle of Man": ("+441624123456", "IM"),
    "Italy": ("+390612345678", "IT"),
    "the Vatican": ("+390669812345", "VA"),
    "Inmarsat": ("+870773111632", None),
    "a global satellite": ("+881612345678", None),
    "an international network": ("+882161234567", None),
    "another one": ("+883512345678901", None),
    "international premium rate": ("+979123456789", None),
    "international shared cost": ("+80812345678", None),
    "international freephone": ("+80012345678", None),
    "premium in the United States": ("+19005551234", None),
    "premium in Singapore": ("+6519001234567", None),
    "premium in Germany, a length that is not assigned": ("+4990012345678", None),
    "premium in Britain": ("+449098790000", None),
    "no such code": ("+999123456", None),
    "no number": ("", None),
}


@pytest.mark.parametrize(("number", "country"), COUNTRIES.values(), ids=COUNTRIES)
def test_the_country_of_a_number(number, country):
    assert country_of(number) == country


@pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_a_number_is_read_as_the_library_reads_it(region):
    for kind in (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE, PhoneNumberType.TOLL_FREE):
        example = phonenumbers.example_number_for_type(region, kind)
        if example is None:
            continue
        code, digits = example.country_code, phonenumbers.national_significant_number(example)
        for text in (
            f"+{code}{digits}",
            f"+{code}0{digits}",
            f"+{code}1{digits}",
            f"+{code}{digits}9",
            f"+{code}{digits[:-1]}",
        ):
            try:
                expected = phonenumbers.parse(text)
            except phonenumbers.NumberParseException:
                expected = None
            assert parse_number(text) == expected, text
        if kind == PhoneNumberType.FIXED_LINE and region not in (
            "MF",
            "EH",
        ):  # no plan tells them from BL, MA
            assert country_of(f"+{code}{digits}") == region


def test_the_digits_in_the_country():
    assert national_digits("+84938812345") == "938812345"
    assert national_digits("+390669812345") == "0669812345"
    assert national_digits("+999") == ""


LISTED = OutboundRule(
    "r",
    countries=(
        AllowedCountry("DE"),
        AllowedCountry("+870"),
        AllowedCountry("+49900", True),
        AllowedCountry("+4990012"),
    ),
)
ROWS = {
    "a country": ("+4930123456", "DE"),
    "a range of no country": ("+870773111632", "+870"),
    "a range in a country": ("+4990051234567", "+49900"),
    "the longest range": ("+4990012345678", "+4990012"),
    "another range": ("+881612345678", None),
    "another country": ("+6561234567", None),
}


@pytest.mark.parametrize(("number", "listed"), ROWS.values(), ids=ROWS)
def test_what_a_rule_allows(number, listed):
    row = LISTED.row_for(number)
    assert (row and row.country) == listed


def test_a_range_can_be_written_in_the_file():
    text = '[[outbound_rule]]\nname = "r"\n[[outbound_rule.country]]\ncountry = "+870"\n'
    assert parse(text).office.outbound_rules[0].countries == (AllowedCountry("+870"),)


PRESETS = {
    "SG": [("61234567", "+6561234567"), ("91234567", "+6591234567"), ("18001234567", "+6518001234567")],
    "TH": [("021234567", "+6621234567"), ("0812345678", "+66812345678"), ("1800123456", "+661800123456")],
    "VN": [("0912345678", "+84912345678"), ("02438123456", "+842438123456"), ("18001234", "+8418001234")],
    "ID": [
        ("02112345678", "+622112345678"),
        ("0811123456", "+62811123456"),
        ("81234567890", "+6281234567890"),
    ],
}


def preset(country):
    return (importlib.resources.files("pbx") / "assets" / "dial-plans" / f"{country}.toml").read_text()


@pytest.mark.parametrize("country", PRESETS)
def test_a_dial_plan_that_is_shipped_stands_in_an_office_as_it_is(country):
    office = parse('[[outbound_rule]]\nname = "r"\n' + preset(country)).office
    rule = office.outbound_rules[0]
    assert len(rule.dial_plan) == len(tomllib.loads(preset(country))["outbound_rule"]["dial_plan"])
    elsewhere = Settings(country="DE")
    for dialled, number in PRESETS[country]:
        assert read_dialled(elsewhere, rule, dialled)[0] == number, dialled
        assert country_of(number) == country
    for abroad, number in (("006531234567", "+6531234567"), ("004930123456", "+4930123456")):
        assert read_dialled(elsewhere, rule, abroad)[0] == number
