"""Calls over trunks: the next one or not, challenges, limits, strangers, and a second PBX as carrier."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pbx.net.tls import ensure_certificate
from tests.phones.conftest import Workshop, require
from tests.phones.support.kamailio import Kamailio
from tests.phones.support.office import TestDevice, extension_toml
from tests.phones.support.outside import (
    OFFICE,
    OWNER,
    Carriers,
    carriers,
    dialled,
    invites,
    place,
    silence,
    trunk_toml,
)
from tests.phones.support.phone import Answering, CallState, Phone
from tests.phones.support.pjsua_phone import PjsuaPhone
from tests.phones.support.ports import Ports
from tests.phones.support.process import Program
from tests.phones.support.records import wait_calls
from tests.phones.support.server import PbxServer
from tests.phones.support.sip_client import Challenge, sip_client
from tests.phones.support.sipp import SCENARIOS, read_errors
from tests.phones.support.talk import connect, hang_up, hear_each_other
from tests.phones.support.waiting import PATIENCE_S, wait_until

DID, FAR = "+6560001000", "+6561234567"
KEYS = ("100", "101", "102", "103")
ACCOUNT, SECRET = "acme", "secret-of-acme"
LOGIN = f'username = "{ACCOUNT}"\npassword = "{SECRET}"\n'


NUMBER = f'[[number]]\nnumber = "{DID}"\ndestination = "extension:100"\n'


def office(trunks: str = "", numbers: str = NUMBER, **rules: str) -> str:
    """Each extension calls outside by the rule of its own, which tries these trunks."""
    parts = [OFFICE, OWNER, trunks, numbers]
    for key in KEYS:
        names = [f'"{name}"' for name in rules.get(f"of_{key}", "").split()]
        parts.append(extension_toml(key, f'outbound_rule = "of {key}"\ndebug = true'))
        parts.append(f'[[outbound_rule]]\nname = "of {key}"\ntrunks = [{", ".join(names)}]\n')
        parts.append('[[outbound_rule.country]]\ncountry = "SG"\n')
    return "\n".join(parts)


def provider_office(trunks: str = "") -> str:
    """Another PBX, where the customer is a device, or has a trunk."""
    keys = 'outbound_rule = "standard"\ndebug = true'
    acme = f'[[extension.device]]\nkind = "ip_phone"\n{LOGIN}'
    names = '["customer"]' if trunks else "[]"
    parts = [
        *(OFFICE, OWNER, trunks),
        extension_toml("200", keys, acme, has_phone=False),
        extension_toml("300", keys),
        f'[[number]]\nnumber = "{FAR}"\ndestination = "extension:300"\n',
        f'[[outbound_rule]]\nname = "standard"\ntrunks = {names}\n',
        '[[outbound_rule.country]]\ncountry = "SG"\n',
    ]
    return "\n".join(parts)


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Carriers]:
    with carriers(tmp_path_factory.mktemp("outside")) as made:
        made.add("127.0.0.2", "moody")
        made.add("127.0.0.3", "good")
        yield made


@pytest.fixture(scope="module")
def servers_of_two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[PbxServer]]:
    """Two servers that trust each other's certificates."""
    trusted = tmp_path_factory.mktemp("trusted") / "both.pem"
    pair = [
        PbxServer(tmp_path_factory.mktemp(name), text, rtp_ports=100, trusted_ca=str(trusted))
        for name, text in (("customer", office()), ("provider", provider_office()))
    ]
    made = [
        ensure_certificate(each.folder / "data" / "certificates", lambda: ["127.0.0.1"], datetime.now(UTC))
        for each in pair
    ]
    trusted.write_bytes(b"".join(certificate.read_bytes() for certificate, _ in made))
    try:
        for each in pair:
            each.start()
        yield pair
        for each in pair:
            each.stop()
    finally:
        for each in pair:
            each.kill()
            each.release()


@pytest.fixture
def server(servers_of_two: list[PbxServer]) -> PbxServer:
    """The customer."""
    return servers_of_two[0]


@pytest.fixture
def provider(servers_of_two: list[PbxServer]) -> Iterator[PbxServer]:
    made = servers_of_two[1]
    yield made
    made.assert_well()
    made.assert_nothing_left()


@pytest.fixture
def good(outside: Carriers) -> PjsuaPhone:
    return _answering(outside.phones[1])


@pytest.fixture
def moody(outside: Carriers) -> PjsuaPhone:
    return _answering(outside.phones[0])


def _answering(phone: Phone) -> PjsuaPhone:
    assert isinstance(phone, PjsuaPhone)
    phone.answering(Answering(200))
    return phone


def phone_of(server: PbxServer, shop: Workshop, key: str, program: str = "pjsua") -> Phone:
    return shop.registered(program, TestDevice(key, key).account(server.address))


def test_the_next_trunk_is_tried_when_one_fails_and_only_then(
    server: PbxServer, shop: Workshop, moody: PjsuaPhone, good: PjsuaPhone
):
    first, second, third = (phone_of(server, shop, key) for key in KEYS[:3])
    closed = Ports(10, "127.0.0.4")
    with silence("127.0.0.5") as silent:
        trunks = "\n".join(
            (
                trunk_toml("moody", place(moody)),
                trunk_toml("good", place(good)),
                trunk_toml("silent", silent),
                trunk_toml("closed", f"127.0.0.4:{closed.first};transport=tcp"),
            )
        )
        server.apply(office(trunks, of_100="moody good", of_101="silent good", of_102="closed good"))
        waiting = second.dial(FAR)
        for status in (486, 603):
            moody.answering(Answering(status))
            before = len(invites(moody))
            assert first.wait_ended(first.dial(FAR)) == status
            assert len(invites(moody)) == before + 1
        assert not good.calls
        moody.answering(Answering(503))
        call, answered = connect(first, good, FAR)
        hear_each_other((first, call), (good, answered), 0.5)
        hang_up((first, call), (good, answered))
        before = len(invites(moody))
        call, answered = connect(first, good, FAR)
        assert len(invites(moody)) == before + 1  # it may have refused that number alone
        hang_up((first, call), (good, answered))
        call, answered = connect(third, good, FAR)
        hang_up((third, call), (good, answered))
        late = good.wait_incoming(number=3)
        second.wait_established(waiting)
        took_s = late.since[CallState.INCOMING] - waiting.since[CallState.CALLING]
        assert took_s > 4.5  # it was waited for
        hang_up((second, waiting), (good, late))
    rows = {row["name"]: row for row in server.status()["trunks"]}
    assert {name: row["state"] for name, row in rows.items()} == {
        "moody": "reachable",
        "good": "reachable",
        "silent": "down",
        "closed": "down",
    }
    assert "503" in rows["moody"]["error"]
    assert rows["silent"]["error"]
    assert rows["closed"]["error"]
    closed.release()


def test_a_full_trunk_is_passed_over(server: PbxServer, shop: Workshop, moody: PjsuaPhone, good: PjsuaPhone):
    first, second, third = (phone_of(server, shop, key) for key in KEYS[:3])
    trunks = trunk_toml("small", place(moody), "max_calls = 1") + trunk_toml("good", place(good))
    server.apply(office(trunks, of_100="small good", of_101="small good", of_102="small"))
    call, answered = connect(first, moody, FAR)
    other, its = connect(second, good, FAR)
    assert third.wait_ended(third.dial(FAR)) == 503
    hang_up((first, call), (moody, answered))
    again, reached = connect(third, moody, FAR)
    hang_up((third, again), (moody, reached))
    hang_up((second, other), (good, its))


def test_a_carrier_may_challenge_each_request(server: PbxServer, shop: Workshop, tmp_path: Path):
    require("sipp")
    phone, host = phone_of(server, shop, "100"), "127.0.0.6"
    ports = Ports(20, host)
    said = tmp_path / "messages.log"
    carrier = Program(
        "sipp carrier",
        [
            *("sipp", "-sf", str(SCENARIOS / "challenging.xml"), "-i", host, "-p", str(ports.first)),
            *("-mi", host, "-mp", str(ports.first + 10), "-rtp_echo", "-m", "1", "-nostdin"),
            *("-trace_err", "-error_file", str(tmp_path / "carrier.errors")),
            *("-trace_msg", "-message_file", str(said), "-timeout", "300", "-timeout_error"),
        ],
        tmp_path / "carrier.log",
        cwd=tmp_path,
    )
    login = f"{LOGIN}register = false\n"
    server.apply(office(trunk_toml("strict", f"{host}:{ports.first}", login), of_100="strict"))
    call = phone.dial(FAR)
    phone.wait_established(call)
    phone.ear(call).wait_tone(phone.tone)  # it says everything back
    phone.hangup(call)
    phone.wait_ended(call)
    assert carrier.wait_end(PATIENCE_S) == 0, read_errors(tmp_path)
    ports.release()
    text = said.read_text("utf-8", "replace").replace("\r\n", "\n")
    for method, nonce in (("INVITE", "first"), ("BYE", "second")):
        assert_answered(text, method, nonce)


def assert_answered(text: str, method: str, nonce: str) -> None:
    """The challenge was answered with the right password (RFC 7616 §3.4.1)."""
    found = re.search(
        rf'^{method} (\S+) SIP/2\.0\n(?:.+\n)*?Proxy-Authorization: (Digest .*nonce="{nonce}".*)', text, re.M
    )
    assert found is not None, text
    uri, line = found[1], found[2]
    values = dict(re.findall(r'(\w+)="?([^",]+)"?', line))
    assert (values["username"], values["realm"], values["uri"]) == (ACCOUNT, "carrier", uri)
    cnonce, count = values["cnonce"], int(values["nc"], 16)
    expected = Challenge("carrier", nonce).answer(method, uri, ACCOUNT, SECRET, count, cnonce)
    assert values["response"] == re.search(r'response="(\w+)"', expected)[1]  # type: ignore[index]


def test_a_stranger_has_to_prove_who_he_is(server: PbxServer, moody: PjsuaPhone):
    """Whatever he says of himself."""
    server.apply(office(trunk_toml("world", place(moody)), of_100="world"))
    with sip_client(("127.0.0.1", server.port), ("127.0.0.9", 0)) as stranger:
        for claimed in (f"sip:{FAR}@{place(moody)}", "sip:100@pbx.test", f"sip:{FAR}@pbx.test"):
            uri = f"sip:{DID}@{server.address}"
            reply = stranger.request("INVITE", uri, claimed, uri, (f"Contact: <{claimed}>",))
            assert reply is not None
            assert reply.status == 401, claimed


def test_a_proxy_with_a_registrar(server: PbxServer, shop: Workshop, good: PjsuaPhone, tmp_path: Path):
    """Kamailio challenges our calls, records its route, and sends calls to what we have registered."""
    require("kamailio")
    phone = phone_of(server, shop, "100")
    with Kamailio(tmp_path, "127.0.0.7", world=place(good)) as proxy:
        server.apply(office(trunk_toml("proxy", f"{proxy.host}:{proxy.port}", LOGIN), of_100="proxy"))
        wait_until("it is registered", lambda: server.status()["trunks"][0]["state"] == "registered")
        call, answered = connect(phone, good, FAR)
        assert dialled(invites(good)[-1]) == FAR
        hear_each_other((phone, call), (good, answered))
        hang_up((phone, call), (good, answered))
        before = len(phone.calls)
        call = good.call(f"sip:{DID}@{proxy.host}:{proxy.port}", caller=f"<sip:{FAR}@{proxy.host}>")
        answered = phone.wait_incoming(number=before)
        assert f"sip:{FAR}@" in invites(phone)[-1].header("From")
        good.wait_established(call)
        hear_each_other((phone, answered), (good, call))
        hang_up((phone, answered), (good, call))
        server.apply(office())
        wait_until("it has left", lambda: proxy.registered()[-1].endswith(" for 0"))


def test_a_second_server_has_us_as_its_customer(server: PbxServer, provider: PbxServer, shop: Workshop):
    """By an account, which is shown, since this office has no number."""
    server.apply(
        office(
            trunk_toml("carrier", f"{provider.address};transport=tcp", LOGIN), numbers="", of_100="carrier"
        )
    )
    wait_until("it is registered", lambda: server.status()["trunks"][0]["state"] == "registered")
    here, there = phone_of(server, shop, "100"), phone_of(provider, shop, "300", "baresip")
    call, answered = connect(here, there, "61234567")
    assert "sip:200@" in invites(there)[-1].header("From")  # whose account it is
    hear_each_other((here, call), (there, answered))
    assert server.status()["trunks"][0]["calls"] == 1
    hang_up((here, call), (there, answered))


def test_two_servers_by_address_with_tls_and_srtp(server: PbxServer, provider: PbxServer, shop: Workshop):
    """Both ways, each with the number of who calls."""
    provider.mark()
    listed = 'addresses = ["127.0.0.1"]\n'  # of TLS the port tells nothing
    to_provider = trunk_toml("carrier", f"{provider.tls_address};transport=tls", listed)
    to_customer = trunk_toml("customer", f"{server.tls_address};transport=tls", listed)
    server.apply(office(to_provider, of_100="carrier"))
    provider.apply(provider_office(to_customer))
    here, there = phone_of(server, shop, "100"), phone_of(provider, shop, "300", "baresip")
    for caller, callee, number, shown in ((here, there, "61234567", DID), (there, here, DID, FAR)):
        call, answered = connect(caller, callee, number)
        assert f"sip:{shown}@" in invites(callee)[-1].header("From")
        hear_each_other((caller, call), (callee, answered))
        hang_up((caller, call), (callee, answered))
    for each in wait_calls(provider, "--extension", "300", count=2):
        messages = json.loads(provider.command("calls", "show", each["id"], "--ladder", "--json"))
        between = [message for message in messages if message["transport"] == "TLS"]
        offers = [message["text"] for message in between if message["text"].startswith("INVITE ")]
        assert offers
        assert all("RTP/SAVP" in text and "a=crypto:" in text for text in offers), offers
