"""What apply would do is said in words a person understands, and without secrets."""

from dataclasses import replace

import pytest

from pbx.office.plan import plan
from pbx.office.snapshot import Office
from tests.office.fakes import parse

OFFICE = """\
[[member]]
email = "ann@acme.example"
name = "Ann Lee"
account = "owner"
[[extension]]
key = "100"
label = "Ann"
[[extension.device]]
kind = "ip_phone"
username = "100"
password = "horse"
[[extension]]
key = "101"
[[number]]
number = "+6560001000"
[[number]]
number = "+6560001001"
[[trunk]]
name = "carrier"
server = "sip:carrier.example"
username = "acme"
password = "battery"
[[outbound_rule]]
name = "standard"
trunks = ["carrier"]
[[outbound_rule.dial_plan]]
starts_with = "36"
[[line]]
name = "main"
[[line.block]]
name = "hello"
kind = "play"
prompt = { text = "Welcome." }
"""

# What is replaced by what in the file, and the plan of it.
CASES = {
    "nothing": ("", "", "nothing to do"),
    "an extension more, with its label": (
        '[[number]]\nnumber = "+6560001000"',
        '[[extension]]\nkey = "102"\nlabel = "Bob"\n[[number]]\nnumber = "+6560001000"',
        '+ extension 102 "Bob"',
    ),
    "a trunk less, and with it what names it": (
        '[[trunk]]\nname = "carrier"\nserver = "sip:carrier.example"\n'
        'username = "acme"\npassword = "battery"\n'
        '[[outbound_rule]]\nname = "standard"\ntrunks = ["carrier"]',
        '[[outbound_rule]]\nname = "standard"',
        '~ outbound_rule standard: trunks ["carrier"] -> []\n- trunk carrier',
    ),
    "a key of a table inside": (
        'key = "101"\n',
        'key = "101"\n[extension.no_answer]\ntimeout = 30\n',
        "~ extension 101: no_answer.timeout 20 -> 30",
    ),
    "a table of the office": (
        "[[member]]",
        '[office]\ntimezone = "Asia/Singapore"\n[blocked]\nnumbers = ["+1900*"]\n[[member]]',
        '~ office: timezone "UTC" -> "Asia/Singapore"\n~ blocked: numbers [] -> ["+1900*"]',
    ),
    "a device more": (
        'key = "101"\n',
        'key = "101"\n[[extension.device]]\nkind = "mobile"\nusername = "101"\n',
        "~ extension 101: device 101 added",
    ),
    "another password": (
        'password = "horse"',
        'password = "staple"',
        "~ extension 100: device 100: password changes",
    ),
    "a device of another name is another device": (
        'username = "100"',
        'username = "100b"',
        "~ extension 100: device 100b added\n~ extension 100: device 100 removed",
    ),
    "a PIN is set": (
        'account = "owner"',
        'account = "owner"\npin = "7781"',
        "~ member ann@acme.example: pin is set",
    ),
    "a carrier's password": (
        'password = "battery"',
        'password = "staple"',
        "~ trunk carrier: password changes",
    ),
    "a carrier's password is taken away": (
        'password = "battery"',
        'password = ""',
        "~ trunk carrier: password is taken away",
    ),
    "the first number is another": (
        '[[number]]\nnumber = "+6560001000"\n[[number]]\nnumber = "+6560001001"',
        '[[number]]\nnumber = "+6560001001"\n[[number]]\nnumber = "+6560001000"',
        "~ number: the order changes",
    ),
    "a row without a name is counted": (
        'starts_with = "36"',
        'starts_with = "3689"\n[[outbound_rule.dial_plan]]',
        '~ outbound_rule standard: dial_plan[1].starts_with "36" -> "3689"\n'
        "~ outbound_rule standard: dial_plan[2] added",
    ),
    "a prompt in a block": (
        "Welcome.",
        "Hello.",
        '~ line main: block hello: prompt.text "Welcome." -> "Hello."',
    ),
    "a block of another kind": (
        'kind = "play"',
        'kind = "record"',
        "~ line main: block hello: replaced by one of another kind",
    ),
    "money": (
        "[[line]]",
        '[[rate]]\nprefix = "+84"\nper_minute = 0.120\n[[line]]',
        "+ rate +84",
    ),
}


@pytest.mark.parametrize(("old", "new", "expected"), CASES.values(), ids=CASES)
def test_a_plan(old, new, expected):
    existing = parse(OFFICE).office
    assert old in OFFICE
    changed = parse(OFFICE.replace(old, new, 1), existing=existing)
    assert str(plan(existing, changed.office)) == expected


def test_the_way_back_is_planned_too():
    existing = parse(OFFICE).office
    changed = parse(OFFICE.replace('label = "Ann"', 'label = "Anna"'), existing=existing).office
    assert str(plan(changed, existing)) == '~ extension 100: label "Anna" -> "Ann"'


def test_everything_that_comes_is_named_once():
    lines = plan(Office(), parse(OFFICE).office).added
    assert lines == (
        'member ann@acme.example "Ann Lee"',
        'extension 100 "Ann"',
        "extension 101",
        "number +6560001000",
        "number +6560001001",
        "trunk carrier",
        "outbound_rule standard",
        "line main",
    )


def test_another_realm_makes_other_passwords():
    existing = parse(OFFICE).office
    moved = parse(OFFICE, existing=existing, realm="acme.example").office
    assert str(plan(existing, moved)) == (
        "~ extension 100: device 100: password changes\n"
        '~ realm of the passwords "pbx.local" -> "acme.example"'
    )


def test_a_hash_that_the_file_has_no_key_for_is_a_change_as_well():
    existing = parse(OFFICE).office
    ann = existing.extensions[0]
    other = replace(ann, devices=(replace(ann.devices[0], ha1_sha256="0" * 64),))
    changed = replace(existing, extensions=(other, existing.extensions[1]))
    assert str(plan(existing, changed)) == "~ extension 100: device 100: credentials change"
