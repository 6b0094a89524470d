"""Whatever a file says: it is an office, or mistakes with lines that the file has."""

import contextlib

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pbx.config import ConfigFileError, parse_config
from pbx.office.mistakes import FileError
from pbx.office.toml import OfficeFileError
from tests.office.fakes import parse
from tests.office.test_toml import FULL, LINE
from tests.test_config import DEFAULTS, FOLDER

VALUES = st.sampled_from(
    [
        "3",
        "-1",
        "true",
        '""',
        '"x"',
        '"100"',
        "0.5",
        "1e400",
        "nan",
        "inf",
        "2026-12-25",
        "2026-12-25T10:00:00Z",
        "10:00:00",
        "[]",
        "[3]",
        '["a", "a"]',
        "[[]]",
        "{}",
        "[{}]",
        "{ a = 1 }",
        '{ when = "otherwise" }',
        '[{ when = "time", from = 3 }]',
        '[{ when = "date", to = 2026-12-25 }]',
        '"\\u0000"',
        '"' + "9" * 3000 + '"',
        "99999999999999999999",
        "'''\n\n'''",
    ]
)


@st.composite
def broken(draw, text):
    """A good file in which some lines are changed, left out, repeated or moved."""
    lines = text.splitlines()
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        kind = draw(st.sampled_from(["value", "value", "value", "drop", "copy", "header", "cut"]))
        if kind == "value" and "=" in lines[at]:
            lines[at] = lines[at].partition("=")[0] + "= " + draw(VALUES)
        elif kind == "drop" and len(lines) > 1:
            del lines[at]
        elif kind == "copy":
            lines.insert(draw(st.integers(0, len(lines))), lines[at])
        elif kind == "header":
            lines[at] = lines[at].replace("[[", "[").replace("]]", "]")
        elif kind == "cut":
            lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
    return "\n".join(lines)


def check(text: str, error: FileError) -> None:
    assert error.mistakes
    for mistake in error.mistakes:
        assert 0 <= mistake.line <= text.count("\n") + 1
        assert str(mistake).isprintable()
        assert "\n" not in str(mistake)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(broken(FULL) | broken(LINE))
@example("line = 3")
@example("line = [3]")
@example("[[line]]\nblock = 3")
@example("[[line]]\nblock = [3]")
@example('[line]\nblock = [{ kind = "play", next = "x" }]')
@example("[[holiday]]\n[[holiday]]")
@example("[[number]]\n[[number]]")
@example('[["]"]]\n')
def test_an_office_or_mistakes(text):
    try:
        parse(text)
    except OfficeFileError as error:
        check(text, error)


@settings(max_examples=100, deadline=None)
@given(broken(DEFAULTS))
def test_a_configuration_or_mistakes(text):
    try:
        parse_config(text, "pbx.toml", FOLDER, lambda path: True)
    except ConfigFileError as error:
        check(text, error)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40) | st.text("[]{}=\"'.,#\n\\ a1", max_size=40))
def test_any_text(text):
    with contextlib.suppress(OfficeFileError):
        parse(text)
