import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.errors import UsageError
from pbx.sip.grammar import MalformedMessageError
from pbx.sip.headers import COMPACT, KNOWN, Headers, canonical_name

LINES = [
    ("Via", "SIP/2.0/UDP a"),
    ("Via", "SIP/2.0/UDP b, SIP/2.0/UDP c"),
    ("Subject", "one, two"),
    ("X-Odd", "1, 2"),
    ("x-odd", "3"),
]


def test_first_value_all_lines_and_all_values():
    headers = Headers(LINES)
    assert headers.get("Via") == "SIP/2.0/UDP a"
    assert headers.get_all("Via") == ["SIP/2.0/UDP a", "SIP/2.0/UDP b, SIP/2.0/UDP c"]
    assert headers.values("Via") == ["SIP/2.0/UDP a", "SIP/2.0/UDP b", "SIP/2.0/UDP c"]
    assert (headers.get("To"), headers.get_all("To"), headers.values("To")) == (None, [], [])


def test_commas_of_a_header_that_is_no_list_stay():
    headers = Headers([*LINES, ("Authorization", 'Digest a="b", c="d"')])
    assert headers.values("Subject") == ["one, two"]
    assert headers.values("Authorization") == ['Digest a="b", c="d"']


def test_unknown_names_keep_their_spelling_and_are_found_by_any():
    headers = Headers(LINES)
    assert list(headers) == LINES
    assert (headers.get("X-ODD"), headers.get_all("x-Odd")) == ("1, 2", ["1, 2", "3"])
    assert headers.values("X-Odd") == ["1", "2", "3"]
    assert "x-ODD" in headers
    assert "X-Other" not in headers
    headers.set("x-ODD", "4")
    assert headers.get_all("X-Odd") == ["4"]


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_known_names_are_found_by_any_spelling(name):
    for spelling in (name, name.lower(), name.upper(), name.swapcase()):
        headers = Headers([(spelling, "v")])
        assert list(headers) == [(name, "v")]
        assert headers.get(name) == headers.get(spelling) == "v"
        assert name in headers
        assert spelling in headers


@pytest.mark.parametrize(("letter", "name"), COMPACT.items())
def test_compact_forms(letter, name):
    assert canonical_name(letter) == canonical_name(letter.upper()) == name
    assert name in KNOWN


def test_changes():
    headers = Headers(LINES)
    headers.prepend("Via", "SIP/2.0/UDP z")
    assert headers.values("Via")[0] == headers.get("Via") == "SIP/2.0/UDP z"
    headers.set_first("Via", "SIP/2.0/UDP y")
    assert headers.get_all("Via") == ["SIP/2.0/UDP y", "SIP/2.0/UDP a", "SIP/2.0/UDP b, SIP/2.0/UDP c"]
    headers.set("Subject", "three")
    headers.set("Via", "SIP/2.0/TCP x")
    headers.set("To", "<sip:a>")
    assert list(headers) == [
        ("Via", "SIP/2.0/TCP x"),
        ("Subject", "three"),
        *LINES[3:],
        ("To", "<sip:a>"),
    ]
    headers.remove("Via")
    headers.remove("Via")
    headers.remove("X-ODD")
    assert list(headers) == [("Subject", "three"), ("To", "<sip:a>")]
    assert ("Via" in headers, headers.get("Via"), len(headers)) == (False, None, 2)


def test_there_must_be_a_first_to_replace():
    with pytest.raises(UsageError):
        Headers().set_first("Via", "x")


def test_a_copy_goes_its_own_way():
    headers = Headers(LINES)
    other = headers.copy()
    assert other == headers
    other.add("To", "<sip:a>")
    assert other != headers
    assert "To" not in headers


def test_repeated_names_are_noticed():
    assert Headers(LINES).has_repeated
    assert not Headers(LINES[:1]).has_repeated


@pytest.mark.parametrize("change", ["add", "set", "set_first", "prepend"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Subject", "a\r\nVia: b"),
        ("Subject", "a\nVia: b"),
        ("Subject", "a\r"),
        ("X-Odd\r\nVia", "b"),
        ("X Odd", "b"),
        ("X-Odd:", "b"),
        ("", "b"),
    ],
)
def test_nothing_can_be_injected(change, name, value):
    headers = Headers(LINES)
    with pytest.raises(UsageError):
        getattr(headers, change)(name, value)
    assert list(headers) == LINES


def test_a_name_that_is_no_token():
    with pytest.raises(MalformedMessageError):
        canonical_name("a b")


NAMES = st.sampled_from(["Via", "To", "X-A", "x-a"])
CHANGES = st.lists(
    st.tuples(st.sampled_from(["add", "set", "prepend", "remove"]), NAMES, st.sampled_from("123")),
    max_size=12,
)


@given(changes=CHANGES)
def test_any_changes_do_what_they_do_to_a_plain_list(changes):
    headers, plain = Headers(), []
    for change, name, value in changes:
        same = [i for i, (other, _) in enumerate(plain) if other.lower() == name.lower()]
        if change == "remove":
            headers.remove(name)
            plain = [item for i, item in enumerate(plain) if i not in same]
            continue
        getattr(headers, change)(name, value)
        if change == "prepend":
            plain.insert(0, (name, value))
        elif change == "set" and same:
            plain[same[0]] = (name, value)
            plain = [item for i, item in enumerate(plain) if i not in same[1:]]
        else:
            plain.append((name, value))
    assert list(headers) == plain
    for name in ("Via", "To", "X-A", "x-a"):
        values = [value for other, value in plain if other.lower() == name.lower()]
        assert headers.get_all(name) == values
        assert headers.get(name) == (values[0] if values else None)
        assert (name in headers) == bool(values)
