"""Every key has the line that an editor shows for it."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.office.locate import locate

CASES = {
    "keys, and the table that they are in": (
        'a = 1\n\n[b]\n# c = 2\nc = "x"\n',
        {("a",): 1, ("b",): 3, ("b", "c"): 5},
    ),
    "rows of an array of tables, and tables inside of them": (
        "[[e]]\nk = 1\n[[e.d]]\nm = 1\n[[e.d]]\nm = 2\n[e.i]\n[[e]]\n[e.i.f]\nn = 1\n[[e.d]]\nm = 3\n",
        {
            ("e",): 1,
            ("e", 0): 1,
            ("e", 0, "k"): 2,
            ("e", 0, "d"): 3,
            ("e", 0, "d", 0): 3,
            ("e", 0, "d", 0, "m"): 4,
            ("e", 0, "d", 1): 5,
            ("e", 0, "d", 1, "m"): 6,
            ("e", 0, "i"): 7,
            ("e", 1): 8,
            ("e", 1, "i"): 9,
            ("e", 1, "i", "f"): 9,
            ("e", 1, "i", "f", "n"): 10,
            ("e", 1, "d"): 11,
            ("e", 1, "d", 0): 11,
            ("e", 1, "d", 0, "m"): 12,
        },
    ),
    "elements of a list over several lines": (
        "a = [ # first\n  1,\n  2, 3\n  , [\n4],\n]\nb = 1\n",
        {
            ("a",): 1,
            ("a", 0): 2,
            ("a", 1): 3,
            ("a", 2): 3,
            ("a", 3): 4,
            ("a", 3, 0): 5,
            ("b",): 7,
        },
    ),
    "inline tables": (
        'a = { b = 1, c.d = "}" }\nx = [ { y = 1 },\n { y = 2 } ]\n',
        {
            ("a",): 1,
            ("a", "b"): 1,
            ("a", "c"): 1,
            ("a", "c", "d"): 1,
            ("x",): 2,
            ("x", 0): 2,
            ("x", 0, "y"): 2,
            ("x", 1): 3,
            ("x", 1, "y"): 3,
        },
    ),
    "strings of several lines that look like tables": (
        "a = \"\"\"\n[b]\nc = 1\\\"\" # \n\"\"\"\nd = '''\n[[e]]'''''\nf = 1\n",
        {("a",): 1, ("d",): 5, ("f",): 7},
    ),
    "quoted and dotted keys": (
        '"a b".c = 1\n\'d\' . "\\u0065" = 2\n["x.y"]\nz = "#"\n',
        {
            ("a b",): 1,
            ("a b", "c"): 1,
            ("d",): 2,
            ("d", "e"): 2,
            ("x.y",): 3,
            ("x.y", "z"): 4,
        },
    ),
    "a date with a space, and windows line ends": (
        "a = 1979-05-27 07:32:00Z # when\r\nb = [1979-05-27, 07:32:00]\r\n\r\nc = 1\r\n",
        {("a",): 1, ("b",): 2, ("b", 0): 2, ("b", 1): 2, ("c",): 4},
    ),
    "nothing but a comment": ("# empty", {}),
}


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES)
def test_lines(text, expected):
    tomllib.loads(text)
    assert locate(text) == {(): 1, **expected}


# Whole files in which each number @ is put in as the number of its line: reading them says what is right.

NOISE = [
    '"x"',
    "'#'",
    '"""\n[a]\n"""',
    "'''\nb = 1\n'''",
    '"""\\\n  ""\\""""',
    "1979-05-27 07:32:00",
    "true",
    "-1e6",
    '"\\"]}"',
    "''''a'''",
    '""""""',
]
GAPS = ["", " ", "\n", " # [x]\n", "\n\n  "]
SPACES = ["", " ", "\t"]


@st.composite
def values(draw, depth=0):
    """A value, in which each @ is a number that can be checked."""
    kind = draw(st.sampled_from(["@", "@", "noise", "list", "table"] if depth < 3 else ["@", "noise"]))
    gap = st.sampled_from(GAPS)
    if kind == "list":
        inner = draw(st.lists(values(depth + 1), max_size=4))
        separated = ",".join(f"{draw(gap)}{value}{draw(gap)}" for value in inner)
        return f"[{separated}{draw(st.sampled_from([',', ''])) if inner else ''}{draw(gap)}]"
    if kind == "table":
        inner = draw(st.lists(values(depth + 1), max_size=3))
        space = draw(st.sampled_from(SPACES))
        return (
            "{"
            + ",".join(f"{space}k{at}{space}={space}{value}{space}" for at, value in enumerate(inner))
            + "}"
        )
    return kind if kind == "@" else draw(st.sampled_from(NOISE))


@st.composite
def files(draw):
    """Rows, tables and tables inside of rows, in any order that TOML allows."""
    lines = []
    pairs = st.lists(values(), max_size=3)

    def body():
        for at, value in enumerate(draw(pairs)):
            key = draw(st.sampled_from([f"k{at}", f'"k {at}"', f"d{at} . 'e'"]))
            lines.append(
                f"{draw(st.sampled_from(SPACES))}{key} = {value}{draw(st.sampled_from(['', ' # x']))}"
            )

    body()
    for row in range(draw(st.integers(0, 3))):
        lines.append(draw(st.sampled_from(["[[row]]", "[[ 'row' ]] # [[row]]", "\n[[row]]"])))
        body()
        for _ in range(draw(st.integers(0, 2))):
            lines.append("[[row.inner]]")
            body()
        if draw(st.booleans()):
            lines.append("[row.only.deep]")
            body()
        if draw(st.booleans()):
            lines.append(f"[table{row}]")
            body()
    text = "\n".join(lines)
    return "\n".join(line.replace("@", str(at)) for at, line in enumerate(text.split("\n"), start=1))


def leaves(value, path=()):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*path, key), inner
            yield from leaves(inner, (*path, key))
    if isinstance(value, list):
        for index, inner in enumerate(value):
            yield (*path, index), inner
            yield from leaves(inner, (*path, index))


@given(files())
def test_every_key_is_found_on_its_line(text):
    lines = locate(text)
    found = dict(leaves(tomllib.loads(text)))
    assert lines.keys() == {(), *found}
    assert {path: lines[path] for path, value in found.items() if type(value) is int} == {
        path: value for path, value in found.items() if type(value) is int
    }
