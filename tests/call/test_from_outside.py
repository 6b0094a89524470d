"""Which trunk a request comes from, which number it is for, and who calls (docs/decisions/trunks.md)."""

import pytest

from pbx.call.from_outside import Calling, Source, called_number, calling_number, networks_of, recognise
from pbx.office.gateway import Gateway
from pbx.office.number import Number
from pbx.office.snapshot import Office
from pbx.office.trunk import Trunk
from pbx.sip.flow import Flow
from tests.call.world import make_office
from tests.support.messages import make_invite

US = ("192.0.2.1", 5060)
CARRIER = Trunk("carrier", "sip:127.0.0.2:5070", "acme", "secret")
LISTED = Trunk(
    "listed", "sip:sip.other.example", addresses=("198.51.100.7", "203.0.113.0/24", "2001:db8::/32")
)
GATEWAY = Gateway("warehouse", "sip:127.0.0.3")
SECOND = Trunk("second", "sip:127.0.0.2:5070", "acme2", "secret")
PLAIN = Trunk("plain", "sip:127.0.0.2:5070", prefix="")
PHONE = "127.0.0.1"


def source(to, *servers):
    return Source(to, frozenset(servers), networks_of(to))


SOURCES = {
    "carrier": source(CARRIER, ("127.0.0.2", 5070)),
    "listed": source(LISTED, ("198.51.100.200", 5060)),
    "warehouse": source(GATEWAY, ("127.0.0.3", 5060)),
    "at a phone's": source(Trunk("local", "sip:127.0.0.1:5090"), (PHONE, 5090)),
    "second": source(SECOND, ("127.0.0.2", 5070)),
    "plain": source(PLAIN, ("127.0.0.2", 5070)),
}
OFFICE = make_office("100")
OFFICE = Office(extensions=OFFICE.extensions, numbers=(Number("+6560001000"),), realm=OFFICE.realm)
STRANGER = "<sip:+6531234567@carrier.example>;tag=1"
DEVICE = "<sip:100@pbx.local>;tag=1"

CASES = {
    "the place of its server": ("127.0.0.2", 5070, STRANGER, {}, "carrier"),
    "its address, from another port": ("127.0.0.2", 40000, STRANGER, {}, "carrier"),
    "an address that it lists": ("198.51.100.7", 40000, STRANGER, {}, "listed"),
    "a network that it lists": ("203.0.113.77", 5060, STRANGER, {}, "listed"),
    "a network of IPv6": ("2001:db8::1", 5060, STRANGER, {}, "listed"),
    "a gateway": ("127.0.0.3", 5060, STRANGER, {}, "warehouse"),
    "a stranger": ("192.0.2.200", 5060, STRANGER, {}, None),
    "a stranger with a trunk's name in From": ("192.0.2.200", 5060, "<sip:acme@127.0.0.2>;tag=1", {}, None),
    "a phone's address, at the carrier's port": (PHONE, 5090, STRANGER, {}, "local"),
    "a phone's address, another port": (PHONE, 5091, STRANGER, {}, None),
    "a device of ours from a carrier's address": ("127.0.0.2", 40000, DEVICE, {}, None),
    "a device of ours from a listed address": ("198.51.100.7", 5060, DEVICE, {}, None),
    "our device's name at another domain": (
        "198.51.100.7",
        5060,
        "<sip:100@carrier.example>;tag=1",
        {},
        "listed",
    ),
    "from the carrier's port nobody else sends": ("127.0.0.2", 5070, DEVICE, {}, "carrier"),
    "but with credentials it is the device": ("127.0.0.2", 5070, DEVICE, {"Authorization": "Digest x"}, None),
}


@pytest.mark.parametrize(("host", "port", "from_", "headers", "expected"), CASES.values(), ids=CASES)
def test_who_sends_it(host, port, from_, headers, expected):
    sender = _recognise(SOURCES.values(), host, port, from_=from_, **headers)
    assert (sender and sender.name) == expected
    assert sender is None or sender.is_gateway == (expected == "warehouse")


SHARED = {
    "the account in the Request-URI": ({"uri": "sip:acme2@192.0.2.1"}, "second"),
    "the account in To": ({"to": "<sip:acme2@192.0.2.1>"}, "second"),
    "the form of the number": ({"uri": "sip:6560001000@192.0.2.1"}, "plain"),
    "nothing says": ({"uri": "sip:4711@192.0.2.1"}, "carrier"),
}


@pytest.mark.parametrize(("options", "expected"), SHARED.values(), ids=SHARED)
def test_trunks_at_one_address(options, expected):
    assert _recognise(SOURCES.values(), "127.0.0.2", 5070, from_=STRANGER, **options).name == expected


def _recognise(sources, host, port, **options):
    request = make_invite(**options)
    flow = Flow("UDP", (host, port), US)
    ours = {"pbx.local", US[0]}.__contains__
    return recognise(request, flow, sources, OFFICE, ours, {PHONE}.__contains__)


CALLED = {
    "the Request-URI": ({"uri": "sip:+6560001000@h", "to": "<sip:x@h>"}, ["+6560001000", "x"]),
    "the account is no number": (
        {"uri": "sip:acme@h", "to": "<sip:+6560001000@h>"},
        ["+6560001000"],
    ),
    "digits alone may lack a plus": (
        {"uri": "sip:6560001000@h", "to": "<sip:60001000@h>"},
        ["6560001000", "60001000", "+6560001000", "+60001000"],
    ),
    "the third place": (
        {"uri": "sip:acme@h", "to": "<sip:acme@h>", "P_Called_Party_ID": "<sip:+6560001001@h>"},
        ["+6560001001"],
    ),
    "a tel URI, with parameters": (
        {"uri": "sip:+6560001000;npdi@h", "to": "<tel:+6560001001;phone-context=x>"},
        ["+6560001000", "+6560001001"],
    ),
    "a tel URI, as people write it": (
        {"uri": "tel:+65-6000.1000", "to": "<sip:+6560001000@h>"},
        ["+6560001000"],
    ),
    "a local number, as it stands and in its context": (
        {"uri": "tel:6000-1000;phone-context=+65", "to": "<sip:+6560001000@h>"},
        ["60001000", "+6560001000", "+60001000"],
    ),
    "a broken third place": (
        {"uri": "sip:1@h", "to": "<sip:1@h>", "P_Called_Party_ID": "<<"},
        ["1", "+1"],
    ),
}


@pytest.mark.parametrize(("options", "expected"), CALLED.values(), ids=CALLED)
def test_the_number_called(options, expected):
    assert called_number(make_invite(**options), CARRIER) == expected


CALLING = {
    "From": ({"from_": '"Bo" <sip:+84938812345@h>;tag=1'}, Calling("+84938812345", "Bo")),
    "a name that only repeats the number": (
        {"from_": '"84938812345" <sip:+84938812345@h>;tag=1'},
        Calling("+84938812345"),
    ),
    "what the carrier asserts": (
        {"from_": '"Bo" <sip:x@h>;tag=1', "P_Asserted_Identity": "<sip:+84938812345@h>"},
        Calling("+84938812345", "Bo"),
    ),
    "the first of two": (
        {"P_Asserted_Identity": '"Bo" <tel:+84938812345>, <sip:+84938812345@h>', "from_": "<sip:x@h>;tag=1"},
        Calling("+84938812345", "Bo"),
    ),
    "a tel URI with separators": (
        {"P_Asserted_Identity": "<tel:+84-93-881-2345>", "from_": "<sip:x@h>;tag=1"},
        Calling("+84938812345"),
    ),
    "a local number in its context": (
        {"from_": "<tel:93-881-2345;phone-context=+84>;tag=1"},
        Calling("+84938812345"),
    ),
    "a local number of a network": (
        {"from_": "<tel:4711;phone-context=carrier.example>;tag=1"},
        Calling("4711"),
    ),
    "of two the one that is a number": (
        {"P_Asserted_Identity": '"Bo" <sip:acme@h>, <tel:+84938812345>', "from_": "<sip:x@h>;tag=1"},
        Calling("+84938812345"),
    ),
    "withheld, but known": (
        {
            "from_": '"Anonymous" <sip:anonymous@anonymous.invalid>;tag=1',
            "P_Asserted_Identity": "<sip:+84938812345@h>",
            "Privacy": "id",
        },
        Calling("+84938812345", "", True),
    ),
    "withheld": ({"from_": '"Anonymous" <sip:anonymous@anonymous.invalid>;tag=1'}, Calling("", "", True)),
    "withheld in the carrier's words": ({"from_": "<sip:Restricted@h>;tag=1"}, Calling("", "", True)),
    "no user at all": ({"from_": "<sip:h>;tag=1"}, Calling("", "", True)),
    "From is clear, but Privacy asks": (
        {"from_": "<sip:+84938812345@h>;tag=1", "Privacy": "id"},
        Calling("+84938812345", "", True),
    ),
    "what is asserted cannot be read": (
        {"from_": "<sip:+84938812345@h>;tag=1", "P_Asserted_Identity": "<<"},
        Calling("+84938812345"),
    ),
}


@pytest.mark.parametrize(("options", "expected"), CALLING.values(), ids=CALLING)
def test_who_calls(options, expected):
    assert calling_number(make_invite(**options)) == expected
