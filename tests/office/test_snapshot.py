import pytest

from tests.office.fakes import parse

OFFICE = parse(
    '[[member]]\nemail = "Ann@acme.example"\naccount = "owner"\n'
    '[[extension]]\nkey = "100"\n[[extension.device]]\nkind = "ip_phone"\n'
    'username = "desk"\nmac = "00-15-65-AA-BB-CC"\n'
    '[[extension]]\nkey = "101"\n[[number]]\nnumber = "+6560001000"\n'
    '[[trunk]]\nname = "t"\nserver = "sip:t.example"\n[[gateway]]\nname = "g"\nserver = "sip:g.example"\n'
    '[[outbound_rule]]\nname = "r"\n[[group]]\nkey = "600"\n[[room]]\nkey = "700"\n'
    '[[line]]\nname = "l"\n[[line.block]]\nname = "x"\nkind = "play"\n'
).office
EXTENSION, OTHER = OFFICE.extensions

FOUND = {
    "a member, however the address is written": (OFFICE.member("ANN@acme.example"), OFFICE.members[0]),
    "an extension": (OFFICE.extension("101"), OTHER),
    "a device and its extension": (OFFICE.device("desk"), (EXTENSION, EXTENSION.devices[0])),
    "a number": (OFFICE.number("+6560001000"), OFFICE.numbers[0]),
    "a trunk": (OFFICE.trunk("t"), OFFICE.trunks[0]),
    "a gateway": (OFFICE.gateway("g"), OFFICE.gateways[0]),
    "an outbound rule": (OFFICE.outbound_rule("r"), OFFICE.outbound_rules[0]),
    "a group": (OFFICE.group("600"), OFFICE.groups[0]),
    "a room": (OFFICE.room("700"), OFFICE.rooms[0]),
    "what a key dials: an extension": (OFFICE.target("100"), EXTENSION),
    "what a key dials: a group": (OFFICE.target("600"), OFFICE.groups[0]),
    "what a key dials: a room": (OFFICE.target("700"), OFFICE.rooms[0]),
    "a device is not found by the extension's key": (OFFICE.device("100"), None),
    "no one is called nothing": (OFFICE.member(""), None),
    "a key that nothing has": (OFFICE.target("199"), None),
}


@pytest.mark.parametrize(("found", "expected"), FOUND.values(), ids=FOUND)
def test_lookups(found, expected):
    assert found == expected
