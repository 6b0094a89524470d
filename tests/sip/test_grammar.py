import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pbx.sip.grammar import (
    MalformedMessageError,
    first_of_commas,
    parse_params,
    quote,
    render_params,
    split_commas,
    unquote,
)

COMMAS = {
    "one value": ("a", ["a"]),
    "white space around values goes": (" a ,\tb ", ["a", "b"]),
    "empty values go": (",a,,b,", ["a", "b"]),
    "nothing": ("", []),
    "commas in quotes do not count": ('"a, b" <sip:x>, c', ['"a, b" <sip:x>', "c"]),
    "an escaped quote does not end a string": (r'"a\", b", c', [r'"a\", b"', "c"]),
    "commas in angle brackets do not count": ("<sip:a,b@h>, <sip:c>", ["<sip:a,b@h>", "<sip:c>"]),
    "a quote in angle brackets opens nothing": ('<sip:a"b@h>, c', ['<sip:a"b@h>', "c"]),
}


@pytest.mark.parametrize(("text", "values"), COMMAS.values(), ids=COMMAS)
def test_comma_lists(text, values):
    assert split_commas("Contact", text) == values
    if "," in text and values and not text.startswith(","):
        assert first_of_commas("Contact", text) == values[0]


@pytest.mark.parametrize("text", ['"a, b', "<sip:a, b", 'a, "', '"\\"', ",".join("a" * 300), "," * 300])
def test_comma_lists_refused(text):
    with pytest.raises(MalformedMessageError):
        split_commas("Contact", text)


PARAMS = {
    "none": ("", {}),
    "with and without a value": (";lr;a=1", {"lr": None, "a": "1"}),
    "names are read without case, values as they are": (";TAG=AbC", {"tag": "AbC"}),
    "white space where the grammar has it": (" ; a = 1 ;\tb", None),
    "white space after the semicolon": ("; a = 1 ;\tb", {"a": "1", "b": None}),
    "a quoted value keeps its quotes and its semicolon": (
        ';t="a;b, c\\"";d',
        {"t": '"a;b, c\\""', "d": None},
    ),
    "the first of two counts": (";a=1;a=2", {"a": "1"}),
    "an IPv6 reference": (";received=[::1];x", {"received": "[::1]", "x": None}),
    "an empty value": (";tag=", {"tag": ""}),
    "an empty parameter": (";;a", None),
    "an empty last parameter": (";a;", None),
    "an open quote": (';a="b', None),
    "a name that is no token": (";a@b=1", None),
    "a comma": (";a=1,b", None),
    "no semicolon": ("a=1", None),
    "two words": (";a=b c", None),
    "too long": (";a=" + "1" * 9000, None),
}


@pytest.mark.parametrize(("text", "params"), PARAMS.values(), ids=PARAMS)
def test_parameters(text, params):
    if params is None:
        with pytest.raises(MalformedMessageError):
            parse_params("Via", text)
    else:
        assert parse_params("Via", text) == params


TOKENS = st.text("abcxyz019-.!%*_+`'~", min_size=1, max_size=8)


@given(params=st.dictionaries(TOKENS, st.none() | TOKENS | st.text().map(quote), max_size=5))
def test_parameters_come_back(params):
    assert parse_params("Via", render_params(params)) == params


@given(text=st.text(st.characters(exclude_characters="\r\n\0")))
@example(text='a"b\\c')
@example(text="\\")
def test_what_is_quoted_comes_back(text):
    assert unquote(quote(text)) == text


def test_a_quoted_string_cannot_break_the_line():
    assert quote("a\r\nVia: b\0") == '"a Via: b "'


@pytest.mark.parametrize("text", ["plain", '"open', '"a"b"', '"', '"a\\"'])
def test_what_is_no_quoted_string_stays(text):
    assert unquote(text) == text


def test_an_error_says_field_and_value_and_cuts_it_short():
    error = MalformedMessageError("Via", "x" * 1000)
    assert (error.status, error.reason, error.field, len(error.value)) == (400, "Bad Via", "Via", 201)
    assert str(MalformedMessageError("To", '"')) == "400 Bad To: To '\"'"
    assert MalformedMessageError("SIP-Version", "SIP/7.0", status=505).reason == "Version Not Supported"
