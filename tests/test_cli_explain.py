"""`pbx explain` without a running server: by what the database holds."""

import time
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from pbx import cli_explain
from pbx.sip.flow import Flow
from pbx.sip.location import Binding, save_binding
from pbx.store.hot_desk import HotDesk, LoginRow
from pbx.store.store import open_store
from pbx.store.usage import ChargedLeg, Usage
from tests.test_cli import Office, stop_clock

ZONE = "Asia/Singapore"
NOW = datetime(2026, 11, 30, 16, 1, tzinfo=UTC)
MONTH = "2026-12"  # in the office
OFFICE = f"""\
[office]
name = "Acme"
country = "SG"
timezone = "{ZONE}"
hot_desk_logout = "8h"
[[member]]
email = "ann@acme.example"
account = "owner"
[[extension]]
key = "100"
label = "Ann"
assignee = "ann@acme.example"
outbound_rule = "standard"
[[extension.device]]
kind = "ip_phone"
username = "100"
[extension.usage_limit]
kind = "amount"
amount = 50.00
[[extension]]
key = "101"
hot_desking = true
[[extension.device]]
kind = "ip_phone"
username = "desk"
[[number]]
number = "+6560001000"
destination = "extension:100"
[[trunk]]
name = "carrier"
server = "sip:192.0.2.1"
[[outbound_rule]]
name = "standard"
trunks = ["carrier"]
[[outbound_rule.country]]
country = "SG"
[[rate]]
prefix = "+65"
per_minute = 0.10
"""


@pytest.fixture
def pbx(tmp_path, monkeypatch):
    stop_clock(monkeypatch, cli_explain, NOW)
    made = Office(tmp_path)
    made.apply(OFFICE)
    store = open_store(made.url)
    bindings = {}
    for name, expires_s in (("100", 3600.0), ("desk", -5.0)):
        flow = Flow("UDP", ("192.0.2.9", 5060), ("192.0.2.2", 5060))
        binding = Binding(f"sip:{name}@192.0.2.9", flow, expires_s, "call", 1)
        bindings[name] = [save_binding(name, binding, 0.0, time.time())]
    store.save_bindings(bindings)
    HotDesk(store).replace([LoginRow("desk", "ann@acme.example", NOW.timestamp() - 60)])
    charged = ChargedLeg("leg", "call", "100", MONTH, "+6531234567", NOW.timestamp(), 60.0, str(Decimal(49)))
    Usage(store).write([charged], 0.0)
    store.close()
    return made


def test_what_the_database_holds_counts(pbx):
    first, who, *lines = pbx("explain", "desk", "31234567").splitlines()
    assert first.startswith("no server runs here; by what its database holds: office, phones that were")
    assert first.endswith(f"({ZONE})")
    assert who == (
        "phone desk of extension 101, a hot desk where ann@acme.example is logged in: "
        "the call is that of 100 (Ann), dials 31234567"
    )
    assert lines == [
        "   1. 31234567 is a number of SG (office.country): +6531234567",
        '   2. +6531234567 is in SG, which outbound rule "standard" allows',
        "   3. usage limit of 100: 49.00 of 50.00 used this month; a call to +6531234567 may last 10 min",
        "   4. +6560001000 is shown: the office's first number",
        '   5. +6531234567 is called over carrier (outbound rule "standard")',
        '      -> +6531234567 is called over trunk "carrier" (shown: +6560001000), paid by 100',
        "if nobody answers:",
        "      -> the caller is refused: 480 Temporarily Unavailable",
    ]


def test_a_registration_that_has_run_out_does_not_count(pbx):
    assert "no phone of 101 that rings is registered" in pbx("explain", "100", "101")
    assert "the phones of 100 ring: 100" in pbx("explain", "+6561112222", "+6560001000")


def test_at_another_time_the_login_is_over_and_the_month_begins_anew(pbx):
    said = pbx("explain", "desk", "31234567", "--at", "2090-12-24 18:00")
    assert f"2090-12-24 18:00 ({ZONE})" in said
    assert "a hot desk where nobody is logged in" in said
    assert "0.00 of 50.00 used this month" in pbx("explain", "100", "31234567", "--at", "2090-12-24")


def test_json(pbx):
    answer = pbx.json("explain", "100", "101", "--at", "2026-12-24T18:00:00+01:00")
    assert (answer["at"], answer["timezone"]) == ("2026-12-25T01:00:00+08:00", ZONE)
    assert (answer["caller"]["key"], answer["caller"]["device"]) == ("100", "100")
    assert [step["when"] for step in answer["steps"]] == ["", "at once"]
    assert answer["steps"][0]["decided"] == ["no phone of 101 that rings is registered"]
    assert answer["steps"][1]["happens"] == ["the caller is greeted and may leave a message for 101"]


ERRORS = {
    "a caller that there is not": (
        ["nobody", "101"],
        "'nobody' is nobody who could call: allowed are the key",
    ),
    "nothing dialled": (["100", ""], "what is dialled has 1 to 255 characters"),
    "too much dialled": (["100", "1" * 256], "what is dialled has 1 to 255 characters"),
    "no time": (["100", "101", "--at", "noon"], "'noon' is no date or time: allowed are 2026-11-30"),
    "no time that there is": (["100", "101", "--at", "2026-02-30 10:00"], "is no date or time"),
    "the end of time": (["100", "101", "--at", "9999-12-31T23:00-12:00"], "further away than the calendar"),
}


@pytest.mark.parametrize(("words", "said"), ERRORS.values(), ids=ERRORS)
def test_errors(pbx, words, said):
    pbx("explain", *words, code=2)
    assert said in pbx.stderr


def test_without_an_office(tmp_path):
    empty = Office(tmp_path)
    empty("explain", "100", "101", code=2)
    assert "the database holds no office yet" in empty.stderr


def test_what_is_dialled_cannot_write_to_the_terminal(pbx):
    assert "\x1b" not in pbx("explain", "100", "\x1b[31m")
