"""docs/configuration.md names every key, and says of each truly whether it has an effect yet."""

import re
from dataclasses import fields, is_dataclass
from pathlib import Path

from pbx.app.pending import NOT_IN_EFFECT
from pbx.config import Config
from pbx.office.effect import IN_EFFECT
from pbx.office.snapshot import Office
from pbx.office.table import Nested, Rows, columns

TEXT = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()


def documented(part: str) -> dict[str, bool]:
    """The keys of a part of the document, as paths, and whether they are said to have an effect."""
    found = {}
    table = ""
    for line in part.splitlines():
        if title := re.match(r"### `\[*([a-z_.]+)\]*`", line):
            table = title[1]
        elif row := re.match(r"\| `([a-z_0-9]+)`( °)? \|", line):
            found[f"{table}.{row[1]}"] = not row[2]
    return found


def test_every_key_of_pbx_toml():
    keys = {
        f"{table.name}.{key.name}"
        for table in fields(Config)
        for key in fields(getattr(Config(), table.name))
        if is_dataclass(getattr(Config(), table.name))
    }
    said = documented(TEXT.split("\n## ")[1])
    assert set(said) == keys
    assert {key for key, has_effect in said.items() if not has_effect} == set(NOT_IN_EFFECT)


def walk(type_: type, before: str) -> set[str]:
    """Every key; prompts and branches, which are written in one line, have a table of their own."""
    keys = set()
    for column in columns(type_):
        path = f"{before}{column.key}"
        if isinstance(column.shape, Nested) and column.key != "prompt":
            keys |= walk(column.shape.type, f"{path}.")
        elif isinstance(column.shape, Rows):
            inside = "branches." if column.key == "branches" else f"{path}."
            for each in column.shape.types:
                keys |= walk(each, inside)
            keys |= {path} if column.key == "branches" else set()
        else:
            keys.add(path)
    return keys


def test_every_key_of_office_toml():
    said = documented(TEXT.split("\n## ")[2])
    assert set(said) == walk(Office, "")
    assert {key for key, has_effect in said.items() if has_effect} == set(IN_EFFECT)
