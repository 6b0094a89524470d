"""`pbx usage` without a running server."""

from datetime import UTC, datetime

import pytest

from pbx import cli_usage
from pbx.store.store import open_store
from pbx.store.usage import ChargedLeg, Usage
from tests.test_cli import OFFICE, Office, stop_clock

NOW = datetime(2026, 11, 30, 23, 59, tzinfo=UTC)
MONTH = "2026-11"
LIMITED = OFFICE.replace(
    'key = "100"\n',
    'key = "100"\nlabel = "Ann"\n[extension.usage_limit]\nkind = "amount"\namount = 50.00\n',
    1,
).replace('key = "101"\n', 'key = "101"\n[extension.usage_limit]\nkind = "minutes"\nminutes = 300\n', 1)
LIMITED += '[[extension]]\nkey = "102"\n[[extension]]\nkey = "103"\n'


@pytest.fixture
def pbx(tmp_path, monkeypatch):
    stop_clock(monkeypatch, cli_usage, NOW)
    made = Office(tmp_path)
    made.apply(LIMITED)
    store = open_store(made.url)
    Usage(store).write(
        [
            ChargedLeg(f"leg {key}", "call", key, MONTH, "+8490", 1000.0, 90.0, "12.345")
            for key in ("100", "101", "102")
        ],
        0.0,
    )
    store.close()
    return made


def test_list(pbx):
    assert pbx("usage").splitlines() == [
        f"{MONTH}, calls in progress not included",
        "KEY           LIMIT       TOP-UP         USED         LEFT  LABEL",
        "100           50.00         0.00        12.34        37.66  Ann",
        "101         300 min      0.0 min      1.5 min    298.5 min",
        "102            none                     12.34",
    ]


def test_another_month(pbx):
    lines = pbx("usage", "--month", "2020-01").splitlines()
    assert lines[0] == "2020-01, calls in progress not included"
    assert [line.split()[0] for line in lines[2:]] == ["100", "101"]
    pbx("usage", "--month", "1/2020", code=2)
    assert "'1/2020' is no month: allowed is a year and a month, such as 2026-10" in pbx.stderr


def test_json(pbx):
    listed = pbx.json("usage")
    assert listed["month"] == MONTH
    assert [(each["key"], each["kind"], each["left"]) for each in listed["extensions"]] == [
        ("100", "amount", "37.655000"),
        ("101", "minutes", 17910.0),
        ("102", "none", None),
    ]


def test_reset(pbx):
    assert pbx("usage", "reset", "100") == (
        f"100 had used 12.34, 1.5 min; it begins {MONTH} anew; no server runs here\n"
    )
    assert pbx.json("usage")["extensions"][0]["left"] == "50.000000"
    assert pbx.json("usage", "reset", "101")["used_amount"] == "12.345"
    assert pbx.json("usage")["extensions"][1]["left"] == 18000.0


def test_top_up(pbx):
    assert pbx("usage", "topup", "100", "--amount", "10.00") == (
        f"100 may use 10.00 more in {MONTH}; no server runs here\n"
    )
    pbx("usage", "topup", "101", "--minutes", "30")
    assert pbx("usage").splitlines()[2:4] == [
        "100           50.00        10.00        12.34        47.66  Ann",
        "101         300 min     30.0 min      1.5 min    328.5 min",
    ]


MISTAKES = {
    "nobody": (["reset", "999"], "there is no extension 999"),
    "no limit": (["reset", "103"], "extension 103 has no usage limit"),
    "neither": (["topup", "100"], "give either --amount or --minutes"),
    "both": (["topup", "100", "--amount", "1", "--minutes", "1"], "give either --amount or --minutes"),
    "money for minutes": (["topup", "101", "--amount", "1"], "the limit is by minutes: give --minutes"),
    "minutes for money": (["topup", "100", "--minutes", "1"], "the limit is by amount: give --amount"),
    "no number": (["topup", "100", "--amount", "ten"], "'ten' is no amount: allowed is a number above 0"),
    "nothing": (["topup", "100", "--amount", "0"], "'0' is no amount"),
    "less than nothing": (["topup", "100", "--amount", "-5"], "'-5' is no amount"),
    "not even a number": (["topup", "100", "--amount", "NaN"], "'NaN' is no amount"),
}


@pytest.mark.parametrize(("words", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes(pbx, words, expected):
    pbx("usage", *words, code=2)
    assert expected in pbx.stderr
