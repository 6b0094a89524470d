"""The INVITE to a carrier: number format, who is shown, and to whom (RFC 3325, 3323, 5806, 7044)."""

import pytest

from pbx.call.outside import contact_user, make_invite, order_codecs
from pbx.entropy import SeededEntropy
from pbx.office.gateway import Gateway
from pbx.office.trunk import Trunk
from pbx.rules.decision import Outside, Shown
from pbx.sdp.content import Content, Line, make_content
from pbx.sip.parser import parse_datagram, validate

ACCOUNT = Trunk("carrier", "sip:sip.carrier.example:5070;transport=tcp", "acme", "secret")
BARE = Trunk("bare", "sip:192.0.2.50", prefix="")
DIGITS = Trunk("digits", "sip:192.0.2.50", prefix="9011")
FOREIGN = Trunk("foreign", "sip:192.0.2.50", foreign_caller_id=True)
OWN_DOMAIN = Trunk("own", "sip:192.0.2.50", "acme@voice.example", "secret")
SECURE = Trunk("secure", "sips:[2001:db8::5]:5071")
GATEWAY = Gateway("warehouse", "sip:192.168.1.20")

OURS = Shown("+6560001000", "Ann")
PASSED_ON = Shown("+6560001000", original="+84938812345")


def invite(to, shown=OURS, number="+6531234567", hops=None, **changes):
    made = make_invite(to, Outside(number, "100", shown, **changes), "pbx.local", SeededEntropy(), hops)
    made.headers.prepend("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-1")
    validate(parse_datagram(made.render()))
    return made


URIS = {
    "plus, and the server as it was entered": (
        (ACCOUNT,),
        "sip:+6531234567@sip.carrier.example:5070;transport=tcp",
        "<sip:+6531234567@sip.carrier.example>",
    ),
    "no prefix": ((BARE,), "sip:6531234567@192.0.2.50", "<sip:6531234567@192.0.2.50>"),
    "digits before the number": ((DIGITS,), "sip:90116531234567@192.0.2.50", None),
    "IPv6 over TLS": (
        (SECURE,),
        "sips:+6531234567@[2001:db8::5]:5071",
        "<sips:+6531234567@[2001:db8::5]>",
    ),
    "a gateway gets what is to be dialled": ((GATEWAY, OURS, "27"), "sip:27@192.168.1.20", None),
    "a hash is escaped": ((GATEWAY, OURS, "*21#"), "sip:*21%23@192.168.1.20", None),
}


@pytest.mark.parametrize(("arguments", "uri", "to"), URIS.values(), ids=URIS)
def test_who_is_called(arguments, uri, to):
    made = invite(*arguments)
    assert made.uri == uri
    assert to is None or made.headers.get("To") == to


def test_an_emergency_number_goes_as_it_was_dialled():
    assert invite(ACCOUNT, number="995", is_emergency=True).uri.startswith("sip:995@")


FROM, PAI = "From", "P-Asserted-Identity"
SHOWN = {
    "our number, at the carrier where we have an account": (
        (ACCOUNT,),
        {
            FROM: '"Ann" <sip:+6560001000@sip.carrier.example>',
            PAI: '"Ann" <sip:+6560001000@sip.carrier.example>',
        },
    ),
    "at our own domain where we have none": ((BARE,), {FROM: '"Ann" <sip:6560001000@pbx.local>'}),
    "at the domain that the account names": (
        (OWN_DOMAIN,),
        {FROM: '"Ann" <sip:+6560001000@voice.example>'},
    ),
    "no number may be sent: the account": (
        (ACCOUNT, Shown()),
        {FROM: "<sip:acme@sip.carrier.example>", PAI: None},
    ),
    "neither number nor account": (
        (BARE, Shown()),
        {FROM: '"Anonymous" <sip:anonymous@anonymous.invalid>', PAI: None, "Privacy": None},
    ),
    "hidden: the carrier alone is told": (
        (ACCOUNT, Shown("+6560001000", "Ann", is_hidden=True)),
        {
            FROM: '"Anonymous" <sip:anonymous@anonymous.invalid>',
            PAI: "<sip:+6560001000@sip.carrier.example>",
            "Privacy": "id",
        },
    ),
    "a forwarded caller, where foreign numbers are taken": (
        (FOREIGN, PASSED_ON),
        {
            FROM: "<sip:+84938812345@pbx.local>",
            PAI: "<sip:+84938812345@pbx.local>",
            "Diversion": None,
            "History-Info": None,
        },
    ),
    "a forwarded caller, where they are not": (
        (BARE, PASSED_ON),
        {
            FROM: "<sip:6560001000@pbx.local>",
            PAI: "<sip:6560001000@pbx.local>",
            "Diversion": "<sip:84938812345@pbx.local>;reason=unknown;counter=1;privacy=off",
            "History-Info": "<sip:84938812345@pbx.local>;index=1, <sip:6531234567@192.0.2.50>;index=1.1;mp=1",
        },
    ),
    "a name is quoted": ((GATEWAY, Shown("100", 'A "b" \\')), {FROM: '"A \\"b\\" \\\\" <sip:100@pbx.local>'}),
}


@pytest.mark.parametrize(("arguments", "headers"), SHOWN.values(), ids=SHOWN)
def test_who_is_shown(arguments, headers):
    made = invite(*arguments)
    found = {name: made.headers.get(name) for name in headers}
    if found.get(FROM):
        found[FROM] = found[FROM].partition(";tag=")[0]
    assert found == headers


def test_a_hidden_forwarded_caller_is_hidden_everywhere():
    made = invite(BARE, Shown("+6560001000", original="+84938812345", is_hidden=True))
    assert "anonymous.invalid" in made.headers.get("From")
    assert made.headers.get("Diversion").endswith(";privacy=full")
    assert "?Privacy=history>;index=1," in made.headers.get("History-Info")


@pytest.mark.parametrize(("hops", "forwards"), [(None, "69"), (70, "69"), (255, "69"), (12, "11"), (0, "0")])
def test_every_hop_counts(hops, forwards):
    assert invite(BARE, hops=hops).headers.get("Max-Forwards") == forwards


def test_the_contact_is_the_account_or_the_number():
    assert contact_user(ACCOUNT, OURS) == "acme"
    assert contact_user(OWN_DOMAIN, OURS) == "acme"
    assert contact_user(BARE, OURS) == "6560001000"
    assert contact_user(BARE, Shown("+6560001000", is_hidden=True)) == ""


def test_codecs_in_the_trunks_order_and_digits_kept():
    offered = make_content((0, 8, 9, 18))
    ordered = order_codecs(offered, ("G722", "PCMA"))
    assert [each.name for each in ordered.lines[0].formats] == ["G722", "PCMA", "TELEPHONE-EVENT"]


def test_a_caller_with_none_of_them_is_translated():
    ordered = order_codecs(make_content((18,)), ("PCMA", "G729A"))
    assert [each.name for each in ordered.lines[0].formats] == ["PCMA", "TELEPHONE-EVENT"]


def test_other_media_stay():
    video = Line("video")
    assert order_codecs(Content((*make_content((8,)).lines, video)), ("PCMA",)).lines[1] == video
